"""Our own results: sharp asymptotics of SGD, and of SAM then SGD, on signal plus noise."""

from theory.claim import Paper

PAPER = Paper(
    key="ours",
    title="Sharp asymptotics of SGD and SAM on signal plus noise",
    authors="The authors of sharpbounds",
    venue="this project, docs/asymptotics.md",
    arxiv="",
    bibtex="""@misc{sharpbounds,
  title     = {Sharp asymptotics of {SGD} and {SAM} on signal plus noise},
  author    = {{The authors of sharpbounds}},
  year      = {2026},
  note      = {sharpbounds, docs/asymptotics.md}
}""",
)

# one file each, in the order in which the argument runs
THEOREMS = (
    "learning_curves", "invariance", "test_error_curve", "closed_form", "accuracy", "boundary_constant", "iid_labels",
    "mini_batches", "sam_phase", "sam_switches", "sam_then_sgd",
)  # fmt: skip
