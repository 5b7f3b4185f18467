"""Read a tar stream strictly: ustar, GNU long names and pax, nothing else.

The standard library's own reader loads an extension header of any claimed size
into memory and extracts with rules that were bypassed more than once, so only its
header decoder is used.  Formats: POSIX.1-2017 pax interchange format, and the
GNU tar manual's "Basic Tar Format" for types L and K.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from relsign.build.archives.members import MAX_MTIME, Kind, Member, clean_name, refuse, shown
from relsign.errors import InputError
from relsign.system.fetch import Sink

BLOCK = 512
ZERO_BLOCK = bytes(BLOCK)
MAX_EXTENSION_BYTES = 1 << 20
COPY_BYTES = 1 << 20
REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE)
# Record keys that say nothing we use; any other unknown key is refused, since it
# might change how a reader understands the member (as GNU.sparse does).
IGNORED_KEYS = frozenset({"atime", "ctime", "uid", "gid", "uname", "gname", "comment", "charset"})
IGNORED_PREFIXES = ("LIBARCHIVE.", "SCHILY.", "RHT.", "MSWINDOWS.")


@dataclass(slots=True)
class _Pending:
    """What extension headers said about the member that follows them."""

    name: str | None = None
    target: str | None = None
    size: int | None = None
    mtime: int | None = None


class TarReader:
    """Reads members from a stream and their bytes into a spool."""

    def __init__(self, stream: BinaryIO, spool: Sink) -> None:
        """Read `stream` from its start; append the bytes of files to `spool`."""
        self._stream = stream
        self._spool = spool
        self._spooled = 0
        self._files: dict[str, Member] = {}

    def members(self) -> Iterator[Member]:
        """Yield each member; raise InputError at the first one against the rules."""
        pending = _Pending()
        while (block := self._exactly(BLOCK, "header")) != ZERO_BLOCK:
            header = self._header(block)
            if header.type in {b"x", b"g", b"L", b"K"}:
                self._extend(header, pending)
                continue
            yield self._member(header, pending)
            pending = _Pending()
        if pending != _Pending():
            raise InputError("archive refused: extension header without a member")
        # Read to the end: this is also what checks the compressor's own checksum.
        while rest := self._stream.read(COPY_BYTES):
            if rest.strip(b"\0"):
                raise InputError("archive refused: bytes after its end")

    def _exactly(self, size: int, what: str) -> bytes:
        data = self._stream.read(size)
        if len(data) != size:
            raise InputError("archive refused: it ends too early", got=f"inside a {what}")
        return data

    @staticmethod
    def _header(block: bytes) -> tarfile.TarInfo:
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, ValueError, OverflowError) as error:
            raise InputError("archive refused: damaged header", got=shown(str(error))) from error
        if header.size < 0:
            raise refuse("negative size", header.name)
        return header

    def _extend(self, header: tarfile.TarInfo, pending: _Pending) -> None:
        if header.size > MAX_EXTENSION_BYTES:
            raise refuse("extension header is too large", header.name)
        padded = -(-header.size // BLOCK) * BLOCK
        data = self._exactly(padded, "extension header")[: header.size]
        if header.type in {b"L", b"K"}:
            text = _utf8(data.removesuffix(b"\0"))
            if header.type == b"L":
                pending.name = text
            else:
                pending.target = text
            return
        for key, value in pax_records(data):
            _apply(_utf8(key), _utf8(value), pending, everywhere=header.type == b"g")

    def _member(self, header: tarfile.TarInfo, pending: _Pending) -> Member:
        raw_name = header.name if pending.name is None else pending.name
        kind = _kind(header, raw_name)
        name = clean_name(raw_name, kind)
        mtime = int(header.mtime) if pending.mtime is None else pending.mtime
        if not 0 <= mtime <= MAX_MTIME:
            raise refuse("time out of range", name)
        target = header.linkname if pending.target is None else pending.target
        size = header.size if pending.size is None else pending.size
        if header.type == tarfile.LNKTYPE:
            return self._hard_link(name, clean_name(target, Kind.FILE))
        if kind is not Kind.FILE:
            if size:
                raise refuse("folder or link with contents", name)
            return Member(name, kind, mtime=mtime, target=target if kind is Kind.LINK else "")
        member = Member(name, kind, bool(header.mode & 0o100), mtime, self._spooled, size)
        self._copy(size)
        self._files[name] = member
        return member

    def _hard_link(self, name: str, target: str) -> Member:
        """Return a copy of an earlier file: hard links do not outlive unpacking."""
        first = self._files.get(target)
        if first is None:
            raise refuse("hard link to something that is not an earlier file", name)
        return Member(name, Kind.FILE, first.executable, first.mtime, first.offset, first.size)

    def _copy(self, size: int) -> None:
        left = size
        while left:
            chunk = self._exactly(min(left, COPY_BYTES), "file")
            self._spool.write(chunk)
            left -= len(chunk)
        self._spooled += size
        if size % BLOCK:
            self._exactly(BLOCK - size % BLOCK, "file")


def _kind(header: tarfile.TarInfo, name: str) -> Kind:
    # Old archives mark a folder by a trailing slash on an ordinary file.
    if header.type == tarfile.DIRTYPE or (header.type in REGULAR and name.endswith("/")):
        return Kind.FOLDER
    if header.type == tarfile.SYMTYPE:
        return Kind.LINK
    if header.type in REGULAR or header.type == tarfile.LNKTYPE:
        return Kind.FILE
    words = {b"3": "device", b"4": "device", b"6": "fifo", b"S": "sparse file"}
    raise refuse(words.get(header.type, f"entry of type {header.type!r}"), name)


def pax_records(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield pax records ``LENGTH KEY=VALUE LF``; raise InputError for any other byte."""
    start = 0
    while start < len(data):
        length_digits, _, _ = data[start : start + 9].partition(b" ")
        end = start + (int(length_digits) if length_digits.isdigit() else 0)
        record = data[start + len(length_digits) + 1 : end]
        key, equals, value = record.partition(b"=")
        if not (end <= len(data) and record.endswith(b"\n") and equals and key):
            raise InputError(
                "archive refused: damaged extension header",
                hint="fetch it again; if it is as published, ask its author to pack it anew",
            )
        yield key, value[:-1]
        start = end


def _apply(key: str, value: str, pending: _Pending, *, everywhere: bool) -> None:
    if key in IGNORED_KEYS or key.startswith(IGNORED_PREFIXES):
        return
    if everywhere or key not in {"path", "linkpath", "size", "mtime"}:
        raise refuse("extension header that is not understood", key)
    if key == "path":
        pending.name = value
    elif key == "linkpath":
        pending.target = value
    elif key == "size":
        pending.size = _number(value)
    else:
        # Whole seconds: rounding down keeps the order make relies on.
        pending.mtime = _number(value.partition(".")[0])


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len("253402300799") + 4):
        raise refuse("bad number in an extension header", text)
    return int(text)


def _utf8(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError("archive refused: name is not UTF-8", got=repr(data[:60])) from error
