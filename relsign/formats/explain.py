r"""Why a document was refused, in words: what is wrong, where inside it, and what stands there.

msgspec reports one sentence, such as "Expected `int`, got `str` - at `$.steps[0].threshold`".
This module makes our error of it.  The words for a pattern travel inside the
pattern, as the comment that `relsign.formats.names.shaped` puts there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

import msgspec
from msgspec import inspect

from relsign.errors import InputError
from relsign.formats.shorten import shorten

Part = str | int | None
"""One part of a path: a field, an index, or None for some entry of a table."""

BAD = "not an acceptable value"
BAD_NAME = "not an acceptable name"
MISTYPED = "wrong type"
UNKNOWN = "unknown field"
MISSING = "field missing"

MAX_SHOWN_BITS = 64
"""Python refuses to write out integers of many digits."""

_PLACE = re.compile(r" - at (`key` in )?`\$([^`]*)`\Z")
_PART = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_SHAPE = re.compile(r"Expected `str` matching regex '(?:\(\?#([^)]*)\))?.*'", re.DOTALL)
_KIND = re.compile(r"Expected `([a-z |]+)`(, got `[a-z]+`)?([^`,]*)(?:, got [0-9]+)?")
_FIELD = re.compile(r"Object (contains unknown|missing required) field `(.*)`", re.DOTALL)
_NOTHING = object()
_WORDS = {
    "array": "a list",
    "bool": "true or false",
    "datetime": "a time",
    "float": "a number",
    "int": "an integer",
    "null": "null",
    "object": "a table",
    "str": "text",
}


def explain(error: Exception, value: object, into: type, where: str) -> InputError:
    """Return msgspec's refusal to read `value` as `into`, with the path inside the document."""
    message = str(error)
    place = _PLACE.search(message)
    of_key = place is not None and place[1] is not None
    path = _read_path(place[2]) if place else []
    path = _name_entries([*path, None] if of_key else path, value, into, message)
    got = show_value(path[-1] if of_key else _look(value, path))
    what, expected = _say(message[: place.start()] if place else message)
    if what == BAD and not expected:
        expected = " or ".join(_choices(into, path))
    if what == UNKNOWN:
        expected, got = "", expected
    elif what not in {BAD, MISTYPED}:
        got = ""
    return InputError(
        BAD_NAME if of_key else what,
        where=show_place(where, path[:-1] if of_key else path),
        expected=expected,
        got=got,
    )


def show_place(where: str, path: list[Part]) -> str:
    """Return a document and a path inside it: ``layout: steps[0].pubkeys[2]``."""
    return f"{where}: {''.join(map(_show_part, path)).removeprefix('.')}" if path else where


def show_value(value: object) -> str:
    """Return a decoded value in a few printable characters."""
    match value:
        case bool() | None:
            return {True: "true", False: "false", None: "null"}[value]
        case int() if value.bit_length() > MAX_SHOWN_BITS:
            return f"an integer of {value.bit_length()} bits"
        case dict():
            return "a table"
        case list() | tuple():
            return "a list"
        case str():
            return shorten(repr(value[:200]))
    return shorten(repr(value))


def find_difference(read: object, written: object) -> tuple[list[Part], str, str]:
    """Return where decoded data first differs from what we would write, and both sides.

    An empty path and no sides say that only the form differs: white space, order.
    """
    for name, old, new in _pairs(read, written):
        if old != new:
            path, expected, got = find_difference(old, new)
            return [name, *path], expected, got
    if read == written:
        return [], "", ""
    return [], show_value(written), "nothing" if read is _NOTHING else show_value(read)


def _pairs(read: object, written: object) -> Iterable[tuple[str | int, object, object]]:
    """Return what stands side by side inside; a default may be missing in what was read."""
    match read, written:
        case dict(), dict():
            return [(name, read.get(name, _NOTHING), new) for name, new in written.items()]
        case list(), list():
            return [(i, *pair) for i, pair in enumerate(zip(read, written, strict=True))]
    return []


def _say(sentence: str) -> tuple[str, str]:
    """Return msgspec's sentence as what is wrong and what was expected."""
    if shape := _SHAPE.fullmatch(sentence):
        return BAD, shape[1] or ""
    if field := _FIELD.fullmatch(sentence):
        what = UNKNOWN if field[1] == "contains unknown" else MISSING
        return what, shorten(field[2])
    if kind := _KIND.fullmatch(sentence):
        words = " or ".join(_WORDS.get(word, word) for word in kind[1].split(" | "))
        return (MISTYPED if kind[2] else BAD), f"{words}{kind[3]}"
    if sentence.startswith("Invalid RFC3339"):
        return BAD, "a time such as 2026-11-21T08:00:00Z"
    if sentence.startswith(("Invalid enum value", "Invalid value")):
        return BAD, ""
    return shorten(sentence, 240), ""


def _read_path(text: str) -> list[Part]:
    return [
        field or (None if index == "..." else int(index)) for field, index in _PART.findall(text)
    ]


def _show_part(part: Part) -> str:
    if isinstance(part, str) and part.isidentifier() and part.isascii():
        return f".{part}"
    return "[...]" if part is None else f"[{shorten(str(part))}]"


def _look(value: object, path: list[Part]) -> object:
    """Return what stands at `path` inside decoded data, or None."""
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list | tuple) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def _replace(value: object, path: list[Part], new: object) -> object:
    """Return decoded data with `new` at `path`, which must exist."""
    if not path:
        return new
    head, rest = path[0], path[1:]
    if isinstance(value, dict):
        return {**value, head: _replace(value[head], rest, new)}
    items = value if isinstance(value, list) else []
    return [_replace(old, rest, new) if i == head else old for i, old in enumerate(items)]


def _name_entries(path: list[Part], value: object, into: type, message: str) -> list[Part]:
    """Fill in which entries of tables msgspec means: it writes ``[...]`` for all of them.

    A table is halved for as long as one half alone is refused for the same reason.
    """
    named: list[Part] = []
    for part in path:
        table = _look(value, named)
        if part is not None or not isinstance(table, dict):
            named.append(part)
            continue
        names = list(table)
        while len(names) > 1:
            half = names[: len(names) // 2]
            trial = _replace(value, named, {name: table[name] for name in half})
            names = half if _refusal(trial, into) == message else names[len(half) :]
        named.extend(names)
    return named


def _refusal(value: object, into: type) -> str:
    try:
        msgspec.convert(value, into)
    except msgspec.ValidationError as error:
        return str(error)
    return ""


def _choices(into: type, path: list[Part]) -> list[str]:
    """Return the words a schema allows at `path`, where it lists them."""
    kinds = _flatten(_schema(into))
    for part in path:
        kinds = [inner for kind in kinds for inner in _inside(kind, part)]
    return [str(v) for kind in kinds if isinstance(kind, inspect.LiteralType) for v in kind.values]


@cache
def _schema(into: type) -> inspect.Type:
    """Return what msgspec reads as `into`; worked out once, so that refusals stay quick."""
    return inspect.type_info(into)


def _inside(kind: inspect.Type, part: Part) -> list[inspect.Type]:
    match kind:
        case inspect.StructType(tag_field=field, tag=tag) if part == field:
            return [inspect.LiteralType((tag,))]
        case inspect.StructType(fields=fields):
            return [t for f in fields if f.encode_name == part for t in _flatten(f.type)]
        case inspect.VarTupleType(item_type=item) | inspect.DictType(value_type=item):
            return _flatten(item)
        case inspect.TupleType(item_types=items) if isinstance(part, int):
            return _flatten(items[part])
    return []


def _flatten(kind: inspect.Type) -> list[inspect.Type]:
    match kind:
        case inspect.UnionType(types=kinds):
            return [inner for each in kinds for inner in _flatten(each)]
    return [kind]
