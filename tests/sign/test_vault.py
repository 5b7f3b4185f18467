"""Secrets on disk: sealed, private, whole; and told apart when they do not open."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from relsign.crypto.sealing import Cost
from relsign.errors import HostError, InputError
from relsign.formats.sealed import MAX_PLAIN_BYTES, parse_sealed
from relsign.sign.keys.vault import Vault
from tests.forks import ended, forked
from tests.sign.faults import At, die, fail, intercepted

CHEAP = Cost(1, 8192)
PASSPHRASE = b"correct horse"
PLAIN = b"the share of alice"


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(tmp_path / "keys" / "vault", cost=CHEAP)


@pytest.fixture
def stored(vault: Vault) -> Vault:
    vault.store("share", PLAIN, PASSPHRASE)
    return vault


def file_of(vault: Vault) -> Path:
    return vault.folder / "share.sealed"


def test_what_is_stored_comes_back(stored: Vault) -> None:
    stored.store("box", b"", PASSPHRASE)
    assert stored.names() == ("box", "share")
    assert stored.load("share", PASSPHRASE) == PLAIN
    assert stored.load("box", PASSPHRASE) == b""


def test_folder_and_file_are_private_whatever_the_umask(vault: Vault) -> None:
    before = os.umask(0)
    try:
        vault.store("share", PLAIN, PASSPHRASE)
    finally:
        os.umask(before)
    assert vault.folder.stat().st_mode & 0o777 == 0o700
    assert file_of(vault).stat().st_mode & 0o777 == 0o600


def test_the_secret_lies_nowhere_in_clear(stored: Vault) -> None:
    for path in stored.folder.iterdir():
        assert PLAIN not in path.read_bytes()
        assert PASSPHRASE not in path.read_bytes()


def test_salt_and_nonce_are_new_each_time(stored: Vault) -> None:
    headers = []
    for _ in range(3):
        stored.replace("share", PLAIN, PASSPHRASE)
        headers.append(parse_sealed(file_of(stored).read_bytes(), "file").header)
    assert len({header.salt for header in headers}) == 3
    assert len({header.nonce for header in headers}) == 3


def test_the_default_cost_is_not_the_tests(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault")
    vault.store("share", PLAIN, PASSPHRASE)
    header = parse_sealed(file_of(vault).read_bytes(), "file").header
    assert (header.ops, header.mem_kib) == (3, 65536)


def test_a_new_secret_overwrites_none(stored: Vault) -> None:
    with pytest.raises(InputError, match="exists"):
        stored.store("share", b"another", PASSPHRASE)
    assert stored.load("share", PASSPHRASE) == PLAIN


def test_replacing_changes_secret_and_passphrase(stored: Vault) -> None:
    stored.replace("share", b"refreshed", b"another horse")
    assert stored.load("share", b"another horse") == b"refreshed"
    with pytest.raises(InputError, match="wrong passphrase"):
        stored.load("share", PASSPHRASE)


@pytest.mark.parametrize("act", ["replace", "destroy"])
def test_what_was_there_is_overwritten(stored: Vault, tmp_path: Path, act: str) -> None:
    old = tmp_path / "another name of the same file"
    old.hardlink_to(file_of(stored))
    size = old.stat().st_size
    if act == "replace":
        stored.replace("share", b"refreshed", PASSPHRASE)
        assert stored.load("share", PASSPHRASE) == b"refreshed"
    else:
        stored.destroy("share")
        assert stored.names() == ()
    assert old.read_bytes() == bytes(size)


MISSING: dict[str, Callable[[Vault], object]] = {
    "load": lambda vault: vault.load("share", PASSPHRASE),
    "replace": lambda vault: vault.replace("share", b"", PASSPHRASE),
    "destroy": lambda vault: vault.destroy("share"),
}


@pytest.mark.parametrize("act", MISSING)
def test_a_secret_that_is_not_there(vault: Vault, act: str) -> None:
    assert vault.names() == ()
    with pytest.raises(InputError, match="no secret of that name") as caught:
        MISSING[act](vault)
    assert caught.value.hint
    assert vault.names() == ()


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\0b", "-x", "a" * 65, "é", "a\n"])
def test_a_name_is_no_path(vault: Vault, name: str) -> None:
    for act in (
        lambda: vault.store(name, PLAIN, PASSPHRASE),
        lambda: vault.load(name, PASSPHRASE),
        lambda: vault.replace(name, PLAIN, PASSPHRASE),
        lambda: vault.destroy(name),
    ):
        with pytest.raises(InputError, match="name of a secret"):
            act()
    assert not vault.folder.exists()


@pytest.mark.parametrize(
    ("plain", "passphrase", "words"),
    [
        (PLAIN, b"short", "passphrase too short"),
        (bytes(MAX_PLAIN_BYTES + 1), PASSPHRASE, "too large"),
    ],
)
def test_what_cannot_be_stored(vault: Vault, plain: bytes, passphrase: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        vault.store("share", plain, passphrase)
    assert vault.names() == ()


# --- what does not open ------------------------------------------------------------------------


def test_a_wrong_passphrase_is_told_from_damage(stored: Vault) -> None:
    with pytest.raises(InputError, match="wrong passphrase"):
        stored.load("share", b"correct house")
    data = bytearray(file_of(stored).read_bytes())
    for place in range(0, len(data), 7):
        changed = bytearray(data)
        changed[place] ^= 0x02
        file_of(stored).write_bytes(changed)
        with pytest.raises(InputError, match="damaged secret") as caught:
            stored.load("share", PASSPHRASE)
        assert "backup" in caught.value.hint


@pytest.mark.parametrize("data", [b"", b"\0" * 100, b"{}", b"x" * ((1 << 20) + 1)])
def test_another_file_in_its_place(stored: Vault, data: bytes) -> None:
    file_of(stored).write_bytes(data)
    with pytest.raises(InputError, match=r"damaged secret|too large"):
        stored.load("share", PASSPHRASE)


def test_a_renamed_secret_does_not_open(stored: Vault) -> None:
    file_of(stored).rename(stored.folder / "other.sealed")
    with pytest.raises(InputError, match=r"another place \(expected vault/other, got vault/share"):
        stored.load("other", PASSPHRASE)


def test_a_secret_of_another_vault_does_not_open(stored: Vault) -> None:
    other = Vault(stored.folder, purpose="frost", cost=CHEAP)
    with pytest.raises(InputError, match="another place"):
        other.load("share", PASSPHRASE)


def test_nothing_secret_is_in_what_is_shown(stored: Vault) -> None:
    with pytest.raises(InputError) as caught:
        stored.load("share", b"correct house")
    error: BaseException | None = caught.value
    while error is not None:
        assert "correct" not in repr(error)
        error = error.__cause__ or error.__context__
    assert "alice" not in repr(stored)


# --- folders and files that are not private ----------------------------------------------------


def make_link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir(0o700)


ODD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "group may read": (lambda path: path.chmod(0o640), "open to others .expected mode 0600"),
    "others may write": (lambda path: path.chmod(0o602), "open to others"),
    "link": (make_link, "not a regular file"),
    "fifo": (make_fifo, "not a regular file"),
    "folder": (make_folder, "not a regular file"),
}


@pytest.mark.parametrize("name", ODD_FILES)
def test_a_file_that_is_not_private_is_refused(stored: Vault, name: str) -> None:
    change, words = ODD_FILES[name]
    change(file_of(stored))
    for act in ("load", "replace"):
        with pytest.raises(InputError, match=words) as caught:
            MISSING[act](stored)
        assert caught.value.hint


@pytest.mark.parametrize("name", ["link", "fifo", "group may read"])
def test_a_file_that_is_not_private_can_be_destroyed(stored: Vault, name: str) -> None:
    ODD_FILES[name][0](file_of(stored))
    stored.destroy("share")
    assert not os.path.lexists(file_of(stored))


ODD_FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "group may look": (lambda path: path.chmod(0o710), "open to others .expected mode 0700"),
    "others may write": (lambda path: path.chmod(0o702), "open to others"),
    "link": (make_link, "symbolic link"),
}
ACTS: dict[str, Callable[[Vault], object]] = {
    **MISSING,
    "store": lambda vault: vault.store("new", PLAIN, PASSPHRASE),
    "names": lambda vault: vault.names(),
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("name", ODD_FOLDERS)
def test_a_folder_that_is_not_private_is_refused(stored: Vault, name: str, act: str) -> None:
    change, words = ODD_FOLDERS[name]
    change(stored.folder)
    with pytest.raises(InputError, match=words) as caught:
        ACTS[act](stored)
    assert caught.value.hint


@pytest.mark.parametrize("act", ACTS)
def test_a_file_in_the_folder_s_place_is_refused(tmp_path: Path, act: str) -> None:
    (tmp_path / "vault").write_bytes(b"")
    with pytest.raises(InputError, match="not the folder of a vault"):
        ACTS[act](Vault(tmp_path / "vault", cost=CHEAP))


@pytest.mark.parametrize("act", ACTS)
def test_somebody_else_s_folder_is_refused(
    stored: Vault, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(InputError, match="belongs to somebody else"):
        ACTS[act](stored)


def test_only_sealed_files_have_names(stored: Vault) -> None:
    for name in (".share.sealed.ab.tmp", ".hidden.sealed", "notes.txt", "share.sealed~"):
        (stored.folder / name).write_bytes(b"")
    assert stored.names() == ("share",)


# --- crashes -----------------------------------------------------------------------------------

CHANGES: dict[str, Callable[[Vault], object]] = {
    "replace": lambda vault: vault.replace("share", b"new", PASSPHRASE),
    "destroy": lambda vault: vault.destroy("share"),
    "store": lambda vault: vault.store("box", b"new", PASSPHRASE),
}


def stores(tmp_path: Path) -> Iterator[tuple[int, Vault]]:
    """Yield vaults with one secret, to be broken before their n-th system call."""
    for step in range(200):
        vault = Vault(tmp_path / f"at-{step}", cost=CHEAP)
        vault.store("share", b"old", PASSPHRASE)
        yield step, vault


def loaded(vault: Vault, name: str) -> bytes | None:
    """Return what a secret is, None for one that is gone, b"damaged" for one half erased."""
    try:
        return vault.load(name, PASSPHRASE)
    except InputError as error:
        return None if error.what == "no secret of that name" else error.what.encode()


ALLOWED: dict[str, set[bytes | None]] = {
    "replace": {b"old", b"new"},
    "destroy": {b"old", b"damaged secret", None},
    "store": {None, b"new"},
}


def check(vault: Vault, act: str) -> None:
    """Nothing is half done but an erasure, and running it again ends it."""
    name = "box" if act == "store" else "share"
    found = loaded(vault, name)
    assert found in ALLOWED[act]
    assert act != "store" or loaded(vault, "share") == b"old"
    if found is None:
        vault.store(name, b"new", PASSPHRASE)
    elif found != b"new":
        CHANGES[act](vault)
    vault.store("last", b"", PASSPHRASE)
    assert not list(vault.folder.glob(".*.tmp"))


@pytest.mark.parametrize("act", CHANGES)
def test_a_disk_that_fails_at_any_call(tmp_path: Path, act: str) -> None:
    for step, vault in stores(tmp_path):
        at = At(step, fail)
        with contextlib.suppress(HostError), intercepted(at):
            CHANGES[act](vault)
        check(vault, act)
        if not at.reached:
            assert step > 8
            return
    pytest.fail("it never came to its end")


@pytest.mark.parametrize("act", CHANGES)
def test_killed_before_any_call(tmp_path: Path, act: str) -> None:
    for step, vault in stores(tmp_path):

        def run(step: int = step, vault: Vault = vault) -> None:
            with intercepted(At(step, die)):
                CHANGES[act](vault)

        survived = ended(forked(run))
        check(vault, act)
        if survived:
            assert step > 8
            return
    pytest.fail("it never came to its end")


def test_a_full_disk_keeps_the_old(stored: Vault) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for limit in range(0, 300, 43):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
            with pytest.raises(HostError):
                stored.replace("share", b"new", PASSPHRASE)
            with pytest.raises(HostError):
                stored.store("box", b"new", PASSPHRASE)
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert stored.names() == ("share",)
            assert stored.load("share", PASSPHRASE) == PLAIN
            assert not list(stored.folder.glob(".*.tmp"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
