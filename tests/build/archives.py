"""Hostile and honest archives, built byte by byte where no library would."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from dataclasses import dataclass

END = bytes(1024)


@dataclass(frozen=True)
class Entry:
    """One tar header as an attacker would fill it."""

    name: str
    data: bytes = b""
    type: bytes = tarfile.REGTYPE
    mode: int = 0o644
    target: str = ""
    size: int | None = None
    mtime: int = 1_600_000_000


def block(entry: Entry) -> bytes:
    """Return header, contents and padding; the size may lie."""
    info = tarfile.TarInfo(entry.name)
    info.type, info.mode, info.linkname = entry.type, entry.mode, entry.target
    info.mtime = entry.mtime
    info.uid, info.gid, info.uname = 0, 0, "root"
    info.size = len(entry.data) if entry.size is None else entry.size
    header = info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    return header + entry.data + bytes(-len(entry.data) % 512)


def tar(*entries: Entry, end: bytes = END) -> bytes:
    """Return a whole tar file of the entries."""
    return b"".join(block(entry) for entry in entries) + end


def record(key: str, value: str) -> bytes:
    """Return one pax record, whose length counts its own digits."""
    rest = f" {key}={value}\n".encode()
    length = len(rest)
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


def pax(*records: bytes, everywhere: bool = False) -> Entry:
    """Return an extension header holding the records."""
    return Entry("x", b"".join(records), b"g" if everywhere else b"x")


def zipped(*entries: tuple[str, bytes, int], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip file of (name, contents, Unix mode)."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data, mode in entries:
            info = zipfile.ZipInfo(name, (2020, 2, 2, 0, 0, 0))
            info.external_attr = mode << 16
            info.create_system = 3
            info.compress_type = method
            archive.writestr(info, data)
    return stream.getvalue()


def with_size(archive: bytes, size: int) -> bytes:
    """Return a zip of one file whose central directory claims another size."""
    place = archive.rindex(b"PK\x01\x02") + 24
    return archive[:place] + struct.pack("<L", size) + archive[place + 4 :]


def with_name(archive: bytes, old: bytes, new: bytes) -> bytes:
    """Return a zip with a name of the same length put in everywhere."""
    assert len(old) == len(new)
    return archive.replace(old, new)
