"""Read a zip file's central directory (zip, jar, wheel) with everything that may differ.

No zip64, no several parts: such a file is compared as plain bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from relsign.build.archives import zip_records as records
from relsign.build.explain.difference import Kind
from relsign.build.explain.entry import Entry, Opened
from relsign.build.explain.layers import Coding
from relsign.build.explain.piece import Piece, Work
from relsign.errors import InputError

CODINGS: dict[int, Coding] = {records.STORED: "stored", records.DEFLATED: "deflate"}


def is_zip(head: bytes) -> bool:
    """Say whether a file that starts with `head` is a zip file with members."""
    return head.startswith(records.LOCAL_MAGIC)


def open_zip(piece: Piece, work: Work) -> Opened:
    """Return the members of a zip file; raise InputError for a damaged or unusual one."""
    start = max(0, piece.size - records.MAX_END_BYTES)
    end = records.find_end(piece.read(start, records.MAX_END_BYTES), work.bounds.archive)
    directory = piece.exactly(end.offset, end.directory_bytes)
    comment = end.comment.decode("utf-8", "surrogateescape")
    facts: dict[str, tuple[Kind, str]] = {"zip.comment": ("text", comment)}
    return Opened("zip", tuple(_members(piece, directory, end.members, work)), facts)


def _members(piece: Piece, directory: bytes, count: int, work: Work) -> Iterator[Entry]:
    offset = 0
    for _ in range(count):
        if offset + records.CENTRAL.size > len(directory):
            raise InputError("damaged zip directory")
        fields = records.CENTRAL.unpack_from(directory, offset)
        length = sum(fields[10:13])
        offset += records.CENTRAL.size
        rest = directory[offset : offset + length]
        offset += length
        if fields[0] != records.CENTRAL_MAGIC or len(rest) != length:
            raise InputError("damaged zip directory")
        entry = _entry(piece, fields, rest)
        work.count_header(records.CENTRAL.size + len(rest) + len(entry.facts["zip.extra"][1]))
        yield entry


def _entry(piece: Piece, fields: tuple[int, ...], rest: bytes) -> Entry:
    _, made_by, needs, flags, method, time, date, _, packed_bytes, _ = fields[:10]
    name_bytes, extra_bytes, _, _, _, mode, offset = fields[10:]
    if flags & records.ENCRYPTED or method not in CODINGS:
        raise InputError("encrypted member, or an unusual compression")
    local = records.LOCAL.unpack(piece.exactly(offset, records.LOCAL.size))
    magic, *_, its_name_bytes, its_extra_bytes = local
    if magic != records.LOCAL_MAGIC:
        raise InputError("damaged zip member")
    extra_at = offset + records.LOCAL.size + its_name_bytes
    packed = piece.part(extra_at + its_extra_bytes, packed_bytes)
    name, rest = rest[:name_bytes], rest[name_bytes:]
    extra, comment = rest[:extra_bytes], rest[extra_bytes:]
    facts: dict[str, tuple[Kind, str]] = {
        "zip.mtime": ("mtime", _moment(date, time)),
        "zip.mode": ("mode", f"{mode >> 16:06o} {mode & 0xFFFF:#06x}"),
        "zip.extra": ("header", _extra(extra, piece.exactly(extra_at, its_extra_bytes))),
        "zip.version": ("header", f"made by {made_by:#06x}, needs {needs}"),
        "zip.level": ("header", f"method {method}, option bits {flags & records.LEVEL}"),
        "zip.flags": ("header", f"{flags & ~records.LEVEL:#06x}"),
        "zip.member-comment": ("text", comment.decode("latin-1")),
    }
    return Entry(name.decode("utf-8", "surrogateescape"), packed, facts, CODINGS[method])


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
    while len(data) - start >= records.FIELD.size:
        kind, length = records.FIELD.unpack_from(data, start)
        start += records.FIELD.size + length
        yield kind, data[start - length : start]
