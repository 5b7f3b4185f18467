"""Files: read bounded, written whole or not at all.

Reading refuses anything but a regular file, without hanging on a fifo and
without following a final symbolic link.  Writing goes to a temporary file in
the same folder, is fsynced, renamed, and the folder is fsynced.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_whole(folder / "a.txt", b"hello")
    >>> read_bounded(folder / "a.txt", 10)
    b'hello'
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from relsign.errors import HostError, InputError, NotEnoughError
from relsign.formats.canonical import Value
from relsign.formats.names import Digest

READ_BYTES = 1 << 20
"""Size of one read while hashing or copying: 1 MiB."""
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


class HashedFile(Value, frozen=True, gc=False):
    """What a file held when it was read: digest, bytes, permission bits."""

    sha256: Digest
    size: int
    mode: int


@contextlib.contextmanager
def open_regular(path: Path) -> Iterator[BinaryIO]:
    """Open a regular file for reading.

    Raises NotEnoughError if it is absent, InputError if it is a link, fifo,
    device, socket or folder, HostError if the system refuses.
    """
    descriptor, _ = _open_regular(os.fspath(path))
    with os.fdopen(descriptor, "rb") as stream:
        yield stream


def _open_regular(path: str) -> tuple[int, os.stat_result]:
    """Return descriptor and status of a regular file; raises as `open_regular` does."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotEnoughError("no such file", where=path) from error
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:
            raise InputError(
                "not a regular file", where=path, got="link, socket or device"
            ) from error
        raise host_error(error, path) from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise InputError("not a regular file", where=path)
    return descriptor, status


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise host_error(error, path) from error


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """Return a regular file's bytes; raise InputError when there are more than `max_bytes`."""
    with open_regular(path) as stream, _reading(path):
        # A kernel's file that has nothing to say at the moment gives None.
        data = stream.read(max_bytes + 1) or b""
    if len(data) > max_bytes:
        raise InputError("too large", where=os.fspath(path), expected=f"at most {max_bytes} bytes")
    return data


def hash_file(path: Path) -> HashedFile:
    """Return digest, size and mode of a regular file; raises as `open_regular` does."""
    return hash_path(os.fspath(path), buffer())


def hash_path(path: str, room: memoryview) -> HashedFile:
    """Return `hash_file` of a path, read by way of `room`: see `buffer`."""
    descriptor, _ = _open_regular(path)
    try:
        return _hash_descriptor(descriptor, None, room)
    except OSError as error:
        raise host_error(error, path) from error
    finally:
        os.close(descriptor)


def hash_small(path: str, limit: int) -> HashedFile | None:
    """Return `hash_file` of a path whose file is below `limit` bytes, None for a larger one.

    In four calls of the system: of a regular file, a read that ends early is the last.
    """
    descriptor, status = _open_regular(path)
    try:
        if status.st_size >= limit:
            return None
        data = os.read(descriptor, status.st_size + 1)
        if len(data) != status.st_size or not data:
            # It changes at this moment, or is a kernel's file, whose size is always 0.
            os.lseek(descriptor, 0, os.SEEK_SET)
            return _hash_descriptor(descriptor, None, buffer())
    except OSError as error:
        raise host_error(error, path) from error
    finally:
        os.close(descriptor)
    mode = stat.S_IMODE(status.st_mode)
    return HashedFile(Digest(hashlib.sha256(data).hexdigest()), len(data), mode)


def buffer() -> memoryview:
    """Return room for one read: reused, because fresh memory costs more than copying."""
    return memoryview(bytearray(READ_BYTES))


def copy_hashed(source: Path, destination: Path) -> HashedFile:
    """Copy a regular file to a new path, fsync it, and return what was written.

    The copy's mode is 0755 if the owner may execute the source, else 0644.
    """
    with open_regular(source) as stream, _reading(source):
        executable = os.fstat(stream.fileno()).st_mode & stat.S_IXUSR
        with new_file(destination, 0o755 if executable else 0o644) as target:
            return _hash_descriptor(stream.fileno(), target, buffer())


def _hash_descriptor(descriptor: int, copy_to: BinaryIO | None, room: memoryview) -> HashedFile:
    digest = hashlib.sha256()
    size = 0
    while count := os.readv(descriptor, [room]):
        digest.update(room[:count])
        size += count
        if copy_to is not None:
            copy_to.write(room[:count])
    mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    return HashedFile(Digest(digest.hexdigest()), size, mode)


@contextlib.contextmanager
def new_file(path: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Open a file that must not exist yet; fsync it on leaving.

    Raises HostError if it exists or cannot be written; a half-written one is
    removed.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, mode)
    except OSError as error:
        raise host_error(error, path) from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(descriptor, mode)
            yield stream
            stream.flush()
            os.fsync(descriptor)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise host_error(error, path) from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def replacing(path: Path, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Write a file whole or not at all: temporary file, fsync, rename, fsync of the folder."""
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name[:100]}.{os.urandom(6).hex()}.tmp")
    with new_file(temporary, mode) as stream:
        yield stream
    try:
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise host_error(error, path) from error
    sync_folder(path.parent)


def write_whole(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace `path` by `data`, atomically and durably."""
    with replacing(path, mode) as stream:
        stream.write(data)


def make_folder(path: Path, mode: int = 0o755) -> None:
    """Create a folder and its parents if they are missing."""
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise host_error(error, path) from error


def exchange_folders(one: Path, two: Path) -> None:
    """Let two folders change places in one step (renameat2(2), RENAME_EXCHANGE).

    Whoever looks sees either the old or the new one, never none.  Raises HostError
    where the file system cannot, or a folder is missing.
    """
    import ctypes  # noqa: PLC0415 - only publishing exchanges folders; `verify` starts sooner

    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError) as error:
        raise HostError("this system cannot exchange two folders", where="renameat2") from error
    names = os.fsencode(one), os.fsencode(two)
    if renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        sync_folder(one.parent)
        sync_folder(two.parent)
        return
    code = ctypes.get_errno()
    if code in {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EXDEV}:
        raise HostError(
            "this file system cannot exchange two folders in one step",
            where=os.fspath(two),
            got=os.strerror(code).lower(),
            hint="use a folder on a local file system: ext4, xfs, btrfs or tmpfs",
        )
    raise host_error(OSError(code, os.strerror(code)), two)


def sync_folder(path: Path) -> None:
    """Make the entries of a folder durable; raise HostError if the disk refuses."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise host_error(error, path) from error


def host_error(error: OSError, path: str | os.PathLike[str]) -> HostError:
    """Turn an operating system refusal into a HostError with a hint."""
    hints = {
        errno.ENOSPC: "the disk is full: free some space and run the same command again",
        errno.EDQUOT: "your disk quota is used up",
        errno.EACCES: "check who owns it: `ls -ld` on the path",
        errno.EPERM: "check who owns it: `ls -ld` on the path",
        errno.EROFS: "the file system is mounted read-only",
    }
    words = (error.strerror or "input/output error").lower()
    return HostError(words, where=os.fspath(path), hint=hints.get(error.errno or 0, ""))
