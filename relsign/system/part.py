"""A `.part` beside a file's place: ours alone from the first byte until it has its name.

Two programs may want the same name at once, and a folder that others can write may hold
anything under the part's name.  So a part is locked from opening to naming, only a file
that nobody else can have a hand in is taken over, the bytes are hashed as they go
through the one descriptor, and a name counts only if it leads to that descriptor.

    with open_part(folder / "a.tar.part") as part:
        part.copy_from(source)
        ...                        # decide on part.sha256
        part.put(folder / "a.tar")
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

from relsign.errors import HostError, InputError
from relsign.formats.names import Digest
from relsign.system.files import READ_BYTES, host_error, open_regular

_TRIES = 20
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_OPEN = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextlib.contextmanager
def open_part(path: Path) -> Iterator[Part]:
    """Open a part for this process alone, made if it is missing; what it holds stays.

    A link, a file of another user, with a second name, or that others may write is
    removed, and a new one made.  The lock lasts as long as the block; a part left empty
    is removed.  Raises InputError for a folder of that name, HostError where another
    process holds the part or the system refuses.
    """
    # Without a buffer no byte waits to be written when the disk is full or the part closed.
    with os.fdopen(_claim(path), "r+b", buffering=0) as stream:
        part = Part(path, stream)
        try:
            yield part
        finally:
            part.leave()


@dataclass
class Part:
    """An open part, hashed as it grows."""

    path: Path
    stream: FileIO
    size: int = 0
    executable: bool = False
    """Whether the file may be run once it has its name."""
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> Digest:
        """Return the digest of what went through here so far."""
        return Digest(self.digest.hexdigest())

    def take_over(self, max_bytes: int) -> None:
        """Count and hash what is there; more than is allowed is thrown away."""
        self.stream.seek(0)
        self.size, self.digest = 0, hashlib.sha256()
        while self.size <= max_bytes and (chunk := self.stream.read(READ_BYTES)):
            self.digest.update(chunk)
            self.size += len(chunk)
        if self.size > max_bytes:
            self.restart()

    def restart(self) -> None:
        """Throw away what is there."""
        self.stream.seek(0)
        self.stream.truncate()
        self.size, self.digest = 0, hashlib.sha256()

    def append(self, chunk: bytes) -> None:
        """Write and hash some bytes; raise HostError where the disk refuses."""
        left = memoryview(chunk)
        try:
            while left:
                left = left[self.stream.write(left) :]
        except OSError as error:
            raise host_error(error, self.path) from error
        self.digest.update(chunk)
        self.size += len(chunk)

    def finish(self) -> None:
        """Make the bytes durable; raise HostError where the disk refuses."""
        try:
            os.fsync(self.stream.fileno())
        except OSError as error:
            raise host_error(error, self.path) from error

    def copy_from(self, source: Path) -> None:
        """Fill the part with a regular file's bytes; raises as `open_regular` and `append`."""
        self.restart()
        with open_regular(source) as stream:
            self.executable = bool(os.fstat(stream.fileno()).st_mode & stat.S_IXUSR)
            try:
                while chunk := stream.read(READ_BYTES):
                    self.append(chunk)
            except OSError as error:
                raise host_error(error, source) from error
        self.finish()

    def put(self, final: Path) -> None:
        """Give the part its name, mode 0644 or 0755 less the umask.

        Raises InputError where another file has got the name meanwhile: it stays.
        Raises HostError where the part is no longer the file that was hashed, and then
        nothing is left under `final`.
        """
        self._demand(self.path)
        self._set_mode()
        try:
            os.link(self.path, final, follow_symlinks=False)
        except OSError as error:
            self._put_alone(final, error)
        try:
            self._demand(final)
        except HostError:
            # Whoever changed the part in this moment must not profit from its new name.
            final.unlink(missing_ok=True)
            raise
        self.discard()

    def discard(self) -> None:
        """Remove the part, if the name still leads to it."""
        if _leads_to(self.path, os.fstat(self.stream.fileno())):
            _remove(self.path)

    def leave(self) -> None:
        """Keep what came; a part without a byte is worth nothing and goes."""
        if os.fstat(self.stream.fileno()).st_size == 0:
            with contextlib.suppress(HostError):
                self.discard()

    def _put_alone(self, final: Path, error: OSError) -> None:
        """Rename where a second name cannot be given; there the step is not quite atomic."""
        if os.path.lexists(final):
            raise InputError(
                "another file of that name has come here meanwhile",
                where=os.fspath(final),
                hint="move it away and run the same command again",
            ) from error
        try:
            self.path.rename(final)
        except OSError as again:
            raise host_error(again, final) from again

    def _set_mode(self) -> None:
        # There is no way to ask for the umask; the one set for this moment is the strictest.
        umask = os.umask(0o077)
        os.umask(umask)
        # A file system without modes refuses, and has its own for every file.
        with contextlib.suppress(PermissionError):
            os.fchmod(self.stream.fileno(), (0o755 if self.executable else 0o644) & ~umask)

    def _demand(self, path: Path) -> None:
        """Raise HostError unless `path` is the open file, as long as what was hashed."""
        mine = os.fstat(self.stream.fileno())
        if not _leads_to(path, mine) or mine.st_size != self.size:
            raise HostError(
                "another program changed this file while it was being verified",
                where=os.fspath(path),
                hint="use a folder that nobody else writes to, and run the same command again",
            )


def _claim(path: Path) -> int:
    """Return the locked descriptor of a file that is ours alone and has the part's name."""
    for _ in range(_TRIES):
        with contextlib.ExitStack() as opened:
            descriptor, made = _open_or_make(path)
            if descriptor is None:
                continue
            opened.callback(os.close, descriptor)
            _lock(descriptor, path)
            found = os.fstat(descriptor)
            # Its last holder may have named or removed it before the lock was ours.
            if _leads_to(path, found):
                # A file made here is ours, even on file systems that tell other owners.
                if made or _ours_alone(found):
                    opened.pop_all()
                    return descriptor
                _remove(path)
    raise HostError(
        "other programs keep replacing this file",
        where=os.fspath(path),
        hint="use a folder that nobody else writes to",
    )


def _open_or_make(path: Path) -> tuple[int | None, bool]:
    """Return a descriptor, None if another program was quicker, and whether the file is new."""
    try:
        if stat.S_ISREG(_kind(path)):
            return os.open(path, _OPEN), False
        return os.open(path, _OPEN | os.O_CREAT | os.O_EXCL, 0o600), True
    except (FileExistsError, FileNotFoundError) as error:
        if not path.parent.is_dir():
            raise host_error(error, path) from error
        return None, False
    except PermissionError as error:
        # Another user's part cannot be opened; if it can be removed, the name is free.
        if not os.path.lexists(path):
            raise host_error(error, path) from error
        _remove(path)
        return None, False
    except OSError as error:
        raise host_error(error, path) from error


def _kind(path: Path) -> int:
    """Return the mode of a regular file, 0 where nothing is left; a folder is refused."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return 0
    if stat.S_ISDIR(mode):
        raise InputError(
            "a folder has the name of an unfinished download",
            where=os.fspath(path),
            expected="a regular file",
            hint="move it away and run the same command again",
        )
    if not stat.S_ISREG(mode):
        _remove(path)
    return mode


def _ours_alone(found: os.stat_result) -> bool:
    """Say whether nobody else owns the file, may write it or reaches it by another name."""
    return (
        stat.S_ISREG(found.st_mode)
        and found.st_uid == os.geteuid()
        and found.st_nlink == 1
        and not found.st_mode & _OTHERS_MAY_WRITE
    )


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise HostError(
            "another process is downloading this file",
            where=os.fspath(path),
            hint="wait for it to finish and run the same command again, or use another folder",
        ) from error
    except OSError as error:
        raise host_error(error, path) from error


def _leads_to(path: Path, mine: os.stat_result) -> bool:
    try:
        there = path.lstat()
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise host_error(error, path) from error
