"""A folder as a list: every file's path, digest, size and mode, in one order.

The walk is the same on every machine: sorted by the bytes of the path.  What
could mean two things is refused: a link that leads out of the folder, anything
that is neither file, folder nor link, a name that is not UTF-8, and two names
that one file system keeps apart and another does not (``README`` and ``readme``,
or an accented letter written in one and in two code points).

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> _ = (root / "a.txt").write_bytes(b"hello")
    >>> [(file.path, file.size) for file in hash_tree(root).files]
    [('a.txt', 5)]
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from relsign.errors import InputError
from relsign.formats.canonical import shorten
from relsign.formats.names import Digest
from relsign.system.files import hash_file, host_error

WORKERS = 2
"""Hashing lets other threads run, so two of them use two cores."""

CHUNK = 256
"""Files handed to a worker at once: for small files, handing over costs more than hashing."""


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A regular file: path below the root with ``/``, digest, bytes, permission bits."""

    path: str
    sha256: Digest
    size: int
    mode: int


@dataclass(frozen=True, slots=True)
class TreeLink:
    """A symbolic link that stays in the tree: its path and what it says."""

    path: str
    target: str


@dataclass(frozen=True, slots=True)
class Tree:
    """All files, links and folders of a folder, each sorted by path."""

    files: tuple[TreeFile, ...]
    links: tuple[TreeLink, ...]
    folders: tuple[str, ...]


def hash_tree(root: Path) -> Tree:
    """Return everything below `root`, files with digests.

    Raises InputError for a link out of the tree, a fifo, device or socket, or
    names that collide; NotEnoughError if a file vanishes meanwhile; HostError if
    the system refuses.
    """
    paths: list[str] = []
    links: list[TreeLink] = []
    folders: list[str] = []
    for path, kind in _walk(root):
        if kind == stat.S_IFLNK:
            links.append(_link(root, path))
        elif kind == stat.S_IFREG:
            paths.append(path)
        elif kind == stat.S_IFDIR:
            folders.append(path)
        else:
            raise InputError(
                "not a file, folder or link", where=_place(root, path), got=_kind_name(kind)
            )
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    with ThreadPoolExecutor(WORKERS) as pool:
        hashed = pool.map(lambda chunk: [_hash(root, path) for path in chunk], chunks)
        files = tuple(file for chunk in hashed for file in chunk)
    return Tree(files, tuple(links), tuple(folders))


def _hash(root: Path, path: str) -> TreeFile:
    hashed = hash_file(root / path)
    return TreeFile(path, hashed.sha256, hashed.size, hashed.mode)


def _walk(root: Path) -> Iterator[tuple[str, int]]:
    """Yield the path and type bits of everything below `root`, sorted by the path's bytes."""
    found: list[tuple[str, int]] = []
    folders = [""]
    while folders:
        folder = folders.pop()
        for name, mode in _entries(root, folder):
            path = f"{folder}{name}"
            found.append((path, stat.S_IFMT(mode)))
            if stat.S_ISDIR(mode):
                folders.append(f"{path}/")
    yield from sorted(found, key=lambda item: item[0].encode())


def _entries(root: Path, folder: str) -> list[tuple[str, int]]:
    """Return name and mode of a folder's entries; refuse names that are odd or collide."""
    place = root / folder
    try:
        with os.scandir(place) as entries:
            found = [(entry.name, entry.stat(follow_symlinks=False).st_mode) for entry in entries]
    except OSError as error:
        raise host_error(error, place) from error
    seen: dict[str, str] = {}
    for name, _ in sorted(found):
        # Bytes that are not UTF-8 arrive as lone surrogates.
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            raise InputError("name is not UTF-8", where=_place(root, f"{folder}{name}"))
        other = seen.setdefault(_folded(name), name)
        if other != name:
            raise InputError(
                "two names are the same on some file systems",
                where=_place(root, folder),
                got=f"{shorten(other)} and {shorten(name)}",
            )
    return found


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _link(root: Path, path: str) -> TreeLink:
    try:
        target = os.readlink(root / path)  # noqa: PTH115  Path would tidy the text it holds
    except OSError as error:
        raise host_error(error, root / path) from error
    # Resolving follows links on the way, so that no chain of inner links leads out.
    inside = (root / path).resolve().is_relative_to(root.resolve())
    if target.startswith("/") or not inside:
        raise InputError(
            "link leads out of the folder", where=_place(root, path), got=shorten(target)
        )
    return TreeLink(path, target)


def _place(root: Path, path: str) -> str:
    return shorten(f"{root.name}/{path}", 300)


def _kind_name(kind: int) -> str:
    names = {
        stat.S_IFIFO: "fifo",
        stat.S_IFSOCK: "socket",
        stat.S_IFCHR: "device",
        stat.S_IFBLK: "device",
    }
    return names.get(kind, "something else")
