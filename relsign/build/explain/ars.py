"""Read an ar file (static library, Debian package): System V and GNU names, and BSD's."""

from __future__ import annotations

from collections.abc import Iterator

from relsign.build.archives import ar_records as records
from relsign.build.explain.difference import Kind
from relsign.build.explain.entry import Entry, Opened
from relsign.build.explain.piece import Piece, Work
from relsign.errors import InputError

MAX_NAME_BYTES = 4096
"""Of one name: what is longer is compared by its beginning."""


def is_ar(head: bytes) -> bool:
    """Say whether a file that starts with `head` is an ar file."""
    return head.startswith(records.MAGIC)


def open_ar(piece: Piece, work: Work) -> Opened:
    """Return the members of an ar file; raise InputError for a damaged one."""
    return Opened("ar", tuple(_members(piece, work)), {})


def _members(piece: Piece, work: Work) -> Iterator[Entry]:
    offset = len(records.MAGIC)
    names = b""
    count = 0
    while offset < piece.size:
        header = records.parse_header(piece.exactly(offset, records.HEADER.size), f"byte {offset}")
        data = piece.part(offset + records.HEADER.size, header.size)
        offset += records.HEADER.size + header.size + header.size % 2
        if header.name == records.LONG_NAMES:
            names = data.read(0, records.MAX_NAMES_BYTES)
            continue
        name, data = _name(header.name, names, data)
        work.count_header(records.HEADER.size + len(name))
        yield Entry(name, data, _facts(header))
        count += 1
        if count > work.bounds.archive.entries:
            raise InputError("too many members")


def _name(raw: bytes, names: bytes, data: Piece) -> tuple[str, Piece]:
    """Return a member's name and its bytes: BSD puts a long name in front of them."""
    if long := records.long_name(raw):
        where, number = long
        if where == records.IN_FRONT:
            raw = data.exactly(0, min(number, MAX_NAME_BYTES)).rstrip(b"\0")
            return raw.decode("utf-8", "surrogateescape"), data.part(number, data.size - number)
        raw = names[number : number + MAX_NAME_BYTES].partition(b"\n")[0]
    if raw not in records.SYMBOL_TABLES:
        raw = raw.removesuffix(b"/")
    return raw.decode("utf-8", "surrogateescape"), data


def _facts(header: records.Header) -> dict[str, tuple[Kind, str]]:
    mtime, uid, gid, mode = (field.decode("latin-1") for field in header[1:5])
    return {
        "ar.mtime": ("mtime", mtime),
        "ar.ids": ("owner", f"{uid}:{gid}"),
        "ar.mode": ("mode", mode),
    }
