"""The directory of a zip file, read so strictly that only one reading is left.

A zip file says everything twice, and readers believe different halves.  So the file must
be tiled without a gap: each member's local header, name, extra fields, data and
descriptor, one behind the other from the first byte on, then the central directory, then
the end record; and the halves must agree (APPNOTE.TXT 4.3).  Refused are zip64,
encryption, several parts, bytes in front (self-extracting files) and extra fields that
might change how a reader understands a member.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from relsign.build.archives import zip_records as records
from relsign.build.archives.members import Limits, refuse, shown
from relsign.build.normalise.copying import take
from relsign.errors import InputError

MAX_DIRECTORY_BYTES = 64 << 20
FLAGS = records.LEVEL | records.DESCRIBED | records.UTF8
ZIP64_ID = 0x0001
DROPPED = frozenset({0x000A, 0x5455, 0x5855, 0x6375, 0x7855, 0x7875, 0xCAFE})
"""Extra fields that say nothing of names and contents.

NTFS times; Info-ZIP's times, Unix owners (three forms) and comment; the jar mark.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A member as both halves of the file describe it; `data` is where its bytes lie."""

    raw_name: bytes
    system: int
    method: int
    crc: int
    packed_bytes: int
    size: int
    attributes: int
    data: int

    @property
    def name(self) -> str:
        """The name as UTF-8, which `read_directory` made sure it is."""
        return self.raw_name.decode()

    @property
    def mode(self) -> int:
        """Unix mode, 0 where the writer had none."""
        return self.attributes >> 16 if self.system == records.UNIX else 0


def read_directory(source: BinaryIO, limits: Limits) -> tuple[Entry, ...]:
    """Return the members in the order of the central directory.

    Raises InputError for a file that could be read in two ways.
    """
    start, size, count = _end(source, limits)
    source.seek(start)
    directory = io.BytesIO(take(source, size, "the central directory"))
    found = [_central(directory) for _ in range(count)]
    if directory.read(1):
        raise InputError("archive refused: bytes behind the central directory")
    at = 0
    entries: dict[int, Entry] = {}
    for index, offset in sorted(enumerate(o for _, _, o in found), key=lambda pair: pair[1]):
        entry, flags, _ = found[index]
        if offset != at:
            raise refuse("bytes between members, or overlapping ones", shown(entry.name))
        entries[index], at = _placed(source, entry, flags, offset)
    if at != start:
        raise InputError("archive refused: bytes between members and directory")
    return tuple(entries[index] for index in range(count))


def _end(source: BinaryIO, limits: Limits) -> tuple[int, int, int]:
    """Return where the central directory starts, its size, and how many members it has."""
    file_size = source.seek(0, os.SEEK_END)
    source.seek(max(0, file_size - records.MAX_END_BYTES))
    tail = source.read(records.MAX_END_BYTES)
    end = records.find_end(tail, limits)
    start, size = end.offset, end.directory_bytes
    # A zip64 file has its own records here, so that this sum does not come out either.
    if start + size != file_size - len(tail) + end.at or size > MAX_DIRECTORY_BYTES:
        raise InputError("archive refused: zip64, or bytes around the central directory")
    return start, size, end.members


def _central(directory: BinaryIO) -> tuple[Entry, int, int]:
    """Read one record; return the member, its flags and where its local header stands."""
    fields = records.CENTRAL.unpack(take(directory, records.CENTRAL.size, "the central directory"))
    magic, made_by, _, flags, method, _, _, crc, packed_bytes, size = fields[:10]
    name_bytes, extra_bytes, comment_bytes, disk, _, attributes, offset = fields[10:]
    if magic != records.CENTRAL_MAGIC or disk:
        raise InputError("archive refused: damaged central directory")
    raw_name = take(directory, name_bytes, "a name")
    _check_name(raw_name, flags)
    name = raw_name.decode()
    if flags & ~FLAGS or method not in records.METHODS:
        raise refuse("encrypted, or an unusual compression", name)
    _check_extra(take(directory, extra_bytes, "an extra field"), name)
    take(directory, comment_bytes, "a comment")
    entry = Entry(raw_name, made_by >> 8, method, crc, packed_bytes, size, attributes, 0)
    return entry, flags, offset


def _check_name(raw_name: bytes, flags: int) -> None:
    if flags & records.UTF8:
        try:
            raw_name.decode()
        except UnicodeDecodeError as error:
            raise refuse("name is not UTF-8", repr(raw_name)) from error
    elif not raw_name.isascii():
        raise refuse("name in an unknown encoding", repr(raw_name))


def _check_extra(extra: bytes, name: str) -> None:
    for number in _extra_numbers(extra, name):
        if number == ZIP64_ID:
            raise refuse("zip64", name)
        if number not in DROPPED:
            raise refuse(f"extra field {number:#06x} that is not understood", name)


def _extra_numbers(extra: bytes, name: str) -> Iterator[int]:
    start = 0
    while start < len(extra):
        number, length = records.FIELD.unpack(extra[start : start + 4].ljust(4, b"\xff"))
        start += records.FIELD.size + length
        if start > len(extra):
            raise refuse("damaged extra field", name)
        yield number


def _placed(source: BinaryIO, entry: Entry, flags: int, offset: int) -> tuple[Entry, int]:
    """Compare with the local header at `offset`; return the member and where it ends."""
    source.seek(offset)
    header = records.LOCAL.unpack(take(source, records.LOCAL.size, "a local header"))
    magic, _, its_flags, method, _, _, *numbers, name_bytes, extra_bytes = header
    raw_name = take(source, name_bytes, "a name")
    _check_extra(take(source, extra_bytes, "an extra field"), entry.name)
    wanted = [entry.crc, entry.packed_bytes, entry.size]
    allowed = [wanted, [0, 0, 0]] if flags & records.DESCRIBED else [wanted]
    same = (records.LOCAL_MAGIC, flags, entry.method, entry.raw_name)
    if (magic, its_flags, method, raw_name) != same or numbers not in allowed:
        raise refuse("local header and central directory differ", entry.name)
    data = offset + records.LOCAL.size + name_bytes + extra_bytes
    end = data + entry.packed_bytes
    if flags & records.DESCRIBED:
        source.seek(end)
        end += _check_descriptor(source, wanted, entry.name)
    return replace(entry, data=data), end


def _check_descriptor(source: BinaryIO, wanted: list[int], name: str) -> int:
    """Return the length of the descriptor behind a member's data, with or without magic."""
    said = source.read(len(records.DESCRIPTOR_MAGIC) + records.DESCRIPTOR.size)
    plain = records.DESCRIPTOR.pack(*wanted)
    for descriptor in (records.DESCRIPTOR_MAGIC + plain, plain):
        if said.startswith(descriptor):
            return len(descriptor)
    raise refuse("damaged descriptor behind its data", name)
