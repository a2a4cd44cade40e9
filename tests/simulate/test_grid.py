"""Grids written in a line: what they mean, how they grow, and one clear error for whatever means nothing."""

import math
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulate.grid import count_points, parse_axis, parse_zips, points, united
from simulate.parameters import ParameterError

NUMBERS = st.floats(1e-6, 1e6)


def number(name, word):
    """Read a value of any axis as a float."""
    try:
        return float(word)
    except ValueError as error:
        raise ParameterError(f"{name} = {word!r}: must be a number") from error


def whole(name, word):
    """Read a value of any axis as an integer, rounding those of a range."""
    return round(word) if isinstance(word, float) else int(word)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mu=1,2.5", ("mu", (1.0, 2.5))),
        (" sigma-0 = 0.1 , 0.2 ", ("sigma_0", (0.1, 0.2))),
        ("mu=1:4:lin7", ("mu", (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0))),
        ("d=1e3:1e9:log4", ("d", (1e3, 1e5, 1e7, 1e9))),
        ("mu=4:1:lin2", ("mu", (4.0, 1.0))),
        ("mu=-1:1:lin3", ("mu", (-1.0, 0.0, 1.0))),
    ],
)
def test_axis(text, expected):
    assert parse_axis(text, number) == expected


def test_range_of_integers_is_rounded():
    assert parse_axis("d=1e3:1e5:log5", whole) == ("d", (1000, 3162, 10_000, 31_623, 100_000))
    assert parse_axis("n=1:3:lin5", whole) == ("n", (1, 2, 2, 2, 3))


@given(first=NUMBERS, last=NUMBERS, count=st.integers(2, 40), spacing=st.sampled_from(["log", "lin"]))
def test_range_has_its_ends_and_its_spacing(first, last, count, spacing):
    """Ends to the last bit; ratios or steps equal to the twelve digits that the values have."""
    _, values = parse_axis(f"a={first!r}:{last!r}:{spacing}{count}", number)
    assert len(values) == count
    assert (values[0], values[-1]) == (first, last)
    at = [math.log(v) for v in values] if spacing == "log" else values
    step, scale = (at[-1] - at[0]) / (count - 1), max(1.0, *map(abs, at))
    assert max(abs(b - a - step) for a, b in pairwise(at)) < 1e-10 * scale


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=9))
def test_list_is_read_as_written(values):
    assert parse_axis("a=" + ",".join(map(repr, values)), number) == ("a", tuple(values))


@pytest.mark.parametrize(
    "text",
    [
        "", "=", "d", "d=", "=1,2", "d= ", "d=1:2", "d=1:2:3", "d=1:2:log", "d=1:2:log1", "d=1:2:lin0", "d=0:1:log3",
        "d=-1:1:log3", "d=a:1:lin3", "d=1:inf:lin3", "d=nan:1:lin3", "d=1:2:log99999999", "d=1:2:lin9" + "9" * 5000,
        "d=1:2:log3,5", "3d=1,2", "d d=1", "d=1,,2", "d=,", "d=one", "d=1:2:exp3", "d=1:2:lin-3",
    ],
)  # fmt: skip
def test_bad_axis_is_one_error(text):
    with pytest.raises(ParameterError, match="must be"):
        parse_axis(text, number)


@given(text=st.text(alphabet="ab=,:.0159elogin-+ \x00é", max_size=25))
def test_any_text_is_an_axis_or_one_error(text):
    """Never another exception; what is read has a name and values."""
    try:
        name, values = parse_axis(text, number)
    except ParameterError:
        return
    assert name.isidentifier()
    assert values


AXES = {"a": (1, 2, 3), "b": ("x", "y"), "c": (7.0, 8.0, 9.0)}


def test_points_run_the_last_axis_fastest():
    found = list(points({"a": (1, 2), "b": ("x", "y")}))
    assert found == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]
    assert list(points({})) == [{}]


def test_zipped_axes_vary_together():
    found = list(points(AXES, (("a", "c"),)))
    assert [(p["a"], p["b"], p["c"]) for p in found[:3]] == [(1, "x", 7.0), (1, "y", 7.0), (2, "x", 8.0)]
    assert len(found) == count_points(AXES, (("a", "c"),)) == 6
    assert all(list(p) == ["a", "b", "c"] for p in found)


@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_count_is_the_number_of_points(sizes):
    axes = {f"a{k}": tuple(range(size)) for k, size in enumerate(sizes)}
    found = [tuple(point.values()) for point in points(axes)]
    assert len(found) == len(set(found)) == count_points(axes) == math.prod(sizes)


def test_zips_are_parsed():
    assert parse_zips(["a, c"], AXES) == (("a", "c"),)
    assert parse_zips([], AXES) == ()


@pytest.mark.parametrize(
    ("texts", "naming"),
    [
        (["a"], "two or more"), (["a,z"], "a, b, c"), (["a,a"], "different"), (["a,b"], "a has 3, b has 2"),
        ([""], "two or more"), (["a,c", "c,a"], "one zip at most"),
    ],
)  # fmt: skip
def test_bad_zip_is_one_error(texts, naming):
    with pytest.raises(ParameterError, match=re.escape(naming)):
        parse_zips(texts, AXES)


def test_union_keeps_the_order_and_adds_behind():
    assert united({"a": (3, 1)}, {"a": (1, 2, 2)}) == {"a": (3, 1, 2)}
    assert united({"a": (1, 1.0, 2)}, {"a": (1,)}) == {"a": (1, 2)}


def test_union_keeps_together_what_is_zipped():
    """A value may come twice in a zip; the same combination counts once."""
    axes = {"n": (10, 10, 20), "d": (1, 2, 1), "k": (0, 0, 1)}
    more = {"n": (20, 10, 20), "d": (1, 3, 1), "k": (2,)}
    both = united(axes, more, (("n", "d"),))
    assert both == {"n": (10, 10, 20, 10), "d": (1, 2, 1, 3), "k": (0, 1, 2)}
    assert united(axes, more)["n"] == (10, 20)  # the control: not zipped


VALUES = st.lists(st.integers(0, 5), min_size=1, max_size=6).map(tuple)


@given(one=VALUES, other=VALUES, third=VALUES)
def test_union_is_that_of_sets(one, other, third):
    both = united({"a": one}, {"a": other})["a"]
    assert set(both) == set(one) | set(other)
    assert len(both) == len(set(both))
    assert united({"a": both}, {"a": one})["a"] == both
    assert united({"a": both}, {"a": third}) == united({"a": one}, united({"a": other}, {"a": third}))
