"""Wen, Ma and Li 2023: which sharpness SAM makes small, and how fast."""

from theory.claim import Paper

PAPER = Paper(
    key="wen2023",
    title="How Does Sharpness-Aware Minimization Minimize Sharpness?",
    authors="Kaiyue Wen, Tengyu Ma, Zhiyuan Li",
    venue="ICLR 2023",
    arxiv="2211.05729",
    bibtex="""@inproceedings{wen2023how,
  title     = {How Does Sharpness-Aware Minimization Minimize Sharpness?},
  author    = {Wen, Kaiyue and Ma, Tengyu and Li, Zhiyuan},
  booktitle = {International Conference on Learning Representations},
  year      = {2023},
  note      = {arXiv:2211.05729}
}""",
)

THEOREMS = ("drift",)
