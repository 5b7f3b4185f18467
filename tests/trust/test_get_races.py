"""`relsign get` among others: two calls in one folder, and parts that somebody planted."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from relsign.crypto.digest import sha256_hex
from relsign.errors import HostError, InputError
from relsign.formats.memory import Seen
from relsign.system.fetch import network_environment
from relsign.trust.get import PART, Wish, get_release
from relsign.trust.pins.store import TrustStore
from relsign.verify.verdict import Word
from tests.build.served import served
from tests.forks import ended, forked
from tests.trust.sites import Site, pinned, publishing_root
from tests.verify.releases import ARTIFACT, NAME, NOW, Release, make_fingerprint

BUNDLE = "demo-1.0.relsign"
OTHER = b"OTHER PROJECT'S BYTES"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in network_environment():
        monkeypatch.delenv(name)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


@pytest.fixture(params=["folder", "server"])
def sources(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """Yield where the release is, and where another one with a file of the same name is."""
    good = Site(tmp_path / "good").write()
    digests: dict[str, str] = {NAME: sha256_hex(OTHER)}
    release = Release(
        root=publishing_root(share_roles=True),
        fingerprint=make_fingerprint(OTHER),
        artifacts=digests,
    )
    other = Site(tmp_path / "other", release, OTHER).write()
    pinned(tmp_path / "trust", good, None)
    pinned(tmp_path / "trust", other, None, name="other")
    with ExitStack() as stack:
        if request.param == "folder":
            yield str(good.project), str(other.project)
        else:
            addresses = [stack.enter_context(served(site.folder)) for site in (good, other)]
            yield f"{addresses[0]}/demo/", f"{addresses[1]}/demo/"


class Between(TrustStore, frozen=True):
    """A memory after whose writing, when all is decided, something else happens."""

    act: Callable[[], object]

    def remember(self, name: str, entry: Seen, *, known: Iterable[Seen] = ()) -> None:
        super().remember(name, entry, known=known)
        self.act()


def test_between_verdict_and_name_nobody_else_can_bring_bytes(
    tmp_path: Path, here: Path, sources: tuple[str, str]
) -> None:
    good, other = sources
    busy: list[str] = []

    def second_call() -> None:
        with pytest.raises(HostError) as caught:
            get_release(
                TrustStore(tmp_path / "trust"), Wish("other", folder=here, source=other), NOW
            )
        busy.append(caught.value.what)

    store = Between(tmp_path / "trust", second_call)
    got = get_release(store, Wish("demo", folder=here, source=good), NOW)
    assert busy == ["another process is downloading this file"]
    assert got.decision.verdict.word is Word.VERIFIED
    assert sha256_hex((here / NAME).read_bytes()) == got.files[0].sha256 == sha256_hex(ARTIFACT)
    assert sorted(path.name for path in here.iterdir()) == [BUNDLE, NAME]


def test_two_processes_at_once_leave_one_whole_release(
    tmp_path: Path, here: Path, sources: tuple[str, str]
) -> None:
    wishes = (Wish("demo", folder=here, source=sources[0]),
              Wish("other", folder=here, source=sources[1]))  # fmt: skip

    def act(wish: Wish) -> None:
        store = TrustStore(tmp_path / "trust")
        try:
            got = get_release(store, wish, NOW)
        except (HostError, InputError) as error:
            assert error.hint  # noqa: PT017 - it runs in a child process
        else:
            assert got.decision.verdict.word is Word.VERIFIED
            assert got.files[0].sha256 == sha256_hex((here / NAME).read_bytes())

    for _ in range(5):
        children = [forked(partial(act, wish)) for wish in wishes]
        assert [ended(child) for child in children] == [True, True]
        assert (here / NAME).read_bytes() in {ARTIFACT, OTHER}
        for path in here.iterdir():
            path.unlink()


def test_the_same_file_from_another_call_is_as_good(
    tmp_path: Path, here: Path, sources: tuple[str, str]
) -> None:
    wish = Wish("demo", folder=here, source=sources[0])
    get_release(TrustStore(tmp_path / "trust"), wish, NOW)
    (here / f"{NAME}{PART}").write_bytes(b"of a third call")
    assert get_release(TrustStore(tmp_path / "trust"), wish, NOW).files[0].already
    assert (here / f"{NAME}{PART}").read_bytes() == b"of a third call"


@pytest.mark.parametrize("data", [ARTIFACT, OTHER])
def test_a_file_that_comes_before_the_lock_is_looked_at(
    tmp_path: Path,
    here: Path,
    sources: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    data: bytes,
) -> None:
    system = fcntl.flock

    def lock(descriptor: int, operation: int) -> None:
        if (here / f"{NAME}{PART}").exists():
            # Another call held the part until now.
            (here / NAME).write_bytes(data)
        system(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", lock)
    store, wish = TrustStore(tmp_path / "trust"), Wish("demo", folder=here, source=sources[0])
    if data == ARTIFACT:
        assert get_release(store, wish, NOW).files[0].already
    else:
        with pytest.raises(InputError, match="meanwhile"):
            get_release(store, wish, NOW)
    assert (here / NAME).read_bytes() == data
    assert not (here / f"{NAME}{PART}").exists()


def test_a_part_that_is_swapped_after_the_verdict_gets_no_name(
    tmp_path: Path, here: Path, sources: tuple[str, str]
) -> None:
    def swap() -> None:
        other = here / "evil"
        other.write_bytes(b"E" * len(ARTIFACT))
        other.replace(here / f"{NAME}{PART}")

    store = Between(tmp_path / "trust", swap)
    with pytest.raises(HostError, match="changed this file"):
        get_release(store, Wish("demo", folder=here, source=sources[0]), NOW)
    assert not (here / NAME).exists()


@pytest.mark.parametrize("kind", ["writable", "hard link", "link"])
def test_a_planted_part_is_not_used(
    tmp_path: Path, here: Path, sources: tuple[str, str], kind: str
) -> None:
    precious, part = tmp_path / "precious", here / f"{NAME}{PART}"
    precious.write_bytes(ARTIFACT)
    if kind == "writable":
        part.write_bytes(ARTIFACT)
        part.chmod(0o666)
        planted = part.open("r+b")
    elif kind == "hard link":
        part.hardlink_to(precious)
        planted = part.open("r+b")
    else:
        part.symlink_to(precious)
        planted = part.open("r+b")
    store = TrustStore(tmp_path / "trust")
    with planted:
        got = get_release(store, Wish("demo", folder=here, source=sources[0]), NOW)
        planted.write(b"EVIL")
    assert got.decision.verdict.word is Word.VERIFIED
    assert (here / NAME).read_bytes() == ARTIFACT
    found = (here / NAME).lstat()
    assert stat.S_ISREG(found.st_mode)
    assert (found.st_uid, found.st_nlink, found.st_mode & 0o022) == (os.geteuid(), 1, 0)


def test_a_folder_in_the_parts_place_is_the_callers_to_move(
    tmp_path: Path, here: Path, sources: tuple[str, str]
) -> None:
    (here / f"{NAME}{PART}").mkdir()
    with pytest.raises(InputError, match="a folder has the name") as caught:
        get_release(
            TrustStore(tmp_path / "trust"), Wish("demo", folder=here, source=sources[0]), NOW
        )
    assert "move it away" in caught.value.hint


@pytest.mark.parametrize("more", ["?token=s3cret", "#s3cret"])
def test_an_address_with_a_query_is_refused_and_not_shown(
    tmp_path: Path, here: Path, more: str
) -> None:
    store = pinned(tmp_path / "trust", Site(tmp_path / "good").write(), None)
    with pytest.raises(InputError, match="query or fragment") as caught:
        get_release(store, Wish("demo", folder=here, source=f"http://127.0.0.1:1/demo/{more}"), NOW)
    assert "without ?" in caught.value.hint
