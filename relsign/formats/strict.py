"""The careful way to read and write: every refusal in words, every odd value in its one form.

`relsign.formats.canonical` comes here when its quick way found anything unusual, and to
read what people and other programs write.  What this module loads (json, tomllib,
rfc8785, the words of `explain`) a verification of good evidence never needs.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from typing import Any, NoReturn, TypeVar

import msgspec
import rfc8785

from relsign.errors import InputError
from relsign.formats.explain import explain, find_difference, show_place
from relsign.formats.shorten import shorten

MAX_DOTS = 200
"""Bound on the dots in one line of TOML."""

D = TypeVar("D")


def write_canonical(value: object) -> bytes:
    """Return `value` as RFC 8785 JSON; raise InputError where JSON has no form for it."""
    try:
        return rfc8785.dumps(msgspec.to_builtins(value))
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:
        raise InputError("has no canonical form", got=shorten(str(error))) from error


def write_reviewable(value: object) -> bytes:
    """Return `value` as sorted JSON indented by one space, ending in a newline."""
    text = json.dumps(msgspec.to_builtins(value), indent=1, sort_keys=True, ensure_ascii=True)
    return text.encode() + b"\n"


def read_json(data: bytes, into: type[D], where: str) -> D:
    """Return the `into` value of JSON; raise InputError for duplicate keys and all else."""
    return convert(_load_json(_text(data, where), where), into, where)


def read_toml(data: bytes, into: type[D], where: str) -> D:
    """Return the `into` value of TOML; raise InputError with the path inside it."""
    text = _text(data, where)
    # tomllib needs the square of the time for a key of many dotted parts.
    if any(line.count(".") > MAX_DOTS for line in text.split("\n")):
        raise InputError(
            "a line with too many dots", where=where, expected=f"at most {MAX_DOTS} dots"
        )
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("not valid TOML", where=where, got=shorten(str(error))) from error
    return convert(table, into, where)


def convert(value: object, into: type[D], where: str) -> D:
    """Return the `into` value of mappings and lists; raise InputError otherwise."""
    try:
        return msgspec.convert(value, into, strict=True)
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        raise explain(error, value, into, where) from error
    except UnicodeEncodeError as error:
        raise InputError("half a surrogate pair", where=where) from error


def other_form(what: str, read: bytes, written: bytes, where: str, hint: str) -> InputError:
    """Return the error for bytes that hold a value in another form than ours."""
    path, expected, got = find_difference(json.loads(read), json.loads(written))
    return InputError(what, where=show_place(where, path), expected=expected, got=got, hint=hint)


def _text(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8", where=where, got=f"byte {error.start}") from error


def _load_json(text: str, where: str) -> object:
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
        if _HALF_PAIR.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InputError("half a surrogate pair", where=where) from error
    except InputError as error:
        raise InputError(error.what, where=where, got=error.got) from error
    except (ValueError, RecursionError) as error:
        raise InputError("not valid JSON", where=where, got=shorten(str(error))) from error
    return value


_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
"""The escape of one half of a surrogate pair, which may be half of nothing."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise InputError("duplicate key", got=shorten(name))
    return table


def _refuse_constant(word: str) -> NoReturn:
    raise InputError("not a JSON number", got=word)
