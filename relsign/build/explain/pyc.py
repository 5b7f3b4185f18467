"""Compare two compiled Python files: header by field, then the code as data (PEP 552)."""

from __future__ import annotations

import struct

from relsign.build.explain.blobs import compare_blobs
from relsign.build.explain.piece import Piece, Work, same_bytes

HEADER = struct.Struct("<2s2sLLL")
END_OF_MAGIC = b"\r\n"
REFERENCE = 0x80
MAX_BYTES = 16 << 20


def is_pyc(piece: Piece, place: str) -> bool:
    """Say whether a piece is a compiled Python file."""
    return place.endswith(".pyc") and piece.read(2, 2) == END_OF_MAGIC


def compare_pyc(one: Piece, two: Piece, place: str, work: Work) -> None:
    """Add the differences of two compiled Python files; InputError if one is cut short."""
    left, right = (HEADER.unpack(piece.exactly(0, HEADER.size)) for piece in (one, two))
    if left[0] != right[0]:
        sides = (left[0].hex(), right[0].hex())
        work.add(place, place, "header", sides, "pyc.version")
        return
    if left[2] != right[2]:
        work.add(place, place, "header", (f"flags {left[2]}", f"flags {right[2]}"), "pyc.flags")
    if left[3] != right[3]:
        what = "pyc.hash" if left[2] or right[2] else "pyc.mtime"
        work.add(place, place, "mtime", (str(left[3]), str(right[3])), what)
    body_one = one.part(HEADER.size, one.size - HEADER.size)
    body_two = two.part(HEADER.size, two.size - HEADER.size)
    if not same_bytes(body_one, body_two):
        compare_blobs(body_one, body_two, place, work, _body(body_one, body_two))


def _body(one: Piece, two: Piece) -> str:
    """Say whether only reference flags differ: they follow how often a value was in use."""
    if one.size != two.size or one.size > MAX_BYTES:
        return "bytes"
    pairs = zip(one.read(0, one.size), two.read(0, two.size), strict=True)
    return "pyc.references" if all(a == b or a ^ b == REFERENCE for a, b in pairs) else "bytes"
