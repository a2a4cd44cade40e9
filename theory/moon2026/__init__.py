"""Moon, Si and Yun 2026: where SAM takes diagonal networks of any depth."""

from theory.claim import Paper

PAPER = Paper(
    key="moon2026",
    title="Minor First, Major Last",
    authors="Moon, Si, Yun",
    venue="arXiv 2026",
    arxiv="2603.08290",
    bibtex="""@misc{moon2026minor,
  title     = {Minor First, Major Last},
  author    = {Moon and Si and Yun},
  year      = {2026},
  note      = {arXiv:2603.08290}
}""",
)

THEOREMS = ("below_radius", "winner", "minor_first")
