"""tools/engine: uses what runs, starts only its own, ends only its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from relsign.build.engine.connection import Engine, connect
from relsign.build.engine.image import ensure_image
from relsign.build.engine.leftovers import list_containers
from relsign.errors import HostError
from relsign.system.process import PATH
from tests.build.conftest import RootFs
from tests.build.endless import endless_build
from tests.build.engine_tool import ENGINE_TOOL, run_tool
from tests.build.room import Room


class Checkout:
    """A folder with a copy of the tool in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.make()

    def make(self) -> None:
        (self.folder / "tools").mkdir(parents=True)
        shutil.copy(ENGINE_TOOL, self.folder / "tools" / "engine")

    def run(self, words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return run_tool(self.folder / "tools" / "engine", *words.split(), **variables)

    def start(self, kind: str = "") -> str:
        done = self.run(f"start {kind}")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def answers(url: str) -> bool:
    try:
        with connect({"DOCKER_HOST": url}):
            return True
    except HostError:
        return False


@pytest.mark.engine
def test_a_running_engine_is_used_and_left_alone(engine: Engine, tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    for word in ("start", "url"):
        assert checkout.run(word, DOCKER_HOST=engine.url).stdout == f"{engine.url}\n"
    status = checkout.run("status", DOCKER_HOST=engine.url)
    assert (status.returncode, status.stdout) == (0, f"running: {engine.url} (found)\n")
    assert checkout.run("stop", DOCKER_HOST=engine.url).returncode == 0
    assert answers(engine.url)
    assert not (tmp_path / "out").exists()


@pytest.mark.engine
def test_another_engine_that_runs_is_used_and_left_alone(podman: Engine, tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    for word in ("start podman", "url podman"):
        done = checkout.run(word, RELSIGN_OTHER_ENGINE=podman.url)
        assert done.stdout == f"{podman.url}\n"
    assert checkout.run("stop", RELSIGN_OTHER_ENGINE=podman.url).returncode == 0
    assert answers(podman.url)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "words", ["", "destroy", "start lxc", "start docker podman", "start:docker"]
)
def test_a_wrong_word_says_which_there_are(tmp_path: Path, words: str) -> None:
    done = Checkout(tmp_path).run(words)
    assert done.returncode == 1
    expected = "usage: tools/engine start|stop|status|url [docker|podman]"
    assert done.stderr == f"tools/engine: {expected}\n"


def can_start_its_own() -> bool:
    """Say whether `start` would start an engine here: as root, with none at a usual place."""
    quiet = not any(Path(p).is_socket() for p in ("/run/docker.sock", "/run/podman/podman.sock"))
    return os.geteuid() == 0 and quiet and shutil.which("dockerd", path=PATH) is not None


if can_start_its_own():

    @pytest.fixture(params=["short", "deep/" + "x" * 90])
    def checkout(request: pytest.FixtureRequest) -> Iterator[Checkout]:
        name: str = request.param
        # pytest's own folder names are too long for the short case, and /run is a
        # file system an engine cannot use.
        top = Path(tempfile.mkdtemp(prefix="rs"))
        checkout = Checkout(top / name)
        try:
            yield checkout
        finally:
            assert checkout.run("stop").returncode == 0
            shutil.rmtree(top)

    @pytest.mark.engine
    def test_start_twice_and_stop(checkout: Checkout) -> None:
        assert checkout.run("url").returncode == 1
        assert checkout.run("status").stdout == "not running\n"
        url = checkout.start()
        assert len(url.removeprefix("unix://")) < 100
        assert answers(url)
        pid = (checkout.folder / "out/engine/dockerd.pid").read_text()
        assert checkout.start() == url
        assert (checkout.folder / "out/engine/dockerd.pid").read_text() == pid
        assert checkout.run("status").stdout == f"running: {url} (started by this checkout)\n"
        assert checkout.run("stop").returncode == 0
        assert not answers(url)
        assert not Path(url.removeprefix("unix://")).exists()
        assert str(checkout.folder) not in Path("/proc/self/mountinfo").read_text()

    @pytest.mark.engine
    def test_two_kinds_side_by_side(checkout: Checkout) -> None:
        podman = checkout.start("podman")
        assert len(podman.removeprefix("unix://")) < 100
        assert checkout.start("podman") == podman
        with connect({"DOCKER_HOST": podman}) as connection:
            assert connection.kind == "podman"
        said = checkout.run("status podman").stdout
        assert said == f"running: {podman} (started by this checkout)\n"
        assert checkout.run("status").stdout == "not running\n"
        docker = checkout.start()
        assert checkout.run("stop podman").returncode == 0
        assert [answers(docker), answers(podman)] == [True, False]
        checkout.start("podman")
        assert checkout.run("stop").returncode == 0
        assert [answers(docker), answers(podman)] == [False, False]
        assert str(checkout.folder) not in Path("/proc/self/mountinfo").read_text()

    @pytest.mark.engine
    def test_a_stale_pid_file_ends_nobody(checkout: Checkout) -> None:
        state = checkout.folder / "out" / "engine"
        state.mkdir(parents=True)
        (state / "dockerd.pid").write_text(str(os.getpid()))
        assert checkout.run("stop").returncode == 0

    @pytest.mark.engine
    def test_a_killed_engine_is_replaced(checkout: Checkout) -> None:
        checkout.start()
        pid = int((checkout.folder / "out/engine/dockerd.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        assert answers(checkout.start())

    @pytest.mark.engine
    def test_containers_of_a_killed_engine_end(
        checkout: Checkout, rootfs: RootFs, cache: Path
    ) -> None:
        with connect({"DOCKER_HOST": checkout.start()}) as engine:
            image = ensure_image(engine, rootfs.sha256, lambda: contextlib.nullcontext(rootfs.path))
            room = Room(engine, image, cache, checkout.folder / "room")
            with endless_build(room) as process:
                container = list_containers(engine)[0].identity
                assert processes_of(container)
                os.kill(int((checkout.folder / "out/engine/dockerd.pid").read_text()), 9)
                process.kill()
                assert checkout.run("stop").returncode == 0
                assert processes_of(container) == []

    def processes_of(container: str) -> list[str]:
        found = []
        for place in Path("/proc").glob("[0-9]*/cgroup"):
            with contextlib.suppress(OSError):
                if container in place.read_text():
                    found.append(place.parent.name)
        return found

    @pytest.mark.engine
    def test_a_checkout_that_was_deleted_meanwhile(checkout: Checkout) -> None:
        first = checkout.start()
        # Its mounts keep a few folders from going, as they would for anybody.
        shutil.rmtree(checkout.folder, ignore_errors=True)
        (checkout.folder / "tools").mkdir(parents=True, exist_ok=True)
        shutil.copy(ENGINE_TOOL, checkout.folder / "tools" / "engine")
        second = checkout.start()
        assert answers(second)
        assert checkout.run("stop").returncode == 0
        assert not answers(first)
        assert not answers(second)
