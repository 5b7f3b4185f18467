"""Folders that only their owner may write, and one writer at a time in them.

with alone(trust_folder):
    ...
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from relsign.errors import InputError
from relsign.system.files import host_error, make_folder
from relsign.system.lock import hold

PATIENCE_SECONDS = 60.0
"""How long to wait for another process that is writing the same store."""
_STAGING = ".staging."
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def is_own_folder(path: Path) -> bool:
    """Say whether a folder is there that only this user can write.

    Raises InputError for a link, a file, somebody else's folder, or one that group or
    others can write; HostError if the system refuses to say.
    """
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise host_error(error, path) from error
    where = os.fspath(path)
    if not stat.S_ISDIR(found.st_mode):
        raise InputError(
            "not a folder of a trust store",
            where=where,
            got="symbolic link" if stat.S_ISLNK(found.st_mode) else "file",
            hint="find out who put it there; name the real folder with --trust",
        )
    if found.st_uid != os.geteuid():
        raise InputError(
            "the trust store belongs to somebody else",
            where=where,
            expected=f"user {os.geteuid()}",
            got=f"user {found.st_uid}",
            hint="name a folder of your own with --trust, and pin the root there",
        )
    if found.st_mode & _WRITABLE_BY_OTHERS:
        raise InputError(
            "others can write the trust store",
            where=where,
            got=f"mode {stat.S_IMODE(found.st_mode):04o}",
            hint="run `chmod go-w` on it, then compare each pin's words: relsign trust show NAME",
        )
    return True


def make_own_folder(path: Path) -> None:
    """Create a folder of mode 0700 if it is missing; raise as `is_own_folder` does."""
    if not is_own_folder(path):
        make_folder(path, 0o700)


@contextlib.contextmanager
def alone(folder: Path, patience_seconds: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Be the only writer of a store; raise HostError if another one does not end."""
    make_own_folder(folder)
    busy = "another command is writing the trust store"
    with hold(folder / ".lock", busy, patience_seconds=patience_seconds):
        yield


@contextlib.contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """Yield a new folder inside `folder`; remove it and what is left in it afterwards.

    For the only writer: what commands left that were killed is removed first.
    """
    # As above: only a new pin is made this way.
    import shutil  # noqa: PLC0415
    import tempfile  # noqa: PLC0415

    for left in folder.glob(f"{_STAGING}*"):
        shutil.rmtree(left)
    made = Path(tempfile.mkdtemp(prefix=_STAGING, dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made)


def remove_temporary(folder: Path) -> None:
    """Remove temporary files of writers that were killed; for the only writer."""
    for left in folder.glob(".*.tmp"):
        left.unlink(missing_ok=True)
