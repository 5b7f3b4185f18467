"""One writer at a time: a lock file that the kernel frees when its holder dies."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from relsign.errors import HostError
from relsign.system.files import host_error

_HINT = "wait for the other command to end, then run this one again"


@contextlib.contextmanager
def hold(lock_file: Path, busy: str, *, patience_seconds: float = 0) -> Iterator[None]:
    """Hold a lock file, made if it is missing, while the block runs.

    Raises HostError saying `busy` when another process does not let go of it within
    `patience_seconds`, and for a folder that cannot be written.
    """
    # Loading it takes as long as a whole verification, which mostly writes nothing.
    from filelock import FileLock, Timeout  # noqa: PLC0415

    lock = FileLock(lock_file, timeout=patience_seconds, mode=0o600)
    try:
        lock.acquire()
    except Timeout as error:
        raise HostError(busy, where=os.fspath(lock_file.parent), hint=_HINT) from error
    except OSError as error:
        raise host_error(error, lock_file) from error
    try:
        yield
    finally:
        lock.release()
