"""Documents as tests run them: the files they make, the commands they give, and what those print."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # before this folder, which has a `theory` of its own

from simulate.compiled import cache_folder, fingerprint
from theory.claim import Claim

ROOT = Path(__file__).parents[1]
_STEP = re.compile(
    r"```python\n(?P<source>.*?)```|```diff\n(?P<change>.*?)```"
    r"|(?P<commands>(?:^    (?:sharpbounds|python|python3|pip|\.) [^\n]*\n(?:(?<=\\\n)[^\n]*\n)*)+)"
    r"(?:\n```\n(?P<shown>.*?)```)?",
    re.DOTALL | re.MULTILINE,
)


def steps(page: str) -> Iterator[tuple[str, str | None]]:
    """Yield (file, source), ("diff", change) and (commands, output shown or None) of a page in its order.

    A Python block belongs to the last `FILE.py` that the text before it names. Indented lines that begin with the name
    of a program are commands, a block right below them is what they print.
    """
    for match in _STEP.finditer(page):
        if match["source"]:
            yield re.findall(r"`([\w/]+\.py)`", page[: match.start()])[-1], match["source"]
        elif match["change"]:
            yield "diff", match["change"]
        else:
            yield re.sub(r"^    ", "", match["commands"], flags=re.MULTILINE), match["shown"]


def shows(shown: str, printed: str) -> bool:
    """Return whether what was printed is what is shown, … standing for anything."""
    pattern = ".*?".join(re.escape(part.strip()) for part in shown.split("…"))
    return re.fullmatch(r"\s*" + pattern + r"\s*", printed, re.DOTALL) is not None


def lend_kernels(folder: Path) -> Path:
    """Make a cache without any run, with the kernels that are compiled already, and return it."""
    kernels = cache_folder() / f"kernels-{fingerprint()}"
    kernels.mkdir(parents=True, exist_ok=True)
    folder.mkdir()
    (folder / kernels.name).symlink_to(kernels)
    return folder


def run_page(page: str, folder: Path, **environment: str) -> list[int]:
    """Make the files of a page and run its commands in a folder, as they are written; return their exit statuses.

    A later block that begins as an earlier one of its file takes its place, others are added. Output that differs from
    what the page shows is an error.
    """
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    program = bin_folder / "sharpbounds"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'import sharpbounds; sharpbounds.main()' \"$@\"\n")
    program.chmod(0o755)
    variables = {"PYTHONPATH": str(ROOT), "HOME": str(folder), "PATH": f"{bin_folder}:{os.environ['PATH']}"}
    variables["SHARPBOUNDS_CACHE"] = str(lend_kernels(folder / "cache"))
    blocks: dict[str, dict[str, str]] = {}
    statuses = []
    for name, text in steps(page):
        if text and name.endswith(".py"):
            blocks.setdefault(name, {})[text.split()[0]] = text
            (folder / name).write_text("\n\n".join(blocks[name].values()))
            continue
        if name == "diff":
            subprocess.run(["git", "apply", "--unidiff-zero", "-"], cwd=folder, input=text, text=True, check=True)
            continue
        found = subprocess.run(
            ["bash", "-ec", name], cwd=folder, env={**os.environ, **variables, **environment}, capture_output=True,
            text=True, encoding="utf-8",
        )  # fmt: skip
        assert text is None or shows(text, found.stdout), f"{name}{found.stdout}{found.stderr}"
        statuses.append(found.returncode)
        assert text is not None or found.returncode == 0, f"{name}{found.stdout}{found.stderr}"
    return statuses


def copy_of_the_project(folder: Path) -> Path:
    """Copy what an installation is made from, and return where it lies."""
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("simulate", "theory", "figures"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("sharpbounds.py", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    return folder


def claim_row(claim: Claim) -> str:
    """Return the line that tells a claim in the table of its paper's page."""
    formula = claim.formula.replace("|", "\\vert ").replace("\\operatorname", "\\mathrm")  # code hosts refuse these
    pieces = ", ".join(f"$`{piece.strip()}`$" for piece in formula.split("\\qquad"))
    verdict = str(claim.expected_in("quick"))
    if claim.twin:
        verdict = f"**{verdict}**; holds: {claim.twin.title}"
    return f"| `{claim.id}` | {pieces} | {verdict}{' · ours' if claim.ours else ''} |"


def formulas(page: str) -> tuple[list[str], list[str]]:
    """Return the LaTeX of a page: what stands between dollars, where Markdown has its say, and what it leaves alone."""
    kept = re.findall(r"^ *```math\n(.*?)```", page, re.DOTALL | re.MULTILINE) + re.findall(r"\$`([^`]+)`\$", page)
    plain = re.sub(r"^ *```.*?^ *```$|\$`[^`]+`\$", "", page, flags=re.DOTALL | re.MULTILINE)
    plain = re.sub(r"^    .*$", "", re.sub(r"`[^`\n]+`", "", plain), flags=re.MULTILINE)
    return re.findall(r"\$([^$]+)\$", plain), kept


if __name__ == "__main__":  # the rows of some claims, to be put into their page
    from theory.registry import select

    print("\n".join(claim_row(claim) for claim in select(sys.argv[1:])))
