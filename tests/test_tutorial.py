"""The tutorial's commands, as they are written."""

import os
import subprocess
import sys
import sysconfig

import pytest
from pages import ROOT, copy_of_the_project, run_page, steps

PAGE = (ROOT / "docs" / "tutorial.md").read_text()
INSTALL, REST = PAGE.split("## Check a theorem")


@pytest.mark.compiled
def test_the_tutorial_as_it_is_written(tmp_path):
    assert set(run_page(REST, tmp_path)) == {0}
    for picture in ("pictures/deactivation.png", "phase.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


def test_nothing_is_left_out():
    """Every indented line of the page that is neither formula nor continuation is among what is run."""
    run = "".join(name for name, _ in steps(PAGE))
    shown = [line.strip() for line in PAGE.splitlines() if line.startswith("    ") and "sharpbounds " in line]
    assert len(shown) >= 10
    assert all(line in run for line in shown)


def test_installation(tmp_path):
    """In a new environment without an index: what the project needs besides itself is lent by this one."""
    pytest.importorskip("setuptools", minversion="70.1")  # the first that makes wheels by itself
    ((commands, _),) = steps(INSTALL)
    lent = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}  # 0 is pip's word for it
    lent["PYTHONPATH"] = sysconfig.get_paths()["purelib"]
    lent["PATH"] = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    found = subprocess.run(
        ["bash", "-ec", commands + "which sharpbounds"], cwd=copy_of_the_project(tmp_path), env={**os.environ, **lent},
        capture_output=True, text=True,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.splitlines()[-2:] == ["sharpbounds, version 0.1.0", str(tmp_path / ".venv/bin/sharpbounds")]
