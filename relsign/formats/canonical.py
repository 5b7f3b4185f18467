"""The encodings every document shares, and the one place bytes become values.

Decides: size bound, UTF-8, duplicate keys, unknown fields, types, and that one
value has one byte string.  Leaves meaning to each document's own module.

Three encodings:

* canonical    RFC 8785 JSON; our signed documents.  Refused unless re-encoding
               what was parsed gives the received bytes.
* reviewable   sorted, indented JSON with a final newline, for the locks people
               read in a diff.  Refused unless re-encoding gives the same bytes.
* TOML         what people write.  Never signed itself; bound by its digest.

Formats that others own (in-toto, DSSE, SLSA) come through `decode_json`: strict
JSON, but in whatever white space their writers use.

    >>> class Point(Document):
    ...     x: int
    >>> decode_canonical(b'{"x":1}', Point, "point.json").x
    1
    >>> decode_canonical(b'{"x": 1}', Point, "point.json")
    Traceback (most recent call last):
    relsign.errors.InputError: point.json: not in canonical form
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
from relsign.formats.explain import explain, find_difference, shorten, show_place

__all__ = [
    "MAX_BYTES",
    "Document",
    "decode_canonical",
    "decode_json",
    "decode_reviewable",
    "decode_toml",
    "decode_value",
    "encode_canonical",
    "encode_reviewable",
    "shorten",
]

MAX_BYTES = 1 << 20
"""Default bound on a document, in bytes; larger ones state their own."""

MAX_DOTS = 200
"""Bound on the dots in one line of TOML."""


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A frozen value of a document; a field it does not name is refused."""


D = TypeVar("D")


def encode_canonical(value: object) -> bytes:
    """Return `value` as RFC 8785 canonical JSON.

    Raises InputError where JSON has no form for it (NaN, a lone surrogate, an
    integer beyond 2**53).
    """
    try:
        return rfc8785.dumps(msgspec.to_builtins(value))
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:
        raise InputError("has no canonical form", got=shorten(str(error))) from error


def encode_reviewable(value: object) -> bytes:
    """Return `value` as sorted JSON indented by one space, ending in a newline."""
    text = json.dumps(msgspec.to_builtins(value), indent=1, sort_keys=True, ensure_ascii=True)
    return text.encode() + b"\n"


def decode_canonical(data: bytes, into: type[D], where: str, *, max_bytes: int = MAX_BYTES) -> D:
    """Return the `into` value that canonical JSON `data` holds.

    `where` names the document in errors.  Raises InputError for anything that
    is not exactly the canonical encoding of a valid value (RFC 8785).
    """
    value = decode_json(data, into, where, max_bytes=max_bytes)
    written = encode_canonical(value)
    if written != data:
        hint = "signed documents are RFC 8785 JSON; do not re-format them"
        raise _other_form("not in canonical form", data, written, where, hint)
    return value


def decode_reviewable(data: bytes, into: type[D], where: str, *, max_bytes: int = MAX_BYTES) -> D:
    """Return the `into` value of sorted, indented JSON; raise InputError otherwise."""
    value = decode_json(data, into, where, max_bytes=max_bytes)
    written = encode_reviewable(value)
    if written != data:
        hint = "this file is generated: change its definition and run `relsign lock`"
        raise _other_form("not in the form relsign writes", data, written, where, hint)
    return value


def decode_json(data: bytes, into: type[D], where: str, *, max_bytes: int = MAX_BYTES) -> D:
    """Return the `into` value of JSON in anybody's white space.

    Raises InputError for bad UTF-8, duplicate keys, unknown fields, wrong types
    or trailing bytes.
    """
    return _convert(_load_json(data, where, max_bytes), into, where)


def decode_toml(data: bytes, into: type[D], where: str, *, max_bytes: int = MAX_BYTES) -> D:
    """Return the `into` value of a TOML file; raise InputError with the path inside it."""
    text = _text(data, where, max_bytes)
    # tomllib needs the square of the time for a key of many dotted parts.
    if any(line.count(".") > MAX_DOTS for line in text.split("\n")):
        raise InputError(
            "a line with too many dots", where=where, expected=f"at most {MAX_DOTS} dots"
        )
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("not valid TOML", where=where, got=shorten(str(error))) from error
    return _convert(table, into, where)


def decode_value(value: object, into: type[D], where: str) -> D:
    """Return the `into` value of mappings and lists in hand; raise InputError otherwise."""
    return _convert(value, into, where)


def _text(data: bytes, where: str, max_bytes: int) -> str:
    if len(data) > max_bytes:
        raise InputError(
            "too large", where=where, expected=f"at most {max_bytes} bytes", got=f"{len(data)}"
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("not UTF-8", where=where, got=f"byte {error.start}") from error


def _load_json(data: bytes, where: str, max_bytes: int) -> object:
    text = _text(data, where, max_bytes)
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


def _other_form(what: str, read: bytes, written: bytes, where: str, hint: str) -> InputError:
    """Return the error for bytes that hold a value in another form than ours."""
    path, expected, got = find_difference(json.loads(read), json.loads(written))
    return InputError(what, where=show_place(where, path), expected=expected, got=got, hint=hint)


def _convert(value: object, into: type[D], where: str) -> D:
    try:
        return msgspec.convert(value, into, strict=True)
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        raise explain(error, value, into, where) from error
    except UnicodeEncodeError as error:
        raise InputError("half a surrogate pair", where=where) from error
