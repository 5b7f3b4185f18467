"""Read a tar file's headers with everything in them that may differ.

Unlike `archives.read_tar` nothing is refused for what it would do on a disk: nothing
is ever unpacked, names are only shown.  Formats as there: POSIX.1-2017 pax, GNU.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field

from relsign.build.archives.read_tar import BLOCK, MAX_EXTENSION_BYTES, ZERO_BLOCK, pax_records
from relsign.build.explain.difference import Kind
from relsign.build.explain.entry import Entry, Opened
from relsign.build.explain.piece import Piece, Work
from relsign.errors import InputError

MAGIC = slice(257, 265)
EXTENSIONS = frozenset({b"x", b"g", b"L", b"K"})
HAS_DATA = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE, b"S"})
TIME_KEYS = ("atime", "ctime", "LIBARCHIVE.creationtime")


@dataclass(slots=True)
class _Extension:
    """What extension headers said about the member behind them."""

    names: dict[str, str] = field(default_factory=dict)
    read_bytes: int = 0


def is_tar(head: bytes) -> bool:
    """Say whether a file that starts with `head` is a tar file."""
    return head[257:262] == b"ustar"


def open_tar(piece: Piece, work: Work) -> Opened:
    """Return the members of a tar file; raise InputError for a damaged one."""
    entries = tuple(_members(piece, work))
    return Opened("tar", entries, {})


def _members(piece: Piece, work: Work) -> Iterator[Entry]:
    offset = 0
    count = 0
    extension = _Extension()
    while offset < piece.size and (block := piece.exactly(offset, BLOCK)) != ZERO_BLOCK:
        header = _header(block)
        offset += BLOCK
        work.count_header(BLOCK)
        if header.type in EXTENSIONS:
            work.count_header(header.size)
            offset = _extend(piece, offset, header, extension)
            continue
        size = _size(header, extension)
        yield _entry(piece.part(offset, size), header, block, extension)
        offset += -(-size // BLOCK) * BLOCK
        extension = _Extension()
        count += 1
        if count > work.bounds.archive.entries:
            raise InputError("too many members")


def _header(block: bytes) -> tarfile.TarInfo:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError, OverflowError) as error:
        raise InputError("damaged tar header") from error
    if header.size < 0:
        raise InputError("damaged tar header", got="negative size")
    return header


def _extend(piece: Piece, offset: int, header: tarfile.TarInfo, extension: _Extension) -> int:
    if header.size > MAX_EXTENSION_BYTES or extension.read_bytes > MAX_EXTENSION_BYTES:
        raise InputError("tar extension header is too large")
    data = piece.exactly(offset, header.size)
    extension.read_bytes += BLOCK + header.size
    text = data.decode("utf-8", "surrogateescape")
    if header.type == b"L":
        extension.names["path"] = text.rstrip("\0")
    elif header.type == b"K":
        extension.names["linkpath"] = text.rstrip("\0")
    else:
        for key, value in pax_records(data):
            said = value.decode("utf-8", "surrogateescape")
            extension.names[key.decode("utf-8", "replace")] = said
    return offset + -(-header.size // BLOCK) * BLOCK


def _size(header: tarfile.TarInfo, extension: _Extension) -> int:
    if header.type not in HAS_DATA:
        return 0
    text = extension.names.get("size", str(header.size))
    if not (text.isascii() and text.isdigit() and len(text) < 20):  # noqa: PLR2004 - 64 bits
        raise InputError("damaged tar extension header")
    return int(text)


def _entry(piece: Piece, header: tarfile.TarInfo, block: bytes, extension: _Extension) -> Entry:
    said = extension.names
    name = said.get("path", header.name)
    name = name + "/" if header.type == tarfile.DIRTYPE and not name.endswith("/") else name
    times = " ".join(f"{key}={said[key]}" for key in TIME_KEYS if key in said)
    facts: dict[str, tuple[Kind, str]] = {
        "tar.mtime": ("mtime", said.get("mtime", str(int(header.mtime)))),
        "tar.times": ("mtime", times),
        "tar.mode": ("mode", f"{header.mode & 0o7777:04o}"),
        "tar.ids": ("owner", f"{said.get('uid', header.uid)}:{said.get('gid', header.gid)}"),
        "tar.owner": (
            "owner",
            f"{said.get('uname', header.uname)}:{said.get('gname', header.gname)}",
        ),
        "tar.type": ("type", header.type.decode("latin-1")),
        "tar.link": ("text", said.get("linkpath", header.linkname)),
        "tar.format": ("header", _form(block, said)),
    }
    return Entry(name, piece, facts)


def _form(block: bytes, said: dict[str, str]) -> str:
    """Return how the header is written: its magic, and which extension keys it needs."""
    keys = sorted(key for key in said if key not in {"path", "linkpath", *TIME_KEYS})
    devices = "devices " if block[329:345].strip(b"\0") else ""
    return f"{block[MAGIC].decode('latin-1')!r} {devices}{' '.join(keys)}".rstrip()
