"""`zip-1`: a zip file, jar or wheel in which only names and contents are left to differ.

Written are, and nothing else: members in one order; every date the epoch in UTC, rounded
down to two seconds and at least 1980; modes 0755 for folders and programs, 0644 else, as
made on Unix; no extra fields, no comments, no descriptors behind the data; version,
flags and the text mark set to one value.  The order is that of the names' bytes, but
``mimetype`` (EPUB, OpenDocument), ``META-INF/``, its manifest and its signatures (jar)
come first, and a top folder ``*.dist-info/`` (wheel) last, as their formats want.

The compressed data is copied byte for byte after it was inflated once to check its
checksum: two compressors' output is not made equal.  Only what is empty is stored.  No
member's contents change, so a wheel's ``RECORD`` and a signed jar stay valid.  The
alignment of an Android package and the program in front of a self-extracting file would
not: both are refused.
"""

from __future__ import annotations

import re
import stat
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from relsign.build.archives import zip_records as records
from relsign.build.archives.members import (
    MAX_NAME_BYTES,
    Kind,
    Limits,
    Member,
    checked_tree,
    clean_name,
    refuse,
)
from relsign.build.normalise.copying import copy, pieces
from relsign.build.normalise.zip_directory import Entry, read_directory
from relsign.errors import InputError
from relsign.system.fetch import Sink

VERSION = 20
"""Of the format: 2.0, the first with deflate and folders."""
FOLDER_ATTRIBUTE = 0x10
FIRST_SECOND = 315532800
LAST_SECOND = 4354819198
"""1980-01-01 and 2107-12-31 23:59:58, the ends of what DOS can write."""
OUT_BYTES = 1 << 20
MODES = {
    Kind.FOLDER: stat.S_IFDIR | 0o755,
    Kind.LINK: stat.S_IFLNK | 0o777,
    Kind.FILE: stat.S_IFREG | 0o644,
}
LEADING = ("mimetype", "META-INF/", "META-INF/MANIFEST.MF")
JAR_SIGNATURE = re.compile(r"META-INF/[^/]+\.(?:SF|RSA|DSA|EC)", re.IGNORECASE)


def is_zip(head: bytes) -> bool:
    """Say whether the first bytes of a file are a zip file's."""
    return head.startswith((records.LOCAL_MAGIC, records.END_MAGIC))


def rewrite_zip(source: BinaryIO, sink: Sink, epoch: int | None, limits: Limits) -> None:
    """Write the zip file `source` anew into `sink`; no epoch means 1980.

    Raises InputError naming the member for a damaged file, a bad name, a link that leads
    out, and for a file that grows too much.
    """
    if not is_zip(source.read(4)):
        raise InputError("not a zip file")
    entries = read_directory(source, limits)
    _refuse_bomb(entries, limits.allowed_bytes(source.seek(0, 2)))
    by_name: dict[str, Entry] = {}
    tree = checked_tree(_members(source, entries, by_name), 0, limits)
    date = _dos_time(epoch)
    directory: list[bytes] = []
    offset = 0
    for member in sorted(tree, key=lambda member: _rank(_written(member))):
        entry = by_name[member.name]
        name = _written(member).encode()
        start = offset
        offset += _write_member(source, sink, entry, name, date)
        directory.append(_central(entry, member, name, date, start))
    listing = b"".join(directory)
    sink.write(listing)
    count = len(directory)
    sink.write(records.END.pack(records.END_MAGIC, 0, 0, count, count, len(listing), offset, 0))


def _refuse_bomb(entries: tuple[Entry, ...], allowed: int) -> None:
    room = allowed
    for entry in entries:
        room -= entry.size
        if room < 0:
            raise refuse(f"more than {allowed} bytes", entry.name)


def _members(
    source: BinaryIO, entries: tuple[Entry, ...], by_name: dict[str, Entry]
) -> Iterator[Member]:
    """Yield what the entries are, and remember which of them has which name."""
    for entry in entries:
        member = _member(source, entry)
        # Tools disagree on whether nothing is worth compressing; it needs no compressor.
        plain = entry if entry.size else replace(entry, method=records.STORED, packed_bytes=0)
        by_name[member.name] = plain
        yield member


def _member(source: BinaryIO, entry: Entry) -> Member:
    """Return what an entry is, having checked its data against its checksum."""
    kind = _kind(entry)
    name = clean_name(entry.name, kind)
    if kind is Kind.FOLDER and entry.size:
        raise refuse("folder with contents", name)
    if kind is Kind.LINK and entry.size > MAX_NAME_BYTES:
        raise refuse("link target is too long", name)
    checksum, size, kept = 0, 0, b""
    try:
        for data in _inflated(source, entry):
            checksum, size = zlib.crc32(data, checksum), size + len(data)
            kept = data if kind is Kind.LINK else b""
            if size > entry.size:
                break
    except zlib.error as error:
        raise refuse("damaged", name) from error
    if (checksum, size) != (entry.crc, entry.size):
        raise refuse("wrong checksum or length", name)
    try:
        target = kept.decode()
    except UnicodeDecodeError as error:
        raise refuse("link target is not UTF-8", name) from error
    return Member(name, kind, bool(entry.mode & 0o100), size=entry.size, target=target)


def _kind(entry: Entry) -> Kind:
    shape = stat.S_IFMT(entry.mode)
    if entry.name.endswith("/"):
        if shape not in {0, stat.S_IFDIR}:
            raise refuse("a file with the name of a folder", entry.name)
        return Kind.FOLDER
    if shape == stat.S_IFLNK:
        return Kind.LINK
    # Zip files made outside Unix state no type at all.
    if shape in {0, stat.S_IFREG}:
        return Kind.FILE
    raise refuse("device, fifo, socket or a folder without /", entry.name)


def _inflated(source: BinaryIO, entry: Entry) -> Iterator[bytes]:
    """Yield a member's contents in bounded pieces; raise zlib.error if they are damaged."""
    source.seek(entry.data)
    packed = pieces(source, entry.packed_bytes, "data")
    if entry.method != records.DEFLATED:
        yield from packed
        return
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    for piece in packed:
        if decoder.eof:
            raise zlib.error("bytes behind the compressed data")
        waiting = piece
        while waiting and not decoder.eof:
            yield decoder.decompress(waiting, OUT_BYTES)
            waiting = decoder.unconsumed_tail
    while not decoder.eof:
        data = decoder.decompress(b"", OUT_BYTES)
        if not data and not decoder.eof:
            raise zlib.error("it ends too early")
        yield data
    if decoder.unused_data:
        raise zlib.error("bytes behind the compressed data")


def _written(member: Member) -> str:
    return f"{member.name}/" if member.kind is Kind.FOLDER else member.name


def _rank(name: str) -> tuple[int, bytes]:
    if name in LEADING:
        return LEADING.index(name), b""
    if JAR_SIGNATURE.fullmatch(name):
        return len(LEADING), name.encode()
    is_last = "/" in name and name.split("/", 1)[0].endswith(".dist-info")
    return len(LEADING) + 1 + is_last, name.encode()


def _dos_time(epoch: int | None) -> tuple[int, int]:
    """Return time and date as DOS writes them (APPNOTE.TXT 4.4.6)."""
    now = time.gmtime(min(max(epoch or 0, FIRST_SECOND), LAST_SECOND))
    clock = now.tm_hour << 11 | now.tm_min << 5 | now.tm_sec // 2
    return clock, (now.tm_year - 1980) << 9 | now.tm_mon << 5 | now.tm_mday


def _write_member(
    source: BinaryIO, sink: Sink, entry: Entry, name: bytes, date: tuple[int, int]
) -> int:
    """Write local header and data; return how many bytes that was."""
    sink.write(records.LOCAL.pack(records.LOCAL_MAGIC, *_common(entry, name, date), 0))
    sink.write(name)
    source.seek(entry.data)
    copy(source, sink, entry.packed_bytes, "data")
    return records.LOCAL.size + len(name) + entry.packed_bytes


def _central(entry: Entry, member: Member, name: bytes, date: tuple[int, int], start: int) -> bytes:
    mode = MODES[member.kind]
    if member.kind is Kind.FILE and member.executable:
        mode |= 0o111
    attributes = mode << 16 | (FOLDER_ATTRIBUTE if member.kind is Kind.FOLDER else 0)
    record = records.CENTRAL.pack(
        records.CENTRAL_MAGIC,
        records.UNIX << 8 | VERSION,
        *_common(entry, name, date),
        *(0, 0, 0, 0),
        attributes,
        start,
    )
    return record + name


def _common(entry: Entry, name: bytes, date: tuple[int, int]) -> tuple[int, ...]:
    """Return the fields that both headers share, from version to the name's length."""
    flags = 0 if name.isascii() else records.UTF8
    sizes = (entry.crc, entry.packed_bytes, entry.size)
    return (VERSION, flags, entry.method, *date, *sizes, len(name))
