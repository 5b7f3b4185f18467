"""From a source archive to one sorted, normalised tar stream for the container.

Nothing is unpacked on this machine: members are checked (`members`), their bytes
go to an unnamed temporary file, and come out as a tar in which everybody's copy
is the same: sorted by name, owner 1000, modes 0644 and 0755.  A member keeps its
own time, since ``make`` compares them, unless one is given.

    write_source_tar(store.path(digest), sink, Placement(prefix="gzip", strip=1))
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Protocol

from relsign.build.archives.members import TOO_MUCH, Kind, Limits, Member, checked_tree
from relsign.build.archives.read_tar import TarReader
from relsign.build.archives.read_zip import ZipReader
from relsign.errors import InputError
from relsign.system.fetch import Sink
from relsign.system.files import host_error, open_regular

OWNER = 1000
FOLDER_MODE = 0o755
FILE_MODE = 0o644
PROGRAM_MODE = 0o755
COPY_BYTES = 1 << 20
MAGIC_BYTES = 6
MAX_XZ_MEMORY = 512 << 20
END_OF_TAR = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an archive lands: folder, leading parts dropped, a time for all members."""

    prefix: str
    strip: int = 0
    mtime: int | None = None


@dataclass(frozen=True, slots=True)
class Unpacked:
    """How much came out of an archive."""

    entries: int
    size: int
    newest_mtime: int


def write_source_tar(
    archive: Path,
    sink: Sink,
    placement: Placement,
    *,
    limits: Limits | None = None,
    where: str = "",
) -> Unpacked:
    """Write the archive's checked members as a tar into `sink`, and say how much it was.

    Reads .tar, .tar.gz, .tar.xz, .tar.bz2 and .zip, told apart by their first
    bytes.  Raises InputError naming the member, at `where`, for everything
    `members` refuses, for a damaged archive and for one that grows too much.
    """
    with tempfile.TemporaryFile() as spool:
        members = read_archive(archive, spool, placement.strip, limits=limits, where=where)
        newest = max((member.mtime for member in members), default=0)
        write_members(_placed(members, placement, newest), spool, sink)
    return Unpacked(len(members), sum(member.size for member in members), newest)


def read_archive(
    archive: Path,
    spool: BinaryIO,
    strip: int = 0,
    *,
    limits: Limits | None = None,
    where: str = "",
) -> tuple[Member, ...]:
    """Return the archive's checked members, whose bytes are in `spool` afterwards.

    They are written from where `spool` stands, and offsets count from there.  Raises as
    `write_source_tar` does.
    """
    with open_regular(archive) as packed:
        bounds = limits or Limits()
        packed_bytes = packed.seek(0, io.SEEK_END)
        # Hard links cost nothing in the archive: what they come to is held to the ratio, too.
        bounds = replace(bounds, total_bytes=bounds.allowed_bytes(packed_bytes))
        packed.seek(0)
        try:
            return checked_tree(_read(packed, spool, bounds), strip, bounds)
        except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
            if isinstance(error, OSError) and error.errno:
                raise host_error(error, archive) from error  # a decompressor sets no errno
            raise InputError(
                "archive refused: damaged", where=where, got=str(error)[:120]
            ) from error
        except InputError as error:
            raise InputError(
                error.what,
                where=error.where or where,
                expected=error.expected,
                got=error.got,
                hint=error.hint,
            ) from error


def write_file_tar(archive: Path, sink: Sink, name: str, *, mtime: int) -> None:
    """Write a tar with one folder part path `name` holding the archive itself, unopened."""
    with open_regular(archive) as stream:
        size = stream.seek(0, io.SEEK_END)
        member = Member(name.rsplit("/", 1)[-1], Kind.FILE, mtime=mtime, size=size)
        placement = Placement(name.rpartition("/")[0])
        write_members(_placed((member,), placement, mtime), stream, sink)


def _read(packed: BinaryIO, spool: BinaryIO, limits: Limits) -> Iterable[Member]:
    magic = packed.read(MAGIC_BYTES)
    packed.seek(0)
    if magic.startswith(b"PK"):
        return ZipReader(packed, spool, limits).members()
    plain = _BoundedReader(_decompressed(packed, magic), limits.total_bytes)
    return TarReader(io.BufferedReader(plain, COPY_BYTES), spool).members()


def _decompressed(packed: BinaryIO, magic: bytes) -> _Readable:
    if magic.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=packed, mode="rb")
    if magic == b"\xfd7zXZ\0":
        return io.BufferedReader(_XzReader(packed), COPY_BYTES)
    if magic.startswith(b"BZh"):
        return bz2.BZ2File(packed)
    return packed


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, none at the end."""
        ...


class _XzReader(io.RawIOBase):
    """Decompresses xz with bounded memory, which the standard file object does not offer.

    A header may ask for a dictionary of 4 GiB.  Several streams and zero padding
    between them are read as the xz format (1.1) says.
    """

    def __init__(self, packed: BinaryIO) -> None:
        super().__init__()
        self._packed = packed
        self._decoder: lzma.LZMADecompressor | None = None
        self._waiting = b""

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill `buffer` and return how many bytes came; 0 at the end of the last stream."""
        while True:
            if self._decoder is None and not self._next_stream():
                return 0
            data = self._decode(len(buffer))
            if data:
                buffer[: len(data)] = data
                return len(data)

    def _next_stream(self) -> bool:
        """Skip padding and start the next stream, if there is one."""
        while not (waiting := self._waiting.lstrip(b"\0")):
            self._waiting = self._packed.read(COPY_BYTES)
            if not self._waiting:
                return False
        self._waiting = waiting
        self._decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, MAX_XZ_MEMORY)
        return True

    def _decode(self, max_bytes: int) -> bytes:
        decoder = self._decoder
        if decoder is None:
            return b""
        if decoder.needs_input and not self._waiting:
            self._waiting = self._packed.read(COPY_BYTES)
            if not self._waiting:
                raise EOFError("compressed file ends too early")
        data = decoder.decompress(self._waiting, max_bytes)
        self._waiting = b""
        if decoder.eof:
            self._waiting = decoder.unused_data
            self._decoder = None
        return data


class _BoundedReader(io.RawIOBase):
    """A stream that raises InputError instead of giving more than `limit` bytes."""

    def __init__(self, stream: _Readable, limit: int) -> None:
        super().__init__()
        self._stream = stream
        self._limit = limit
        self._left = limit

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill `buffer` and return how many bytes came."""
        data = self._stream.read(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            raise InputError(
                "archive refused: it grows too much",
                expected=f"at most {self._limit} bytes",
                hint=TOO_MUCH,
            )
        buffer[: len(data)] = data
        return len(data)


def _placed(members: Iterable[Member], placement: Placement, newest: int) -> Iterator[Member]:
    """Yield members below the prefix, every folder before what lies in it."""
    seen: set[str] = set()
    for member in members:
        name = f"{placement.prefix}/{member.name}" if placement.prefix else member.name
        mtime = member.mtime if placement.mtime is None else placement.mtime
        made = newest if placement.mtime is None else placement.mtime
        parts = name.split("/")
        for depth in range(1, len(parts)):
            parent = "/".join(parts[:depth])
            if parent not in seen:
                seen.add(parent)
                yield Member(parent, Kind.FOLDER, mtime=made)
        seen.add(name)
        yield replace(member, name=name, mtime=mtime)


def write_members(
    members: Iterable[Member], spool: BinaryIO, sink: Sink, owner: int = OWNER
) -> None:
    """Write members in the order given, their bytes taken from `spool`, as a whole tar."""
    for member in members:
        sink.write(_header(member, owner))
        if member.kind is Kind.FILE:
            _copy(spool, sink, member)
    sink.write(END_OF_TAR)


def _header(member: Member, owner: int) -> bytes:
    info = tarfile.TarInfo(member.name)
    info.uid = info.gid = owner
    info.mtime = member.mtime
    if member.kind is Kind.FOLDER:
        info.type, info.mode = tarfile.DIRTYPE, FOLDER_MODE
    elif member.kind is Kind.LINK:
        info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, member.target
    else:
        info.size = member.size
        info.mode = PROGRAM_MODE if member.executable else FILE_MODE
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def _copy(spool: BinaryIO, sink: Sink, member: Member) -> None:
    spool.seek(member.offset)
    left = member.size
    while left and (chunk := spool.read(min(left, COPY_BYTES))):
        sink.write(chunk)
        left -= len(chunk)
    sink.write(bytes(-member.size % tarfile.BLOCKSIZE))
