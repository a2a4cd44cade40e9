"""The command line as tests call it: in this process, outside it, and refused."""

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result

import sharpbounds

ROOT = Path(__file__).resolve().parents[1]


def call(*arguments: object) -> Result:
    """Run the command line in this process; an exception that is no exit is an error here."""
    result = CliRunner(catch_exceptions=False).invoke(sharpbounds.main, [str(a) for a in arguments])
    assert "Traceback" not in result.output
    return result


def refused(*arguments: object, naming: str) -> str:
    """Check that the arguments end in exit status 2, one line that has `naming`, and no file."""
    before = sorted(Path().iterdir())
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert naming in errors[0]
    assert result.stderr.rstrip().endswith(errors[0])
    assert sorted(Path().iterdir()) == before
    return errors[0]


def outside(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "sharpbounds", *arguments]
    here = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]), **environment}
    return subprocess.run(command, env=here, capture_output=True, text=True, encoding="utf-8", errors="replace")


def plain(value: Any) -> Any:
    """Return a value as JSON has it: NaN and infinities are null."""
    if isinstance(value, np.ndarray):
        return [plain(item) for item in value.tolist()]
    return None if isinstance(value, float) and not math.isfinite(value) else value
