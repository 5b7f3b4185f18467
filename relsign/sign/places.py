"""Folders of a release that must be folders: a symbolic link leads somewhere else.

The release folder travels, so anybody may have put a link into it.  Whoever reads or
writes there checks each folder on the way first.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from relsign.errors import InputError
from relsign.system.files import host_error, make_folder
from relsign.system.owner import temporary_ending
from relsign.system.workspace import ReleaseFolder


def is_real_folder(path: Path) -> bool:
    """Say whether a folder is there; raise InputError if something else is, a link above all."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise host_error(error, path) from error
    if not stat.S_ISDIR(mode):
        raise InputError(
            "not a folder",
            where=os.fspath(path),
            got="symbolic link" if stat.S_ISLNK(mode) else "file",
            hint="find out who put it there, and remove it",
        )
    return True


def check_release_folder(release: ReleaseFolder) -> None:
    """Refuse a release folder in which a folder is a link; raise InputError naming it."""
    for path in (
        release.folder.parent,
        release.folder,
        release.builds,
        release.signatures,
    ):
        is_real_folder(path)


def make_real_folder(path: Path) -> None:
    """Create a folder if it is missing; raise InputError if a link or file is in its place."""
    if not is_real_folder(path):
        make_folder(path)


@contextlib.contextmanager
def staged_folder(parent: Path) -> Iterator[Path]:
    """Make a folder under a name nobody can know: nothing can lie in wait there.

    Its end says whose it is, so that the next build removes what a killed process left.
    """
    try:
        staged = Path(tempfile.mkdtemp(prefix=".", suffix=temporary_ending(), dir=parent))
    except OSError as error:
        raise host_error(error, parent) from error
    try:
        yield staged
    finally:
        shutil.rmtree(staged, ignore_errors=True)
