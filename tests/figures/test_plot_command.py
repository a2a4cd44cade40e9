"""`plot`: what is drawn is what is stored, and what is not there is shown to be missing."""

from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner
from matplotlib.collections import PolyCollection, QuadMesh
from matplotlib.colors import LogNorm

import sharpbounds
from figures import plot_command
from figures.plot_command import LABELS, Cells, draw, geometric, label
from figures.style import SERIES
from simulate.scan import Plan
from theory.parameter_types import Level
from theory.scan_command import MODELS, model_options

mpl.use("Agg")

AXES = {"d": (1000, 10_000, 100_000), "mu": (1.0, 2.0, 3.0, 4.0), "rule": ("sgd", "sam")}


def test_error(d, mu, rule, seed):
    """Return a made-up test error, with a mean of 0.1 + 0.1 log10(d)/mu, less for SAM, over the seeds 0 and 1."""
    return 0.1 + 0.1 * np.log10(d) / mu - (0.02 if rule == "sam" else 0.0) + (0.001 if seed else -0.001)


test_error.__test__ = False


def scan_of(axes=AXES, value=test_error, keep=lambda row: True, seeds=2, model="conv", fixed=None, zips=()):
    """Return what `draw` reads of a scan, its runs made up."""
    from simulate.grid import points

    plan = Plan(model, fixed or {}, axes, zips, 0, seeds)
    rows = [{**point, "seed": seed, "status": "stopped", "test_error": value(**point, seed=seed)}
            for point in points(axes, zips) for seed in range(seeds)]  # fmt: skip
    table = pa.Table.from_pylist([row for row in rows if keep(row)])
    return SimpleNamespace(plan=plan, table=lambda: table, folder=Path("scan"))


@pytest.fixture
def call(tmp_path, monkeypatch):
    """Return a function that runs `plot` on a given scan, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def plot(scan, *arguments):
        monkeypatch.setattr(plot_command, "stored", lambda folder: scan)
        return CliRunner(catch_exceptions=False).invoke(sharpbounds.main, ["plot", "scan", *map(str, arguments)])

    return plot


def meshes(figure):
    """Return the heat maps of a figure, as masked arrays."""
    found = [c for axis in figure.axes for c in axis.collections if isinstance(c, QuadMesh)]
    return [c for c in found if c.get_array().ndim == 2 and "colorbar" not in c.axes.get_label()]


def hatched(axis):
    """Return {hatch: cells' centres} of a panel."""
    found = {}
    for one in axis.collections:
        if isinstance(one, PolyCollection) and one.get_hatch():
            corners = one.get_paths()[0].vertices
            found.setdefault(one.get_hatch()[0], []).append(corners.min(axis=0).tolist() + corners.max(axis=0).tolist())
    return found


def notes(figure):
    """Return the small type."""
    return figure.get_supxlabel()


# the numbers


def test_maps_show_the_means_at_their_places():
    figure = draw(scan_of(), "d", "mu", "test_error", "rule")
    first, second = meshes(figure)
    for mesh, rule in ((first, "sgd"), (second, "sam")):
        expected = [[test_error(d, mu, rule, 0) + 0.001 for d in AXES["d"]] for mu in AXES["mu"]]
        assert mesh.get_array().data == pytest.approx(np.array(expected), abs=1e-14)
        assert mesh.axes.get_title(loc="left") == rule
        assert (mesh.axes.get_xscale(), mesh.axes.get_yscale()) == ("log", "linear")
        edges = np.array(mesh.get_coordinates())
        assert edges[0, :, 0] == pytest.approx(10 ** np.array([2.5, 3.5, 4.5, 5.5]))
        assert edges[:, 0, 1] == pytest.approx([0.5, 1.5, 2.5, 3.5, 4.5])
        assert mesh.get_cmap().name == "cividis"
    assert first.get_clim() == second.get_clim()
    assert not any(hatched(mesh.axes) for mesh in (first, second))
    assert figure.get_suptitle() == r"Test error against dimension $d$ and signal norm $\|\mu\|$"


@pytest.mark.parametrize("count", [1, 4, 5, 8])
def test_every_facet_has_its_panel(count):
    axes = {"d": (10, 100), "mu": (1.0, 2.0), "n": tuple(range(1, count + 1))}
    figure = draw(scan_of(axes, lambda d, mu, n, seed: n / (d * mu)), "d", "mu", "test_error", "n")
    found = meshes(figure)
    assert [mesh.get_array()[0, 0] for mesh in found] == pytest.approx([n / 10 for n in axes["n"]])
    assert [mesh.axes.get_title(loc="left") for mesh in found] == [f"samples $n$ = {n}" for n in axes["n"]]
    below = {mesh.axes.get_subplotspec().colspan.start: mesh.axes for mesh in found}
    assert all(axis.get_xlabel() == "dimension $d$" for axis in below.values())


def test_missing_cells_are_hatched_and_not_filled_in():
    """Without a run ///, with diverged runs alone xxx; one run of two is a mean of one, and told."""

    def keep(row):
        return (row["d"], row["mu"]) != (10_000, 2.0) and (row["d"], row["mu"], row["seed"]) != (1000, 1.0, 0)

    def value(d, mu, rule, seed):
        return np.nan if (d, mu) == (100_000, 4.0) else test_error(d, mu, rule, seed)

    figure = draw(scan_of(value=value, keep=keep), "d", "mu", "test_error", at={"rule": "sgd"})
    (mesh,) = meshes(figure)
    z = mesh.get_array()
    assert np.argwhere(z.mask).tolist() == [[1, 1], [3, 2]]
    assert z[0, 0] == pytest.approx(test_error(1000, 1.0, "sgd", 1))
    found = hatched(mesh.axes)
    assert found["/"] == [pytest.approx([10**3.5, 1.5, 10**4.5, 2.5])]
    assert found["x"] == [pytest.approx([10**4.5, 3.5, 10**5.5, 4.5])]
    for text in ("3 runs missing", "2 runs without a finite value left out", "///: no run", "xxx: no finite value"):
        assert text in notes(figure).replace("\n", " ")
    assert "missing" not in notes(draw(scan_of(), "d", "mu", "test_error", "rule"))  # the control


def test_diverged_runs_are_left_out():
    ends = ("stopped", 1.0), ("max-steps", 3.0), ("diverged", 99.0), ("stopped", np.inf)
    rows = [{"d": 1, "status": status, "loss": loss} for status, loss in ends]
    cells = Cells(rows, ["d"], "loss")
    assert (cells.means, cells.counts, cells.dropped) == ({(1,): 2.0}, {(1,): 2}, 2)
    assert cells.errors[1,] == pytest.approx(1.0)


def test_contour_is_where_the_mean_is_at_the_level():
    """Of 0.1 + 0.1 log10(d)/mu at p + 0.15: mu = log10(d)/1.5, straight between the cells of a fine grid."""
    axes = {"d": AXES["d"], "mu": tuple(np.linspace(1.0, 5.0, 81).tolist()), "rule": ("sgd",)}
    figure = draw(scan_of(axes), "d", "mu", "test_error", contour=Level(0.15, True))
    (mesh,) = meshes(figure)
    (line,) = mesh.axes.lines
    d, mu = line.get_xydata().T
    assert mu == pytest.approx(np.log10(d) / 1.5, rel=2e-3)
    assert (d.min(), d.max()) == pytest.approx((1e3, 1e5))
    assert "p + 0.15" in notes(figure)
    assert not meshes(draw(scan_of(axes), "d", "mu", "test_error"))[0].axes.lines  # none is asked for


def test_contour_does_not_cross_missing_cells():
    axes = {"d": AXES["d"], "mu": tuple(np.linspace(1.0, 5.0, 21).tolist()), "rule": ("sgd",)}
    scan = scan_of(axes, keep=lambda row: row["d"] != 10_000)
    assert not meshes(draw(scan, "d", "mu", "test_error", contour=Level(0.25)))[0].axes.lines


def test_level_follows_the_flip_rate_of_the_cell():
    """A value of p + 0.1 everywhere but for the slope in mu: the line is at one mu, whatever p."""
    axes = {"flip_rate": (0.0, 0.1, 0.2), "mu": (1.0, 2.0, 3.0)}
    scan = scan_of(axes, lambda flip_rate, mu, seed: flip_rate + 0.1 + 0.03 * (1.6 - mu))
    (line,) = meshes(draw(scan, "flip_rate", "mu", "test_error", contour=Level(0.1, True)))[0].axes.lines
    assert line.get_ydata() == pytest.approx(1.6)


def test_curves_show_means_two_standard_errors_and_gaps():
    figure = draw(scan_of(keep=lambda row: row["d"] != 10_000 or row["rule"] == "sam"), "d", None, "test_error", "rule",
                  Level(0.1, True), {"mu": 2.0})  # fmt: skip
    (axis,) = figure.axes
    for container, rule in zip(axis.containers, AXES["rule"], strict=True):
        line, _, (bars,) = container.lines
        expected = [test_error(d, 2.0, rule, 0) + 0.001 for d in AXES["d"]]
        if rule == "sgd":
            expected[1] = np.nan
        assert line.get_ydata() == pytest.approx(np.array(expected), nan_ok=True)
        assert np.ptp(bars.get_segments()[0][:, 1]) == pytest.approx(4.0 * 0.001)
        assert container.get_label() == rule
    assert axis.get_xscale() == "log"
    assert "gaps: 1" in notes(figure)
    assert "mu = 2" in notes(figure)


def test_losses_over_decades_have_a_logarithmic_scale_and_errors_none():
    for name, kind in (("test_loss", LogNorm), ("test_error", None)):
        scan = scan_of(value=lambda d, mu, rule, seed: 10.0**-mu)
        table = scan.table().rename_columns([name if n == "test_error" else n for n in scan.table().column_names])
        figure = draw(SimpleNamespace(plan=scan.plan, table=lambda table=table: table), "d", "mu", name, "rule")
        assert isinstance(meshes(figure)[0].norm, LogNorm) == (kind is LogNorm)


def test_zipped_axes_go_with_the_one_that_is_drawn():
    axes = {"d": (10, 100), "sigma_0": (0.1, 0.01), "mu": (1.0, 2.0)}
    scan = scan_of(axes, lambda d, sigma_0, mu, seed: 1.0 / (d * mu), zips=(("d", "sigma_0"),))
    figure = draw(scan, "d", "mu", "test_error")
    assert meshes(figure)[0].get_array().data == pytest.approx(np.array([[0.1, 0.01], [0.05, 0.005]]))
    assert "missing" not in notes(figure)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1, 10, 100), True), ((1, 2, 3, 4), False), ((1.0, 1.5, 2.2, 3.4), True), ((0.0, 1.0, 10.0), False),
        ((-1.0, 1.0), False), ((5,), False), ((1, 100), True), ((1, 2), False),
    ],
)  # fmt: skip
def test_geometric(values, expected):
    assert geometric(values) is expected
    assert geometric(values[::-1]) is expected


def test_labels_are_of_letters_or_results():
    from theory.boundary_command import scalar_results

    known = {name for model in MODELS for name in (*model_options(model), *scalar_results(model))}
    assert set(LABELS) <= known
    assert label("noise_patches") == "noise patches"
    assert len(SERIES) == plot_command.MOST_FACETS == len({marker for _, marker, _ in SERIES})


# the command


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_same_picture_is_the_same_file(call, suffix):
    arguments = ["--x", "d", "--y", "mu", "--value", "test_error", "--facet", "rule", "--contour", "p+0.1"]
    for name in ("one", "two"):
        result = call(scan_of(), *arguments, "--out", f"{name}.{suffix}")
        assert (result.exit_code, result.output) == (0, "")
    other = scan_of(value=lambda d, mu, rule, seed: mu)
    assert call(other, *arguments, "--out", f"other.{suffix}").exit_code == 0
    one, two, other = (Path(f"{name}.{suffix}").read_bytes() for name in ("one", "two", "other"))
    assert one == two != other
    assert one.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix])


def test_at_takes_a_value_to_a_thousandth(call):
    axes = {"d": (10, 100), "mu": (1.0, 1.52981937474)}
    scan = scan_of(axes, lambda d, mu, seed: 0.1 * mu)
    assert call(scan, "--x", "d", "--value", "test_error", "--at", "mu=1.53", "--out", "a.png").exit_code == 0
    assert call(scan, "--x", "d", "--value", "test_error", "--at", "mu=1.6", "--out", "b.png").exit_code == 2


GOOD = ["--x", "d", "--y", "mu", "--value", "test_error", "--facet", "rule", "--out", "a.png"]


@pytest.mark.parametrize(
    ("arguments", "naming"),
    [
        (["--x", "nonsense"], "x = 'nonsense': must be an axis of the scan: d, mu, rule"),
        (["--y", "d"], "different axes"),
        (["--value", "nonsense"], "value = 'nonsense': must be one of test_error"),
        (["--at", "mu=1"], "at = 'mu'"),
        (["--at", "mu"], "at = 'mu': must be AXIS=VALUE"),
        (["--at", "n=3"], "at = 'n'"),
        (["--facet", "seed"], "facet = 'seed'"),
        (["--contour", "2p"], "p+NUMBER"),
        (["--out", "a.gif"], "out = 'a.gif'"),
        (["--out", "nowhere/a.png"], "output file"),
    ],
)
def test_bad_input_is_one_clear_error(call, arguments, naming):
    result = call(scan_of(), *GOOD, *arguments)
    assert result.exit_code == 2, result.output
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert naming in line
    assert not list(Path().iterdir())


def test_what_cannot_be_drawn_is_told(call):
    without = GOOD[:6] + GOOD[8:]
    cases = (
        (scan_of(), without, "given for every axis that is not drawn (rule)"),
        (scan_of(keep=lambda row: False), GOOD, "finished runs"),
        (scan_of(value=lambda **letters: np.nan), GOOD, "finite somewhere"),
        (scan_of({**AXES, "rule": tuple(range(9))}), GOOD, "at most 8"),
    )
    for scan, arguments, naming in cases:
        result = call(scan, *arguments)
        assert result.exit_code == 2
        assert naming in result.stderr
    assert not list(Path().iterdir())


def test_a_real_scan_is_drawn(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def main(*arguments):
        return CliRunner(catch_exceptions=False).invoke(sharpbounds.main, [str(a) for a in arguments])

    letters = ["--n", 6, "--width", 2, "--max-steps", 5, "--grid", "d=20,200", "--grid", "mu=1,2", "--out", "scan"]
    assert main("scan", "conv", *letters).exit_code == 0
    result = main("plot", "scan", "--x", "d", "--y", "mu", "--value", "clean-error", "--out", "a.png")
    assert (result.exit_code, result.output) == (0, "")
    assert Path("a.png").stat().st_size > 1000
    assert main("plot", "nowhere", "--x", "d", "--value", "test_error", "--out", "b.png").exit_code == 2
    assert not Path("b.png").exists()
