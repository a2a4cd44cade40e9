"""Chen et al. 2023: why SAM generalises better than SGD on signal plus noise."""

from theory.claim import Paper

PAPER = Paper(
    key="chen2023",
    title="Why Does Sharpness-Aware Minimization Generalize Better Than SGD?",
    authors="Zixiang Chen, Junkai Zhang, Yiwen Kou, Xiangning Chen, Cho-Jui Hsieh, Quanquan Gu",
    venue="NeurIPS 2023",
    arxiv="2310.07269",
    bibtex="""@inproceedings{chen2023sharpness,
  title     = {Why Does Sharpness-Aware Minimization Generalize Better Than {SGD}?},
  author    = {Chen, Zixiang and Zhang, Junkai and Kou, Yiwen and Chen, Xiangning and Hsieh, Cho-Jui and Gu, Quanquan},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {36},
  year      = {2023},
  note      = {arXiv:2310.07269}
}
@inproceedings{kou2023benign,
  title     = {Benign Overfitting in Two-layer {ReLU} Convolutional Neural Networks},
  author    = {Kou, Yiwen and Chen, Zixiang and Chen, Yuanzhou and Gu, Quanquan},
  booktitle = {International Conference on Machine Learning},
  series    = {Proceedings of Machine Learning Research},
  volume    = {202},
  pages     = {17615--17659},
  year      = {2023},
  note      = {arXiv:2303.04145}
}""",
)

# one file each, in the order in which the argument runs
THEOREMS = (
    "decomposition",
    "coefficient_growth",
    "signal_to_noise",
    "training_time",
    "sgd_boundary",
    "sgd_boundary_constant",
    "deactivation",
    "signal_growth",
    "sam_then_sgd",
    "sam_boundary",
)
