"""Why a document was refused, in words: what is wrong, where inside it, and what stands there.

msgspec reports one sentence such as ``Expected `int`, got `str` - at `$.steps[0].threshold```.
This module turns it into our error.  A rule's own words travel in its pattern as
a regular-expression comment, see `relsign.formats.names.shaped`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
from msgspec import inspect

from relsign.errors import InputError

Step = str | int | None
"""One step of a path: a field, an index, or None for some entry of a table."""

_PLACE = re.compile(r" - at (`key` in )?`\$([^`]*)`\Z")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_SHAPE = re.compile(r"Expected `str` matching regex '(?:\(\?#(?P<words>[^)]*)\))?.*'", re.DOTALL)
_WRONG_WORD = re.compile(r"Invalid (?:enum )?value ", re.DOTALL)


def shorten(text: str, limit: int = 120) -> str:
    """Return untrusted `text` escaped to printable ASCII and cut to `limit` characters."""
    safe = text[:limit].encode("unicode_escape").decode("ascii")
    return safe if len(safe) <= limit and len(text) <= limit else f"{safe[: limit - 3]}..."


def explain(error: Exception, value: object, into: object, where: str) -> InputError:
    """Return msgspec's refusal to read `value` as `into` as an InputError with its path."""
    message = str(error)
    place = _PLACE.search(message)
    what = message[: place.start()] if place else message
    path = _parse_path(place[2]) if place else []
    key = place is not None and place[1] is not None
    entries = _name_entries([*path, None] if key else path, value, into, message)
    path, got = (entries[:-1], entries[-1]) if key else (entries, _look(value, entries))
    expected = ""
    if shape := _SHAPE.fullmatch(what):
        what, expected = f"not an acceptable {'name' if key else 'value'}", shape["words"] or ""
    elif _WRONG_WORD.match(what):
        what, expected = "not an acceptable value", ", ".join(_choices(into, path))
    else:
        what = shorten(what[:1].lower() + what[1:], 240)
    return InputError(
        what,
        where=f"{where}: {show_path(path)}" if path else where,
        expected=expected,
        got=_show(got),
    )


def show_path(path: list[Step]) -> str:
    """Return a path inside a document as people write it: ``steps[0].pubkeys[2]``."""
    return "".join(_show_step(step) for step in path).removeprefix(".")


def find_difference(read: object, written: object) -> tuple[list[Step], str, str]:
    """Return where decoded data first differs from what we would write, and both sides."""
    if isinstance(read, dict) and isinstance(written, dict):
        for name in written:
            if name not in read:
                return [name], "", "nothing"
            if read[name] != written[name]:
                path, expected, got = find_difference(read[name], written[name])
                return [name, *path], expected, got
    if isinstance(read, list) and isinstance(written, list):
        for index, (old, new) in enumerate(zip(read, written, strict=True)):
            if old != new:
                path, expected, got = find_difference(old, new)
                return [index, *path], expected, got
    return [], _show(written), _show(read)
