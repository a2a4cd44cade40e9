"""SAM on quadratics: two-cycles, thresholds, and the optimum that it misses (a collection of four papers)."""

from theory.claim import Paper

PAPER = Paper(
    key="quadratics",
    title="The Dynamics of Sharpness-Aware Minimization: Bouncing Across Ravines and Drifting Towards Wide Minima",
    authors="Peter L. Bartlett, Philip M. Long, Olivier Bousquet",
    venue="JMLR 2023",
    arxiv="2210.01513",
    bibtex="""@article{bartlett2023dynamics,
  title     = {The Dynamics of Sharpness-Aware Minimization: Bouncing Across Ravines and Drifting Towards Wide Minima},
  author    = {Bartlett, Peter L. and Long, Philip M. and Bousquet, Olivier},
  journal   = {Journal of Machine Learning Research},
  volume    = {24},
  number    = {316},
  pages     = {1--36},
  year      = {2023},
  note      = {arXiv:2210.01513}
}
@inproceedings{dai2023crucial,
  title     = {The Crucial Role of Normalization in Sharpness-Aware Minimization},
  author    = {Dai, Yan and Ahn, Kwangjun and Sra, Suvrit},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {36},
  year      = {2023},
  note      = {arXiv:2305.15287}
}
@inproceedings{si2023practical,
  title     = {Practical Sharpness-Aware Minimization Cannot Converge All the Way to Optima},
  author    = {Si, Dongkuk and Yun, Chulhee},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {36},
  year      = {2023},
  note      = {arXiv:2306.09850}
}
@article{long2024edge,
  title     = {Sharpness-Aware Minimization and the Edge of Stability},
  author    = {Long, Philip M. and Bartlett, Peter L.},
  journal   = {Journal of Machine Learning Research},
  volume    = {25},
  number    = {179},
  pages     = {1--20},
  year      = {2024},
  note      = {arXiv:2309.12488}
}""",
)

# one file each, in the order in which the argument runs
THEOREMS = ("two_cycle", "edge_of_stability", "usam_threshold", "vanishing_steps")
