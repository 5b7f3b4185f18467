"""Thousands of files are hashed by two processes, as if there were one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from relsign.errors import HostError, InputError, NotEnoughError
from relsign.system.files import hash_file
from relsign.system.hashing import LARGE_BYTES, MANY, hash_files
from tests.system.test_files import odd

PROGRAM = """
import os, sys
from pathlib import Path
from relsign.system.hashing import hash_files
hash_files([Path(sys.argv[1], name) for name in sorted(os.listdir(sys.argv[1]))])
"""


@pytest.fixture
def many(tmp_path: Path) -> list[Path]:
    """Return so many files that a second process helps; one of each hundred is large."""
    paths = [tmp_path / f"{number:05}" for number in range(MANY + 1)]
    for number, path in enumerate(paths):
        path.write_bytes(str(number).encode() * (LARGE_BYTES if number % 100 == 0 else 1))
    paths[MANY - 3].write_bytes(b"")
    return paths


def test_they_come_back_in_their_order(many: list[Path]) -> None:
    assert hash_files(many) == tuple(hash_file(path) for path in many)


def test_where_threads_run_already_no_process_is_copied(many: list[Path]) -> None:
    go_on = threading.Event()
    other = threading.Thread(target=go_on.wait)
    other.start()
    try:
        assert hash_files(many) == tuple(hash_file(path) for path in many)
    finally:
        go_on.set()
        other.join()


def test_alone_where_no_process_can_be_had(
    many: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refuse)
    assert hash_files(many) == tuple(hash_file(path) for path in many)


@pytest.mark.parametrize("kind", ["fifo", "link", "folder", "socket", "device"])
@pytest.mark.parametrize("at", [3, MANY - 5])
def test_one_that_cannot_be_read(many: list[Path], tmp_path: Path, kind: str, at: int) -> None:
    place = tmp_path / "odd"
    place.mkdir()
    many[at] = odd(place, kind)
    many[MANY - 1] = tmp_path / "absent"
    with pytest.raises(InputError, match=many[at].name):
        hash_files(many)
    many[1] = tmp_path / "absent"
    with pytest.raises(NotEnoughError, match="absent"):
        hash_files(many)


def test_a_killed_worker_is_said(many: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    fork = os.fork

    def fork_and_kill() -> int:
        child = fork()
        if child:
            os.kill(child, signal.SIGKILL)
        else:
            signal.pause()
        return child

    monkeypatch.setattr(os, "fork", fork_and_kill)
    with pytest.raises(HostError, match="a worker ended before its files were read"):
        hash_files(many)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_an_interrupt_leaves_no_process(many: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    fork = os.fork

    def fork_and_interrupt() -> int:
        child = fork()
        if child:
            signal.setitimer(signal.ITIMER_REAL, 0.02)
        else:
            signal.pause()
        return child

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fork", fork_and_interrupt)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            hash_files(many)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_nothing_is_said_about_it(many: list[Path]) -> None:
    """No warning, and no second flush of what the parent had not yet written."""
    command = [sys.executable, "-W", "error", "-c", PROGRAM, os.fspath(many[0].parent)]
    done = subprocess.run(command, capture_output=True, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")
