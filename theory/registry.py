"""Finds the claims: every module of every paper's folder that has `CLAIMS`, and the files that a user names."""

import importlib
import pkgutil
from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache

import theory
from simulate.parameters import reject
from theory import own
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
    """Return the claim of that id, or a file's only one; ParameterError, with the nearest ids, if there is none."""
    if name not in claims() and own.is_file(name):
        first, *more = select((name,))
        if more:
            reject("claim", name, f"one of its claims, as in {name}::{first.id}")
        return first
    if name not in claims():
        guesses = (name, *(f"{key}/{name}" for key in papers()))
        near = [match for guess in guesses for match in get_close_matches(guess, claims(), 3, 0.6)][:3]
        hint = f" (did you mean {', '.join(near)}?)" if near else ""
        reject("claim", name, "an id or glob of ids that `sharpbounds list` shows" + hint)
    return claims()[name]


def select(patterns: Iterable[str] = ()) -> list[Claim]:
    """Return the claims that any of the patterns names (the whole registry, without patterns).

    A pattern is an id, a glob of ids, or a file of claims, FILE.py, of which FILE.py::GLOB takes a part. ParameterError
    if one names none. The order is the registry's, then that of the files.
    """
    everything = claims()
    globs = [pattern for pattern in patterns if pattern in everything or not own.is_file(pattern)]
    for pattern in globs:
        if not any(fnmatchcase(name, pattern) for name in everything):
            find(pattern)
    chosen = {n: c for n, c in everything.items() if not patterns or any(fnmatchcase(n, glob) for glob in globs)}
    for pattern in dict.fromkeys(pattern for pattern in patterns if pattern not in globs):
        file, _, glob = pattern.partition("::")
        found = own.claims(file)
        matching = {name: claim for name, claim in found.items() if fnmatchcase(name, glob or "*")}
        if not matching:
            reject(f"claim of {file}", glob, f"an id or glob of ids among {', '.join(found)}")
        for name, claim in matching.items():
            if name in everything or chosen.get(name, claim) is not claim:
                reject(f"id of a claim of {file}", name, "one that no other claim has")
            chosen[name] = claim
    return list(chosen.values())


def table_size(selected: Iterable[Claim]) -> int:
    """Return how many claims share the false-alarm rate where `selected` are checked: the registry's and any others."""
    return len(claims().keys() | {claim.id for claim in selected})


def paper(claim: Claim) -> Paper | None:
    """Return the paper of a claim: that of its file, or of the key that its id begins with; None if there is none."""
    return own.paper(claim) or papers().get(claim.id.partition("/")[0])
