"""Killed anywhere, on a disk that fails, or two at once: no seed serves two requests."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import signal
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import count
from os import fsync, write
from os import open as open_file
from pathlib import Path

import pytest

from relsign.errors import HostError, InputError
from relsign.sign.groups.nonces import NonceStore, Seeds
from tests.forks import ended, forked
from tests.sign.faults import At, die, fail, intercepted

SESSION = "5e" * 32
STEPS = {2: ("a", "b"), 3: ("c",)}
KILLS = {"disk": 60, "memory": 180}
"""In memory nothing waits for a disk, so there the kills fall evenly on all that is done."""
GOLDEN = 0.6180339887498949


def digest_of(seeds: Seeds) -> str:
    """Return what a commitment shows of seeds: enough to know them by."""
    return hashlib.sha256(seeds.hiding + seeds.binding).hexdigest()


def append(path: Path, words: str) -> None:
    """Write a line and let it reach the disk: from then on others may have seen it.

    The calls are the real ones: no fault is injected here.
    """
    descriptor = open_file(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        write(descriptor, words.encode() + b"\n")
        fsync(descriptor)
    finally:
        os.close(descriptor)


def lines(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


class Signer:
    """What a signer does: publishes commitments, and answers requests with its nonces."""

    def __init__(self, home: Path) -> None:
        """Keep all that others get to see beside the store."""
        self.store = NonceStore(home / "nonces")
        self.published = home / "published"
        self.released = home / "released"
        self.told = 0

    def publish(self, attempt: int) -> None:
        made = self.store.make(SESSION, attempt, STEPS)
        words = [
            f"{attempt} {step} {name} {digest_of(seeds)}"
            for step, slots in made.items()
            for name, seeds in slots.items()
        ]
        append(self.published, "\n".join(words))

    def answer(self, attempt: int, step: int, request: str) -> None:
        burned = self.store.burn(SESSION, attempt, step, request)
        words = [
            f"{attempt} {step} {name} {digest_of(seeds)} {request}"
            for name, seeds in burned.items()
        ]
        append(self.released, "\n".join(words))

    def sign(self, attempt: int, request: str) -> None:
        """Do all that an attempt still allows, whatever an earlier run has done of it."""
        self.attempted(lambda: self.publish(attempt))
        self.attempted(lambda: self.answer(attempt, 2, request))
        self.attempted(lambda: self.answer(attempt, 3, request))

    def attempted(self, act: Callable[[], None]) -> None:
        try:
            act()
        except InputError:
            self.told += 1

    def check(self) -> int:
        """Look at all that came out of it; return how many seeds were used."""
        requests = defaultdict(set)
        used = lines(self.released)
        for *_, seed, request in used:
            requests[seed].add(request)
        assert [seed for seed, asked in requests.items() if len(asked) > 1] == []
        # Not even twice for one request, and each under the commitment that was published.
        assert max(Counter(seed for *_, seed, _ in used).values(), default=1) == 1
        assert {tuple(line[:4]) for line in used} <= {tuple(line) for line in lines(self.published)}
        return len(used)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder in memory where there is one: a kill is the same there, and quick."""
    shared = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    beside = shared if os.access(shared, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=beside) as folder:
        yield Path(folder)


def request_of(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def started(signer: Signer, run: int, first: int) -> tuple[int, int]:
    """Start a process that signs one attempt after the other; return it and its pipe.

    It writes a byte before the first attempt and after each.
    """
    reader, writer = os.pipe()

    def work() -> None:
        write(writer, b".")
        for attempt in count(first):
            signer.sign(attempt, request_of(run, attempt))
            write(writer, b".")

    child = forked(work)
    os.close(writer)
    return child, reader


@pytest.mark.parametrize("place", KILLS)
def test_killed_at_any_time_no_seed_is_used_twice(tmp_path: Path, memory: Path, place: str) -> None:
    signer = Signer(memory if place == "memory" else tmp_path)
    began = time.monotonic()
    signer.sign(1, request_of("alone"))
    attempt_seconds = time.monotonic() - began
    met: Counter[str] = Counter()
    for run in range(KILLS[place]):
        last = int(lines(signer.published)[-1][0])
        # Each run goes back to what the run before may have left half done, with new requests.
        child, reader = started(signer, run, max(1, last - 1))
        # Every other one dies in its first attempt; the others end a new one before.
        for _ in range(1 + 3 * (run % 2)):
            assert os.read(reader, 1) == b"."
        # Another moment each time, spread evenly over what an attempt takes.
        time.sleep(attempt_seconds * ((run * GOLDEN) % 1))
        os.kill(child, signal.SIGKILL)
        assert not ended(child)
        os.close(reader)
        met.update(left_by(signer.store))
    assert signer.check() >= 3 * (KILLS[place] // 2)
    # The kills did hit between the steps, and not only before the first of them.
    assert len(met) >= 2, met


def left_by(store: NonceStore) -> set[str]:
    """Say in which states of an attempt a process was killed."""
    names = {path.name for path in store.folder.iterdir()} if store.folder.exists() else set()
    seeds = {name.removesuffix(".seeds") for name in names if name.endswith(".seeds")}
    burned = {name.removesuffix(".burned") for name in names if name.endswith(".burned")}
    states = {"unburned"} if seeds - burned else set()
    states |= {"marked"} if seeds & burned else set()
    states |= {"half burned"} if {s[:-2] for s in seeds} & {b[:-2] for b in burned} else set()
    return states | ({"half written"} if any(n.endswith(".tmp") for n in names) else set())


def broken_at(step: int, signer: Signer, *, killed: bool) -> bool:
    """Sign while the disk fails, or the process dies, at a system call; say whether it did."""
    at = At(step, die if killed else fail)

    def run() -> None:
        with contextlib.suppress(HostError), intercepted(at):
            signer.publish(1)
            signer.answer(1, 2, request_of("first", 2))
            signer.answer(1, 3, request_of("first", 3))

    if killed:
        return not ended(forked(run))
    run()
    return at.reached


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "failing disk"])
def test_broken_before_any_system_call_no_seed_is_used_twice(memory: Path, killed: bool) -> None:  # noqa: FBT001
    for step in range(400):
        signer = Signer(memory / f"at-{step}")
        signer.published.parent.mkdir()
        broken = broken_at(step, signer, killed=killed)
        before = signer.check()
        signer.sign(1, request_of("second"))
        signer.check()
        signer.store.abandon(SESSION, 1)
        signer.sign(1, request_of("third"))
        signer.sign(2, request_of("third"))
        assert signer.check() >= before + 3
        assert not [path for path in signer.store.folder.iterdir() if path.suffix == ".seeds"]
        if not broken:
            assert step > 60
            assert before == 3
            return
    pytest.fail("it never came to its end")


def test_two_at_once_share_no_seed(tmp_path: Path) -> None:
    signer = Signer(tmp_path)

    def work(name: str) -> None:
        for attempt in range(1, 31):
            signer.sign(attempt, request_of(name, attempt))
        append(tmp_path / "told", f"{signer.told}")

    children = [forked(lambda name=name: work(name)) for name in ("one", "two")]  # type: ignore[misc]
    assert [ended(child) for child in children] == [True, True]
    assert signer.check() == 30 * 3
    # Each of 90 seeds in 60 steps went to one; the other was told, as for a late `make`.
    assert sum(int(told) for [told] in lines(tmp_path / "told")) >= 60


def test_a_full_disk_uses_no_seed_twice(tmp_path: Path) -> None:
    signer = Signer(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for attempt, limit in enumerate(range(0, 500, 20), 1):
            signer.store.pending()
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
            with contextlib.suppress(HostError):
                signer.store.make(SESSION, attempt, STEPS)
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signer.publish(attempt)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
            with contextlib.suppress(HostError):
                signer.store.burn(SESSION, attempt, 2, request_of("lost", attempt))
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            # What does not fit into the marker leaves the seeds as they were.
            if limit < 65:
                signer.answer(attempt, 2, request_of("second", attempt))
            signer.answer(attempt, 3, request_of("second", attempt))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert signer.check() == 25 + 2 * 4
    assert not list(signer.store.folder.glob(".*.tmp"))
