"""The folder of nonces: private, out of backups, and wary of what others may have put there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.pretty import pretty_repr

from relsign.errors import HostError, InputError
from relsign.sign.groups.nonces import NonceStore

SESSION = "5e" * 32
REQUEST = "aa" * 32
STEPS = {2: ("openpgp", "minisign"), 3: ("minisign-global",)}


@pytest.fixture
def store(tmp_path: Path) -> NonceStore:
    return NonceStore(tmp_path / "home" / "nonces")


def files(store: NonceStore) -> set[str]:
    kept = {".lock", "CACHEDIR.TAG"}
    return {path.name.removeprefix(f"{SESSION}.") for path in store.folder.iterdir()} - kept


def test_all_is_private_whatever_the_umask(store: NonceStore) -> None:
    before = os.umask(0)
    try:
        store.make(SESSION, 1, STEPS)
        store.burn(SESSION, 1, 2, REQUEST)
        store.abandon(SESSION, 2)
    finally:
        os.umask(before)
    assert store.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in store.folder.iterdir()} == {0o600}


def test_backup_programs_are_told_to_leave_it_out(store: NonceStore) -> None:
    # The first 43 bytes: https://bford.info/cachedir/
    store.make(SESSION, 1, STEPS)
    tag = (store.folder / "CACHEDIR.TAG").read_bytes()
    name = hashlib.md5(b".IsCacheDirectory", usedforsecurity=False).hexdigest()
    assert tag.startswith(f"Signature: {name}\n".encode())
    (store.folder / "CACHEDIR.TAG").unlink()
    store.make(SESSION, 2, STEPS)
    assert (store.folder / "CACHEDIR.TAG").read_bytes() == tag


def test_nothing_is_shown(store: NonceStore) -> None:
    made = store.make(SESSION, 1, STEPS, lambda size: b"SECRET" + os.urandom(size - 6))
    seeds = made[2]["openpgp"]
    hexed = seeds.hiding.hex()
    for shown in (repr(made), str(seeds), pretty_repr(made), repr(store)):
        assert "SECRET" not in shown
        assert hexed not in shown
    path = store.folder / f"{SESSION}.1.2.seeds"
    path.write_bytes(path.read_bytes().replace(b"relsign/nonces/1", hexed.encode()))
    with pytest.raises(InputError, match="damaged nonces") as caught:
        store.burn(SESSION, 1, 2, REQUEST)
    error: BaseException | None = caught.value
    while error is not None:
        assert hexed not in repr(error)
        error = error.__cause__ or error.__context__


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" " * (1 << 15))


def swap(path: Path) -> None:
    path.write_bytes(path.with_name(f"{SESSION}.1.3.seeds").read_bytes())


def make_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


HOSTILE: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut short": (cut, "damaged nonces"),
    "empty": (lambda path: path.write_bytes(b""), "damaged nonces"),
    "too large": (grow, "too large"),
    "another step's": (swap, "damaged nonces"),
    "open to others": (lambda path: path.chmod(0o644), "open to others"),
    "link": (make_link, "not a regular file"),
    "fifo": (make_fifo, "not a regular file"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_seeds_that_were_touched_are_lost(store: NonceStore, name: str) -> None:
    change, words = HOSTILE[name]
    store.make(SESSION, 1, STEPS)
    change(store.folder / f"{SESSION}.1.2.seeds")
    with pytest.raises(InputError, match=words):
        store.make(SESSION, 1, STEPS)
    with pytest.raises(InputError, match=words) as caught:
        store.burn(SESSION, 1, 2, REQUEST)
    assert caught.value.hint
    with pytest.raises(InputError, match="at most once"):
        store.burn(SESSION, 1, 2, REQUEST)
    assert "1.2.seeds" not in files(store)


def make_folder(path: Path) -> None:
    path.mkdir()


MARKERS: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.touch(0o600),
    "open to others": lambda path: path.touch(0o644),
    "not a digest": lambda path: path.write_bytes(b"\x1b[2J"),
    "huge": lambda path: path.write_bytes(b"a" * 100_000),
    "broken link": lambda path: path.symlink_to("nowhere"),
    "fifo": os.mkfifo,
    "folder": make_folder,
}


@pytest.mark.parametrize("name", MARKERS)
def test_whatever_bears_a_marker_s_name_is_one(store: NonceStore, name: str) -> None:
    store.make(SESSION, 1, STEPS)
    MARKERS[name](store.folder / f"{SESSION}.1.2.burned")
    assert store.burned(SESSION, 1, 2) == ""
    with pytest.raises(InputError, match="burned for a request"):
        store.burn(SESSION, 1, 2, REQUEST)
    MARKERS[name](store.folder / f"{SESSION}.1.abandoned")
    with pytest.raises(InputError, match="abandoned"):
        store.burn(SESSION, 1, 3, REQUEST)
    assert files(store) <= {"1.2.burned", "1.abandoned", "nowhere"}


ACTS: dict[str, Callable[[NonceStore], object]] = {
    "make": lambda store: store.make(SESSION, 1, STEPS),
    "burn": lambda store: store.burn(SESSION, 1, 2, REQUEST),
    "burned": lambda store: store.burned(SESSION, 1, 2),
    "abandon": lambda store: store.abandon(SESSION, 1),
    "pending": lambda store: store.pending(),
}
ODD_FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "group may look": (lambda path: path.chmod(0o710), "open to others"),
    "others may write": (lambda path: path.chmod(0o702), "open to others"),
    "link": (make_link, "symbolic link"),
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("name", ODD_FOLDERS)
def test_a_folder_that_is_not_private_is_refused(store: NonceStore, name: str, act: str) -> None:
    store.make(SESSION, 1, STEPS)
    change, words = ODD_FOLDERS[name]
    change(store.folder)
    with pytest.raises(InputError, match=words):
        ACTS[act](store)


def test_what_is_not_ours_is_left_alone(store: NonceStore) -> None:
    store.make(SESSION, 1, STEPS)
    for name in ("notes.txt", "x.seeds", f"{SESSION}.1.2.seeds~", f"{SESSION}.01.2.seeds"):
        (store.folder / name).write_bytes(b"")
    assert store.pending() == ((SESSION, 1),)
    store.abandon(SESSION, 1)
    assert (store.folder / "notes.txt").exists()
    assert store.pending() == ()


def test_an_empty_store_knows_nothing(store: NonceStore) -> None:
    assert store.pending() == ()
    assert store.burned(SESSION, 1, 2) is None
    assert not store.folder.exists()


@pytest.fixture
def nobody(store: NonceStore) -> Iterator[NonceStore]:
    """Yield a store whose folder cannot be changed: its owner is not root, and may only read."""
    store.make(SESSION, 1, STEPS)
    store.folder.chmod(0o500)
    if os.geteuid() == 0:
        for path in (store.folder, *store.folder.iterdir()):
            os.chown(path, 65534, 65534)
    home = Path.cwd()
    os.chdir(store.folder.parent)
    # Paths from the root lead through folders of pytest that only their owner may enter.
    kept = os.geteuid()
    if kept == 0:
        os.seteuid(65534)
    try:
        yield NonceStore(Path(store.folder.name))
    finally:
        os.seteuid(kept)
        os.chdir(home)
        store.folder.chmod(0o700)


def test_a_folder_that_cannot_be_written(nobody: NonceStore) -> None:
    assert nobody.burned(SESSION, 1, 2) is None
    for act in ("burn", "abandon"):
        with pytest.raises(HostError) as caught:
            ACTS[act](nobody)
        assert "who owns it" in caught.value.hint
    assert nobody.pending() == ((SESSION, 1),)
