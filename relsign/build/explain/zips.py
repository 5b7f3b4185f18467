"""Read a zip file's central directory (zip, jar, wheel) with everything that may differ.

APPNOTE.TXT 4.3.12 and 4.3.16.  No zip64, no several parts: such a file is compared
as plain bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from relsign.build.explain.difference import Kind
from relsign.build.explain.entry import Entry, Opened
from relsign.build.explain.layers import Coding
from relsign.build.explain.piece import Piece, Work
from relsign.errors import InputError

END = struct.Struct("<4s4H2LH")
END_MAGIC = b"PK\x05\x06"
CENTRAL = struct.Struct("<4s6H3L5H2L")
CENTRAL_MAGIC = b"PK\x01\x02"
LOCAL = struct.Struct("<4s5H3L2H")
FIELD = struct.Struct("<HH")
LOCAL_MAGIC = b"PK\x03\x04"
MAX_COMMENT = 0xFFFF
MAX_DIRECTORY_BYTES = 256 << 20
ENCRYPTED = 0x1
LEVEL_BITS = 0x6
CODINGS: dict[int, Coding] = {0: "stored", 8: "deflate"}


def is_zip(head: bytes) -> bool:
    """Say whether a file that starts with `head` is a zip file with members."""
    return head.startswith(LOCAL_MAGIC)


def open_zip(piece: Piece, work: Work) -> Opened:
    """Return the members of a zip file; raise InputError for a damaged or unusual one."""
    count, size, offset, comment = _end(piece)
    if count > work.bounds.archive.entries or size > MAX_DIRECTORY_BYTES:
        raise InputError("too many members")
    directory = piece.exactly(offset, size)
    facts: dict[str, tuple[Kind, str]] = {"zip.comment": ("text", comment)}
    return Opened("zip", tuple(_members(piece, directory, count, work)), facts)


def _end(piece: Piece) -> tuple[int, int, int, str]:
    start = max(0, piece.size - END.size - MAX_COMMENT)
    tail = piece.read(start, piece.size - start)
    where = tail.rfind(END_MAGIC)
    if where < 0 or len(tail) - where < END.size:
        raise InputError("zip file without an end record")
    _, disk, first, here, count, size, offset, length = END.unpack_from(tail, where)
    if disk or first or here != count or len(tail) != where + END.size + length:
        raise InputError("unusual zip file")
    return count, size, offset, tail[where + END.size :].decode("utf-8", "surrogateescape")


def _members(piece: Piece, directory: bytes, count: int, work: Work) -> Iterator[Entry]:
    offset = 0
    for _ in range(count):
        if offset + CENTRAL.size > len(directory):
            raise InputError("damaged zip directory")
        fields = CENTRAL.unpack_from(directory, offset)
        lengths = fields[10:13]
        offset += CENTRAL.size
        rest = directory[offset : offset + sum(lengths)]
        offset += sum(lengths)
        if fields[0] != CENTRAL_MAGIC or len(rest) != sum(lengths):
            raise InputError("damaged zip directory")
        entry = _entry(piece, fields, rest)
        work.count_header(CENTRAL.size + len(rest) + len(entry.facts["zip.extra"][1]))
        yield entry


def _entry(piece: Piece, fields: tuple[int, ...], rest: bytes) -> Entry:
    flags, method, time, date = fields[3:7]
    packed_size, name_length, extra_length = fields[8], fields[10], fields[11]
    local_at = fields[16]
    if flags & ENCRYPTED or method not in CODINGS:
        raise InputError("encrypted member, or an unusual compression")
    local = LOCAL.unpack(piece.exactly(local_at, LOCAL.size))
    if local[0] != LOCAL_MAGIC:
        raise InputError("damaged zip member")
    extra_at = local_at + LOCAL.size + local[9]
    packed = piece.part(extra_at + local[10], packed_size)
    central_extra = rest[name_length : name_length + extra_length]
    facts: dict[str, tuple[Kind, str]] = {
        "zip.mtime": ("mtime", _moment(date, time)),
        "zip.mode": ("mode", f"{fields[15] >> 16:06o} {fields[15] & 0xFFFF:#06x}"),
        "zip.extra": ("header", _extra(central_extra, piece.exactly(extra_at, local[10]))),
        "zip.version": ("header", f"made by {fields[1]:#06x}, needs {fields[2]}"),
        "zip.level": ("header", f"method {method}, option bits {flags & LEVEL_BITS}"),
        "zip.flags": ("header", f"{flags & ~LEVEL_BITS:#06x}"),
        "zip.member-comment": ("text", rest[name_length + extra_length :].decode("latin-1")),
    }
    name = rest[:name_length].decode("utf-8", "surrogateescape")
    return Entry(name, packed, facts, CODINGS[method])


def _moment(date: int, time: int) -> str:
    """Return a DOS date and time as it is written there, of no time zone."""
    return (
        f"{1980 + (date >> 9):04d}-{date >> 5 & 15:02d}-{date & 31:02d} "
        f"{time >> 11:02d}:{time >> 5 & 63:02d}:{(time & 31) * 2:02d}"
    )


def _extra(central: bytes, local: bytes) -> str:
    """Return the extra fields as ``ID=HEX``, the directory's and the member's own."""
    words = " ".join(f"{kind:04x}={data.hex()}" for kind, data in _extra_fields(central))
    own = " ".join(f"{kind:04x}={data.hex()}" for kind, data in _extra_fields(local))
    return f"{words} | {own}" if words or own else ""


def _extra_fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    while len(data) - start >= FIELD.size:
        kind, length = FIELD.unpack_from(data, start)
        start += FIELD.size + length
        yield kind, data[start - length : start]
