"""Finds the claims: every module of every paper's folder that has `CLAIMS`."""

import importlib
import pkgutil
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache

import theory
from simulate.parameters import reject
from theory.claim import Claim, Paper


@cache
def papers() -> dict[str, Paper]:
    """Return the papers by key, in the order of their folders."""
    folders = [m.name for m in pkgutil.iter_modules(theory.__path__) if m.ispkg]
    found = [importlib.import_module(f"theory.{name}").PAPER for name in sorted(folders)]
    return {paper.key: paper for paper in found}


@cache
def claims() -> dict[str, Claim]:
    """Return every claim by id; the order is that of each paper's `THEOREMS`, then of its file's `CLAIMS`."""
    found = {}
    for key in papers():
        folder = importlib.import_module(f"theory.{key}")
        for name in folder.THEOREMS:
            for claim in importlib.import_module(f"theory.{key}.{name}").CLAIMS:
                if claim.id in found or claim.id.partition("/")[0] != key:
                    raise ValueError(f"claim id = {claim.id!r}: must be unique and begin with {key}/")
                found[claim.id] = claim
    return found


def find(name: str) -> Claim:
    """Return the claim of that id; ParameterError, with the nearest ids, if there is none."""
    if name not in claims():
        guesses = (name, *(f"{key}/{name}" for key in papers()))
        near = [match for guess in guesses for match in get_close_matches(guess, claims(), 3, 0.6)][:3]
        hint = f" (did you mean {', '.join(near)}?)" if near else ""
        reject("claim", name, "an id or glob of ids that `sharpbounds list` shows" + hint)
    return claims()[name]


def select(patterns=()) -> list[Claim]:
    """Return the claims whose ids match any of the globs (all, without globs); ParameterError if one matches none."""
    everything = claims()
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in everything):
            find(pattern)
    return [c for name, c in everything.items() if not patterns or any(fnmatchcase(name, p) for p in patterns)]
