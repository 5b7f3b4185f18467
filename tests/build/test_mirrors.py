"""Files of a Debian archive: apt fetches, we compare, and one error names all that is missing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from relsign.build.inputs.mirrors import (
    ArchiveFile,
    archive_mirrors,
    fetch_archive_files,
    last_words,
    parse_mirror,
)
from relsign.build.store import Store
from relsign.errors import HostError, InputError, VerificationError
from relsign.formats.names import Digest
from relsign.system.fetch import silent
from tests.build.served import served


class Archives:
    """Two mirrors, folders served on this machine."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folders = (folder / "one", folder / "two")
        for name in self.folders:
            name.mkdir()
        self.mirrors = tuple(f"{stack.enter_context(served(name))}/" for name in self.folders)

    def put(self, mirror: int, path: str, data: bytes) -> None:
        place = self.folders[mirror] / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)


@pytest.fixture
def archives(tmp_path: Path) -> Iterator[Archives]:
    with ExitStack() as stack:
        yield Archives(tmp_path, stack)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def wanted(path: str, data: bytes, size: int | None = -1) -> ArchiveFile:
    digest = Digest(hashlib.sha256(data).hexdigest())
    return ArchiveFile(path, digest, len(data) if size == -1 else size, f"lock: {path}")


def test_many_files_come_and_progress_ends_at_the_total(archives: Archives, store: Store) -> None:
    files = []
    for number in range(30):
        path, data = f"pool/main/p/p{number}_1.0+b1~rc%3a_all.deb", bytes([number]) * 1000
        archives.put(0, path.replace("%3a", "%3a"), data)
        files.append(wanted(path.replace("%3a", "%253a"), data))
    seen: list[tuple[int, int | None]] = []
    fetch_archive_files(files, store, archives.mirrors, lambda *step: seen.append(step))
    assert all(store.has(file.sha256) for file in files)
    assert seen[-1] == (30000, 30000)


def test_the_second_mirror_is_asked_for_what_the_first_lacks(
    archives: Archives, store: Store
) -> None:
    archives.put(0, "pool/a", b"a")
    archives.put(1, "pool/b", b"b")
    fetch_archive_files(
        [wanted("pool/a", b"a"), wanted("pool/b", b"b")], store, archives.mirrors, silent
    )


def test_the_second_mirror_is_asked_where_the_first_lies(archives: Archives, store: Store) -> None:
    archives.put(0, "pool/a", b"evil")
    archives.put(1, "pool/a", b"good")
    fetch_archive_files([wanted("pool/a", b"good")], store, archives.mirrors, silent)


def test_nothing_is_asked_for_what_is_stored(store: Store) -> None:
    store.add_new(lambda sink: sink.write(b"a"))
    fetch_archive_files([wanted("pool/a", b"a")], store, ("http://127.0.0.1:1/",), silent)


def test_one_error_names_every_missing_file(archives: Archives, store: Store) -> None:
    archives.put(0, "pool/b", b"b")
    files = [wanted("pool/a", b"a"), wanted("pool/b", b"b"), wanted("pool/c", b"c")]
    with pytest.raises(HostError) as caught:
        fetch_archive_files(files, store, archives.mirrors, silent)
    assert "pool/a, pool/c" in caught.value.what
    assert "2 file(s)" in caught.value.what
    assert "--mirror" in caught.value.hint
    assert store.has(files[1].sha256)


def test_other_bytes_are_a_refusal_with_both_digests(archives: Archives, store: Store) -> None:
    archives.put(0, "pool/a", b"evil")
    file = wanted("pool/a", b"good")
    with pytest.raises(VerificationError) as caught:
        fetch_archive_files([file], store, archives.mirrors, silent)
    assert caught.value.where == "lock: pool/a"
    assert caught.value.expected == file.sha256
    assert caught.value.got == hashlib.sha256(b"evil").hexdigest()
    assert list((store.root / "sha256").iterdir()) == []


def test_a_lie_among_missing_files_is_still_a_refusal(archives: Archives, store: Store) -> None:
    archives.put(0, "pool/a", b"evil")
    with pytest.raises(VerificationError) as caught:
        fetch_archive_files(
            [wanted("pool/a", b"good"), wanted("pool/b", b"b")], store, archives.mirrors, silent
        )
    assert "pool/a" in caught.value.got
    # Some versions of the helper leave the server's error page behind, which is a lie as well.
    assert "pool/b" in caught.value.got + caught.value.hint


def test_a_lock_that_lies_about_the_size_is_refused(archives: Archives, store: Store) -> None:
    archives.put(0, "pool/a", b"abc")
    with pytest.raises(VerificationError, match="wrong size"):
        fetch_archive_files([wanted("pool/a", b"abc", 9)], store, archives.mirrors, silent)


def test_a_file_that_never_ends_is_cut_off(archives: Archives, store: Store) -> None:
    with pytest.raises((HostError, VerificationError)):
        fetch_archive_files([wanted("pool/endless", b"a")], store, archives.mirrors[:1], silent)


@pytest.mark.parametrize(
    "text", ["", "debian", "/etc", "-o Dir=/", "http://h/ x", "http://h/\n", "http:" + "x" * 2000]
)
def test_a_mirror_is_an_address(text: str) -> None:
    with pytest.raises(InputError, match="not a mirror address"):
        parse_mirror(text)


def test_given_mirrors_come_first_and_end_in_a_slash() -> None:
    found = archive_mirrors(["http://127.0.0.1:1/debian", "http://127.0.0.1:1/debian//"])
    assert found[0] == "http://127.0.0.1:1/debian/"
    assert len(found) == len(set(found))


def test_messages_of_apt_lose_their_credentials() -> None:
    words = last_words(b"W: no\nE: Failed http://ann:pw@h/x\nE: done\n")
    assert words == "Failed http://h/x done"
