"""Moon, Si and Yun 2026: where SAM takes diagonal networks of any depth."""

from theory.claim import Paper

PAPER = Paper(
    key="moon2026",
    title="Minor First, Major Last: A Depth-Induced Implicit Bias of Sharpness-Aware Minimization",
    authors="Chaewon Moon, Dongkuk Si, Chulhee Yun",
    venue="ICLR 2026",
    arxiv="2603.08290",
    bibtex="""@inproceedings{moon2026minor,
  title     = {Minor First, Major Last: A Depth-Induced Implicit Bias of Sharpness-Aware Minimization},
  author    = {Moon, Chaewon and Si, Dongkuk and Yun, Chulhee},
  booktitle = {International Conference on Learning Representations},
  year      = {2026},
  note      = {arXiv:2603.08290}
}""",
)

THEOREMS = ("below_radius", "winner", "minor_first")
