"""Files are read bounded and written whole; odd ones are refused without hanging."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from relsign.errors import HostError, InputError, NotEnoughError
from relsign.formats.names import Digest
from relsign.system.files import (
    READ_BYTES,
    HashedFile,
    copy_hashed,
    hash_file,
    make_folder,
    new_file,
    read_bounded,
    write_whole,
)
from relsign.system.hashing import LARGE_BYTES, hash_files


def odd(folder: Path, kind: str) -> Path:
    path = folder / kind
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "link":
            (folder / "target").write_bytes(b"x")
            path.symlink_to(folder / "target")
        case "folder":
            path.mkdir()
        case "socket":
            with socket.socket(socket.AF_UNIX) as line:
                line.bind(os.fspath(path))
        case _:
            return Path("/dev/zero")
    return path


@pytest.mark.parametrize("kind", ["fifo", "link", "folder", "socket", "device"])
def test_only_regular_files_are_read(tmp_path: Path, kind: str) -> None:
    path = odd(tmp_path, kind)
    with pytest.raises(InputError, match="not a regular file"):
        read_bounded(path, 10)
    with pytest.raises(InputError):
        hash_file(path)
    with pytest.raises(InputError):
        copy_hashed(path, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("name", ["absent", "file/below"])
def test_an_absent_file_is_missing_evidence(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotEnoughError, match="no such file"):
        read_bounded(tmp_path / name, 10)


def test_reading_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_bounded(path, 5) == b"12345"
    with pytest.raises(InputError, match="too large"):
        read_bounded(path, 4)


def test_a_copy_is_hashed_as_it_is_written(tmp_path: Path) -> None:
    source = tmp_path / "a"
    data = os.urandom(3 << 20)
    source.write_bytes(data)
    source.chmod(0o700)
    copied = copy_hashed(source, tmp_path / "b")
    assert copied.sha256 == hashlib.sha256(data).hexdigest() == hash_file(tmp_path / "b").sha256
    assert copied.size == len(data)
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o755


SIZES = (0, 1, LARGE_BYTES - 1, LARGE_BYTES, READ_BYTES - 1, READ_BYTES, 3 * READ_BYTES + 1)


@pytest.mark.parametrize("size", SIZES)
def test_a_file_of_any_size_is_hashed_whole(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    path = tmp_path / "a"
    path.write_bytes(data)
    path.chmod(0o640)
    assert hash_file(path) == HashedFile(
        Digest(hashlib.sha256(data).hexdigest()), size, 0o640
    ) == hash_files([path])[0]  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_many_files_come_back_in_their_order(tmp_path: Path, count: int) -> None:
    paths = [tmp_path / f"{size}-{n}" for n in range(count) for size in SIZES]
    for path in paths:
        path.write_bytes(path.name.encode() * int(path.name.partition("-")[0]))
    hashed = hash_files([*reversed(paths), *paths])
    assert hashed == tuple(hash_file(path) for path in [*reversed(paths), *paths])


@pytest.mark.parametrize("kind", ["fifo", "link", "folder", "socket", "device"])
def test_one_file_among_many_that_cannot_be_read(tmp_path: Path, kind: str) -> None:
    good = tmp_path / "good"
    good.write_bytes(b"x" * LARGE_BYTES)
    for path, error in ((odd(tmp_path, kind), InputError), (tmp_path / "no", NotEnoughError)):
        with pytest.raises(error, match=path.name):
            hash_files([good, path, good, tmp_path / "absent as well"])


def test_an_interrupt_ends_all_workers(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(200)]
    for path in paths:
        path.touch()
        os.truncate(path, 8 << 20)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with pytest.raises(KeyboardInterrupt):
            hash_files(paths)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert threading.active_count() == 1


def test_a_new_file_never_replaces_one(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(HostError, match="exists"), new_file(path) as stream:
        stream.write(b"new")
    assert path.read_bytes() == b"old"


def test_writing_is_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_whole(path, b"old")
    with pytest.raises(TypeError):
        write_whole(path, "not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_full_disk_leaves_the_old_file() -> None:
    full = Path("/dev/full")
    with pytest.raises(HostError):
        write_whole(full / "a", b"x")


def test_writing_through_a_link_replaces_the_link(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    path = tmp_path / "a"
    path.symlink_to(target)
    write_whole(path, b"new")
    assert target.read_bytes() == b"precious"
    assert not path.is_symlink()


def test_a_folder_where_a_file_stands_is_this_machines_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(HostError):
        make_folder(tmp_path / "file" / "folder")
