"""A running engine, and a root file system made of this machine's own programs.

The real environments are built from their locks elsewhere; here a shell and the
tools a build needs are enough, and no network is.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from relsign.build.engine.connection import Engine, connect
from relsign.build.engine.image import ensure_image
from relsign.errors import HostError
from relsign.formats.names import Digest
from tests.build.engine_tool import podman_started
from tests.build.room import Room

PROGRAMS = (
    "sh", "basename", "cat", "chmod", "cp", "date", "dd", "env", "false", "getconf", "grep",
    "gzip", "head", "hostname", "id", "ln", "ls", "mkdir", "mkfifo", "mknod", "mv", "nproc",
    "pwd", "readlink", "rm", "setarch", "sleep", "sort", "stat", "tail", "tar", "touch", "tr",
    "true", "truncate", "uname",
)  # fmt: skip
FOLDERS = ("build", "dev", "etc", "proc", "root", "run", "sys", "tmp", "usr/bin", "usr/lib",
           "usr/lib64", "usr/sbin", "var/tmp")  # fmt: skip
LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64", "sbin": "usr/sbin"}


def _libraries(program: Path) -> set[Path]:
    """Return the shared libraries a program needs, and its loader."""
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return {Path(path) for path in re.findall(r"(/[^\s()]+)", done.stdout)}


def _add(tar: tarfile.TarFile, name: str, kind: bytes, data: bytes = b"", link: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.type, member.size, member.mode, member.linkname = kind, len(data), 0o755, link
    tar.addfile(member, io.BytesIO(data))


@dataclass(frozen=True)
class RootFs:
    path: Path
    sha256: Digest


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> RootFs:
    path = tmp_path_factory.mktemp("rootfs") / "rootfs.tar"
    found = [shutil.which(name) for name in PROGRAMS]
    programs = [Path(place) for place in found if place]
    assert len(programs) == len(PROGRAMS), "a program of PROGRAMS is missing on this machine"
    libraries = set().union(*map(_libraries, programs))
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for folder in (".", *FOLDERS):
            _add(tar, folder, tarfile.DIRTYPE)
        for name, target in LINKS.items():
            _add(tar, name, tarfile.SYMTYPE, link=target)
        for name in ("cpuinfo", "passwd", "group", "hosts", "hostname", "resolv.conf"):
            _add(tar, f"etc/{name}", tarfile.REGTYPE)
        for name, program in zip(PROGRAMS, programs, strict=True):
            _add(tar, f"usr/bin/{name}", tarfile.REGTYPE, program.read_bytes())
        for library in sorted(libraries):
            place = str(library).removeprefix("/")
            place = place if place.startswith("usr/") else f"usr/{place}"
            _add(tar, place, tarfile.REGTYPE, library.read_bytes())
    return RootFs(path, Digest(hashlib.sha256(path.read_bytes()).hexdigest()))


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Connect as the program does; without an engine the test fails and says how to start one."""
    try:
        connection = connect(os.environ)
    except HostError as error:
        pytest.fail(f"{error}; {error.hint}")
    with connection:
        yield connection


@pytest.fixture(scope="session")
def image(engine: Engine, rootfs: RootFs) -> str:
    return ensure_image(engine, rootfs.sha256, lambda: contextlib.nullcontext(rootfs.path))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def room(engine: Engine, image: str, cache: Path, tmp_path: Path) -> Room:
    return Room(engine, image, cache, tmp_path / "out")


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Make a folder whose name is short enough for sockets; pytest's are too long."""
    with tempfile.TemporaryDirectory(prefix="rs") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def podman() -> Iterator[Engine]:
    with podman_started() as url, connect({"DOCKER_HOST": url}) as connection:
        yield connection


@pytest.fixture(scope="session")
def podman_image(podman: Engine, rootfs: RootFs) -> str:
    return ensure_image(podman, rootfs.sha256, lambda: contextlib.nullcontext(rootfs.path))


@pytest.fixture
def podman_room(podman: Engine, podman_image: str, cache: Path, tmp_path: Path) -> Room:
    return Room(podman, podman_image, cache, tmp_path / "podman")


@pytest.fixture(params=["room", "podman_room"])
def either_room(request: pytest.FixtureRequest) -> Room:
    """Give a test a room in Docker, then one in Podman."""
    found: Room = request.getfixturevalue(request.param)
    return found
