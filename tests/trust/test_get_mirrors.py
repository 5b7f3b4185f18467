"""`relsign get` and other people's mirrors, releases taken back, and files in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from relsign.crypto.digest import sha256_hex
from relsign.errors import (
    InputError,
    NotEnoughError,
    VerificationError,
)
from relsign.formats.policy import Revocation
from relsign.publish.index import (
    NextIndex,
    Publisher,
    next_index,
    read_index,
    release_entry,
    store_index,
)
from relsign.trust.get import Wish, get_release
from relsign.trust.pins.store import TrustStore
from relsign.trust.publication.refresh import refresh
from relsign.verify.verdict import Word
from tests.trust.sites import Site, publishing_root
from tests.verify.releases import (
    NAME,
    NOW,
    parties,
    sign_by,
)

BUNDLE = "demo-1.0.relsign"
LATER_ENTRY = release_entry("demo", "1.1", 2, "22" * 32, b"another bundle")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


# --- another project's mirror --------------------------------------------------------------------


def list_for_another(site: Site, times: int) -> None:
    """Have the same publisher list nothing, for another project, some versions on."""
    folder = site.project / "metadata"
    pia = parties(publishing_root())["pia"]
    publisher = Publisher(pia, lambda message: sign_by("pia", message))
    wanted = NextIndex("other", (), (pia,), 7)
    for _ in range(times):
        store_index(folder, next_index(read_index(folder), wanted, publisher, NOW))


@pytest.fixture
def foreign(tmp_path: Path) -> Site:
    """Another project's place, which lists nothing, by the same publisher."""
    site = Site(tmp_path / "foreign")
    site.add_root(publishing_root())
    list_for_another(site, 4)
    return site


def test_another_projects_listing_leaves_nothing_behind(
    store: TrustStore, foreign: Site, here: Path
) -> None:
    source = str(foreign.project)
    for known in (False, True):
        before = {p.name: p.read_bytes() for p in store.metadata_folder("demo").glob("*s*.json")}
        assert bool(before) is known
        with pytest.raises(VerificationError):
            get_release(store, Wish("demo", source=source, folder=here), NOW)
        with pytest.raises(VerificationError):
            refresh(store, "demo", NOW, source)
        after = {p.name: p.read_bytes() for p in store.metadata_folder("demo").glob("*s*.json")}
        assert after == before
        assert refresh(store, "demo", NOW).notes == ()
    assert get_release(store, Wish("demo", folder=here), NOW).bundle is not None


def test_an_empty_foreign_listing_is_refused_for_its_project(
    store: TrustStore, foreign: Site
) -> None:
    with pytest.raises(VerificationError, match="listing is another project's") as caught:
        refresh(store, "demo", NOW, str(foreign.project))
    assert (caught.value.expected, caught.value.got) == ("demo", "other")


def test_a_cache_that_was_poisoned_once_is_healed(store: TrustStore, foreign: Site) -> None:
    folder = store.metadata_folder("demo")
    metadata = foreign.project / "metadata"
    (folder / "timestamp.json").write_bytes((metadata / "timestamp.json").read_bytes())
    for name in ("snapshot", "targets"):
        found = max(metadata.glob(f"*.{name}.json"))
        (folder / f"{name}.json").write_bytes(found.read_bytes())
    refreshed = refresh(store, "demo", NOW)
    (note,) = refreshed.notes
    assert "list of releases of other" in note
    assert [release.version for release in refreshed.releases] == ["1.0"]
    assert refresh(store, "demo", NOW).notes == ()


@pytest.mark.parametrize("above", ["../site/demo", "./../site/./demo", "../here/../site/demo"])
def test_a_relative_folder_may_lead_up(
    store: TrustStore, here: Path, above: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.mkdir()
    monkeypatch.chdir(here)
    assert get_release(store, Wish("demo", source=above), NOW).bundle is not None


def test_an_empty_address_is_none(store: TrustStore) -> None:
    with pytest.raises(InputError, match="no address and no folder"):
        refresh(store, "demo", NOW, "")


def test_a_folder_that_is_gone_is_said(
    store: TrustStore, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.mkdir()
    monkeypatch.chdir(here)
    here.rmdir()
    with pytest.raises(InputError, match="current folder is gone"):
        refresh(store, "demo", NOW, "site")


def test_an_address_may_be_shouted(store: TrustStore, url: str) -> None:
    assert refresh(store, "demo", NOW, url.replace("http://", "HTTP://")).releases


# --- taken back ----------------------------------------------------------------------------------


def take_back(site: Site, replacement: str | None = None) -> None:
    one = Revocation(version="1.1", reason="the key was stolen", replacement=replacement)
    site.add_root(publishing_root(version=2, revoked=(one,)))


def test_a_version_that_was_taken_back_is_named_so(
    store: TrustStore, site: Site, here: Path
) -> None:
    take_back(site, replacement="1.2")
    with pytest.raises(VerificationError, match=r"1\.1 was taken back: the key was") as caught:
        get_release(store, Wish("demo", version="1.1", folder=here), NOW)
    assert caught.value.hint == "use 1.2 instead"


def test_the_one_before_comes_with_the_news(store: TrustStore, site: Site, here: Path) -> None:
    take_back(site, replacement="1.2")
    got = get_release(store, Wish("demo", folder=here), NOW)
    assert got.decision.verdict.word is Word.VERIFIED
    assert got.notes == ("1.1 was taken back: the key was stolen; use 1.2",)
    assert get_release(store, Wish("demo", version="1.0", folder=here), NOW).notes == ()


def test_after_the_replacement_nothing_is_said(store: TrustStore, site: Site, here: Path) -> None:
    take_back(site, replacement="1.0")
    assert get_release(store, Wish("demo", folder=here), NOW).notes == ()


def test_the_only_release_taken_back_is_no_project_without_releases(
    store: TrustStore, site: Site, here: Path
) -> None:
    take_back(site)
    site.list([])
    with pytest.raises(VerificationError, match=r"1\.1 was taken back"):
        get_release(store, Wish("demo", folder=here), NOW)
    with pytest.raises(NotEnoughError, match="no release is published"):
        get_release(store, Wish("demo", version="9.9", folder=here), NOW)


def test_a_statement_that_was_seen_is_known_by_its_version(
    store: TrustStore, site: Site, here: Path
) -> None:
    get_release(store, Wish("demo", folder=here), NOW)
    digest = sha256_hex(site.release.statement().to_bytes())
    one = Revocation(statement_sha256=digest, reason="bad bytes")
    site.add_root(publishing_root(version=2, revoked=(one,)))
    site.list([])
    with pytest.raises(VerificationError, match=r"1\.0 was taken back: bad bytes"):
        get_release(store, Wish("demo", version="1.0", folder=here), NOW)


# --- in the way ----------------------------------------------------------------------------------


def test_a_persons_own_file_in_the_bundles_place_stays(store: TrustStore, here: Path) -> None:
    here.mkdir()
    (here / BUNDLE).write_bytes(b"my notes")
    with pytest.raises(InputError, match=f"{BUNDLE}: another file of that name is here$"):
        get_release(store, Wish("demo", folder=here), NOW)
    assert (here / BUNDLE).read_bytes() == b"my notes"
    (here / BUNDLE).unlink()
    (here / NAME).mkdir()
    with pytest.raises(InputError, match=f"{NAME}: another file of that name is here$"):
        get_release(store, Wish("demo", folder=here), NOW)


@pytest.mark.parametrize("below", ["", "/deeper/still"])
def test_a_file_is_no_folder(store: TrustStore, here: Path, below: str) -> None:
    here.write_bytes(b"mine")
    with pytest.raises(InputError, match="not a folder") as caught:
        get_release(store, Wish("demo", folder=Path(f"{here}{below}")), NOW)
    assert "--to" in caught.value.hint


@pytest.mark.parametrize("offline", [False, True])
def test_a_mirror_that_lacks_the_file_is_left_for_another(
    store: TrustStore, site: Site, here: Path, *, offline: bool
) -> None:
    (site.project / "1.0" / NAME).unlink()
    wish = Wish("demo", folder=here, source=str(site.project) if offline else None)
    with pytest.raises(NotEnoughError, match="the file is not there") as caught:
        get_release(store, wish, NOW)
    assert "--from" in caught.value.hint
    assert names(here) == []
