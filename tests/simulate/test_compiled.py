"""Compiled kernels against the same sources run as plain Python, and where compiled kernels are kept."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from modes import in_both_modes

from simulate.compiled import cache_folder, fingerprint

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import dataclasses, sys
import numpy as np
from simulate.conv import DenseNetwork, GramNetwork
from simulate.signal_noise import SignalNoise, draw_dense, draw_gram
from simulate.update import Batches, Phase, Rule, train

def fit(network, batch_size, radius):
    batches = Batches(7, batch_size, np.random.default_rng(1))
    train(network, [Phase(Rule(radius), 30), Phase(Rule(), 20)], batches, 0.02, 0.0, range(0, 50, 7))
    return network

found = {}
data = SignalNoise(7, 60, 3, flip_rate=0.3, noise_patches="independent")
gram, dense = draw_gram(data, 3, 0.1, 0), draw_dense(data, 3, 0.1, 0)
for name in ("gram", "projections", "weight_gram"):
    found["draw " + name] = getattr(gram, name)
    found["draw dense " + name] = getattr(dense.to_gram(), name)
loud = dataclasses.replace(gram, projections=2.0**40 * gram.projections)
for batch_size in (7, 3):
    for radius in (0.0, 0.5):
        label = f"{batch_size} {radius}"
        for space, network in (("gram", GramNetwork(gram)), ("dense", DenseNetwork(dense))):
            fit(network, batch_size, radius)
            found[f"{space} H {label}"] = network.projections()
            found[f"{space} A {label}"] = network.coefficients
            found[f"{space} f {label}"] = network.logits()
        network = fit(GramNetwork(loud), batch_size, radius)
        found[f"linear H {label}"] = network.projections()
        found[f"linear A {label}"] = network.coefficients
np.savez(sys.argv[1], **found)
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Return the arrays of compiled and of plain runs."""
    return in_both_modes(tmp_path_factory.mktemp("modes"), SCRIPT)


def select(both, prefix):
    """Return the pairs of arrays whose name starts with `prefix`."""
    compiled, plain = both
    pairs = {name: (compiled[name], plain[name]) for name in compiled if name.startswith(prefix)}
    assert pairs
    return pairs


def test_draws_are_equal(both):
    """NumPy draws: the compiler has no part in them."""
    for name, (compiled, plain) in select(both, "draw").items():
        assert np.array_equal(compiled, plain), name


def test_steps_without_a_live_slope_are_equal(both):
    """Logits of 1e9 saturate every slope, at 1 or below 1e-300: what is left is + × / √, equal to the last bit.

    Coefficients that only the latter moved are taken as zero.
    """
    for name, (compiled, plain) in select(both, "linear").items():
        assert np.array_equal(*(np.where(abs(x) < 1e-200, 0.0, x) for x in (compiled, plain))), name
        assert np.isfinite(compiled).all()
    assert any(plain.any() for _, plain in select(both, "linear A").values())


@pytest.mark.parametrize(("space", "tolerance"), [("gram", 1e-14), ("dense", 1e-13)])
def test_fifty_steps_agree_to_rounding(both, space, tolerance):
    """50 steps with exp, of which each side has its own: some ulps of the largest entry (dense: and its own BLAS)."""
    for name, (compiled, plain) in select(both, space).items():
        assert np.abs(compiled - plain).max() <= tolerance * np.abs(plain).max(), name


def test_modes_differ_where_the_problem_does(both):
    """The negative control: batches and radii leave differences far above the tolerance."""
    compiled, _ = both
    for one, two in (("gram H 7 0.0", "gram H 7 0.5"), ("gram H 7 0.0", "gram H 3 0.0")):
        assert np.abs(compiled[one] - compiled[two]).max() > 1e-6


# where kernels are kept


def test_fingerprint_is_short_and_stable():
    assert fingerprint() == fingerprint()
    assert len(fingerprint()) == 16


def test_cache_folder_is_chosen_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("SHARPBOUNDS_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("SHARPBOUNDS_CACHE")
    assert cache_folder().name == "sharpbounds"


def in_a_copy(folder, code, **environment):
    """Run `code` beside a copy of the sources in `folder` and return what it prints."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env={**os.environ, **environment}, check=True,
        capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip


def test_fingerprint_knows_every_source(tmp_path):
    """A comment in any file is another fingerprint; a copy as it stands is the same."""
    (tmp_path / "simulate").mkdir()
    for path in (ROOT / "simulate").glob("*.py"):
        (tmp_path / "simulate" / path.name).write_bytes(path.read_bytes())
    show = "from simulate.compiled import fingerprint; print(fingerprint())"
    found = [in_a_copy(tmp_path, show)]
    for name in ("update.py", "conv.py"):
        path = tmp_path / "simulate" / name
        path.write_text(path.read_text() + "# changed\n")
        found.append(in_a_copy(tmp_path, show))
    (tmp_path / "simulate" / "new.py").write_text("")
    found.append(in_a_copy(tmp_path, show))
    assert len(set(found)) == 4
    assert found[0] == in_a_copy(ROOT, show)


KERNEL = """
from simulate.compiled import kernel
from simulate.update import perturbation_scale
print(perturbation_scale(0.5, 1.0, 2.0))
"""


@pytest.mark.compiled
def test_kernels_are_kept_under_the_fingerprint(tmp_path):
    assert in_a_copy(ROOT, KERNEL, SHARPBOUNDS_CACHE=str(tmp_path)) == "0.25"
    kept = list(tmp_path.rglob("*.nbi"))
    assert kept
    assert all(path.relative_to(tmp_path).parts[0] == f"kernels-{fingerprint()}" for path in kept)
    assert in_a_copy(ROOT, KERNEL, SHARPBOUNDS_CACHE=str(tmp_path)) == "0.25"


def test_folder_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    assert in_a_copy(ROOT, KERNEL, SHARPBOUNDS_CACHE=str(tmp_path / "file" / "cache")) == "0.25"


# a kernel that calls another one from another file


CALLER = """
from simulate.compiled import kernel
from simulate.helper import helper

@kernel
def caller(x):
    return helper(x) + 1.0
"""
CALL = "from simulate.caller import caller; print(caller(3.0))"


def with_helper(folder, factor):
    """Put beside `simulate.compiled` in `folder` a kernel that calls a helper that multiplies by `factor`."""
    (folder / "simulate").mkdir(exist_ok=True)
    sources = {"__init__.py": "", "compiled.py": (ROOT / "simulate" / "compiled.py").read_text(), "caller.py": CALLER}
    sources["helper.py"] = f"from simulate.compiled import kernel\n\n@kernel\ndef helper(x):\n    return {factor} * x\n"
    for name, text in sources.items():
        path = folder / "simulate" / name
        if not path.exists() or path.read_text() != text:  # numba looks at the time of the caller's file
            path.write_text(text)
    return folder


@pytest.mark.compiled
def test_changed_helper_recompiles_its_callers(tmp_path):
    """Under another fingerprint; the control: under the same one numba takes the caller as it was."""
    same = f"import simulate.compiled as c; c.fingerprint = lambda: 'same'; {CALL}"
    for code, found in ((CALL, ["7.0", "16.0"]), (same, ["7.0", "7.0"])):
        cache = {"SHARPBOUNDS_CACHE": str(tmp_path / found[1])}
        assert [in_a_copy(with_helper(tmp_path, factor), code, **cache) for factor in (2.0, 5.0)] == found


@pytest.mark.parametrize("library", ["numba", "numpy", "scipy"])
def test_fingerprint_knows_the_libraries(library):
    code = f"import simulate.compiled as c; c.{library}.__version__ = '0'; print(c.fingerprint())"
    assert in_a_copy(ROOT, code) != fingerprint()


@pytest.mark.compiled
def test_first_starts_at_once_do_not_collide(tmp_path):
    """Three processes that compile into one empty cache agree, and a fourth finds what they left."""
    with_helper(tmp_path, 2.0)
    environment = {**os.environ, "SHARPBOUNDS_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", CALL]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, cwd=tmp_path, env=environment, **pipes) for _ in range(3)]
    assert [process.communicate() for process in started] == [("7.0\n", "")] * 3
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.nb*")}
    assert len(kept) == 4  # an index and code for each of the two
    assert in_a_copy(tmp_path, CALL, SHARPBOUNDS_CACHE=str(tmp_path / "cache")) == "7.0"
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.nb*")} == kept


@pytest.mark.compiled
@pytest.mark.parametrize("home", ["file/home", "/proc/nowhere", "/dev/null"])
def test_home_that_cannot_be_written(tmp_path, home):
    """Kernels are compiled anew, without a word; nothing is left anywhere."""
    (tmp_path / "file").write_text("")
    with_helper(tmp_path, 2.0)
    before = sorted(tmp_path.rglob("*.nb*"))
    places = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"), str(tmp_path / home))
    assert in_a_copy(tmp_path, CALL, **places, SHARPBOUNDS_CACHE="") == "7.0"
    assert sorted(tmp_path.rglob("*.nb*")) == before


@pytest.mark.compiled
def test_folder_that_is_there_and_read_only(tmp_path):
    """As the system tells who is not root; the control is a folder that can be written."""
    with_helper(tmp_path, 2.0)
    read_only = f"import os; os.access = lambda *asked, **more: False; {CALL}"
    for code, left in ((read_only, 0), (CALL, 4)):
        assert in_a_copy(tmp_path, code, SHARPBOUNDS_CACHE=str(tmp_path / "cache")) == "7.0"
        assert len(list((tmp_path / "cache").rglob("*.nb*"))) == left
