"""`ar-1`: static libraries and ``.deb`` files whose member headers say nothing of their making.

Changed are, where they stand: time (to the epoch), owner and group (0), mode (0644, or
0755 if the owner may execute), the padding byte.  The symbol table gets mode 0, the table
of long names blanks, as ``ar D`` writes them.  Nothing moves and no member's contents
change: the order of a library's members decides what a linker takes, the symbol table
holds their offsets, and what lies compressed in a ``.deb`` is not opened.

Names are read to be checked, in the forms of System V and GNU (``name/``, ``//`` and
``/OFFSET``) and of BSD (``#1/LENGTH``).  A thin archive, which holds only paths, is refused.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from relsign.build.archives import ar_records as records
from relsign.build.archives.members import Kind, Limits, clean_name, refuse, shown
from relsign.build.normalise.copying import copy, take
from relsign.errors import InputError
from relsign.system.fetch import Sink

DECIMAL, OCTAL = re.compile(rb"[0-9 ]*"), re.compile(rb" *([0-7]*)")
MAX_BSD_NAME_BYTES = 2048


def is_ar(head: bytes) -> bool:
    """Say whether the first bytes of a file are an ar archive's, thin ones included."""
    return head.startswith((records.MAGIC, records.THIN_MAGIC))


def rewrite_ar(source: BinaryIO, sink: Sink, epoch: int | None, limits: Limits) -> None:
    """Write the archive `source` with plain headers into `sink`; no epoch means 1970.

    Raises InputError naming the member for a damaged archive and for bad names.
    """
    magic = source.read(len(records.MAGIC))
    if magic == records.THIN_MAGIC:
        raise InputError(
            "archive refused: a thin ar archive holds paths, not files",
            hint="make it without the modifier T of ar",
        )
    if magic != records.MAGIC:
        raise InputError("not an ar archive")
    sink.write(records.MAGIC)
    names: bytes | None = None
    count = 0
    # A writer may leave out the padding byte after the very last member.
    while header := source.read(records.HEADER.size):
        count += 1
        if count > limits.entries:
            raise InputError(f"archive refused: more than {limits.entries} members")
        where = f"member {count}"
        raw_name, mode, size = _fields(header, where)
        if raw_name == records.LONG_NAMES:
            if names is not None:
                raise InputError("archive refused: two tables of long names", got=where)
            names = _names(source, size, where)
            sink.write(_packed(raw_name, b"", b"", b"", size) + names)
        else:
            sink.write(_plain(raw_name, mode, size, epoch or 0))
            size -= _check_name(source, sink, raw_name, names, size, where)
            copy(source, sink, size, where)
        if source.tell() % 2:
            source.read(1)
            sink.write(b"\n")


def _fields(header: bytes, where: str) -> tuple[bytes, int, int]:
    """Return a header's name without blanks, its mode and the size behind it."""
    said = records.parse_header(header, where)
    mode = OCTAL.fullmatch(said.mode)
    if mode is None or not DECIMAL.fullmatch(said.mtime + said.uid + said.gid):
        raise InputError("archive refused: damaged header", got=where)
    return said.name, int(mode[1] or b"0", 8), said.size


def _plain(raw_name: bytes, mode: int, size: int, epoch: int) -> bytes:
    is_table = raw_name in records.SYMBOL_TABLES
    bits = b"0" if is_table else (b"755" if mode & 0o100 else b"644")
    return _packed(raw_name, b"%d" % epoch, b"0", bits, size)


def _packed(raw_name: bytes, mtime: bytes, owner: bytes, mode: bytes, size: int) -> bytes:
    return b"%-16s%-12s%-6s%-6s%-8s%-10d`\n" % (raw_name, mtime, owner, owner, mode, size)


def _names(source: BinaryIO, size: int, where: str) -> bytes:
    if size > records.MAX_NAMES_BYTES:
        raise InputError("archive refused: table of long names is too large", got=where)
    return take(source, size, where)


def _check_name(
    source: BinaryIO, sink: Sink, raw_name: bytes, names: bytes | None, size: int, where: str
) -> int:
    """Refuse a bad name; copy one that stands in front of the contents, return its length."""
    if raw_name in records.SYMBOL_TABLES:
        return 0
    form, number = records.long_name(raw_name) or (b"", 0)
    if form == records.IN_FRONT:
        if number > min(size, MAX_BSD_NAME_BYTES):
            raise InputError("archive refused: name is longer than its member", got=where)
        name = take(source, number, where)
        sink.write(name)
        _check_text(name.rstrip(b"\0"), where)
        return number
    if form == records.IN_TABLE:
        _check_text(_long_name(names or b"", number, where), where)
    else:
        _check_text(raw_name.removesuffix(b"/"), where)
    return 0


def _long_name(names: bytes, offset: int, where: str) -> bytes:
    end = names.find(b"\n", offset)
    if end < 0:
        raise InputError("archive refused: name is not in the table of long names", got=where)
    return names[offset:end].removesuffix(b"/")


def _check_text(name: bytes, where: str) -> None:
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("archive refused: name is not UTF-8", got=where) from error
    if not text:
        raise refuse("empty name", where)
    try:
        clean_name(text, Kind.FILE)
    except InputError as error:
        raise InputError(error.what, where=where, got=shown(text)) from error
