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

Two ways lead to one answer.  Plain JSON, which is all that relsign itself writes into a
release, is read and written in one step of msgspec: where what was read, written again,
is the received bytes, no key can have stood twice.  Anything else (a letter beyond
ASCII, an escape, a fraction, a long number, and every error) goes the careful way of
`relsign.formats.strict`, which finds the words.

    >>> class Point(Document):
    ...     x: int
    >>> decode_canonical(b'{"x":1}', Point, "point.json").x
    1
    >>> decode_canonical(b'{"x": 1}', Point, "point.json")
    Traceback (most recent call last):
    relsign.errors.InputError: point.json: not in canonical form
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from relsign.errors import InputError
from relsign.formats.shorten import shorten

__all__ = [
    "MAX_BYTES",
    "Document",
    "Value",
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

_ODD_NUMBERS = tuple(
    # One literal first byte each: so a search costs what memchr(3) costs.
    re.compile(before + rb"-?[0-9]+(?:[.eE]|(?<=[0-9]{16}))")
    for before in (b":", b",", rb"\[")
)
"""Where a number may stand that is no short integer; it may also stand inside a text."""


class Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """A frozen value of a document; a field it does not name is refused.

    A tree, so the collector of cycles need not look at its hundred thousand entries.
    """


class Value(msgspec.Struct, frozen=True):
    """A frozen value that is no document: what a step found, who stands behind a key.

    Like a frozen slotted dataclass, but made in a twentieth of the time: a program that
    starts for every download has some thirty of them.
    """


D = TypeVar("D")


def encode_canonical(value: object) -> bytes:
    """Return `value` as RFC 8785 canonical JSON.

    Raises InputError where JSON has no form for it (NaN, a lone surrogate, an
    integer beyond 2**53).
    """
    # No document has a field for fractions, so msgspec meets no NaN, which it writes as null.
    if isinstance(value, Document):
        written = _write(value)
        if written is not None and _is_plain(written):
            return written
    from relsign.formats import strict  # noqa: PLC0415 - a quick start: see above

    return strict.write_canonical(value)


def encode_reviewable(value: object) -> bytes:
    """Return `value` as sorted JSON indented by one space, ending in a newline."""
    from relsign.formats import strict  # noqa: PLC0415 - a quick start: see above

    return strict.write_reviewable(value)


def decode_canonical(data: bytes, into: type[D], where: str, *, max_bytes: int = MAX_BYTES) -> D:
    """Return the `into` value that canonical JSON `data` holds.

    `where` names the document in errors.  Raises InputError for anything that
    is not exactly the canonical encoding of a valid value (RFC 8785).
    """
    _bound(data, where, max_bytes)
    value = _read_plain(data, into)
    if value is not None:
        return value
    from relsign.formats import strict  # noqa: PLC0415 - a quick start: see above

    value = strict.read_json(data, into, where)
    written = strict.write_canonical(value)
    if written != data:
        hint = "signed documents are RFC 8785 JSON; do not re-format them"
        raise strict.other_form("not in canonical form", data, written, where, hint)
    return value


def decode_reviewable(data: bytes, into: type[D], where: str, *, max_bytes: int = MAX_BYTES) -> D:
    """Return the `into` value of sorted, indented JSON; raise InputError otherwise."""
    from relsign.formats import strict  # noqa: PLC0415 - a quick start: see above

    _bound(data, where, max_bytes)
    value = strict.read_json(data, into, where)
    written = strict.write_reviewable(value)
    if written != data:
        hint = "this file is generated: change its definition and run `relsign lock`"
        raise strict.other_form("not in the form relsign writes", data, written, where, hint)
    return value


def decode_json(data: bytes, into: type[D], where: str, *, max_bytes: int = MAX_BYTES) -> D:
    """Return the `into` value of JSON in anybody's white space.

    Raises InputError for bad UTF-8, duplicate keys, unknown fields, wrong types
    or trailing bytes.
    """
    _bound(data, where, max_bytes)
    value = _read_plain(data, into)
    if value is not None:
        return value
    from relsign.formats import strict  # noqa: PLC0415 - a quick start: see above

    return strict.read_json(data, into, where)


def decode_toml(data: bytes, into: type[D], where: str, *, max_bytes: int = MAX_BYTES) -> D:
    """Return the `into` value of a TOML file; raise InputError with the path inside it."""
    from relsign.formats import strict  # noqa: PLC0415 - a quick start: see above

    _bound(data, where, max_bytes)
    return strict.read_toml(data, into, where)


def decode_value(value: object, into: type[D], where: str) -> D:
    """Return the `into` value of mappings and lists in hand; raise InputError otherwise."""
    from relsign.formats import strict  # noqa: PLC0415 - a quick start: see above

    return strict.convert(value, into, where)


def _bound(data: bytes, where: str, max_bytes: int) -> None:
    if len(data) > max_bytes:
        raise InputError(
            "too large", where=where, expected=f"at most {max_bytes} bytes", got=f"{len(data)}"
        )


def _read_plain(data: bytes, into: type[D]) -> D | None:
    """Return the value of plain canonical JSON, or None: then the careful way decides.

    What is plain and comes out of msgspec as it went in is RFC 8785: no space, the keys
    sorted and none of them twice, nothing left out that has a default.
    """
    if not _is_plain(data):
        return None
    try:
        value = msgspec.json.decode(data, type=into)
    except (msgspec.DecodeError, UnicodeError, RecursionError, OverflowError):
        return None
    return value if _write(value) == data else None


def _is_plain(data: bytes) -> bool:
    """Say whether msgspec writes this as RFC 8785 asks, should it hold an object.

    ASCII keys have one order in UTF-8 and UTF-16; without a backslash there is no choice
    of escapes; an integer below sixteen digits is exact in a double and has one form.
    """
    return (
        data[:1] == b"{"
        and data.isascii()
        and b"\\" not in data
        and not any(odd.search(data) for odd in _ODD_NUMBERS)
    )


def _write(value: object) -> bytes | None:
    """Return what msgspec writes with sorted keys, or None if it cannot."""
    try:
        return msgspec.json.encode(value, order="sorted")
    except (UnicodeError, RecursionError, OverflowError):
        return None
