"""Compare two runs of bytes that are no text: by the strings in them, else by offset."""

from __future__ import annotations

import re
from itertools import islice

from relsign.build.explain.difference import HEX_BYTES, hexadecimal, join_place
from relsign.build.explain.piece import Piece, Work, first_difference
from relsign.build.explain.texts import compare_lists

MAX_STRINGS_BYTES = 32 << 20
MAX_STRINGS = 500_000
STRING = re.compile(rb"[\t\x20-\x7e]{4,4096}")
ALIGNMENT = 8
VECTOR_PREFIXES = (b"\xc5", b"\xc4", b"\x62")
"""First bytes of AVX and AVX-512 instructions (Intel's manual, volume 2, 2.3 and 2.7)."""
MANY, MORE = 24, 3


def compare_blobs(one: Piece, two: Piece, place: str, work: Work, what: str = "bytes") -> None:
    """Add the differences of two runs of bytes as data."""
    if max(one.size, two.size) <= MAX_STRINGS_BYTES:
        left, right = strings(one), strings(two)
        if left != right and max(len(left), len(right)) < MAX_STRINGS:
            compare_lists(left, right, place, work, "string")
            return
    add_bytes(one, two, place, work, what)


def strings(piece: Piece) -> list[str]:
    """Return the first `MAX_STRINGS` printable strings in a piece, in their order."""
    data = piece.read(0, piece.size)
    return [found.group().decode("ascii") for found in islice(STRING.finditer(data), MAX_STRINGS)]


def compare_code(one: Piece, two: Piece, place: str, work: Work, machine: str) -> None:
    """Add the difference of two sections of machine code."""
    what = "elf:code"
    if machine.startswith("machine 62") and max(one.size, two.size) <= MAX_STRINGS_BYTES:
        counts = sorted(_vector_bytes(piece) for piece in (one, two))
        if counts[1] > MANY and counts[1] > MORE * counts[0]:
            what = "elf:code-vectors"
    add_bytes(one, two, place, work, what)


def _vector_bytes(piece: Piece) -> int:
    data = piece.read(0, piece.size)
    return sum(data.count(prefix) for prefix in VECTOR_PREFIXES)


def add_bytes(one: Piece, two: Piece, place: str, work: Work, what: str) -> None:
    """Add the first difference as an offset and bytes in hexadecimal."""
    offset = first_difference(one, two)
    if offset is None:
        return
    start = offset // ALIGNMENT * ALIGNMENT
    sides = (hexadecimal(one.read(start, HEX_BYTES)), hexadecimal(two.read(start, HEX_BYTES)))
    work.add(place, join_place(place, f"byte {offset}"), "bytes", sides, what)
