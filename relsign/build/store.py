"""The content-addressed store: every input once, under the name of its digest.

    root/sha256/ab/ab12...   mode 0444, bytes whose SHA-256 is the name

Written by whoever runs relsign.  A hostile edit of a stored file is found, since
a file is hashed each time it is handed out; a deleted one is fetched again.
Two processes may add the same file at the same time: both write their own
temporary file, and the rename of either leaves the same bytes.

    >>> import hashlib, tempfile
    >>> store = Store(Path(tempfile.mkdtemp()))
    >>> digest = Digest(hashlib.sha256(b"hello").hexdigest())
    >>> _ = store.add(digest, lambda sink: sink.write(b"hello"))
    >>> store.path(digest).read_bytes()
    b'hello'
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.names import Digest
from relsign.system.fetch import Sink
from relsign.system.files import (
    READ_BYTES,
    hash_file,
    host_error,
    make_folder,
    new_file,
    open_regular,
    sync_folder,
)

FILE_MODE = 0o444
_DIGEST = re.compile(r"[0-9a-f]{64}")

Writer = Callable[[Sink], object]
"""Writes the bytes of one file into the sink it is given."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file the store holds: its digest and how many bytes it has."""

    sha256: Digest
    size: int


class _HashingSink:
    """Passes bytes on and keeps their digest and count."""

    def __init__(self, target: Sink) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, data: bytes, /) -> int:
        """Write all of `data`."""
        self._hash.update(data)
        self._size += len(data)
        self._target.write(data)
        return len(data)

    def result(self) -> StoredFile:
        """Return what was written so far."""
        return StoredFile(Digest(self._hash.hexdigest()), self._size)


class Store:
    """A folder of files named by their SHA-256."""

    def __init__(self, root: Path) -> None:
        """Use the folder `root`; it is created when the first file is added."""
        self.root = root

    def _place(self, digest: Digest) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise InputError("not a SHA-256 digest", got=digest[:80])
        return self.root / "sha256" / digest[:2] / digest

    def has(self, digest: Digest) -> bool:
        """Say whether the file is here and still has its digest."""
        try:
            self.path(digest)
        except (NotEnoughError, VerificationError, InputError):
            return False
        return True

    def path(self, digest: Digest) -> Path:
        """Return where the file lies, after hashing it.

        Raises NotEnoughError if it is absent, VerificationError if its bytes are
        no longer what its name says, InputError if it is not a regular file.
        """
        path = self._place(digest)
        if not os.path.lexists(path):
            raise NotEnoughError("not in the store", where=f"sha256 {digest}", hint="fetch first")
        found = hash_file(path).sha256
        if found != digest:
            raise VerificationError(
                "stored file was changed",
                where=os.fspath(path),
                expected=digest,
                got=found,
                hint="delete it and fetch again; then ask who can write to the store",
            )
        # Its time says when it was last used (relsign.build.gc); another user's stays.
        with contextlib.suppress(OSError):
            os.utime(path)
        return path

    def add(self, digest: Digest, write: Writer, *, where: str = "") -> Path:
        """Store what `write` writes and return its path, unless it is here already.

        Raises VerificationError, leaving nothing, if the bytes have another
        digest; `where` names the document that stated it.
        """
        if self.has(digest):
            return self._place(digest)
        self._put(write, digest, where)
        return self._place(digest)

    def add_new(self, write: Writer) -> StoredFile:
        """Store what `write` writes under whatever digest it turns out to have."""
        return self._put(write, None, "")

    def add_file(self, path: Path, digest: Digest | None = None, *, where: str = "") -> StoredFile:
        """Copy a regular file into the store; raise like `add` if its digest is another."""

        def copy(sink: Sink) -> None:
            with open_regular(path) as stream:
                while chunk := stream.read(READ_BYTES):
                    sink.write(chunk)

        return self._put(copy, digest, where)

    def _put(self, write: Writer, wanted: Digest | None, where: str) -> StoredFile:
        folder = self.root / "sha256"
        make_folder(folder)
        temporary = folder / f".{secrets.token_hex(12)}.tmp"
        with new_file(temporary, FILE_MODE) as stream:
            sink = _HashingSink(stream)
            write(sink)
            stored = sink.result()
            if wanted is not None and stored.sha256 != wanted:
                raise VerificationError(
                    "wrong digest",
                    where=where,
                    expected=wanted,
                    got=stored.sha256,
                    hint="the bytes are not the ones that were reviewed: do not just replace "
                    "the digest, find out why they changed",
                )
        self._rename(temporary, self._place(stored.sha256))
        return stored

    @staticmethod
    def _rename(temporary: Path, path: Path) -> None:
        try:
            make_folder(path.parent)
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise host_error(error, path) from error
        sync_folder(path.parent)
