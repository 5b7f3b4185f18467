"""Engines that die, fill up or forget: one clear error, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

import msgspec
import pytest

from relsign.build.engine.connection import Engine, connect
from relsign.build.engine.image import ensure_image
from relsign.errors import HostError, InputError
from tests.build.conftest import RootFs
from tests.build.dying import (
    CAN_START,
    build_until_death,
    private_engine,
    unmount_below,
)
from tests.build.endless import endless_build
from tests.build.engine_tool import ENGINE_TOOL, run_tool
from tests.build.left import left_behind, objects_of
from tests.build.room import Room, make_target

pytestmark = pytest.mark.engine


FILL = "dd if=/dev/zero of=f bs=4M count=100"


@pytest.mark.parametrize(
    ("commands", "words"),
    [
        ((FILL,), "the build ran out of memory"),
        ((f"{FILL} | cat; exit 3",), "the build ran out of memory"),
        # What was not the memory's fault is not called so.
        (("dd if=/dev/zero of=f bs=1M count=60; exit 3",), "command failed"),
        (("kill -9 $$",), "command failed"),
    ],
)
def test_memory_full_of_files_is_said(
    commands: tuple[str, ...], words: str, either_room: Room
) -> None:
    room = either_room
    # So little that not even a `cat` starts once it is full.
    room.profile = msgspec.structs.replace(room.profile, memory_bytes=128 << 20)
    with pytest.raises(InputError) as caught:
        room.build(make_target(*commands, artifacts=("f",)))
    assert caught.value.what == words
    assert ("files in /build included" in caught.value.expected) == ("memory" in words)
    assert left_behind(room.engine) == 0


def test_a_container_that_memory_ended_as_a_whole_is_said(podman_room: Room) -> None:
    podman_room.profile = msgspec.structs.replace(podman_room.profile, memory_bytes=128 << 20)
    # Nothing stands out, so the kernel chooses among all programs, the first one included.
    with pytest.raises((InputError, HostError)) as caught:
        podman_room.build(make_target("cat /dev/zero >f", artifacts=("f",)))
    assert caught.value.what in {"the build ran out of memory", "the build's container was stopped"}
    said = f"{caught.value.expected} {caught.value.hint}"
    assert "at most 128 MiB, files in /build included" in said
    assert left_behind(podman_room.engine) == 0


def test_an_image_that_vanished_is_said(either_room: Room) -> None:
    room = either_room
    room.image = "sha256:" + "7" * 64
    with pytest.raises(HostError, match="image is gone from the engine") as caught:
        room.build(make_target("touch a", artifacts=("a",)))
    assert "run the same command again" in caught.value.hint
    assert left_behind(room.engine) == 0


def test_what_a_killed_process_left_in_podman_goes(podman_room: Room) -> None:
    with endless_build(podman_room) as process:
        assert objects_of(podman_room.engine, process.pid) == 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
        assert objects_of(podman_room.engine, process.pid) == 0
    with endless_build(podman_room) as process:
        process.kill()
        process.wait(60)
        assert objects_of(podman_room.engine, process.pid) == 2
        podman_room.say("true")
        assert objects_of(podman_room.engine, process.pid) == 0


if CAN_START:

    def load(engine: Engine, rootfs: RootFs) -> str:
        return ensure_image(engine, rootfs.sha256, lambda: contextlib.nullcontext(rootfs.path))

    def test_docker_killed_mid_build_and_started_again(rootfs: RootFs, short_folder: Path) -> None:
        with private_engine(short_folder) as own, connect({"DOCKER_HOST": own.url}) as engine:
            image = load(engine, rootfs)
            error = build_until_death(engine, image, short_folder, own.kill)
            assert "tools/engine status" in error.hint
            # Behind a dead engine nothing can be removed; the next run does it, and
            # here this process, the owner, still runs, so its objects are asked for.
            own.start_again()
            assert left_behind(engine) == 2
            room = Room(engine, image, short_folder / "cache", short_folder / "room")
            assert room.say("echo again") == "again\n"

    def test_podman_killed_mid_build(rootfs: RootFs, short_folder: Path) -> None:
        tool = short_folder / "tools" / "engine"
        tool.parent.mkdir()
        tool.write_bytes(ENGINE_TOOL.read_bytes())
        tool.chmod(0o755)
        url = run_tool(tool, "start", "podman").stdout.strip()
        service = podman_service(url)

        def die() -> None:
            os.kill(service, signal.SIGKILL)

        try:
            with connect({"DOCKER_HOST": url}) as engine:
                build_until_death(engine, load(engine, rootfs), short_folder, die)
                # `start` ends what the dead service's containers still run.
                assert run_tool(tool, "start", "podman").stdout.strip() == url
                image = load(engine, rootfs)
                room = Room(engine, image, short_folder / "cache", short_folder / "room")
                assert room.say("echo again") == "again\n"
        finally:
            assert run_tool(tool, "stop").returncode == 0
        assert str(short_folder) not in Path("/proc/self/mountinfo").read_text()

    def podman_service(url: str) -> int:
        """Return the process that listens at an address."""
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (place / "cmdline").read_bytes().split(b"\0")
                if url.encode() in words and b"service" in words:
                    return int(place.name)
        pytest.fail(f"nothing listens at {url}")

    def test_an_engine_out_of_disk(rootfs: RootFs, short_folder: Path) -> None:
        data = short_folder / "data"
        data.mkdir()
        size = (rootfs.path.stat().st_size >> 20) + 12
        options = ["-o", f"size={size}m"]
        subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", data], check=True)
        try:
            with private_engine(short_folder) as own, connect({"DOCKER_HOST": own.url}) as engine:
                filler = data / "filler"
                fill(filler, leave=2 << 20)
                with pytest.raises(HostError, match="space") as caught:
                    load(engine, rootfs)
                assert "disk is full" in caught.value.hint
                filler.unlink()
                image = load(engine, rootfs)
                fill(filler, leave=0)
                room = Room(engine, image, short_folder / "cache", short_folder / "room")
                with pytest.raises(HostError, match="space") as caught:
                    room.build(make_target("touch a", artifacts=("a",)))
                assert "disk is full" in caught.value.hint
                filler.unlink()
                assert left_behind(engine) == 0
                assert room.say("echo again") == "again\n"
        finally:
            unmount_below(short_folder)

    def fill(path: Path, leave: int) -> None:
        """Write a file that leaves so many bytes of its file system free."""
        free = os.statvfs(path.parent)
        os.truncate(path, 0) if path.exists() else path.touch()
        with path.open("r+b") as stream, contextlib.suppress(OSError):
            os.posix_fallocate(stream.fileno(), 0, max(free.f_bavail * free.f_frsize - leave, 1))
