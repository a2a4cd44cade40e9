"""The report: what stands on its pages, that it is safe and readable by everyone."""

import hashlib
import html.parser
import json
import re
import zipfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from reports import CLAIMS, HOSTILE, written

import sharpbounds
from figures.report import pages, pictures
from figures.report.mathml import mathml, pieces
from theory.claim import Outcome
from theory.registry import claims

CSS = (Path(pages.__file__).parent / "templates" / "style.css").read_text()
LINK = re.compile(r"https://arxiv\.org/|data:,$|[\w./-]*(#[\w-]+)?$")
VOID = {"meta", "link", "input", "br", "hr", "img"}


class Page(html.parser.HTMLParser):
    """What a test asks of a page; its elements must be closed in the order they were opened in."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.words = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes), tuple(self.open)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, *names):
        return [(tag, attributes) for tag, attributes, _ in self.tags if tag in names]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def html_files(files):
    return {name: Page(data.decode()) for name, data in files.items() if name.endswith(".html")}


def call(*arguments):
    return CliRunner(catch_exceptions=False).invoke(sharpbounds.main, ["report", *map(str, arguments)])


# what stands there


def test_every_record_is_shown(rows, files):
    index = html_files(files)["index.html"]
    for row in rows:
        page = Page(files[f"{row['id']}.html"].decode())
        assert f"{row['id']}.html" in {a.get("href") for _, a in index.all("a")}
        for text in (row["title"], row["statement"], row["source"], row["control"]["title"], row["tolerance_reason"]):
            assert " ".join(text.split()) in page.text
        assert f"sharpbounds verify {row['id']} --quick --seed 0" in page.text
        assert row["text_sha256"] in page.text
        shown = "not checked" if row["missing"] else row["verdict"]["outcome"]
        assert shown in page.text
        assert all(version in page.text for version in row["environment"]["versions"].values())
    assert "7 all 5 ✓ holds 1 ✗ violated 1 – not checked" in index.text
    assert "Every verdict is the expected one, 6 of 6 negative controls were rejected" in index.text
    assert json.loads(files["record.json"]) == rows


def test_failures_are_said_first(rows):
    """An unexpected verdict is named at the top; one control that is not rejected suffices."""
    wrong = [{**rows[0], "passed": False, "control": {**rows[0]["control"], "rejected": False}}, *rows[1:]]
    built = html_files(pages.build(wrong))
    index = built["index.html"].text
    assert "1 unexpected: toy2000/identity" in index
    assert "Every verdict" not in index
    assert index.index("1 unexpected") < index.index("A toy")
    assert "NOT REJECTED" in index
    assert "this check could not have failed" in built["toy2000/identity.html"].text


def test_theorems_lead_to_their_claims():
    place = {
        "Chen et al. 2023, Theorem 3.2 (SGD); Kou et al. 2023, Theorem 4.2": {
            "Chen et al. 2023": ["Theorem 3.2"], "Kou et al. 2023": ["Theorem 4.2"],
        },
        "Shin, Lee, Andriushchenko & Lee 2025, proof of Theorem 1": {"Shin et al. 2025": ["Theorem 1"]},
        "derived here (this file); sharpens the ratio in the proof of Theorem 3.2 of Chen et al. 2023": {
            "Chen et al. 2023": ["Theorem 3.2"], "Ours": ["toy2000"],
        },
        "Oikonomou & Loizou 2025, Section 3.3": {"Oikonomou & Loizou 2025": ["Section 3.3"]},
        "Shin et al., arXiv:2311.17539v3, Theorem 3, tested in our model": {"Shin et al. 2000": ["Theorem 3"]},
        "Long & Bartlett 2024, the SAM-edge": {"Long & Bartlett 2024": ["the SAM-edge"]},
        "derived here (this file), after Barrett & Dherin 2021": {"Barrett & Dherin 2021": ["as a whole"]},
        "nobody": {},
    }  # fmt: skip
    for source, expected in place.items():
        row = {"source": source, "key": "toy2000"}
        found = {work: [name for name, _ in places] for work, places in pages._theorems([row])}
        assert found == expected


def test_table_of_a_hundred_claims_is_small(rows):
    many = [{**rows[k % 7], "id": f"{rows[0]['id']}-{k}", "title": "T" * 75} for k in range(130)]
    shown = [pages._row(row) for row in many]
    text = pages._environment("0")("index.html").render(root="", **pages._index(shown))
    assert len(text.encode()) < 200 * 1024


# safety


def test_what_a_claim_says_is_text(files):
    """A title, statement, source and formula that try to be a script are read, not run."""
    for name, page in html_files(files).items():
        assert not page.all("script", "iframe", "object", "embed", "base", "form"), name
        for tag, attributes in page.all(*{tag for tag, *_ in page.tags}):
            assert not any(key.startswith("on") for key in attributes), (name, tag)
            for key in ("href", "src", "xlink:href"):
                assert LINK.match(attributes.get(key, "")), (name, attributes)
    page = html_files(files)["toy2000/ordering.html"]
    assert page.text.count(HOSTILE) >= 4
    assert HOSTILE.encode() not in files["toy2000/ordering.html"]


@pytest.mark.parametrize(
    "latex", [r"\text{<b>}", r"\href{javascript:x}{y}", r"\frac{a", r"\left(", "&lt;b&gt; < b", "^", "{"]
)
def test_formula_cannot_leave_its_element(latex):
    page = Page(mathml(latex))
    assert {tag for tag, *_ in page.tags} <= {
        "math", "mrow", "mi", "mo", "mn", "mtext", "msup", "msub", "mfrac", "code", "mspace",
    }  # fmt: skip
    assert not any("href" in attributes for _, attributes, _ in page.tags)


@pytest.mark.parametrize("claim", claims().values(), ids=lambda claim: claim.id)
def test_every_formula_is_set(claim):
    """None of a claim's own formulas is shown as it was written, in part or whole, nor wider than a page."""
    for piece in pieces(claim.formula):
        assert piece.startswith("<math")
        assert "\\" not in piece
        assert len(Page(piece).text) < 130


def test_formula_in_pieces():
    assert pieces("") == []
    assert len(pieces(r"a \le b \qquad c \qquad ")) == 2
    (one,) = pieces(r"a \preceq b")
    assert "<mo>⪯</mo>" in one


# for every reader


@pytest.mark.parametrize("name", ["index.html", *(f"{claim.id}.html" for claim in CLAIMS)])
def test_page_can_be_heard(files, name):
    page = Page(files[name].decode())
    ((_, html_attributes),) = page.all("html")
    assert html_attributes["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in page.all("h1", "h2", "h3", "h4")]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in pairwise(levels))
    assert all(attributes.get("scope") in ("col", "row") for _, attributes in page.all("th"))
    ids = [attributes["id"] for _, attributes, _ in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.all("svg", "section"):
        assert set(attributes["aria-labelledby"].split()) <= set(ids)
    drawings = page.all("svg")
    assert all(attributes["role"] == "img" for _, attributes in drawings)
    assert len(page.all("desc")) == len(drawings) <= len(page.all("title")) - 1
    assert (name == "index.html") == (not drawings) or "missing" in name
    assert page.all("main")
    assert page.all("title")


def luminance(colour):
    """Return the relative luminance of #rrggbb (WCAG 2)."""
    c = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255.0
    return np.where(c <= 0.03928, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def contrast(one, two):
    """Return the contrast ratio of two colours."""
    high, low = sorted((luminance(one), luminance(two)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_contrast_by_hand():
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the control: just too little


@pytest.mark.parametrize("dark", [False, True])
def test_colours_are_told_apart(dark):
    light, dark_rules = CSS.split("@media screen and (prefers-color-scheme: dark)")[:2]
    palette = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", dark_rules if dark else light))
    texts = [(name, ground) for name in ("text", "muted", "link") for ground in ("page", "panel")]
    texts += [(name, f"{name}-panel") for name in ("holds", "violated", "doubt", "aside")]
    texts += [(name, "page") for name in ("holds", "violated", "doubt", "aside")]
    texts += [("text", f"{name}-panel") for name in ("holds", "violated")] + [("ink", "panel")]
    for name, ground in texts:
        assert contrast(palette[name], palette[ground]) >= 4.5, (name, ground)
    for name in ("observed", "control", "outside"):
        assert contrast(palette[name], palette["panel"]) >= 3.0, name


def test_every_outcome_has_its_word_glyph_and_colour():
    names = {str(outcome) for outcome in Outcome} | {"not checked"}
    assert set(pages.GLYPHS) == names
    assert len(set(pages.GLYPHS.values())) == len(names)
    for name in names:
        assert re.search(rf"\.{name.replace(' ', '-')}\b[^{{]*{{ --c:", CSS), name
        assert f"#show-{name.replace(' ', '-')}:checked" in CSS


def test_pictures_take_the_colours_of_the_page(rows):
    drawn = [p["svg"] for row in rows for group in pictures.pictures(row).values() for p in group]
    assert len(drawn) >= 15
    for svg in drawn:
        assert "var(--ink)" in svg
        assert not set(re.findall(r"#[0-9a-f]{6}\b", svg)) - {"#000000"}
        assert "<style" not in svg


# files


def test_same_records_same_bytes(rows, files):
    assert pages.build(rows, workers=2) == files
    assert pages.archive(files) == pages.archive(pages.build(rows))
    other = [{**rows[0], "seconds": 77.0}, *rows[1:]]
    assert pages.archive(files) != pages.archive(pages.build(other))


def test_checksums(files):
    lines = dict(reversed(line.split("  ")) for line in files["SHA256SUMS"].decode().splitlines())
    assert set(lines) == set(files) - {"SHA256SUMS"}
    assert all(hashlib.sha256(files[name]).hexdigest() == found for name, found in lines.items())


def test_report_from_a_file(rows, files, tmp_path):
    source = written(rows, tmp_path)
    result = call("--from", source, "--out", tmp_path / "a", "--archive", tmp_path / "a.zip", "--workers", 1)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(tmp_path / "a" / "index.html")
    for name, data in files.items():
        assert (tmp_path / "a" / name).read_bytes() == data
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        assert {entry.filename: packed.read(entry) for entry in packed.infolist()} == {
            f"report/{name}": data for name, data in files.items()
        }
    assert call("--from", source, "*/rate", "--out", tmp_path / "b", "--workers", 1).exit_code == 0
    assert {path.stem for path in (tmp_path / "b").rglob("*.html")} == {"index", "rate"}


def test_unexpected_verdicts_are_told_by_the_exit_status(rows, tmp_path):
    source = written([{**rows[0], "passed": False}], tmp_path)
    assert call("--from", source, "--out", tmp_path / "a").exit_code == 1
    assert (tmp_path / "a" / "index.html").is_file()


def test_report_of_a_check(tmp_path, monkeypatch):
    """Without --from the claims are checked first, as `verify` checks them."""
    monkeypatch.setattr("theory.registry.claims", lambda: {claim.id: claim for claim in CLAIMS[:2]})
    result = call("*/means", "--out", tmp_path, "--workers", 1, "--no-cache", "--seed", 5)
    assert result.exit_code == 0, result.output
    (row,) = json.loads((tmp_path / "record.json").read_text())
    assert (row["id"], row["seed"], row["settings"]["seed"]) == ("toy2000/means", 5, 5_000_000)


@pytest.mark.parametrize(
    ("change", "naming"),
    [
        ({"id": "../../escaped"}, "no id"), ({"format": None}, "format None"), ({"verdict": 3}, "verdict is missing"),
        ({"environment": {}}, "record file"), ({"hypotheses": [3]}, "record file"),
        ({"settings": {"a": {"b": []}}}, None),
    ],
    ids=str,
)  # fmt: skip
def test_bad_files_are_one_error(rows, tmp_path, change, naming):
    result = call("--from", written([{**rows[0], **change}], tmp_path), "--out", tmp_path / "a", "--workers", 1)
    if naming is None:  # the control
        assert result.exit_code == 0, result.output
        return
    assert result.exit_code == 2
    assert naming in result.stderr
    assert sum(line.startswith("Error: ") for line in result.stderr.splitlines()) == 1
    assert not list(tmp_path.rglob("*.html"))


def test_bad_options_are_one_error(rows, tmp_path):
    source = written(rows, tmp_path)
    for options, naming in (
        (["--from", source, "nothing"], "claim = 'nothing'"), (["--from", tmp_path / "none"], "record file"),
        (["--from", source, "--archive", tmp_path / "no" / "a.zip"], "output file"),
        (["--from", source, "--out", source], "output folder"), (["no-claim"], "claim = 'no-claim'"),
        (["--from", source, "--workers", 0], "workers = 0"),
    ):  # fmt: skip
        result = call("--workers", 1, "--out", tmp_path / "out", *options)
        assert (result.exit_code, naming in result.stderr) == (2, True), result.stderr
