"""Many files hashed at once, by two workers.

Small files cost system calls, which Python makes one at a time: from `MANY` on, a forked
process takes half of them.  Large files cost SHA-256, which runs beside Python: a thread
takes the next one.  What the process cannot hash it leaves, and its parent tries again,
so an error is raised in one place and is that of the first path that has one.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import msgspec

from relsign.errors import HostError, RelsignError
from relsign.system.files import HashedFile, buffer, hash_path, hash_small

LARGE_BYTES = 1 << 17
"""From this size on two threads hash faster than one."""
MANY = 1000
"""From so many files on, half of them are worth another process."""
WORKERS = 2


def hash_files(paths: Sequence[str | Path]) -> tuple[HashedFile, ...]:
    """Return digest, size and mode of every path, in their order.

    Raises the error of the first path that has one, as `relsign.system.files.hash_file`
    does, and HostError if a worker is killed.
    """
    names = [os.fspath(path) for path in paths]
    done = _hash_in_two(names) if len(names) >= MANY else _hash_small(names)
    waiting = [number for number, each in enumerate(done) if each is None]
    late = _hash_large([names[number] for number in waiting])
    for number, each in zip(waiting, late, strict=True):
        done[number] = _result(each)
    return tuple(_result(each) for each in done)


def _hash_small(names: Sequence[str]) -> list[HashedFile | None]:
    """Return what each small file holds, None for a large one and where there is an error."""
    return [_small_or_none(name) for name in names]


def _small_or_none(name: str) -> HashedFile | None:
    try:
        return hash_small(name, LARGE_BYTES)
    except RelsignError:
        return None


def _hash_in_two(names: Sequence[str]) -> list[HashedFile | None]:
    """Do as `_hash_small`, the second half in a process of its own."""
    from threading import active_count  # noqa: PLC0415 - as below

    if active_count() > 1:
        # A copy of a process lacks its other threads, and waits forever for what they hold.
        return _hash_small(names)
    half = len(names) // 2
    reading, writing = os.pipe()
    try:
        child = os.fork()
    except OSError:
        # No room for another process: then alone.
        os.close(reading)
        os.close(writing)
        return _hash_small(names)
    if child == 0:
        os.close(reading)
        _answer(writing, names[half:])
    os.close(writing)
    status: int | None = None
    try:
        with os.fdopen(reading, "rb") as stream:
            mine = _hash_small(names[:half])
            answer = stream.read()
        status = os.waitpid(child, 0)[1]
    finally:
        if status is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    if status != 0:
        raise HostError(
            "a worker ended before its files were read",
            got=f"exit code {os.waitstatus_to_exitcode(status)}",
            hint="run the same command again",
        )
    return mine + msgspec.msgpack.decode(answer, type=list[HashedFile | None])


def _answer(writing: int, names: Sequence[str]) -> None:
    """Write what the files hold and end this process, as nothing but a worker."""
    code = 1
    try:
        answer = msgspec.msgpack.encode(_hash_small(names))
        with os.fdopen(writing, "wb") as stream:
            stream.write(answer)
        code = 0
    finally:
        # Whatever happened is the parent's to tell, and nothing of it is cleaned up twice.
        os._exit(code)


def _hash_large(names: Sequence[str]) -> list[HashedFile | RelsignError | None]:
    """Return what each file holds or its error; the workers take from one iterator."""
    done: list[HashedFile | RelsignError | None] = [None] * len(names)
    numbers = iter(range(len(names)))

    def work() -> None:
        room = buffer()
        for number in numbers:
            try:
                done[number] = hash_path(names[number], room)
            except RelsignError as error:
                done[number] = error

    if len(names) < WORKERS:
        if names:
            work()
        return done
    from threading import Thread  # noqa: PLC0415 - `relsign verify` of one file needs none

    others = [Thread(target=work) for _ in range(WORKERS - 1)]
    for other in others:
        other.start()
    try:
        work()
    finally:
        # Whoever interrupts waits for the files that are being read, not for all of them.
        for _ in numbers:
            pass
        for other in others:
            other.join()
    return done


def _result(each: HashedFile | RelsignError | None) -> HashedFile:
    if isinstance(each, HashedFile):
        return each
    raise each if each is not None else HostError("a worker ended before its file was read")
