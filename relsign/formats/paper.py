"""Messages as text that fits QR codes: for copy and paste, and for machines without a network.

A *parcel* is several messages, of one topic or more.  Its bytes are packed with zlib and
cut into parts, each of which fits one QR code and is one line of capital letters:

    RELSIGN1/<n>/<of>/<digest8>/<payload>.

`digest8` names the set: the first digits of the SHA-256 of all that was packed.  The
payload is base32 (RFC 4648, no padding) of a piece and of four bytes of SHA-256 over
what stands before it and the piece: so a typing mistake is found in the part that has it.
The point shows that nothing was cut off at the end.

Parts are read in any order and as often as they come, out of any text: mail that wrapped
its lines, with spaces and quote marks.  These checks find accidents.  Nothing of this is
believed: the messages are signed, and whoever reads them verifies that.

    >>> parts = pack({"ab" * 32: (b"hello",)})
    >>> unpack("> " + parts[0]).parcel == {"ab" * 32: (b"hello",)}
    True
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping

from relsign.errors import InputError, NotEnoughError
from relsign.formats.canonical import Value
from relsign.formats.relay import MAX_MESSAGE_BYTES

PIECE_BYTES = 540
"""So a part has at most 900 characters: a QR code of version 20 with medium correction."""
MAX_PARTS = 999
MAX_PARCEL_BYTES = 1 << 20
MAX_TEXT_CHARACTERS = 4 << 20
MAX_SETS = 64
"""Sets in one text that are looked at."""
MAX_LINES = 20
MAX_PART_CHARACTERS = 1000
_BEGIN = "RELSIGN1/"
_AGAIN = "ask for the parts again"
_CHECK_BYTES = 4
_MAGIC = b"relsign/parcel/1\n"
_TOPIC = re.compile(r"[0-9a-f]{64}")
_NOISE = re.compile(r"[\s>\u00ad\u200b-\u200d\u2060\ufeff]+")
"""What mail puts into a long word: line ends, spaces, quote marks, invisible marks."""
_PART = re.compile(r"([1-9][0-9]{0,2})/([1-9][0-9]{0,2})/([0-9A-F]{8})/([A-Z2-7]{8,900})")

Parcel = Mapping[str, tuple[bytes, ...]]
"""Messages by topic."""


Sets = dict[tuple[str, int], dict[int, bytes]]
"""Pieces by number, by the digest of their set and the count of its parts."""


class Unpacked(Value, frozen=True):
    """What was found in a text."""

    parcel: Parcel
    ignored: tuple[str, ...]
    """A line about each part that was of no use."""


class Part(Value, frozen=True):
    """One part whose own check holds."""

    number: int
    of: int
    digest8: str
    piece: bytes


def pack(parcel: Parcel) -> tuple[str, ...]:
    """Return a parcel as parts, each one line of letters, digits, ``/`` and a point.

    Raises InputError for an empty parcel, one that is too large for paper, and bad topics
    or sizes in it.
    """
    packed = zlib.compress(_encode(parcel), 9)
    digest8 = hashlib.sha256(packed).hexdigest()[:8].upper()
    pieces = [packed[at : at + PIECE_BYTES] for at in range(0, len(packed), PIECE_BYTES)]
    if len(pieces) > MAX_PARTS:
        raise _too_much(f"{len(pieces)} parts")
    heads = (f"{_BEGIN}{n}/{len(pieces)}/{digest8}/" for n in range(1, len(pieces) + 1))
    return tuple(_write_part(head, piece) for head, piece in zip(heads, pieces, strict=True))


def unpack(text: str) -> Unpacked:
    """Return the messages in a text that holds all parts of one set or more.

    Raises NotEnoughError naming the parts that are missing when no set is whole, and
    InputError for a text without parts, one that is too long, or sets that hold no parcel.
    """
    if len(text) > MAX_TEXT_CHARACTERS:
        raise _too_much(f"{len(text)} characters")
    sets: Sets = defaultdict(dict)
    lines: list[str] = []
    for candidate in _candidates(text):
        try:
            part = parse_part(candidate)
        except InputError as error:
            lines.append(str(error))
            continue
        there = sets[part.digest8, part.of].setdefault(part.number, part.piece)
        if there != part.piece:
            lines.append(f"set {part.digest8}: two different parts {part.number}")
    if not sets:
        raise InputError(
            "no part of a parcel in this text",
            expected="lines that begin with RELSIGN1/",
            got="; ".join(lines[:3]),
            hint="copy each part whole, up to the point at its end",
        )
    return _join(sets, lines)


def _candidates(text: str) -> Iterator[str]:
    """Yield what may be parts, each up to its point, or to where the next one begins."""
    for found in _NOISE.sub("", text).upper().split(_BEGIN)[1:]:
        rest, point, _other = found.partition(".")
        yield _BEGIN + rest[:MAX_PART_CHARACTERS] + point


def _join(sets: Sets, lines: list[str]) -> Unpacked:
    """Return what the whole sets hold together, and a line about each other set."""
    found: dict[str, tuple[bytes, ...]] = {}
    missing: list[str] = []
    spoilt: list[str] = []
    for (digest8, of), pieces in sorted(sets.items())[:MAX_SETS]:
        absent = [str(n) for n in range(1, of + 1) if n not in pieces]
        if absent:
            wanted = ", ".join(absent[:10]) + (", ..." if absent[10:] else "")
            missing.append(f"set {digest8}: of its {of} parts, missing: {wanted}")
            continue
        try:
            parcel = _decode(b"".join(pieces[n] for n in range(1, of + 1)), digest8)
        except InputError as error:
            spoilt.append(str(error))
            continue
        for topic, messages in parcel.items():
            found[topic] = tuple(sorted({*found.get(topic, ()), *messages}))
    others = (*missing, *spoilt, *lines)[:MAX_LINES]
    if found:
        return Unpacked(found, others)
    if missing:
        raise NotEnoughError(
            "parts are missing",
            got="; ".join(others[:5]),
            hint="read in the missing parts as well; those that you have may be repeated",
        )
    raise InputError("no parcel in this text", got="; ".join(others[:5]), hint=_AGAIN)


def _write_part(head: str, piece: bytes) -> str:
    payload = base64.b32encode(piece + _check(head, piece)).decode().rstrip("=")
    return f"{head}{payload}."


def _check(head: str, piece: bytes) -> bytes:
    return hashlib.sha256(head.encode() + piece).digest()[:_CHECK_BYTES]


def parse_part(text: str) -> Part:
    """Return the part in one line without noise; raise InputError naming it if it is spoilt."""
    shown = text[:30]
    found = _PART.fullmatch(text.removeprefix(_BEGIN).removesuffix("."))
    if not text.startswith(_BEGIN) or found is None:
        raise InputError("not a part of a parcel", where=shown, hint="copy it again")
    if not text.endswith("."):
        raise InputError("this part is cut off", where=shown, expected="a point at its end")
    payload = found[4]
    try:
        data = base64.b32decode(payload + "=" * (-len(payload) % 8))
    except binascii.Error as error:
        raise InputError("this part is cut off", where=shown, got="odd length") from error
    number, of = int(found[1]), int(found[2])
    piece = data[:-_CHECK_BYTES]
    # Written again: base32 leaves bits that say nothing, and each part has one form.
    right = _write_part(f"{_BEGIN}{number}/{of}/{found[3]}/", piece) == text
    if not right or not 1 <= number <= of or len(piece) > PIECE_BYTES:
        raise InputError("a mistake in this part", where=shown, hint="copy it again")
    return Part(number, of, found[3], piece)


def _encode(parcel: Parcel) -> bytes:
    lines = [_MAGIC]
    for topic, messages in sorted(parcel.items()):
        if not _TOPIC.fullmatch(topic):
            raise InputError("not a topic", got=ascii(topic)[:80])
        for message in sorted(set(messages)):
            if not 0 < len(message) <= MAX_MESSAGE_BYTES:
                raise InputError("not a message of a ceremony", got=f"{len(message)} bytes")
            lines.append(bytes.fromhex(topic) + len(message).to_bytes(4, "big") + message)
    if len(lines) == 1:
        raise InputError("nothing to pack", hint="there are no messages yet")
    plain = b"".join(lines)
    if len(plain) > MAX_PARCEL_BYTES:
        raise _too_much(f"{len(plain)} bytes")
    return plain


def _decode(packed: bytes, digest8: str) -> Parcel:
    """Return the parcel in joined pieces; raise InputError if they hold none."""
    where = f"set {digest8}"
    if hashlib.sha256(packed).hexdigest()[:8].upper() != digest8:
        raise InputError("the parts do not belong together", where=where)
    reader = zlib.decompressobj()
    try:
        plain = reader.decompress(packed, MAX_PARCEL_BYTES + 1)
    except zlib.error as error:
        raise InputError("not packed by relsign", where=where) from error
    if len(plain) > MAX_PARCEL_BYTES:
        raise InputError("too large", where=where, expected=f"at most {MAX_PARCEL_BYTES} bytes")
    if not reader.eof or reader.unused_data or not plain.startswith(_MAGIC):
        raise InputError("not packed by relsign", where=where)
    entries = tuple(_entries(plain[len(_MAGIC) :], where))
    parcel: dict[str, tuple[bytes, ...]] = {}
    for topic, message in entries:
        parcel[topic] = (*parcel.get(topic, ()), message)
    # One parcel has one form: sorted, nothing twice, nothing empty or too large.
    if not parcel or _encode(parcel) != plain:
        raise InputError("not packed by relsign", where=where)
    return parcel


def _entries(data: bytes, where: str) -> Iterator[tuple[str, bytes]]:
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at + 32 : at + 36], "big")
        end = at + 36 + size
        if not 0 < size <= MAX_MESSAGE_BYTES or end > len(data):
            raise InputError("not packed by relsign", where=where)
        yield data[at : at + 32].hex(), data[at + 36 : end]
        at = end


def _too_much(got: str) -> InputError:
    return InputError(
        "too much for paper",
        expected=f"at most {MAX_PARCEL_BYTES} bytes and {MAX_PARTS} parts",
        got=got,
        hint="carry a folder on a stick instead: it is an exchange as well",
    )
