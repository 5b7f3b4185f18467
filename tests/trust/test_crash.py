"""Killed anywhere, on a full disk, or two at once: the store knows no less than before."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from relsign.errors import HostError
from relsign.trust.pins.store import TrustStore
from relsign.verify.root import open_root
from tests.forks import ended, forked
from tests.trust.roots import NOON, pinned, root, seen, signed_root


def counting(store: TrustStore, numbers: Iterable[int], pipe: int) -> int:
    """Start a process that remembers releases, writing each one's number when it is kept."""

    def count() -> None:
        for number in numbers:
            store.remember("demo", seen(number))
            os.write(pipe, f"{number}\n".encode())

    return forked(count)


def newest(store: TrustStore) -> int:
    return max(entry.sequence for entry in store.recall("demo").seen)


def test_two_processes_lose_no_release(tmp_path: Path) -> None:
    store = pinned(tmp_path / "trust", seen(1))
    reader, writer = os.pipe()
    children = [counting(store, range(start, 61, 2), writer) for start in (2, 3)]
    assert [ended(child) for child in children] == [True, True]
    os.close(writer)
    with os.fdopen(reader) as lines:
        assert sorted(map(int, lines)) == list(range(2, 61))
    assert [entry.sequence for entry in store.recall("demo").seen] == list(range(1, 61))


def test_killed_at_any_time_nothing_that_was_kept_is_lost(tmp_path: Path) -> None:
    store = pinned(tmp_path / "trust", seen(1))
    last = 1
    for round_ in range(50):
        reader, writer = os.pipe()
        child = counting(store, range(last + 1, 1 << 20), writer)
        os.close(writer)
        with os.fdopen(reader) as lines:
            kept = int(lines.readline())
            # Another moment each time, spread over the milliseconds that a few writes take.
            time.sleep(0.0013 * (round_ % 17))
            os.kill(child, signal.SIGKILL)
            assert not ended(child)
            kept = max([kept, *map(int, lines)])
        assert newest(store) >= kept > last
        last = newest(store)
    store.remember("demo", seen(last + 1000))
    assert not list(store.folder.rglob("*.tmp"))


Act = Callable[[TrustStore], object]
ACTS: dict[str, Act] = {
    "remember": lambda store: store.remember("demo", seen(2)),
    "accept_root": lambda store: store.accept_root("demo", signed_root(root(2))),
    "create": lambda store: store.create(
        "other", open_root(signed_root(root(project="other"))), None, NOON
    ),
    "restore": lambda store: store.recall("demo"),
    "remove": lambda store: store.remove("demo"),
}


def killed_at(step: int, act: Act, store: TrustStore) -> bool:
    """Run `act` in a child that dies before its n-th system call; say whether it did."""
    left = [step]

    def hook(event: str, _arguments: object) -> None:
        if event == "open" or event.startswith(("os.", "fcntl.", "shutil.", "tempfile.")):
            left[0] -= 1
            if left[0] < 0:
                signal.raise_signal(signal.SIGKILL)

    def run() -> None:
        sys.addaudithook(hook)
        act(store)

    return not ended(forked(run))


@pytest.mark.parametrize("name", ACTS)
def test_killed_before_each_system_call_it_is_the_old_or_the_new(tmp_path: Path, name: str) -> None:
    first = pinned(tmp_path / "first", seen(1))
    if name == "restore":
        (first.folder / "demo" / "memory.json").unlink()
    for step in range(200):
        store = TrustStore(tmp_path / f"at-{step}")
        shutil.copytree(first.folder, store.folder)
        if not killed_at(step, ACTS[name], store):
            assert step > 3
            break
        if not store.has_folder("demo"):
            assert name == "remove"
            continue
        kept = store.recall("demo")
        assert [entry.sequence for entry in kept.seen] in ([1], [1, 2])
        assert len(kept.roots) in {1, 2}
        assert store.names() in (("demo",), ("demo", "other"))
        if "other" not in store.names():
            ACTS[name](store)
        assert [store.recall(pin).note for pin in store.names()] == [""] * len(store.names())
        # Where nothing is left to restore, nothing is written, and so nothing is cleared away.
        assert name == "restore" or not list(store.folder.rglob("*.tmp"))
    else:
        pytest.fail("it never came to its end")


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    store = pinned(tmp_path / "trust", seen(1))
    before = {p: p.read_bytes() for p in store.folder.rglob("*") if p.is_file()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for limit in range(0, len(before[store.folder / "demo" / "pin.json"]), 97):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            with pytest.raises(HostError):
                store.remember("demo", seen(2))
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            assert store.recall("demo").pin.memory.high_water in {1, 2}
            assert not list(store.folder.rglob("*.tmp"))
            for path, data in before.items():
                path.write_bytes(data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    store.remember("demo", seen(2))
    assert newest(store) == 2
