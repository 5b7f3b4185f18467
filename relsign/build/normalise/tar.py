"""`tar-1`: an uncompressed tar in which only names and contents are left to differ.

Written are, and nothing else: members sorted by the bytes of their names, a leading
``./`` and the entry for the archive's own root dropped; every time the epoch; owner and
group 0 without names; modes 0755 for folders and programs, 0644 else; POSIX ustar, with
a pax header only where a name, link or number does not fit.  Of hard links to one file
the first name holds the bytes.  Times of access and change, extended attributes and an
archive's comment are left out.

Read strictly by `archives.read_tar` and `archives.members`: links must stay inside,
devices and sparse files have no place.  A compressed tar is not opened: what a
compressor makes of the same bytes depends on its version, so nobody could make it again.
"""

from __future__ import annotations

import tarfile
import tempfile
from typing import BinaryIO

from relsign.build.archives.members import Kind, Limits, Member, checked_tree
from relsign.build.archives.read_tar import TarReader
from relsign.build.normalise.copying import copy
from relsign.errors import InputError
from relsign.system.fetch import Sink

END_OF_TAR = bytes(2 * tarfile.BLOCKSIZE)
MAGIC_AT = 257
MAGIC = b"ustar"
HEAD_BYTES = 512
MODES = {Kind.FOLDER: 0o755, Kind.LINK: 0o777}
TYPES = {Kind.FOLDER: tarfile.DIRTYPE, Kind.LINK: tarfile.SYMTYPE, Kind.FILE: tarfile.REGTYPE}


def is_tar(head: bytes) -> bool:
    """Say whether the first 512 bytes of a file are a tar's."""
    return head[MAGIC_AT:].startswith(MAGIC)


def rewrite_tar(source: BinaryIO, sink: Sink, epoch: int | None, limits: Limits) -> None:
    """Write the tar `source` anew into `sink`; no epoch means 1970.

    Raises InputError naming the member for whatever may not stand in an archive.
    """
    if not is_tar(source.read(HEAD_BYTES)):
        raise InputError(
            "not an uncompressed tar",
            hint="let relsign make the archive: [[target.pack]] packs a folder",
        )
    source.seek(0)
    with tempfile.TemporaryFile() as spool:
        members = checked_tree(TarReader(source, spool).members(), 0, limits)
        first: dict[tuple[int, int], str] = {}
        for member in members:
            # The reader gives hard links the place of the bytes they share.
            place = (member.offset, member.size)
            same_as = first.setdefault(place, member.name) if member.size else member.name
            if same_as != member.name:
                sink.write(_header(member, epoch or 0, same_as))
                continue
            sink.write(_header(member, epoch or 0))
            spool.seek(member.offset)
            copy(spool, sink, member.size, "file")
            sink.write(bytes(-member.size % tarfile.BLOCKSIZE))
    sink.write(END_OF_TAR)


def _header(member: Member, epoch: int, same_as: str = "") -> bytes:
    info = tarfile.TarInfo(member.name)
    info.mtime = epoch
    info.type = tarfile.LNKTYPE if same_as else TYPES[member.kind]
    info.linkname = same_as or member.target
    info.size = 0 if same_as else member.size
    info.mode = MODES.get(member.kind, 0o755 if member.executable else 0o644)
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")
