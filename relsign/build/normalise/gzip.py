"""`gzip-1`: a gzip file whose header says nothing of when, where and by what it was made.

Per member (RFC 1952, section 2.3): time 0, operating system 255 "unknown", extra flags 0,
no name, no comment, no header checksum, no text flag.  An extra field stays as it is,
because readers of indexed files (bgzip, dictzip) need it.  The compressed data is copied
byte for byte, after it was inflated once to find its end and to check its checksum and
length: two compressors' output is not made equal.
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

from relsign.build.archives.members import Limits
from relsign.build.normalise.copying import COPY_BYTES, take
from relsign.errors import InputError
from relsign.system.fetch import Sink

MAGIC = b"\x1f\x8b"
FIXED = struct.Struct("<2sBBLBB")
TRAILER = struct.Struct("<LL")
DEFLATE = 8
HEADER_CHECKSUM, EXTRA, NAME, COMMENT, RESERVED = 0x02, 0x04, 0x08, 0x10, 0xE0
UNKNOWN_SYSTEM = 255
MAX_TEXT_BYTES = 1 << 16
OUT_BYTES = 1 << 20
FIRST_BYTES = 1 << 12
"""Read at first of a member: what lies behind a short one is read again as the next."""


def is_gzip(head: bytes) -> bool:
    """Say whether the first bytes of a file are gzip's."""
    return head.startswith(MAGIC)


def rewrite_gzip(source: BinaryIO, sink: Sink, epoch: int | None, limits: Limits) -> None:
    """Write the gzip file `source` with plain headers into `sink`.

    The epoch is not used: 0 is RFC 1952's word for "no time".  Raises InputError for a
    damaged file, for one with bytes after its end, and for one that grows too much.
    """
    del epoch
    if not is_gzip(source.read(len(MAGIC))):
        raise InputError("not a gzip file")
    size = source.seek(0, 2)
    source.seek(0)
    room = limits.allowed_bytes(size)
    members = 0
    while source.tell() < size:
        members += 1
        if members > limits.entries:
            raise InputError(f"archive refused: more than {limits.entries} gzip members")
        where = f"gzip member {members}"
        sink.write(_header(source, where))
        room -= _copy_data(source, sink, room, where)


def _header(source: BinaryIO, where: str) -> bytes:
    """Read one header and return the plain one for it."""
    magic, method, flags, _, _, _ = FIXED.unpack(take(source, FIXED.size, where))
    if magic != MAGIC:
        raise InputError("archive refused: bytes after its end", got=where)
    if method != DEFLATE or flags & RESERVED:
        raise InputError("archive refused: unknown method or flags", got=where)
    extra = b""
    if flags & EXTRA:
        length = take(source, 2, where)
        extra = length + take(source, int.from_bytes(length, "little"), where)
    for flag in (NAME, COMMENT):
        if flags & flag:
            _skip_text(source, where)
    if flags & HEADER_CHECKSUM:
        take(source, 2, where)
    return FIXED.pack(MAGIC, DEFLATE, flags & EXTRA, 0, 0, UNKNOWN_SYSTEM) + extra


def _skip_text(source: BinaryIO, where: str) -> None:
    start = source.tell()
    text = source.read(FIRST_BYTES)
    end = text.find(b"\0")
    if end < 0:
        text += source.read(MAX_TEXT_BYTES - FIRST_BYTES)
        end = text.find(b"\0")
    if end < 0:
        raise InputError("archive refused: name or comment without an end", got=where)
    source.seek(start + end + 1)


def _copy_data(source: BinaryIO, sink: Sink, room: int, where: str) -> int:
    """Copy one member's deflate stream and trailer; return how many bytes are inside."""
    start = source.tell()
    checksum, size, packed_bytes, step = 0, 0, 0, FIRST_BYTES
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        while not decoder.eof:
            waiting = decoder.unconsumed_tail or source.read(step)
            step = min(2 * step, COPY_BYTES)
            if not waiting:
                raise InputError("archive refused: it ends too early", got=where)
            data = decoder.decompress(waiting, OUT_BYTES)
            used = len(waiting) - len(decoder.unconsumed_tail) - len(decoder.unused_data)
            sink.write(waiting[:used])
            packed_bytes += used
            size += len(data)
            checksum = zlib.crc32(data, checksum)
            if size > room:
                raise InputError("archive refused: it grows too much", got=where)
    except zlib.error as error:
        raise InputError("archive refused: damaged", got=where) from error
    source.seek(start + packed_bytes)
    trailer = take(source, TRAILER.size, where)
    if TRAILER.unpack(trailer) != (checksum, size & 0xFFFFFFFF):
        raise InputError("archive refused: wrong checksum or length", got=where)
    sink.write(trailer)
    return size
