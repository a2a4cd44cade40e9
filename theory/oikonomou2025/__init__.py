"""Oikonomou & Loizou 2025: convergence of Unified SAM under PL and without convexity, for any sampling."""

from theory.claim import Paper

PAPER = Paper(
    key="oikonomou2025",
    title="Sharpness-Aware Minimization: General Analysis and Improved Rates",
    authors="Dimitris Oikonomou, Nicolas Loizou",
    venue="ICLR 2025",
    arxiv="2503.02225",
    bibtex="""@inproceedings{oikonomou2025sharpness,
  title     = {Sharpness-Aware Minimization: General Analysis and Improved Rates},
  author    = {Oikonomou, Dimitris and Loizou, Nicolas},
  booktitle = {International Conference on Learning Representations},
  year      = {2025},
  note      = {arXiv:2503.02225}
}""",
)

# one file each, in the order in which the argument runs
THEOREMS = (
    "expected_residual",
    "constant_steps",
    "decreasing_steps",
    "nonconvex",
    "importance",
    "worst_case",
)
