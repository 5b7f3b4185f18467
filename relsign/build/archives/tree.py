"""Many archives and a few made files, laid out together as one tar of the root's own.

Every name is checked again where it lands, nothing lands twice, and what comes out
depends on what was added alone: sorted by name, owner 0, one time for all.

    with layout() as tree:
        tree.add_archive(store.path(digest), "usr/lib/x", where="builder.lock: x")
        tree.add_bytes("usr/lib/x/list", b"v1.0.0", where="builder.lock: x")
        tree.write(sink, top="usr/lib/x", mtime=0)
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from relsign.build.archives.members import Kind, Limits, Member, checked_tree, clean_name
from relsign.build.archives.unpack import read_archive, write_members
from relsign.errors import InputError
from relsign.system.fetch import Sink
from relsign.system.files import READ_BYTES, open_regular

ONE_ARCHIVE = Limits(entries=100_000, total_bytes=2 << 30)
"""The largest packages and crates hold some ten thousand files and a few hundred megabytes."""
WHOLE = Limits(entries=1_000_000, total_bytes=16 << 30)
ROOT = 0


class Tree:
    """Files, folders and links of one layout, and who brought each of them."""

    def __init__(self, spool: BinaryIO, limits: Limits = WHOLE) -> None:
        """Keep the bytes of files in `spool`, an empty file open for both ways."""
        self._spool = spool
        self._limits = limits
        self._members: dict[str, Member] = {}
        self._origins: dict[str, str] = {}
        self._bytes = 0

    def add_archive(
        self, archive: Path, prefix: str, strip: int = 0, *, where: str
    ) -> tuple[Member, ...]:
        """Put all that an archive holds below `prefix`, less `strip` leading parts.

        Returns its members.  Raises InputError at `where` for all that `members` refuses.
        """
        members = self.read_archive(archive, strip, where=where)
        self.add(members, prefix, where=where)
        return members

    def read_archive(self, archive: Path, strip: int = 0, *, where: str) -> tuple[Member, ...]:
        """Return an archive's members without putting them anywhere yet; raises the same."""
        start = self._spool.seek(0, 2)
        members = read_archive(archive, self._spool, strip, limits=ONE_ARCHIVE, where=where)
        return tuple(replace(member, offset=member.offset + start) for member in members)

    def add(self, members: Iterable[Member], prefix: str, *, where: str) -> None:
        """Put members that `read_archive` gave below `prefix`."""
        for member in members:
            name = f"{prefix}/{member.name}" if prefix else member.name
            self._add(replace(member, name=name), where)

    def add_bytes(self, name: str, data: bytes, *, where: str) -> None:
        """Put a file of these bytes at `name`."""
        self._add(Member(name, Kind.FILE, offset=self.keep(data), size=len(data)), where)

    def add_file(self, name: str, path: Path, *, where: str) -> None:
        """Put a copy of a file of this machine at `name`, unopened if it is an archive."""
        offset = self._spool.seek(0, 2)
        with open_regular(path) as stream:
            while chunk := stream.read(READ_BYTES):
                self._spool.write(chunk)
        size = self._spool.tell() - offset
        self._add(Member(name, Kind.FILE, offset=offset, size=size), where)

    def add_link(self, name: str, target: str, *, where: str) -> None:
        """Put a symbolic link at `name`; the whole tree is checked when it is written."""
        self._add(Member(name, Kind.LINK, target=target), where)

    def keep(self, data: bytes) -> int:
        """Keep bytes for a member that is added later, and return the offset to give it."""
        offset = self._spool.seek(0, 2)
        self._spool.write(data)
        return offset

    def read(self, member: Member) -> bytes:
        """Return the bytes of a file of an archive that was read."""
        self._spool.seek(member.offset)
        return self._spool.read(member.size)

    def sha256(self, member: Member) -> str:
        """Return the digest of such a file, which need not fit into memory."""
        return member_sha256(member, self._spool)

    def write(self, sink: Sink, *, top: str, mtime: int) -> None:
        """Write all of it as a tar that begins with the folder `top`; all names lie below.

        Raises InputError for a file in the place of a folder and a link that leads out.
        """
        members = checked_tree(self._members.values(), 0, self._limits)
        placed = _with_folders(members, top, mtime)
        write_members(placed, self._spool, sink, owner=ROOT)

    def _add(self, member: Member, where: str) -> None:
        try:
            name = clean_name(member.name, member.kind)
        except InputError as error:
            raise InputError(error.what, where=where, got=error.got) from error
        known = self._members.get(name)
        if known is not None and not known.kind is member.kind is Kind.FOLDER:
            raise InputError(
                "two things of one name in the environment",
                where=where,
                got=f"{name}, already from {self._origins[name]}",
                hint="leave one of the two out of the definition",
            )
        self._bytes += member.size
        if self._bytes > self._limits.total_bytes or len(self._members) >= self._limits.entries:
            raise InputError(
                "environment is too large",
                where=where,
                expected=f"at most {self._limits.total_bytes} bytes and "
                f"{self._limits.entries} files",
                hint="leave packages out that the build does not need",
            )
        self._members[name] = replace(member, name=name)
        self._origins[name] = where


def member_sha256(member: Member, spool: BinaryIO) -> str:
    """Return the digest of a file whose bytes lie in `spool`, in hexadecimal digits."""
    digest = hashlib.sha256()
    spool.seek(member.offset)
    left = member.size
    while left and (chunk := spool.read(min(left, READ_BYTES))):
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest()


@contextmanager
def layout() -> Iterator[Tree]:
    """Yield an empty tree; its spool is an unnamed file that goes with it."""
    with tempfile.TemporaryFile() as spool:
        yield Tree(spool)


def _with_folders(members: Iterable[Member], top: str, mtime: int) -> Iterator[Member]:
    """Yield every folder from `top` down before what lies in it, then the rest."""
    # Folders above `top` belong to the system it is laid into: they keep what they are.
    depth_of_top = top.count("/")
    seen: set[str] = set()
    for member in members:
        parts = member.name.split("/")
        for depth in range(depth_of_top + 1, len(parts)):
            parent = "/".join(parts[:depth])
            if parent not in seen:
                seen.add(parent)
                yield Member(parent, Kind.FOLDER, mtime=mtime)
        if member.name not in seen:
            seen.add(member.name)
            yield replace(member, mtime=mtime)
