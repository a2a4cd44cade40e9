"""Files from elsewhere, damaged and hostile: each is read, or refused in one message, in bounded memory."""

import copy
import hashlib
import html.parser
import json
import re
import shutil
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from reports import HOSTILE, records, written
from strategies import LEAVES, SCAN, damaged, torn

import sharpbounds
from figures.report.pages import build
from simulate.conv_run import ConvSpec
from simulate.store import _SCHEMA, Store
from theory.scan_command import model_options

ROWS = records()
FEW = settings(max_examples=max(8, settings.default.max_examples // 3))


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Return a working folder with a finished scan, nothing of which is computed any further."""

    def stop(self):
        raise SystemExit(0)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("readers"))
        assert CliRunner().invoke(sharpbounds.main, SCAN).exit_code == 0
        shutil.copytree("done", "kept")
        patch.setattr(ConvSpec, "run", stop)
        yield Path.cwd()


def taken(*arguments):
    """Return whether a command line read its files; if it did not, it must have said so in one message."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of parts set aside
        result = CliRunner().invoke(sharpbounds.main, [*arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code in (0, 1, 2)
    assert "Traceback" not in result.output
    if result.exit_code == 2:
        assert len(result.stderr.partition("Error: ")[2].strip().splitlines()) == 1, result.stderr
    return result.exit_code != 2


# scans


def fresh():
    """Put the scan back as it was."""
    shutil.rmtree("done")
    shutil.copytree("kept", "done")


def scan_is_read():
    """Return whether the scan is read by each of the commands that read one."""
    drawn = ("plot", "done", "--x", "max_steps", "--value", "train_loss", "--out", "new.svg")
    return [taken("scan", "status", "done"), taken("scan", "export", "done", "--out", "new.csv"), taken(*drawn),
            taken(*SCAN)]  # fmt: skip


def plan():
    """Return the contents of the scan's scan.json."""
    return json.loads(Path("kept/scan.json").read_text())


@FEW
@given(st.data())
def test_damaged_plan(here, data):
    fresh()
    Path("done/scan.json").write_text(json.dumps(data.draw(damaged(plan()))))
    scan_is_read()


@pytest.mark.parametrize("name", ["scan.json", "failures.json"])
@FEW
@given(data=st.data())
def test_torn_text(here, name, data):
    fresh()
    path = Path("done", name)
    path.write_bytes(data.draw(torn(path.read_bytes())))
    scan_is_read()


def test_whole_scan_is_read(here):
    """The control."""
    fresh()
    assert all(scan_is_read())


DEEP = ["[" * 100_000, '{"a":' * 100_000, "9" * 10_000, '"' + "x" * 10**6]


@pytest.mark.parametrize("text", DEEP, ids=lambda t: t[:5])
def test_deep_and_long_text(here, text):
    fresh()
    for name in ("done/scan.json", "done/failures.json", "deep.json", "deep.toml"):
        Path(name).write_text(text)
    assert not taken("scan", "status", "done")
    assert not taken("diff", "deep.json", "deep.json")
    assert not taken("scan", "conv", "--config", "deep.toml", "--out", "new")
    Path("deep.toml").write_text("d = " + text)
    assert not taken("scan", "conv", "--config", "deep.toml", "--out", "new")
    shutil.copy("kept/scan.json", "done/scan.json")
    assert taken("scan", "status", "done")  # what failed is tried again anyway
    assert not Path("new").exists()


@pytest.mark.parametrize("size", [{"seeds": 10**12}, {"axes": {f"{k}": [1, 2, 3] for k in range(40)}}])
def test_small_plan_of_too_many_runs(here, size):
    fresh()
    Path("done/scan.json").write_text(json.dumps({**plan(), **size}))
    assert not taken("scan", "status", "done")


# settings in TOML

TOML = (
    "1", "-1", "0", "1e308", "nan", "-inf", "9" * 400, '""', '"x"', '"a\\u0000b"', '"<script>"', "[]", "[[1], []]",
    "[1, 'x']", "{}", "{ a = 1 }", "1979-05-27", "true", '"1:2:log3"', "['d', 'n']", '"/dev/null/x"', "0x10", '"full"',
)  # fmt: skip


KEYS = ["grid", "zip", "seeds", "seed", "workers", "out", "scheduler", "a b", "no", *model_options("conv")]


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(TOML)), max_size=4), st.data())
def test_settings(here, pairs, data):
    text = "".join(f'"{name}" = {value}\n' for name, value in pairs).encode()
    Path("it.toml").write_bytes(data.draw(torn(text)) if data.draw(st.booleans()) else text)
    before = set(Path().iterdir())
    if not taken("scan", "conv", "--config", "it.toml", "--dry-run"):
        assert set(Path().iterdir()) == before


def test_settings_that_are_good(here):
    """The control."""
    Path("it.toml").write_text('d = 30\nmu = 2\nseeds = 2\n[grid]\nrule = ["sgd", "sam"]\n')
    assert taken("scan", "conv", "--config", "it.toml", "--dry-run")


# Parquet parts

COUNTED = pa.proxy_memory_pool(pa.default_memory_pool())  # outlives what it gives
GOOD = {"key": "k" * 64, "model": "conv", "status": "stopped", "steps": 3, "scalars": [], "arrays": []}
CELLS = {
    "key": [None, "", "x", "k" * 64, "k" * 10**5], "model": [None, "", "nope", "os", "conv", "diagonal"],
    "status": [None, "", "<script>"], "steps": [None, -1, 2**62],
    "scalars": [None, [], [("train_loss", None)], [("__class__", 1.0)], [("train_loss", np.nan)] * 3],
    "arrays": [None, [], *([("labels", {"dtype": kind, "shape": shape, "values": [1.0, 2.0]})]
               for kind in ("<f8", "O", "<V1000000000", "<U1000000", "nope", None, "M8[s]", "<i8,<f8")
               for shape in ([2], [-1], [3], [2**62, 2**62], [], None))],
}  # fmt: skip


def part_in(folder, data):
    """Write a part whose name is that of its contents."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    (folder / f"{hashlib.sha256(data).hexdigest()[:32]}.parquet").write_bytes(data)
    return folder


def in_parquet(rows, **options):
    """Return rows as a Parquet file, by default as parts are written."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), sink, **{"use_dictionary": False, **options})
    return sink.getvalue().to_pybytes()


def read_all(folder):
    """Return what is found of the runs of a folder, read with and without a look at every part first."""
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        stores = [Store(folder, check) for check in (True, False)]
        return [store.get(key) for store in stores for key in ("k" * 64, "x")]


@given(st.fixed_dictionaries({name: st.sampled_from([GOOD[name], *cells]) for name, cells in CELLS.items()}))
def test_any_cells(here, row):
    """No dtype, shape, model or number that a part names is trusted."""
    tracemalloc.start()
    read_all(part_in(here / "parts", in_parquet([row])))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6


@given(st.data())
def test_torn_part(here, data):
    """Under the name of its whole contents, as damage leaves it, or of what it holds now, as an attacker would."""
    whole = min(Path("kept/runs").glob("*.parquet"))
    read_all(part_in(here / "parts", data.draw(torn(whole.read_bytes()))))


def test_part_of_more_rows_than_its_bytes_can_hold(here):
    """A million equal keys take some hundred bytes: refused before they are unpacked."""
    data = in_parquet([{**GOOD, "key": None}] * 10**6, use_dictionary=True, compression="zstd")
    assert len(data) < 10**5
    folder, usual = part_in(here / "parts", data), pa.default_memory_pool()
    pa.set_memory_pool(COUNTED)
    try:
        with pytest.warns(UserWarning, match="rows of .* bytes in"):
            assert len(Store(folder)) == 0
    finally:
        pa.set_memory_pool(usual)
    assert COUNTED.max_memory() < 10**6


def test_part_that_is_good(here):
    """The control: what was stored, written again by another hand."""
    rows = pq.read_table(min(Path("kept/runs").glob("*.parquet"))).to_pylist()
    store = Store(part_in(here / "parts", in_parquet(rows)))
    assert len(store) == len(rows)
    assert all(store.get(row["key"]) for row in rows)


def test_other_columns(here):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"key": [1, 2], "other": ["a", "b"]}), sink)
    assert read_all(part_in(here / "parts", sink.getvalue().to_pybytes())) == [None] * 4


# records


@given(st.data())
def test_damaged_records(here, data):
    rows = data.draw(damaged(ROWS[:3]))
    Path("it.json").write_text(json.dumps(rows))
    written(ROWS, here, "good.json")
    taken("diff", "it.json", "good.json")
    taken("diff", "good.json", "it.json")
    for form in ("markdown", "csv", "latex"):
        taken("table", "--from", "it.json", "--to", form)


@FEW
@given(st.data())
def test_report_of_damaged_records(here, data):
    Path("it.json").write_text(json.dumps(data.draw(damaged(ROWS[:1]))))
    outside = set(here.parent.iterdir())
    if not taken("report", "--from", "it.json", "--out", "pages", "--workers", "1"):
        assert not Path("pages").exists()
    shutil.rmtree("pages", ignore_errors=True)
    assert set(here.parent.iterdir()) == outside


@given(st.data())
def test_torn_records(here, data):
    path = written(ROWS[:1], here, "it.json")
    path.write_bytes(data.draw(torn(path.read_bytes())))
    taken("table", "--from", "it.json")


# pages

BAD_TEXT = f"{HOSTILE}\"'><img src=x onerror=alert(1)> javascript:alert(1) {{{{ 7*7 }}}} ]]> &lt; \u202e"


LINKS = r"https://arxiv\.org/abs/.*", r"#[a-z0-9-]*", r"(\.\./)?[a-z0-9/-]+\.(html|css|json)(#[a-z0-9-]*)?", "data:,"
SAFE = re.compile("|".join(LINKS), re.S)


class Page(html.parser.HTMLParser):
    """Collects what a page must not have."""

    def __init__(self, text):
        super().__init__()
        self.bad, self.shown = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        """Note scripts, images, handlers, and links to anything but pages, papers and places."""
        if tag in ("script", "img", "iframe", "object", "embed", "base", "form"):
            self.bad.append(tag)
        for name, value in attributes:
            target = name in ("href", "src", "xlink:href", "action")
            if name.startswith("on") or (target and not SAFE.fullmatch(value)):
                self.bad.append((tag, name, value))

    def handle_data(self, data):
        """Keep what is shown."""
        self.shown.append(data)


def poisoned(row):
    """Return a record with BAD_TEXT for every text that is free, and before every name that is."""
    new = copy.deepcopy(row)
    for name in ("title", "statement", "source", "formula", "tolerance_reason"):
        new[name] = BAD_TEXT
    new["paper"] = dict.fromkeys(row["paper"], BAD_TEXT)
    new["settings"] = new["nominal"] = {BAD_TEXT: BAD_TEXT}
    new["environment"] = {"versions": {BAD_TEXT: BAD_TEXT}, "platform": BAD_TEXT, "cores": 2}
    for hypothesis in new["hypotheses"]:
        hypothesis |= {"name": BAD_TEXT, "text": BAD_TEXT}
    for part in filter(None, (new["verdict"], new["control"], new["twin"])):
        part |= {"measure": BAD_TEXT, "title": BAD_TEXT}
        if "changes" in part:
            part["changes"] = {BAD_TEXT: BAD_TEXT}
        for holder in ("series", "details"):
            part[holder] = {BAD_TEXT + name if name else "": value for name, value in part[holder].items()}
        for axis in part["series"].values():
            axis["of"] = BAD_TEXT
    return new


def test_pages_escape_every_text():
    """Every text of a record, and every name of a setting, an axis or a library, on every page."""
    rows = [poisoned(row) for row in ROWS]
    files = {name: data.decode() for name, data in build(rows).items() if name.endswith(".html")}
    assert len(files) == len(ROWS) + 1
    for name, text in files.items():
        page = Page(text)
        assert page.bad == [], name
        assert HOSTILE not in text
        assert "<img" not in text
        assert HOSTILE in "".join(page.shown)  # as text it is there
        assert "{{ 7*7 }}" in "".join(page.shown)


@pytest.mark.parametrize("text", ["<script>1</script>", "<a href='javascript:1'>x</a>", "<b onclick=1>", "<img src=x>"])
def test_what_a_page_must_not_have_is_seen(text):
    """The control."""
    assert Page(text).bad


def test_leaves_are_json():
    """The control: what stands in for parts of a file can be written as one."""
    assert all(json.dumps(leaf) for leaf in LEAVES)
