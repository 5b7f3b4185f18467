"""Name the causes of differences: what a fix would begin with comes first.

    >>> from relsign.build.explain.difference import Difference
    >>> one = Difference("a.gz", "mtime", "1700000000", "1700000009", "gzip.mtime")
    >>> [found.cause.name for found in find_causes((one,))]
    ['gzip-time']

Each difference speaks for one cause, or for several where several words of a line
changed.  A twin's guilty knobs decide between likely causes, and name one where the
bytes alone tell none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relsign.build.explain.cause import Cause, Found
from relsign.build.explain.difference import Difference
from relsign.build.explain.fields import by_field
from relsign.build.explain.orders import by_order
from relsign.build.explain.table import CAUSES
from relsign.build.explain.words import by_words, is_digest

__all__ = ["CAUSES", "Cause", "Found", "find_causes"]

BY_KNOB = {
    "time": "embedded-time",
    "time-zone": "time-zone",
    "folder": "build-path",
    "home": "home-folder",
    "host-name": "host-name",
    "user": "user-name",
    "locale": "locale-format",
    "cpu-count": "cpu-count",
    "environment": "environment-variable",
    "addresses": "memory-address",
    "hash-seeds": "hash-order",
    "file-order": "directory-order",
    "umask": "umask-modes",
    "personality": "kernel-release",
    "engine": "container-engine",
}
"""What is to blame when only the knob is known."""
SILENT = frozenset({"unopened", "type"})
"""Differences that follow from others: code moves when a text in it grows."""
INSTEAD = {"embedded-time": "time-zone", "time-zone": "embedded-time"}
"""What the same words tell, too, where a guilty knob speaks for it: another hour of a clock."""
FOLLOWING = frozenset({"build-id", "go-build-id", "code-generation"})
"""Causes that are named only where no other one is: they follow from it."""
THERE = {"compressor-version": "compression-level", "zip-extra-fields": "zip-time"}
"""Causes that are not named where all their places show this other one."""


def find_causes(
    differences: Sequence[Difference], knobs: frozenset[str] = frozenset()
) -> tuple[Found, ...]:
    """Return the causes the differences show, the first one to be fixed in front.

    `knobs` are a twin's variations that bring these differences out, empty if nobody
    asked.  Nothing is returned where nothing known is recognised.
    """
    places: dict[str, list[str]] = {}
    for difference in differences:
        for name in _causes_of(difference, knobs):
            places.setdefault(name, []).append(difference.place)
    for name in tuple(_consequences(places, differences)):
        del places[name]
    if knobs and not places:
        places = _by_knob(differences, knobs)
    found = [Found(CAUSES[name], tuple(dict.fromkeys(at))) for name, at in places.items()]
    return tuple(sorted(found, key=lambda each: _rank(each, knobs)))


def _causes_of(difference: Difference, knobs: frozenset[str]) -> Iterator[str]:
    if difference.kind == "order":
        yield from _chosen(by_order(difference), knobs)
        return
    names = by_field(difference)
    if names:
        yield from _chosen(names, knobs)
    elif difference.kind in {"text", "name"}:
        for change, name in by_words(difference):
            if name:
                yield from _chosen((name, INSTEAD[name]) if name in INSTEAD else (name,), knobs)
            elif not is_digest(change, difference):
                yield from _by_knob((difference,), knobs)


def _chosen(names: tuple[str, ...], knobs: frozenset[str]) -> Iterator[str]:
    """Yield the first name that a guilty knob brings out, else the first."""
    fitting = (name for name in names if CAUSES[name].knobs & knobs)
    yield next(fitting, names[0])


def _by_knob(differences: Sequence[Difference], knobs: frozenset[str]) -> dict[str, list[str]]:
    places = [each.place for each in differences if each.what not in SILENT]
    names = [name for knob, name in BY_KNOB.items() if knob in knobs]
    return {names[0]: places} if names and places else {}


def _rank(found: Found, knobs: frozenset[str]) -> tuple[bool, bool, int, int]:
    names = list(CAUSES)
    cause = found.cause
    blamed = bool(cause.knobs & knobs)
    return not blamed, cause.is_weak, -len(found.places), names.index(cause.name)


def _consequences(places: dict[str, list[str]], differences: Sequence[Difference]) -> Iterator[str]:
    """Yield causes found only because another one is there."""
    others = {name for name in places if name not in FOLLOWING and not CAUSES[name].is_weak}
    code = "code-generation" in places or any(each.what == "bytes" for each in differences)
    for name in FOLLOWING & set(places):
        if others or (code and name != "code-generation"):
            yield name
    for name, other in THERE.items():
        if name in places and set(places[name]) <= set(places.get(other, ())):
            yield name
    if {"tar-owner-names", "owner-ids"} <= set(places) and _names_follow(differences):
        yield "tar-owner-names"


def _names_follow(differences: Sequence[Difference]) -> bool:
    """Say whether owners' names differ only where a number has none: the number is the cause."""
    owners = [each for each in differences if each.what == "tar.owner"]
    numbered = {each.place for each in differences if each.what == "tar.ids"}
    pairs = [pair for each in owners for pair in zip(*_names(each), strict=False)]
    nameless = all(one == two or not (one and two) for one, two in pairs)
    return nameless and {each.place for each in owners} <= numbered


def _names(owner: Difference) -> tuple[list[str], list[str]]:
    return owner.one.split(":"), owner.two.split(":")
