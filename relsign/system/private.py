"""Folders and files that nobody but their owner may open.

with alone(folder, "vault"):
    write_whole(folder / "a.sealed", data, PRIVATE_FILE)

Stricter than a trust store, which others may read: here reading is the harm.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from relsign.errors import HostError, InputError
from relsign.system.files import host_error, make_folder, new_file, open_regular, sync_folder
from relsign.system.lock import hold

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
PATIENCE_SECONDS = 10.0
"""How long to wait for another process in the same folder."""
_OTHERS = 0o077
_WIPE_BYTES = 1 << 20


def is_private_folder(path: Path, what: str) -> bool:
    """Say whether a folder is there that only this user can open.

    Raises InputError for a link, a file, somebody else's folder, or one that is open
    to group or others; HostError if the system refuses to say.
    """
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise host_error(error, path) from error
    if not stat.S_ISDIR(found.st_mode):
        raise InputError(
            f"not the folder of a {what}",
            where=os.fspath(path),
            got="symbolic link" if stat.S_ISLNK(found.st_mode) else "file",
            hint="find out who put it there, and name the real folder",
        )
    _check(found, path, what, PRIVATE_FOLDER)
    return True


def make_private_folder(path: Path, what: str) -> None:
    """Create a folder of mode 0700 if it is missing; raise as `is_private_folder` does."""
    if is_private_folder(path, what):
        return
    make_folder(path, PRIVATE_FOLDER)
    sync_folder(path.parent)
    # Somebody may have been quicker: what is there now must be ours too.
    is_private_folder(path, what)


@contextlib.contextmanager
def alone(folder: Path, what: str, patience_seconds: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Be the only process that changes a private folder, which is made if it is missing.

    Clears away the temporary files of processes that were killed.  Raises HostError if
    another process does not end, InputError as `is_private_folder` does.
    """
    make_private_folder(folder, what)
    busy = f"another command is using the {what}"
    with hold(folder / ".lock", busy, patience_seconds=patience_seconds):
        for name in list_private(folder):
            if name.startswith(".") and name.endswith(".tmp"):
                erase(folder / name)
        yield


def list_private(folder: Path) -> tuple[str, ...]:
    """Return the names in a folder, sorted; raise HostError if the system refuses."""
    try:
        return tuple(sorted(os.listdir(folder)))  # noqa: PTH208 - names, not paths, are wanted
    except OSError as error:
        raise host_error(error, folder) from error


def is_there(path: Path) -> bool:
    """Say whether anything bears this name, a broken link too; raise HostError if unsure.

    `os.path.lexists` takes a disk that fails for a file that is absent.
    """
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise host_error(error, path) from error
    return True


def read_private(path: Path, what: str, max_bytes: int) -> bytes:
    """Return the bytes of a file that only this user can open.

    Raises NotEnoughError if it is absent; InputError if it is a link, fifo, device or
    folder, somebody else's, open to group or others, or larger; HostError if the
    system refuses.
    """
    try:
        with open_regular(path) as stream:
            # The status of what was opened: a file put in its place meanwhile changes nothing.
            _check(os.fstat(stream.fileno()), path, what, PRIVATE_FILE)
            data = stream.read(max_bytes + 1)
    except OSError as error:
        raise host_error(error, path) from error
    if len(data) > max_bytes:
        raise InputError("too large", where=os.fspath(path), expected=f"at most {max_bytes} bytes")
    return data


def with_hint(error: InputError, hint: str) -> InputError:
    """Return the same refusal that says what to do next."""
    return InputError(
        error.what, where=error.where, expected=error.expected, got=error.got, hint=hint
    )


def write_first(path: Path, data: bytes) -> bool:
    """Make a file that must not exist; say whether it was this call that made it.

    Of any number of processes one is told yes (O_EXCL).  File and folder are fsynced
    before it returns.  Raises HostError if the disk refuses.
    """
    try:
        with new_file(path, PRIVATE_FILE) as stream:
            stream.write(data)
    except HostError as error:
        if isinstance(error.__cause__, FileExistsError):
            return False
        raise
    sync_folder(path.parent)
    return True


def erase(path: Path) -> None:
    """Overwrite a file as well as the disk lets us, remove it, and fsync the folder.

    What it held may still be found on flash, which writes elsewhere, on file systems
    that copy on write, in their snapshots, in a journal, and in every backup.  Raises
    HostError if the name cannot be removed; nothing for a file that is gone already.
    """
    with wiping(path):
        pass
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise host_error(error, path) from error
    sync_folder(path.parent)


@contextlib.contextmanager
def wiping(path: Path) -> Iterator[None]:
    """Overwrite what a file holds now once the block has ended well, whatever its name is then.

    As well as the disk lets us, and silently: the callers say what that is worth.
    """
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError:
        yield
        return
    try:
        yield
        with contextlib.suppress(OSError):
            _overwrite(descriptor)
    finally:
        os.close(descriptor)


def _overwrite(descriptor: int) -> None:
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode):
        left = min(found.st_size, _WIPE_BYTES)
        while left > 0:
            left -= os.write(descriptor, bytes(left))
        os.fsync(descriptor)


def _check(found: os.stat_result, path: Path, what: str, mode: int) -> None:
    """Raise InputError unless this user owns it and nobody else can open it."""
    where = os.fspath(path)
    if found.st_uid != os.geteuid():
        raise InputError(
            f"the {what} belongs to somebody else",
            where=where,
            expected=f"user {os.geteuid()}",
            got=f"user {found.st_uid}",
            hint="use a folder of your own; treat what this one held as known to them",
        )
    if stat.S_IMODE(found.st_mode) & _OTHERS:
        raise InputError(
            f"the {what} is open to others",
            where=where,
            expected=f"mode {mode:04o}",
            got=f"mode {stat.S_IMODE(found.st_mode):04o}",
            hint=f"find out who could read it, then run `chmod {mode:o}` on it",
        )
