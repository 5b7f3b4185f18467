"""A folder has one list, and what could mean two things is refused."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from relsign.build.hasher import Tree, hash_tree
from relsign.errors import InputError


def write(root: Path, path: str, data: bytes = b"x", mode: int = 0o644) -> None:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    place.chmod(mode)


def paths(tree: Tree) -> list[str]:
    return [file.path for file in tree.files]


def test_files_have_digest_size_and_mode(tmp_path: Path) -> None:
    write(tmp_path, "bin/run", b"hello", 0o755)
    (file,) = hash_tree(tmp_path).files
    assert (file.path, file.size, file.mode) == ("bin/run", 5, 0o755)
    assert file.sha256 == hashlib.sha256(b"hello").hexdigest()


def test_order_is_by_the_bytes_of_the_path(tmp_path: Path) -> None:
    names = ["b", "a/z", "a.txt", "a-b/c", "a/b", "é", "Z"]
    for name in names:
        write(tmp_path, name)
    assert paths(hash_tree(tmp_path)) == sorted(names, key=str.encode)


def test_many_files_come_in_the_same_order_from_both_workers(tmp_path: Path) -> None:
    names = [f"{number:04}" for number in range(1200)]
    for name in names:
        write(tmp_path, name, name.encode())
    tree = hash_tree(tmp_path)
    assert paths(tree) == names
    assert all(f.sha256 == hashlib.sha256(f.path.encode()).hexdigest() for f in tree.files)


def test_an_empty_folder_is_an_empty_list(tmp_path: Path) -> None:
    (tmp_path / "only" / "folders").mkdir(parents=True)
    assert hash_tree(tmp_path) == Tree((), (), ("only", "only/folders"))


@pytest.mark.parametrize("target", ["a", "../top", "./sub/../a", "missing"])
def test_links_inside_are_listed_as_they_are(tmp_path: Path, target: str) -> None:
    write(tmp_path, "sub/a")
    write(tmp_path, "top")
    (tmp_path / "sub" / "link").symlink_to(target)
    (link,) = hash_tree(tmp_path).links
    assert (link.path, link.target) == ("sub/link", target)


@pytest.mark.parametrize("target", ["/etc/passwd", "../..", "../../x", "sub/../../../etc", "up/.."])
def test_links_that_lead_out_are_refused(tmp_path: Path, target: str) -> None:
    root = tmp_path / "root"
    write(root, "sub/a")
    (root / "sub" / "up").symlink_to("..")
    (root / "sub" / "link").symlink_to(target)
    with pytest.raises(InputError, match="leads out of the folder"):
        hash_tree(root)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"), [(os.mkfifo, "fifo"), (make_socket, "socket")], ids=["fifo", "socket"]
)
def test_special_files_are_refused_without_hanging(
    tmp_path: Path, make: Callable[[Path], None], kind: str
) -> None:
    make(tmp_path / "odd")
    with pytest.raises(InputError, match=kind):
        hash_tree(tmp_path)


@pytest.mark.parametrize(
    ("one", "two"),
    [("README", "readme"), ("é", "e\u0301"), ("straße", "STRASSE"), ("É", "e\u0301")],
)
def test_names_that_collide_elsewhere_are_refused(tmp_path: Path, one: str, two: str) -> None:
    write(tmp_path, f"sub/{one}")
    write(tmp_path, f"sub/{two}")
    with pytest.raises(InputError, match="two names are the same"):
        hash_tree(tmp_path)


def test_same_name_in_two_folders_is_fine(tmp_path: Path) -> None:
    write(tmp_path, "a/readme")
    write(tmp_path, "b/README")
    assert paths(hash_tree(tmp_path)) == ["a/readme", "b/README"]


def test_a_folder_collides_with_a_file(tmp_path: Path) -> None:
    write(tmp_path, "Doc/a")
    write(tmp_path, "doc")
    with pytest.raises(InputError, match="two names are the same"):
        hash_tree(tmp_path)


def test_names_that_are_not_utf8_are_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"bad\xff")).write_bytes(b"")
    with pytest.raises(InputError, match="not UTF-8"):
        hash_tree(tmp_path)
