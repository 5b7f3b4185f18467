"""Taking artifacts out of a build container.

What a build left behind is whatever its commands wanted it to be, so it is read
as hostile: from the tar stream an engine answers with, exactly one regular file
is accepted, its size known and bounded before its first byte is copied.  Nothing
is ever unpacked by name; the caller chose the name it is written under.
"""

from __future__ import annotations

import contextlib
import hashlib
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, cast

from relsign.build.engine.connection import AGAIN_HINT, NotThereError, Reply
from relsign.build.engine.container import Container, is_link
from relsign.errors import HostError, InputError
from relsign.formats.canonical import shorten
from relsign.formats.names import Digest
from relsign.system.files import READ_BYTES, new_file

MAX_LISTED_BYTES = 4000

_KINDS = {
    tarfile.SYMTYPE: ("a symbolic link", "name the file it points to"),
    tarfile.LNKTYPE: ("a hard link", "copy the file instead of linking it"),
    tarfile.DIRTYPE: ("a folder", "name a file in it, or pack it: [[target.pack]]"),
    tarfile.FIFOTYPE: ("a fifo", "an artifact must be a regular file"),
    tarfile.CHRTYPE: ("a device", "an artifact must be a regular file"),
    tarfile.BLKTYPE: ("a device", "an artifact must be a regular file"),
}


@dataclass(frozen=True, slots=True)
class BuiltFile:
    """An artifact as it stands in the output folder."""

    name: str
    path: Path
    sha256: Digest
    size: int
    mode: Literal["0644", "0755"]


def collect_file(container: Container, inside: str, destination: Path, max_bytes: int) -> BuiltFile:
    """Copy one regular file out of the container into a new file, hashing what is written.

    `inside` is an absolute path of the container.  Raises InputError if it is
    missing, not a regular file or larger than `max_bytes`; HostError if the
    engine breaks off or the disk refuses.  Nothing is left at `destination` then.
    """
    try:
        reply = container.take(inside)
    except NotThereError as error:
        raise _missing(container, inside) from error
    with reply, _tar_faults(inside), tarfile.open(fileobj=_as_file(reply), mode="r|") as tar:
        if is_link(reply):
            raise _refused(inside, *_KINDS[tarfile.SYMTYPE])
        member = tar.next()
        if member is None:
            raise _refused(inside, "a socket", "an artifact must be a regular file")
        _check(member, inside, max_bytes)
        return _copy(tar, member, inside, destination)


def _as_file(reply: Reply) -> IO[bytes]:
    # tarfile's stream mode calls nothing but `read`.
    return cast("IO[bytes]", reply)


def _check(member: tarfile.TarInfo, inside: str, max_bytes: int) -> None:
    if member.issparse() or not member.isreg():
        kind, hint = _KINDS.get(member.type, ("a special file", "name a regular file"))
        raise _refused(inside, kind, hint)
    if member.size > max_bytes:
        raise InputError(
            "artifacts are too large",
            where=inside,
            expected=f"at most {max_bytes} bytes more",
            got=f"{member.size}",
            hint="all together must fit into the build folder; name fewer or smaller ones",
        )


def _copy(
    tar: tarfile.TarFile, member: tarfile.TarInfo, inside: str, destination: Path
) -> BuiltFile:
    source = tar.extractfile(member)
    if source is None:
        raise _refused(inside, "no content", "name a regular file")
    mode: Literal["0644", "0755"] = "0755" if member.mode & 0o100 else "0644"
    digest = hashlib.sha256()
    size = 0
    with source, new_file(destination, int(mode, 8)) as target:
        while chunk := source.read(READ_BYTES):
            digest.update(chunk)
            size += len(chunk)
            target.write(chunk)
        if size != member.size:
            raise HostError("the container engine broke off a file", where=inside, hint=AGAIN_HINT)
        if tar.next() is not None:
            raise _refused(inside, "more than one file", "name a regular file")
    return BuiltFile(destination.name, destination, Digest(digest.hexdigest()), size, mode)


@contextlib.contextmanager
def _tar_faults(inside: str) -> Iterator[None]:
    try:
        yield
    except tarfile.TarError as error:
        raise HostError(
            "the container engine sent an unreadable file", where=inside, got=shorten(str(error))
        ) from error


def _refused(inside: str, kind: str, hint: str) -> InputError:
    return InputError(
        "artifact is not a regular file",
        where=inside,
        expected="one regular file",
        got=kind,
        hint=hint,
    )


def _missing(container: Container, inside: str) -> InputError:
    folder = inside.rpartition("/")[0]
    code, listed = container.ask(("ls", "-A", "--", folder), MAX_LISTED_BYTES)
    names = " ".join(shorten(n) for n in listed.decode("utf-8", "replace").splitlines())
    found = f"in its folder: {shorten(names, 1000) or 'nothing'}"
    return InputError(
        "artifact was not made", where=inside, hint=found if code == 0 else "no such folder"
    )
