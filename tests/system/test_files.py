"""Files are read bounded and written whole; odd ones are refused without hanging."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest

from relsign.errors import HostError, InputError, NotEnoughError
from relsign.system.files import (
    copy_hashed,
    hash_file,
    make_folder,
    new_file,
    read_bounded,
    write_whole,
)


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
