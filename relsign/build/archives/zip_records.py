"""The records of a zip file as they are laid out: PKWARE's APPNOTE.TXT, 4.3 and 4.4.

Layouts and words only, and the end record, which every reader must find first.  What a
reader refuses beyond that is its own affair: `archives.read_zip` before unpacking,
`normalise.zip_directory` before rewriting, `explain.zips` hardly anything.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from relsign.build.archives.members import Limits
from relsign.errors import InputError

LOCAL = struct.Struct("<4s5H3L2H")
"""Magic; version, flags, method, time, date; checksum, packed size, size; lengths of the
name and the extra fields, which follow (4.3.7).
"""
CENTRAL = struct.Struct("<4s6H3L5H2L")
"""Magic, who made it, then as in `LOCAL`; length of the comment, part, internal attributes;
attributes, where the local header stands (4.3.12).
"""
END = struct.Struct("<4s4H2LH")
ZIP64_LOCATOR = struct.Struct("<4sLQL")
DESCRIPTOR = struct.Struct("<3L")
FIELD = struct.Struct("<2H")
"""In front of an extra field: its number, and how many bytes it has."""
LOCAL_MAGIC, CENTRAL_MAGIC, END_MAGIC = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
DESCRIPTOR_MAGIC, ZIP64_MAGIC = b"PK\x07\x08", b"PK\x06\x07"
MAX_END_BYTES = END.size + 0xFFFF
"""Of the end record with its comment."""
MAX_DIRECTORY_BYTES = 256 << 20
"""It is read as a whole; 65,535 members are the most, and have some hundred bytes each."""
HINT = "look at it with `unzip -l`; where it was cut off or changed on the way, get it again"
STORED, DEFLATED = 0, 8
METHODS = frozenset({STORED, DEFLATED})
ENCRYPTED, LEVEL, DESCRIBED, UTF8 = 0x0001, 0x0006, 0x0008, 0x0800
UNIX = 3


class End(NamedTuple):
    """Where the directory is (4.3.16); `at` is where the record stands in what was read."""

    at: int
    members: int
    directory_bytes: int
    offset: int
    comment: bytes


def find_end(tail: bytes, limits: Limits) -> End:
    """Return the end record in a file's last `MAX_END_BYTES`.

    Raises InputError where there is none, for bytes behind it, and for a file of several
    parts, too many members or too large a directory.
    """
    at = tail.rfind(END_MAGIC)
    if at < 0 or len(tail) - at < END.size:
        raise InputError("not a whole zip file", got="no end record", hint=HINT)
    _, disk, first_disk, here, count, size, offset, comment_bytes = END.unpack_from(tail, at)
    comment = tail[at + END.size :]
    if len(comment) != comment_bytes:
        raise InputError("archive refused: bytes after its end", hint=HINT)
    if disk or first_disk or here != count or count > limits.entries:
        raise InputError("archive refused: too many entries or parts", got=str(count), hint=HINT)
    if size > MAX_DIRECTORY_BYTES:
        raise InputError(
            "archive refused: zip64, or a directory too large", got=f"{size} bytes", hint=HINT
        )
    return End(at, count, size, offset, comment)
