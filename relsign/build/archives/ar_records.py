"""The header of a member of an ar file, as System V, GNU and BSD write it.

Text, in fields padded with blanks.  A name too long for its field stands in a table
(``/OFFSET``; the table is the member ``//``) or, with BSD, in front of the member's bytes
(``#1/LENGTH``).
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from relsign.errors import InputError

MAGIC = b"!<arch>\n"
THIN_MAGIC = b"!<thin>\n"
HEADER = struct.Struct("16s12s6s6s8s10s2s")
HEADER_END = b"`\n"
SYMBOL_TABLES = (b"/", b"/SYM64/")
LONG_NAMES = b"//"
MAX_NAMES_BYTES = 16 << 20
IN_TABLE, IN_FRONT = b"/", b"#1/"
_LONG_NAME = re.compile(rb"(/|#1/)([0-9]+)")


class Header(NamedTuple):
    """A header's fields without the blanks behind them; only the size was looked at."""

    name: bytes
    mtime: bytes
    uid: bytes
    gid: bytes
    mode: bytes
    size: int


def parse_header(data: bytes, where: str) -> Header:
    """Return the fields of one header; raise InputError naming `where` if it is none."""
    if len(data) == HEADER.size:
        name, mtime, uid, gid, mode, size, end = (f.rstrip(b" ") for f in HEADER.unpack(data))
        if end == HEADER_END and size.isdigit():
            return Header(name, mtime, uid, gid, mode, int(size))
    raise InputError("archive refused: damaged header", got=where)


def long_name(name: bytes) -> tuple[bytes, int] | None:
    """Return `IN_TABLE` and an offset or `IN_FRONT` and a length; None for a plain name."""
    match = _LONG_NAME.fullmatch(name)
    return (match[1], int(match[2])) if match else None
