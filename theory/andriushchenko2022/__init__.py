"""Andriushchenko & Flammarion 2022: SAM's implicit bias on diagonal linear networks, and USAM on smooth functions."""

from theory.claim import Paper

PAPER = Paper(
    key="andriushchenko2022",
    title="Towards Understanding Sharpness-Aware Minimization",
    authors="Maksym Andriushchenko, Nicolas Flammarion",
    venue="ICML 2022",
    arxiv="2206.06232",
    bibtex="""@inproceedings{andriushchenko2022towards,
  title     = {Towards Understanding Sharpness-Aware Minimization},
  author    = {Andriushchenko, Maksym and Flammarion, Nicolas},
  booktitle = {International Conference on Machine Learning},
  series    = {Proceedings of Machine Learning Research},
  volume    = {162},
  pages     = {639--668},
  year      = {2022},
  note      = {arXiv:2206.06232}
}
@inproceedings{woodworth2020kernel,
  title     = {Kernel and Rich Regimes in Overparametrized Models},
  author    = {Woodworth, Blake and Gunasekar, Suriya and Lee, Jason D. and Moroshko, Edward and Savarese, Pedro and
               Golan, Itay and Soudry, Daniel and Srebro, Nathan},
  booktitle = {Conference on Learning Theory},
  series    = {Proceedings of Machine Learning Research},
  volume    = {125},
  pages     = {3635--3673},
  year      = {2020},
  note      = {arXiv:2002.09277}
}
@article{goujaud2024pepit,
  title     = {{PEPit}: Computer-Assisted Worst-Case Analyses of First-Order Optimization Methods in {Python}},
  author    = {Goujaud, Baptiste and Moucer, C{\\'e}line and Glineur, Fran{\\c c}ois and Hendrickx, Julien M. and
               Taylor, Adrien B. and Dieuleveut, Aymeric},
  journal   = {Mathematical Programming Computation},
  volume    = {16},
  pages     = {337--367},
  year      = {2024},
  note      = {arXiv:2201.04040}
}""",
)

# one file each, in the order in which the argument runs
THEOREMS = (
    "gradient_flow_bias",
    "sam_bias",
    "first_order",
    "effect_size",
    "generalisation",
    "collapse",
    "discretisation",
    "rounding",
    "switching",
    "deterministic_usam",
    "stochastic_usam",
    "worst_case",
)
