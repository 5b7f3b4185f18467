"""Read a zip file (a wheel, an sdist of old) strictly.

The standard library decodes the central directory and inflates.  It loads all of that,
whatever number the end record states, so before it may, they are compared here
(APPNOTE.TXT 4.3.16).  No zip64, no comment, no encryption, no multi-part.
"""

from __future__ import annotations

import calendar
import errno
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from relsign.build.archives import zip_records as records
from relsign.build.archives.members import (
    MAX_NAME_BYTES,
    TOO_MUCH,
    Kind,
    Limits,
    Member,
    clean_name,
    refuse,
    shown,
)
from relsign.errors import InputError
from relsign.system.fetch import Sink

COPY_BYTES = 1 << 20
PACK_ANEW = "fetch it again; if it is as published, ask its author for a tar or a plain zip"


class ZipReader:
    """Reads members from a seekable zip file and their bytes into a spool."""

    def __init__(self, stream: BinaryIO, spool: Sink, limits: Limits) -> None:
        """Read `stream`; append the bytes of files to `spool`."""
        self._stream = stream
        self._spool = spool
        self._limits = limits
        self._spooled = 0

    def members(self) -> Iterator[Member]:
        """Yield each member; raise InputError at the first one against the rules."""
        packed_bytes = _check_end(self._stream, self._limits)
        allowed = self._limits.allowed_bytes(packed_bytes)
        try:
            with zipfile.ZipFile(self._stream) as archive:
                for entry in archive.infolist():
                    if self._spooled + entry.file_size > allowed:
                        raise refuse(f"more than {allowed} bytes", entry.filename, hint=TOO_MUCH)
                    yield self._member(archive, entry)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise InputError("archive refused: damaged zip file", got=shown(str(error))) from error
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # The directory pointed in front of the file's start.
            raise InputError("archive refused: damaged zip file", got="bad offset") from error
        except (struct.error, ValueError, RuntimeError) as error:
            raise InputError("archive refused: damaged zip file", got=shown(str(error))) from error

    def _member(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Member:
        if entry.orig_filename != entry.filename:
            raise refuse("name with a NUL byte", entry.orig_filename)
        if not entry.filename:
            raise refuse("entry without a name", "")
        kind = _kind(entry)
        name = clean_name(entry.filename, kind)
        if entry.flag_bits & records.ENCRYPTED or entry.compress_type not in records.METHODS:
            raise refuse("encrypted, or an unusual compression", name)
        mtime = calendar.timegm((*entry.date_time, 0, 0, 0))
        if kind is Kind.FOLDER:
            if entry.file_size:
                raise refuse("folder with contents", name)
            return Member(name, kind, mtime=mtime)
        if kind is Kind.LINK:
            return Member(name, kind, mtime=mtime, target=_target(archive, entry))
        executable = bool(entry.external_attr >> 16 & 0o100)
        member = Member(name, kind, executable, mtime, self._spooled, entry.file_size)
        self._copy(archive, entry)
        return member

    def _copy(self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
        done = 0
        with archive.open(entry) as stream:
            while chunk := stream.read(COPY_BYTES):
                done += len(chunk)
                self._spool.write(chunk)
        if done != entry.file_size:
            raise refuse("size is not the one announced", entry.filename)
        self._spooled += done


def _kind(entry: zipfile.ZipInfo) -> Kind:
    mode = entry.external_attr >> 16
    if entry.is_dir():
        return Kind.FOLDER
    if stat.S_ISLNK(mode):
        return Kind.LINK
    # Zip files made outside Unix state no type at all.
    if stat.S_IFMT(mode) in {0, stat.S_IFREG}:
        return Kind.FILE
    raise refuse("device, fifo or socket", entry.filename)


def _target(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    if entry.file_size > MAX_NAME_BYTES:
        raise refuse("link target is too long", entry.filename)
    with archive.open(entry) as stream:
        data = stream.read(MAX_NAME_BYTES + 1)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refuse("link target is not UTF-8", entry.filename) from error


def _check_end(stream: BinaryIO, limits: Limits) -> int:
    """Refuse a directory we would not want loaded; return the file's size in bytes."""
    size = stream.seek(0, os.SEEK_END)
    behind = records.END.size + records.ZIP64_LOCATOR.size
    start = stream.seek(max(0, size - behind))
    tail = stream.read(behind)
    end = records.find_end(tail, limits)
    if end.comment:
        raise InputError("archive refused: comment in the zip file", hint=PACK_ANEW)
    if tail[: end.at].startswith(records.ZIP64_MAGIC):
        raise InputError("archive refused: zip64", hint=PACK_ANEW)
    stream.seek(max(0, start + end.at - end.directory_bytes))
    _count_members(stream, end)
    stream.seek(0)
    return size


def _count_members(stream: BinaryIO, end: records.End) -> None:
    """Refuse a directory of more members than the end record says: all of it is loaded."""
    left = end.directory_bytes
    for _ in range(end.members):
        header = stream.read(records.CENTRAL.size)
        if len(header) < records.CENTRAL.size or not header.startswith(records.CENTRAL_MAGIC):
            raise InputError("archive refused: damaged zip file", hint=PACK_ANEW)
        texts_bytes = sum(records.CENTRAL.unpack(header)[10:13])
        stream.seek(texts_bytes, os.SEEK_CUR)
        left -= len(header) + texts_bytes
    if left:
        raise InputError(
            "archive refused: damaged zip file",
            expected=f"{end.members} members, as its end says",
            hint=PACK_ANEW,
        )
