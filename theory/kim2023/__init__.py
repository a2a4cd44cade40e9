"""Kim, Park, Choi and Lee 2023: saddles that attract SAM."""

from theory.claim import Paper

PAPER = Paper(
    key="kim2023",
    title="Stability Analysis of Sharpness-Aware Minimization",
    authors="Hoki Kim, Jinseong Park, Yujin Choi, Jaewook Lee",
    venue="arXiv 2023",
    arxiv="2301.06308",
    bibtex="""@misc{kim2023stability,
  title     = {Stability Analysis of Sharpness-Aware Minimization},
  author    = {Kim, Hoki and Park, Jinseong and Choi, Yujin and Lee, Jaewook},
  year      = {2023},
  note      = {arXiv:2301.06308}
}""",
)

THEOREMS = ("saddles",)
