"""The library that shows programs another clock, without its share in the times of files.

libfaketime 0.9.10 stands before `utime`, `utimes`, `utimensat` and `futimens`, too, and
hands a nanosecond count it never set to the kernel where a program asks for "now":
dpkg-source then ends, and configure scripts find the functions broken.  The times of
files are to stay the real ones anyway (see `relsign.build.twin.knobs`).  So builds get
a copy in which these four have no address.  A loader passes over a symbol without one
and finds the C library's own (System V ABI, chapter 4, symbol table; glibc's
`check_match` and musl's `find_sym` alike).

No compiler is asked for, which a machine that builds in containers need not have.
"""

from __future__ import annotations

import struct
from pathlib import Path

from relsign.system.files import read_bounded, write_whole

LIBRARY_FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib")
LIBRARY = "faketime/libfaketimeMT.so.1"
FILE_TIMES = frozenset({b"futimens", b"utime", b"utimensat", b"utimes"})
MAX_BYTES = 16 << 20
FILE_MODE = 0o444

SIXTY_FOUR_LITTLE = b"\x7fELF\x02\x01\x01"
HEADER = struct.Struct("<16sHHLQQQLHHHHHH")
SECTION = struct.Struct("<2L4Q2L2Q")
SYMBOL = struct.Struct("<LBBHQQ")
VALUE_AT = 8
"""Where in a symbol its address stands."""
DYNAMIC_SYMBOLS = 11


def find_faketime() -> Path | None:
    """Return the library of this machine, None if it is not installed."""
    for folder in map(Path, LIBRARY_FOLDERS):
        for path in (*sorted(folder.glob(f"*-linux-gnu*/{LIBRARY}")), folder / LIBRARY):
            if path.is_file():
                return path
    return None


def copy_faketime(folder: Path) -> Path | None:
    """Write the copy for builds into `folder`; return its path, None if there is no library.

    Raises HostError or InputError if it cannot be read, HostError if the copy cannot be written.
    """
    library = find_faketime()
    if library is None:
        return None
    copy = folder / library.name
    write_whole(copy, without_file_times(read_bounded(library, MAX_BYTES)), FILE_MODE)
    return copy


def without_file_times(library: bytes) -> bytes:
    """Return a shared library that no longer offers the functions of `FILE_TIMES`.

    One of another kind than 64 bits, little end first, is returned as it is, and so is
    one whose tables do not lie within it.
    """
    changed = bytearray(library)
    try:
        for at in _symbols(library):
            struct.pack_into("<Q", changed, at + VALUE_AT, 0)
    except (struct.error, IndexError, ValueError, OverflowError):
        return library
    return bytes(changed)


def _symbols(library: bytes) -> list[int]:
    """Return where the symbols of `FILE_TIMES` stand; raises as struct, lists and bytes do."""
    if not library.startswith(SIXTY_FOUR_LITTLE):
        return []
    header = HEADER.unpack_from(library)
    offset, count = header[6], header[12]
    sections = [SECTION.unpack_from(library, offset + n * SECTION.size) for n in range(count)]
    found = []
    for _, kind, _, _, start, size, link, *_ in sections:
        if kind == DYNAMIC_SYMBOLS:
            names = sections[link][4]
            for at in range(start, start + size, SYMBOL.size):
                name = SYMBOL.unpack_from(library, at)[0]
                if library[names + name : library.index(b"\0", names + name)] in FILE_TIMES:
                    found.append(at)
    return found
