"""Where two values of one kind of document differ, in lines: the path, before, after.

>>> list(differences("", {"strip": 1}, {"strip": 2}))
['strip 1 → 2']
>>> list(differences("", {"commands": ["a", "b"]}, {"commands": ["b", "a"]}))
['commands: the same in another order']
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec

from relsign.formats.canonical import Document, shorten

MAX_VALUE = 100
CONTEXT = 20
"""Characters shown before the first that differs."""


def named(document: Document) -> dict[str, object]:
    """Return a document as plain values, for `differences`."""
    return msgspec.json.decode(msgspec.json.encode(document), type=dict[str, object])


def differences(path: str, before: object, after: object) -> Iterator[str]:
    """Yield a line for each field in which two plain values differ.

    Entries of a list that have a name or path are compared by it, others as a bag;
    values are escaped and cut.
    """
    if before == after:
        return
    if isinstance(before, list) and isinstance(after, list):
        one, two = _by_name(before), _by_name(after)
        if one is None or two is None:
            yield from _bags(path, before, after)
            return
        before, after = one, two
    if isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            inner = f"{path}.{key}" if path else str(key)
            yield from differences(inner, before.get(key), after.get(key))
    else:
        yield f"{path} {_pair(before, after)}"


def _by_name(entries: list[object]) -> dict[str, object] | None:
    """Return the entries by name or path, or None if they have neither."""
    found: dict[str, object] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            return None
        found[str(entry.get("name", entry.get("path")))] = entry
    return found


def _bags(path: str, before: list[object], after: list[object]) -> Iterator[str]:
    old, new = Counter(map(_plain, before)), Counter(map(_plain, after))
    if old == new:
        yield f"{path}: the same in another order"
        return
    removed, added = tuple((old - new).elements()), tuple((new - old).elements())
    for one, two in zip(removed, added, strict=False):
        yield f"{path} {_pair(one, two)}"
    paired = min(len(removed), len(added))
    yield from (f"{path} removed: {shorten(text, MAX_VALUE)}" for text in removed[paired:])
    yield from (f"{path} added: {shorten(text, MAX_VALUE)}" for text in added[paired:])


def _pair(before: object, after: object) -> str:
    """Return both texts; of long ones what follows their common beginning."""
    one, two = _plain(before), _plain(after)
    start = 0
    if max(len(one), len(two)) > MAX_VALUE:
        start = max(0, _shared(one, two) - CONTEXT)
    head = "…" if start else ""
    shown = [head + shorten(text[start:], MAX_VALUE) for text in (one, two)]
    return f"{shown[0]} → {shown[1]}"


def _shared(one: str, two: str) -> int:
    """Return how many characters two texts begin with alike."""
    pairs = enumerate(zip(one, two, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(two)))


def _plain(value: object) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
