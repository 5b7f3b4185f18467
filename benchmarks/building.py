"""What a build costs besides its own commands: container, environment, and looking at differences.

Needs an engine and what `make demo` leaves: the environment of gzip, and its store.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

from measure import RELSIGN, compare, pairs, show, wall

from relsign.build.engine.connection import Engine, connect
from relsign.build.engine.container import HostSettings, open_container
from relsign.build.profile import Profile, load_profile
from relsign.build.sandbox.view import missing_knobs
from relsign.build.store import Store
from relsign.build.target import Bench, Listener, prepare_image
from relsign.system.workspace import Workspace

TOP = Path(__file__).resolve().parent.parent
STORE = TOP / "out" / "demo" / "store-a"
BUILDER = "debian-c"
LIVES = 9
ADDED_SECONDS = 0.3
ADDED_CPU = 1.05
LOOP = "i=0; while [ $i -lt 2000000 ]; do i=$((i+1)); done; times"
TIMES = re.compile(rb"(\d+)m([\d.]+)s (\d+)m([\d.]+)s")


def measure(scratch: Path) -> None:
    """Print the rows of this subject."""
    workspace, profile = Workspace(TOP), load_profile()
    lock = workspace.lock(BUILDER)
    with connect(os.environ) as engine:
        bench = Bench(engine, Store(STORE), scratch / "bound", 0)
        image = prepare_image(bench, lock, Listener(*[lambda _: None] * 3))
        _container(engine, image, profile, scratch)
        started = time.perf_counter()
        prepare_image(bench, lock, Listener(*[lambda _: None] * 3))
        took = time.perf_counter() - started
    show("environment that is there / one second", (f"{took * 1000:.0f} ms", "1.0 s"), took, 1.0)
    _unchanged(scratch)
    _differences(scratch)


def _container(engine: Engine, image: str, profile: Profile, scratch: Path) -> None:
    """Compare with plain `docker run` of the same words: whole life, and CPU inside."""
    plain = ["docker", "run", "--rm", "--network=none", image]
    mine, theirs = [], []
    for _ in range(LIVES):
        mine.append(_seconds(lambda: _live(engine, image, profile, scratch, "true")))
        theirs.append(_seconds(lambda: _run([*plain, "true"])))
    ours, other = statistics.median(mine), statistics.median(theirs)
    show(
        "a container's life / docker run --rm, time",
        (f"{ours * 1000:.0f} ms", f"{other * 1000:.0f} ms"),
        ours / other,
        (other + ADDED_SECONDS) / other,
    )
    cpu = [
        (
            _cpu(_live(engine, image, profile, scratch, LOOP)),
            _cpu(_run([*plain, "sh", "-c", LOOP])),
        )
        for _ in range(3)
    ]
    show(
        "a loop in a container / in docker run, CPU",
        (f"{cpu[0][0]:.2f} s", f"{cpu[0][1]:.2f} s"),
        statistics.median(ours / other for ours, other in cpu),
        ADDED_CPU,
    )


def _live(engine: Engine, image: str, profile: Profile, scratch: Path, command: str) -> bytes:
    """Start a container as a build does, run one command, remove it; return what it said."""
    said = bytearray()
    settings = HostSettings(scratch / "bound", profile.variables({}, 0))
    with open_container(engine, image, profile, settings) as container:
        missing_knobs(container, profile)
        container.execute((*profile.wrapper, profile.build_folder, command), said.extend)
    return bytes(said)


def _run(words: list[str]) -> bytes:
    return subprocess.run(words, check=True, capture_output=True).stdout


def _cpu(said: bytes) -> float:
    """Return the seconds of the shell's own `times`, user and system."""
    found = TIMES.search(said)
    if found is None:
        sys.exit(f"no times in {said[-200:]!r}")
    minutes, seconds, more_minutes, more_seconds = (float(part) for part in found.groups())
    return 60 * (minutes + more_minutes) + seconds + more_seconds


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _unchanged(scratch: Path) -> None:
    """Build an example, then ask for it again, as a person does."""
    project = scratch / "project"
    shutil.copytree(TOP / "examples" / "gzip", project)
    shutil.copytree(TOP / "builders", project / "builders")
    shutil.copytree(TOP / "keys" / "upstream", project / "keys" / "upstream")
    words = [RELSIGN, "build", "--project", project, "--store", STORE]
    subprocess.run(words, check=True, capture_output=True)
    took = statistics.median(
        _seconds(lambda: subprocess.run(words, check=True, capture_output=True)) for _ in range(5)
    )
    sides = (f"{took * 1000:.0f} ms", "1.0 s")
    show("relsign build of what is built / one second", sides, took, 1.0)


def _differences(scratch: Path) -> None:
    """Two tars of 20 MB in which one file differs."""
    for name, last in (("one.tar", b"a"), ("two.tar", b"b")):
        with tarfile.open(scratch / name, "w") as tar:
            for number in range(200):
                data = (b"%d\n" % number) * 20_000 + (last if number == 100 else b"")  # noqa: PLR2004 - one of them
                member = tarfile.TarInfo(f"folder/{number:03}.txt")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    ours = ["sh", "-c", f"{RELSIGN} diff --no-diffoscope one.tar two.tar || test $? = 1"]
    theirs = ["sh", "-c", "diffoscope one.tar two.tar || test $? = 1"]
    compare(
        "relsign diff of 20 MB tars / diffoscope, time", pairs(ours, theirs, scratch, 3), 0.1, wall
    )
