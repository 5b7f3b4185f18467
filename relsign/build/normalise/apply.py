"""Normalising an artifact where it lies, and finding what would make two of them equal.

    normalise_file(output / "tool.whl", ("zip-1",), epoch)

Off unless a recipe asks for it: a normaliser makes builders agree by removing what they
disagree on, so it is better to build without the difference.  The number in a name
is the version of the rules; other rules get another number, so a fingerprint says
which bytes to expect for good.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from relsign.build.archives.members import Limits
from relsign.build.normalise.ar import is_ar, rewrite_ar
from relsign.build.normalise.gzip import is_gzip, rewrite_gzip
from relsign.build.normalise.tar import HEAD_BYTES, is_tar, rewrite_tar
from relsign.build.normalise.zip import is_zip, rewrite_zip
from relsign.errors import InputError
from relsign.formats.canonical import shorten
from relsign.formats.names import Normaliser
from relsign.system.fetch import Sink
from relsign.system.files import hash_file, host_error, open_regular, replacing

Rewrite = Callable[[BinaryIO, Sink, int | None, Limits], None]
REWRITES: Mapping[Normaliser, Rewrite] = MappingProxyType(
    {"ar-1": rewrite_ar, "gzip-1": rewrite_gzip, "tar-1": rewrite_tar, "zip-1": rewrite_zip}
)
KINDS: Mapping[Normaliser, Callable[[bytes], bool]] = MappingProxyType(
    {"ar-1": is_ar, "gzip-1": is_gzip, "tar-1": is_tar, "zip-1": is_zip}
)


def normalise_file(
    path: Path, names: Sequence[Normaliser], epoch: int | None, limits: Limits | None = None
) -> None:
    """Rewrite a file by the normalisers in their order, whole or not at all.

    `epoch` is SOURCE_DATE_EPOCH in Unix seconds, None where the recipe leaves it unset.
    The file keeps its mode.  Raises InputError naming the file and the member where it
    is not an archive of that kind or breaks a rule, HostError if the disk refuses.
    """
    if not names:
        return
    with open_regular(path) as source, _faults(path), ExitStack() as stack:
        mode = stat.S_IMODE(os.fstat(source.fileno()).st_mode)
        stream: BinaryIO = source
        for name in names[:-1]:
            between = stack.enter_context(tempfile.TemporaryFile(dir=path.parent))
            REWRITES[name](stream, between, epoch, limits or Limits())
            between.seek(0)
            stream = between
        with replacing(path, mode) as sink:
            REWRITES[names[-1]](stream, sink, epoch, limits or Limits())


def same_after(one: Path, two: Path, epoch: int | None) -> tuple[Normaliser, ...] | None:
    """Return the normalisers after which two files are the same bytes, None if none does.

    Files that are the same as they are need none: ``()``.  A malformed archive is not
    the same as anything else.  Raises InputError, NotEnoughError or HostError for a file
    that cannot be opened.
    """
    if hash_file(one).sha256 == hash_file(two).sha256:
        return ()
    with open_regular(one) as first, open_regular(two) as second, _faults(one):
        name = _kind_of_both(first, second)
        if name is None:
            return None
        try:
            made = [_normalised(stream, name, epoch) for stream in (first, second)]
        except InputError:
            return None
        return (name,) if made[0] == made[1] else None


def _kind_of_both(first: BinaryIO, second: BinaryIO) -> Normaliser | None:
    """Return the normaliser for what both files are; a file is of one kind at most."""
    heads = []
    for stream in (first, second):
        stream.seek(0)
        heads.append(stream.read(HEAD_BYTES))
    found = (name for name, is_kind in KINDS.items() if all(map(is_kind, heads)))
    return next(found, None)


class _Hasher:
    """A sink that keeps nothing but a digest."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def write(self, data: bytes, /) -> int:
        """Add bytes to the digest."""
        self._digest.update(data)
        return len(data)

    def digest(self) -> bytes:
        """Return the digest of everything written."""
        return self._digest.digest()


def _normalised(stream: BinaryIO, name: Normaliser, epoch: int | None) -> bytes:
    hasher = _Hasher()
    stream.seek(0)
    REWRITES[name](stream, hasher, epoch, Limits())
    return hasher.digest()


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    """Name the artifact in what a normaliser refuses."""
    try:
        yield
    except InputError as error:
        raise InputError(
            error.what,
            where=shorten(path.name if not error.where else f"{path.name}: {error.where}"),
            expected=error.expected,
            got=error.got,
            hint=error.hint or "make the archive otherwise, or leave out `normalise`",
        ) from error
    except OSError as error:
        raise host_error(error, path) from error
