"""Engines of our own that a test may kill, fill or cut off, and a build that sees it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from relsign.build.engine.connection import Engine, connect
from relsign.build.profile import load_profile
from relsign.build.run import BuildRequest, run_build
from relsign.errors import HostError
from relsign.system.process import PATH
from tests.build.room import make_target

CAN_START = os.geteuid() == 0 and shutil.which("dockerd", path=PATH) is not None
"""Only root can start an engine of its own."""


def build_until_death(
    engine: Engine, image: str, folder: Path, die: Callable[[], None]
) -> HostError:
    """Run a build whose engine dies at its second command; expect a HostError and no output."""

    def watch(chunk: bytes) -> None:
        if b"go" in chunk:
            die()

    request = BuildRequest(
        target=make_target("touch a", "echo go; sleep 100", artifacts=("a",)),
        sources=(),
        directory="",
        output=folder / "made",
        cache=folder / "cache",
        on_log=watch,
        on_event=lambda _: None,
    )
    with pytest.raises(HostError) as caught:
        run_build(engine, image, load_profile(), request)
    assert "engine" in caught.value.what
    assert caught.value.hint
    assert list((folder / "made").iterdir()) == []
    return caught.value


class PrivateEngine:
    """A dockerd with everything it has below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"unix://{folder}/s"
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        (self.folder / "s").unlink(missing_ok=True)
        (self.folder / "pid").unlink(missing_ok=True)
        command = [
            "dockerd", f"--host={self.url}", f"--pidfile={self.folder}/pid",
            f"--data-root={self.folder}/data", f"--exec-root={self.folder}/x",
            "--bridge=none", "--iptables=false",
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        for _ in range(300):
            with contextlib.suppress(HostError), connect({"DOCKER_HOST": self.url}):
                break
            time.sleep(0.1)
        return process

    def kill(self) -> None:
        """End it and nothing it started, as the kernel does when memory runs out."""
        self.process.kill()
        self.process.wait()

    def start_again(self) -> None:
        """Start it again on the same data, as after a boot."""
        end_processes(self.folder)
        unmount_below(self.folder)
        shutil.rmtree(self.folder / "x")
        self.process = self._start()

    def end(self) -> None:
        """End it with all it started, and unmount its folders."""
        self.kill()
        end_processes(self.folder)
        unmount_below(self.folder)


@contextlib.contextmanager
def private_engine(folder: Path) -> Iterator[PrivateEngine]:
    """Start a dockerd of our own, and end it with all it started."""
    engine = PrivateEngine(folder)
    try:
        yield engine
    finally:
        engine.end()


def end_processes(folder: Path) -> None:
    """End containerd, shims and containers that a killed dockerd left."""
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{folder}/".encode() in (place / "cmdline").read_bytes():
                # A container's own processes do not name the folder; their shim is their parent.
                children = (place / "task" / place.name / "children").read_text().split()
                for process in (*children, place.name):
                    os.kill(int(process), 9)
    time.sleep(0.5)


def unmount_below(folder: Path) -> None:
    """Unmount everything below a folder, the deepest first."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    places = [line.split()[4] for line in mounts if line.split()[4].startswith(f"{folder}/")]
    for mounted in sorted(places, key=len, reverse=True):
        subprocess.run(["umount", "-l", mounted], check=False, capture_output=True)
