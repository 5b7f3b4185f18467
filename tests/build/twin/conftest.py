"""The small test image with the one library more that the other clock needs."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from relsign.build.engine.connection import Engine
from relsign.build.engine.image import ensure_image
from relsign.build.target import allowed_cpus
from relsign.build.twin.faketime import find_faketime
from relsign.build.twin.knobs import Machine
from relsign.build.twin.machine import look_at_machine
from relsign.formats.names import Digest
from tests.build.conftest import RootFs
from tests.build.twin.checking import CheckRoom


@pytest.fixture(scope="session")
def twin_image(engine: Engine, rootfs: RootFs, tmp_path_factory: pytest.TempPathFactory) -> str:
    assert find_faketime() is not None, "apt-get install libfaketime"
    path = tmp_path_factory.mktemp("twin") / "rootfs.tar"
    shutil.copy(rootfs.path, path)
    library = next(Path("/usr/lib").glob("*-linux-gnu/libm.so.6"))
    with tarfile.open(path, "a", format=tarfile.USTAR_FORMAT) as tar, library.open("rb") as data:
        member = tarfile.TarInfo(str(library).removeprefix("/"))
        member.size, member.mode = library.stat().st_size, 0o755
        tar.addfile(member, data)
    digest = Digest(hashlib.sha256(path.read_bytes()).hexdigest())
    return ensure_image(engine, digest, lambda: contextlib.nullcontext(path))


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return look_at_machine(tmp_path_factory.mktemp("machine"), allowed_cpus(), datetime.now(UTC))


@pytest.fixture
def checks(engine: Engine, twin_image: str, machine: Machine, tmp_path: Path) -> CheckRoom:
    return CheckRoom(engine, twin_image, tmp_path, machine)
