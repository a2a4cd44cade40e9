"""Andriushchenko & Flammarion 2022: the implicit bias of n-SAM and 1-SAM on diagonal linear networks."""

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
