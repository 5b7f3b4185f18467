"""A build that never ends, in a process of its own that a test may kill."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from relsign.build.engine.leftovers import remove_leftovers
from relsign.errors import HostError
from tests.build.room import Room


@contextlib.contextmanager
def endless_build(room: Room) -> Iterator[subprocess.Popen[bytes]]:
    """Start the build and wait for its first command; kill it at the end and remove it."""
    script = Path(__file__).with_name("endless_build.py")
    environment = {**os.environ, "DOCKER_HOST": room.engine.url}
    environment["PYTHONPATH"] = str(script.parent.parent.parent)
    command: list[str | Path] = [sys.executable, script, room.image, room.cache]
    command.append(room.folder / "endless")
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"it runs\n"
            yield process
        finally:
            process.kill()
    # A test may have ended the engine too.
    with contextlib.suppress(HostError):
        remove_leftovers(room.engine)
