"""Environments: exactly the locked files become exactly the locked root file system."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from relsign.build.bootstrap import bootstrap
from relsign.build.inputs.environment import archive_file, fetch_environment, missing_files
from relsign.build.store import Store
from relsign.errors import HostError, InputError, NotEnoughError, VerificationError
from relsign.formats.lock import BuilderLock, LockedPackage, LockedWheel, RootFileSystem, parse_lock
from relsign.formats.names import Digest

TOP = Path(__file__).resolve().parent.parent.parent
LOCK_FILE = TOP / "builders/debian-python/builder.lock"
BOOTSTRAP = """
import sys
from pathlib import Path
from relsign.build.bootstrap import bootstrap
from relsign.build.store import Store
from relsign.formats.lock import parse_lock
lock = parse_lock(Path(sys.argv[1]).read_bytes())
print("ready", flush=True)
bootstrap(lock, Store(Path(sys.argv[2])), Path(sys.argv[3]))
"""


def package(name: str, data: bytes) -> LockedPackage:
    return LockedPackage(
        name=name,
        version="1.0",
        architecture="all",
        sha256=Digest(hashlib.sha256(data).hexdigest()),
        size=len(data),
        path=f"pool/main/z/{name}/{name}_1.0_all.deb",
    )


def small_lock(*names: str) -> BuilderLock:
    return BuilderLock(
        builder="b",
        definition_sha256=Digest("0" * 64),
        suite="bookworm",
        architecture="amd64",
        source_date_epoch=0,
        packages=tuple(package(name, name.encode()) for name in names),
        wheels=(),
        rootfs=RootFileSystem(sha256=Digest("0" * 64), size=0),
    )


def test_what_is_all_there_needs_no_network(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    lock = small_lock("aa", "bb")
    assert missing_files(lock, store) == (lock.packages[0].path, lock.packages[1].path)
    for name in ("aa", "bb"):
        (tmp_path / name).write_text(name)
        store.add_file(tmp_path / name)
    assert missing_files(lock, store) == ()
    fetch_environment(lock, store, ["not a mirror, and never looked at"])


def test_a_package_is_bound_to_its_line_of_the_lock() -> None:
    file = archive_file(package("aa", b"aa"))
    assert (file.path, file.size) == ("pool/main/z/aa/aa_1.0_all.deb", 2)
    assert file.where == "builder.lock: package aa"


def test_a_root_is_not_made_of_missing_files(tmp_path: Path) -> None:
    destination = tmp_path / "out" / "rootfs.tar"
    with pytest.raises(NotEnoughError, match="not in the store"):
        bootstrap(small_lock("aa"), Store(tmp_path / "store"), destination)
    assert list(destination.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "what"),
    [("front-1.0.data/scripts/run", ".data folder"), ("../../etc/passwd", "archive refused")],
)
def test_a_wheel_that_would_spread_over_the_system_is_refused(
    tmp_path: Path, name: str, what: str
) -> None:
    with zipfile.ZipFile(tmp_path / "wheel", "w") as archive:
        archive.writestr(name, "x")
    store = Store(tmp_path / "store")
    stored = store.add_file(tmp_path / "wheel")
    wheel = LockedWheel(
        name="front",
        version="1.0",
        file="front-1.0-py3-none-any.whl",
        sha256=stored.sha256,
        size=stored.size,
    )
    lock = msgspec.structs.replace(small_lock("aa"), wheels=(wheel,))
    with pytest.raises(InputError, match=what) as caught:
        bootstrap(lock, store, tmp_path / "out" / "rootfs.tar")
    assert caught.value.where == "builder.lock: wheel front-1.0-py3-none-any.whl"


def test_a_temporary_folder_that_a_shell_would_split_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "two words").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "two words"))
    with pytest.raises(HostError) as caught:
        bootstrap(small_lock("aa"), Store(tmp_path / "store"), tmp_path / "rootfs.tar")
    assert "TMPDIR" in caught.value.hint


# --- the real ones: these fetch from the machine's archive and run mmdebstrap -------------------


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    folder = tempfile.mkdtemp(prefix="relsign-test-")
    yield Store(Path(folder, "store"))
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def lock(store: Store) -> BuilderLock:
    lock = parse_lock(LOCK_FILE.read_bytes())
    fetch_environment(lock, store)
    return lock


@pytest.mark.engine
def test_every_missing_package_is_named_at_once(tmp_path: Path) -> None:
    lock = small_lock("no-such-relsign-package", "nor-this-one")
    with pytest.raises(HostError) as caught:
        fetch_environment(lock, Store(tmp_path / "store"))
    assert all(package.path in caught.value.what for package in lock.packages)


@pytest.mark.engine
def test_the_locked_files_become_the_locked_root(
    tmp_path: Path, store: Store, lock: BuilderLock
) -> None:
    destination = tmp_path / "rootfs.tar"
    bootstrap(lock, store, destination)
    with tarfile.open(destination) as archive:
        members = {member.name: member for member in archive}
    assert members["./etc/resolv.conf"].size == 0
    assert members["./usr/lib/relsign/python/hatchling/build.py"].mode == 0o644
    assert members["./usr/lib/relsign/python"].uid == 0
    assert not [name for name in members if ".data/" in name and "relsign/python" in name]
    assert max(member.mtime for member in members.values()) <= lock.source_date_epoch


@pytest.mark.engine
def test_the_callers_machine_does_not_enter_and_another_root_is_refused(
    tmp_path: Path, store: Store, lock: BuilderLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = msgspec.structs.replace(lock, rootfs=RootFileSystem(sha256=Digest("1" * 64), size=1))
    elsewhere = tempfile.mkdtemp(prefix="another-", dir="/var/tmp")
    for name, value in (("TZ", "Asia/Tokyo"), ("LC_ALL", "C"), ("TMPDIR", elsewhere)):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir("/")
    monkeypatch.setattr(tempfile, "tempdir", None)
    before = os.umask(0o077)
    try:
        with pytest.raises(VerificationError) as caught:
            bootstrap(wrong, store, tmp_path / "rootfs.tar")
    finally:
        os.umask(before)
    assert caught.value.got == f"{lock.rootfs.sha256} of {lock.rootfs.size} bytes"
    assert list(tmp_path.iterdir()) == []
    assert list(Path(elsewhere).iterdir()) == []
    Path(elsewhere).rmdir()


@pytest.mark.engine
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_bootstrap_leaves_no_process_and_no_file(
    tmp_path: Path, store: Store, lock: BuilderLock, number: signal.Signals
) -> None:
    assert lock.packages
    destination = tmp_path / "out" / "rootfs.tar"
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    words: list[str | Path] = [sys.executable, "-c", BOOTSTRAP, LOCK_FILE, store.root, destination]
    environment = {**os.environ, "TMPDIR": str(temporary), "PYTHONPATH": str(TOP)}
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        wait_for(lambda: running(temporary))
        child.send_signal(number)
        child.wait(30)
    wait_for(lambda: not running(temporary))
    assert not destination.exists()
    if number == signal.SIGINT:
        assert list(temporary.iterdir()) == []
        assert list(destination.parent.iterdir()) == []
    # Nothing is mounted below what is left, so removing it is safe.
    assert str(temporary) not in Path("/proc/self/mountinfo").read_text()


def running(folder: Path) -> bool:
    """Say whether mmdebstrap runs with that folder in its command line."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if b"mmdebstrap" in words and os.fsencode(folder) in words:
            return True
    return False


def wait_for(condition: object) -> None:
    assert callable(condition)
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError
