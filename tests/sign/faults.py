"""Let a disk fail, or a process die, just before any one of its system calls.

`os` itself is wrapped, none of our own functions: every call that changes the disk, or
asks what is there, passes by.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

CALLS = (
    *("open", "write", "fsync", "fchmod", "unlink", "replace", "rename", "link", "mkdir"),
    *("lstat", "stat", "fstat", "listdir", "scandir", "close", "ftruncate"),
)
"""Writing through a stream is not among them; its fsync, which follows at once, is."""

Seen = Callable[[str, tuple[object, ...]], None]


@contextlib.contextmanager
def intercepted(before: Seen) -> Iterator[None]:
    """Call `before` with name and arguments of each system call ahead of it."""
    kept = {name: getattr(os, name) for name in CALLS}

    def wrapped(name: str) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            before(name, args)
            result: object = kept[name](*args, **kwargs)
            return result

        return call

    try:
        for name in kept:
            setattr(os, name, wrapped(name))
        yield
    finally:
        for name, original in kept.items():
            setattr(os, name, original)


class At:
    """Acts before the n-th system call; `reached` says whether there were so many."""

    def __init__(self, step: int, act: Callable[[str], None]) -> None:
        """Count from 0."""
        self._left = step
        self._act = act

    @property
    def reached(self) -> bool:
        return self._left < 0

    def __call__(self, name: str, _arguments: tuple[object, ...]) -> None:
        # A descriptor is closed whatever close(2) returns.
        if name == "close":
            return
        self._left -= 1
        if self._left == -1:
            self._act(name)


def fail(name: str) -> None:
    """Be a disk that gives up."""
    raise OSError(errno.EIO, os.strerror(errno.EIO), name)


def die(_name: str) -> None:
    """Be a process that is killed."""
    signal.raise_signal(signal.SIGKILL)


def name_of(place: object) -> str:
    """Return the last part of the path that an argument of a system call means."""
    if isinstance(place, int):
        return Path(f"/proc/self/fd/{place}").readlink().name
    assert isinstance(place, str | Path)
    return Path(place).name
