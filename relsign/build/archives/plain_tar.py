"""The tars relsign writes itself: one form, so that the same files give the same bytes.

POSIX.1-1988 ustar: regular files only, mode 0644, owner 0, time 0, no owner names.  What
depends on nothing but name and size can be compared with what a reader meets, byte for
byte, instead of being parsed.

    sink.write(header("inputs.json", len(data)) + data + padding(len(data)) + END)
"""

from __future__ import annotations

import tarfile

from relsign.errors import InputError

BLOCK = 512
END = bytes(2 * BLOCK)
MAX_MEMBER_BYTES = (8 << 30) - 1
"""What eleven octal digits hold."""


def header(name: str, size: int) -> bytes:
    """Return the header of a file of `size` bytes; raise InputError if it has no such form."""
    if size > MAX_MEMBER_BYTES:
        raise InputError(
            "file is too large for a tar", where=name, expected=f"at most {MAX_MEMBER_BYTES} bytes"
        )
    member = tarfile.TarInfo(name)
    member.size = size
    return member.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def padding(size: int) -> bytes:
    """Return the zeros after a file of `size` bytes, up to the next block."""
    return bytes(-size % BLOCK)
