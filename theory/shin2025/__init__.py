"""Shin et al. 2025: minima that stochastic SAM stays at, how fast it gets there, and what overparameterisation does."""

from theory.claim import Paper

PAPER = Paper(
    key="shin2025",
    title="Critical Influence of Overparameterization on Sharpness-aware Minimization",
    authors="Sungbin Shin, Dongyeop Lee, Maksym Andriushchenko, Namhoon Lee",
    venue="UAI 2025",
    arxiv="2311.17539",
    bibtex="""@inproceedings{shin2025critical,
  title     = {Critical Influence of Overparameterization on Sharpness-aware Minimization},
  author    = {Shin, Sungbin and Lee, Dongyeop and Andriushchenko, Maksym and Lee, Namhoon},
  booktitle = {Conference on Uncertainty in Artificial Intelligence},
  year      = {2025},
  note      = {arXiv:2311.17539}
}""",
)

# one file each, in the order in which the argument runs
THEOREMS = (
    "second_moment",
    "one_step",
    "mean_square",
    "trace_form",
    "smaller_radius",
    "uniform_moments",
    "linear_rate",
    "width",
    "sparsity",
    "stopping",
    "flatness",
    "simplicity",
    "hessian_moments",
    "test_error_width",
)
