"""The store holds a file under its digest, whole, or not at all."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.build.store import Store
from relsign.errors import HostError, InputError, NotEnoughError, RelsignError, VerificationError
from relsign.formats.names import Digest
from relsign.system.fetch import Sink


def digest_of(data: bytes) -> Digest:
    return Digest(hashlib.sha256(data).hexdigest())


HELLO = digest_of(b"hello")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def files(store: Store) -> list[Path]:
    return [path for path in store.root.rglob("*") if path.is_file()]


def hello(sink: Sink) -> None:
    sink.write(b"hel")
    sink.write(b"lo")


def test_a_file_lies_under_its_digest_and_cannot_be_written_to(store: Store) -> None:
    assert not store.has(HELLO)
    path = store.add(HELLO, hello)
    assert path == store.path(HELLO) == store.root / "sha256" / HELLO[:2] / HELLO
    assert path.read_bytes() == b"hello"
    assert path.stat().st_mode & 0o777 == 0o444
    assert store.has(HELLO)


def test_what_is_there_is_not_written_again(store: Store) -> None:
    store.add(HELLO, hello)

    def never(_sink: Sink) -> None:
        raise AssertionError

    store.add(HELLO, never)


def test_a_wrong_digest_leaves_nothing_and_names_both(store: Store) -> None:
    with pytest.raises(VerificationError) as caught:
        store.add(HELLO, lambda sink: sink.write(b"hullo"), where="relsign.toml: source[0].sha256")
    assert caught.value.where == "relsign.toml: source[0].sha256"
    assert caught.value.expected == HELLO
    assert caught.value.got == digest_of(b"hullo")
    assert files(store) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, HostError("gone"), OSError(28, "full")])
def test_a_writer_that_fails_leaves_nothing(store: Store, error: BaseException) -> None:
    def fail(sink: Sink) -> None:
        sink.write(b"hel")
        raise error

    with pytest.raises((KeyboardInterrupt, HostError)):
        store.add(HELLO, fail)
    assert files(store) == []


def test_a_changed_file_is_never_handed_out_and_is_replaced(store: Store) -> None:
    path = store.add(HELLO, hello)
    path.chmod(0o644)
    path.write_bytes(b"HELLO")
    with pytest.raises(VerificationError, match="stored file was changed"):
        store.path(HELLO)
    assert not store.has(HELLO)
    assert store.add(HELLO, hello).read_bytes() == b"hello"


def test_a_link_in_the_store_is_not_followed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"hello")
    place = store.root / "sha256" / HELLO[:2] / HELLO
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "other")
    with pytest.raises(InputError, match="not a regular file"):
        store.path(HELLO)
    store.add(HELLO, hello)
    assert not place.is_symlink()


def test_a_fifo_in_the_store_does_not_hang(store: Store) -> None:
    place = store.root / "sha256" / HELLO[:2] / HELLO
    place.parent.mkdir(parents=True)
    os.mkfifo(place)
    assert not store.has(HELLO)


def test_an_absent_file_is_evidence_missing(store: Store) -> None:
    with pytest.raises(NotEnoughError, match="not in the store"):
        store.path(HELLO)


@given(st.text(max_size=80))
def test_only_a_digest_names_a_file(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    store = Store(tmp_path_factory.getbasetemp() / "store")
    with pytest.raises(RelsignError):
        store.path(Digest(text))


@pytest.mark.parametrize(
    "text", ["../" * 10 + "etc/passwd", HELLO.upper(), HELLO + "\n", HELLO[:-1], f"{HELLO}/.."]
)
def test_a_path_is_no_digest(store: Store, text: str) -> None:
    with pytest.raises(InputError, match="not a SHA-256 digest"):
        store.path(Digest(text))


def test_new_files_learn_their_digest_and_copies_are_compared(store: Store, tmp_path: Path) -> None:
    stored = store.add_new(hello)
    assert (stored.sha256, stored.size) == (HELLO, 5)
    (tmp_path / "file").write_bytes(b"hello")
    assert store.add_file(tmp_path / "file", HELLO) == stored
    with pytest.raises(VerificationError):
        store.add_file(tmp_path / "file", digest_of(b"other"))
    assert len(files(store)) == 1


def test_many_writers_at_once_leave_one_whole_file(store: Store) -> None:
    data = os.urandom(1 << 16)
    digest = digest_of(data)
    errors: list[RelsignError] = []

    def add() -> None:
        try:
            store.add(digest, lambda sink: sink.write(data))
        except RelsignError as error:
            errors.append(error)

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [path.name for path in files(store)] == [digest]
    assert store.path(digest).read_bytes() == data
