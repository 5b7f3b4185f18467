"""Read an ar file (static library, Debian package): System V and GNU names, and BSD's."""

from __future__ import annotations

import re
from collections.abc import Iterator

from relsign.build.explain.difference import Kind
from relsign.build.explain.entry import Entry, Opened
from relsign.build.explain.piece import Piece, Work
from relsign.errors import InputError

MAGIC = b"!<arch>\n"
HEADER_BYTES = 60
HEADER_END = b"`\n"
MAX_NAMES_BYTES = 16 << 20
MAX_NAME_BYTES = 4096
"""Of one name: what is longer is compared by its beginning."""
NUMBER = re.compile(rb"[0-9]{1,15} *")


def is_ar(head: bytes) -> bool:
    """Say whether a file that starts with `head` is an ar file."""
    return head.startswith(MAGIC)


def open_ar(piece: Piece, work: Work) -> Opened:
    """Return the members of an ar file; raise InputError for a damaged one."""
    return Opened("ar", tuple(_members(piece, work)), {})


def _members(piece: Piece, work: Work) -> Iterator[Entry]:
    offset = len(MAGIC)
    names = b""
    count = 0
    while offset < piece.size:
        header = piece.exactly(offset, HEADER_BYTES)
        size = _number(header[48:58])
        if header[58:60] != HEADER_END:
            raise InputError("damaged ar header")
        data = piece.part(offset + HEADER_BYTES, size)
        offset += HEADER_BYTES + size + size % 2
        if header.startswith(b"// "):
            names = data.read(0, MAX_NAMES_BYTES)
            continue
        name, data = _name(header[:16], names, data)
        work.count_header(HEADER_BYTES + len(name))
        yield Entry(name, data, _facts(header))
        count += 1
        if count > work.bounds.archive.entries:
            raise InputError("too many members")


def _number(field: bytes) -> int:
    if not NUMBER.fullmatch(field):
        raise InputError("damaged ar header")
    return int(field)


def _name(field: bytes, names: bytes, data: Piece) -> tuple[str, Piece]:
    """Return a member's name and its bytes: BSD puts a long name in front of them."""
    text = field.rstrip(b" ")
    if text.startswith(b"#1/") and NUMBER.fullmatch(text[3:]):
        length = int(text[3:])
        raw = data.exactly(0, min(length, MAX_NAME_BYTES)).rstrip(b"\0")
        return raw.decode("utf-8", "surrogateescape"), data.part(length, data.size - length)
    if text[:1] == b"/" and NUMBER.fullmatch(text[1:]):
        start = int(text[1:])
        raw = names[start : start + MAX_NAME_BYTES].partition(b"\n")[0]
        return raw.removesuffix(b"/").decode("utf-8", "surrogateescape"), data
    if text not in {b"/", b"/SYM64/"}:
        text = text.removesuffix(b"/")
    return text.decode("utf-8", "surrogateescape"), data


def _facts(header: bytes) -> dict[str, tuple[Kind, str]]:
    mtime, uid, gid, mode = (
        header[start:end].rstrip(b" ").decode("latin-1")
        for start, end in ((16, 28), (28, 34), (34, 40), (40, 48))
    )
    return {
        "ar.mtime": ("mtime", mtime),
        "ar.ids": ("owner", f"{uid}:{gid}"),
        "ar.mode": ("mode", mode),
    }
