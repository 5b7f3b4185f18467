"""Read the headers of compressed files: gzip (RFC 1952), xz, bzip2."""

from __future__ import annotations

import struct

from relsign.build.explain.difference import Kind
from relsign.build.explain.entry import Entry, Opened
from relsign.build.explain.piece import Piece, Work
from relsign.errors import InputError

GZIP_MAGIC = b"\x1f\x8b"
XZ_MAGIC = b"\xfd7zXZ\0"
BZIP2_MAGIC = b"BZh"
GZIP = struct.Struct("<2sBBLBB")
HAS_EXTRA, HAS_NAME, HAS_COMMENT = 4, 8, 16
MAX_TEXT = 4096
XZ_HEADER_BYTES = 12


def open_gzip(piece: Piece, work: Work) -> Opened:
    """Return the one stream of a gzip file and its header; raise InputError if damaged."""
    del work
    _, method, flags, mtime, level, system = GZIP.unpack(piece.exactly(0, GZIP.size))
    offset = GZIP.size
    extra = b""
    if flags & HAS_EXTRA:
        (length,) = struct.unpack("<H", piece.exactly(offset, 2))
        extra = piece.exactly(offset + 2, length)
        offset += 2 + length
    name, offset = _text(piece, offset) if flags & HAS_NAME else ("", offset)
    comment, offset = _text(piece, offset) if flags & HAS_COMMENT else ("", offset)
    facts: dict[str, tuple[Kind, str]] = {
        "gzip.mtime": ("mtime", str(mtime)),
        "gzip.name": ("name", name),
        "gzip.comment": ("text", comment),
        "gzip.extra": ("header", extra.hex()),
        "gzip.level": ("header", f"method {method}, flags {level}"),
        "gzip.system": ("header", f"system {system}"),
    }
    return Opened("gzip", (Entry("", piece, {}, "gzip", offset),), facts)


def _text(piece: Piece, offset: int) -> tuple[str, int]:
    text, end, _ = piece.read(offset, MAX_TEXT).partition(b"\0")
    if not end:
        raise InputError("damaged gzip header")
    return text.decode("latin-1"), offset + len(text) + 1


def open_xz(piece: Piece, work: Work) -> Opened:
    """Return the stream of an xz file and what its first block header says of the level."""
    del work
    size = (piece.exactly(XZ_HEADER_BYTES, 1)[0] + 1) * 4
    block = piece.exactly(XZ_HEADER_BYTES, size)
    facts: dict[str, tuple[Kind, str]] = {
        "xz.check": ("header", piece.exactly(6, 2).hex()),
        "xz.level": ("header", _xz_filters(block)),
    }
    return Opened("xz", (Entry("", piece, {}, "xz"),), facts)


def _xz_filters(block: bytes) -> str:
    """Return flags and filters of a block header, without the sizes some writers add."""
    flags = block[1]
    at = 2
    for bit in (0x40, 0x80):
        if flags & bit:
            while at < len(block) and block[at] & 0x80:
                at += 1
            at += 1
    return f"{flags & 3} {block[at : len(block) - 4].rstrip(bytes(1)).hex()}"


def open_bzip2(piece: Piece, work: Work) -> Opened:
    """Return the stream of a bzip2 file and its level."""
    del work
    level = piece.exactly(3, 1).decode("latin-1")
    facts: dict[str, tuple[Kind, str]] = {"bzip2.level": ("header", f"level {level}")}
    return Opened("bzip2", (Entry("", piece, {}, "bzip2"),), facts)
