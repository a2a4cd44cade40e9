"""Luo, Harandi, Phung and Le 2025: what blocks of m samples add to SAM, through the noise of their gradients."""

from theory.claim import Paper

PAPER = Paper(
    key="luo2025",
    title="Unveiling m-Sharpness Through the Structure of Stochastic Gradient Noise",
    authors="Haocheng Luo, Mehrtash Harandi, Dinh Phung, Trung Le",
    venue="NeurIPS 2025",
    arxiv="2509.18001",
    bibtex="""@inproceedings{luo2025unveiling,
  title     = {Unveiling m-Sharpness Through the Structure of Stochastic Gradient Noise},
  author    = {Luo, Haocheng and Harandi, Mehrtash and Phung, Dinh and Le, Trung},
  booktitle = {Advances in Neural Information Processing Systems},
  year      = {2025},
  note      = {arXiv:2509.18001}
}""",
)

THEOREMS = ("expected_step", "vanishing_steps")
