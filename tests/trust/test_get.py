"""`relsign get`: files that are VERIFIED get their names; everything else leaves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from relsign.crypto.digest import sha256_hex
from relsign.errors import (
    HostError,
    InputError,
    NoRootError,
    NotEnoughError,
    RelsignError,
    VerificationError,
)
from relsign.formats.policy import Freshness, Revocation
from relsign.formats.statement import Statement
from relsign.publish.index import (
    release_entry,
)
from relsign.system.fetch import Progress
from relsign.trust.get import PART, Wish, find_pin_name, get_release
from relsign.trust.pins.store import TrustStore
from relsign.trust.publication.refresh import refresh
from relsign.verify.demands import Demands
from relsign.verify.root import open_root
from relsign.verify.verdict import Word
from tests.trust.sites import MEMBERS, Site, pinned, publishing_root
from tests.verify.releases import (
    ARTIFACT,
    NAME,
    NOW,
    Release,
    make_root,
    signed_root,
)

BUNDLE = "demo-1.0.relsign"
LATER_ENTRY = release_entry("demo", "1.1", 2, "22" * 32, b"another bundle")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_the_newest_release_arrives_verified(store: TrustStore, here: Path) -> None:
    got = get_release(store, Wish("demo", folder=here), NOW)
    assert got.decision.verdict.word is Word.VERIFIED
    assert names(here) == [BUNDLE, NAME]
    assert (here / NAME).read_bytes() == ARTIFACT
    (file,) = got.files
    assert (file.path, file.sha256, file.size, file.already) == (
        here / NAME,
        sha256_hex(ARTIFACT),
        len(ARTIFACT),
        False,
    )
    assert got.bundle == here / BUNDLE
    fresh = got.decision.verdict.rows[8]
    assert "newest of 1 releases" in fresh.text


def test_what_was_verified_is_remembered(store: TrustStore, here: Path) -> None:
    get_release(store, Wish("demo", folder=here), NOW)
    assert [(seen.version, seen.sequence) for seen in store.recall("demo").seen] == [("1.0", 1)]


def test_the_same_again_downloads_nothing(store: TrustStore, here: Path, site: Site) -> None:
    get_release(store, Wish("demo", folder=here), NOW)
    (site.project / "1.0" / NAME).unlink()
    got = get_release(store, Wish("demo", folder=here), NOW)
    assert got.files[0].already
    assert got.decision.verdict.word is Word.VERIFIED


def test_a_folder_is_as_good_as_a_server(tmp_path: Path, site: Site, here: Path) -> None:
    store = pinned(tmp_path / "offline", site, None)
    got = get_release(store, Wish("demo", source=str(site.project), folder=here), NOW)
    assert got.decision.verdict.word is Word.VERIFIED
    assert names(here) == [BUNDLE, NAME]


def test_without_an_address_the_person_is_asked_for_one(
    tmp_path: Path, site: Site, here: Path
) -> None:
    store = pinned(tmp_path / "offline", site, None)
    with pytest.raises(InputError, match="no address") as caught:
        get_release(store, Wish("demo", folder=here), NOW)
    assert "--from" in caught.value.hint


def test_a_project_is_found_by_its_own_name(tmp_path: Path, site: Site, url: str) -> None:
    store = pinned(tmp_path / "other", site, url, name="gadget")
    assert find_pin_name(store, "demo") == "gadget"
    assert find_pin_name(store, "gadget") == "gadget"
    store.create("widget", open_root(site.root_file()), url, NOW)
    with pytest.raises(InputError, match="several roots"):
        find_pin_name(store, "demo")
    with pytest.raises(NoRootError) as caught:
        find_pin_name(store, "unknown")
    assert "relsign trust add" in caught.value.hint


# --- refused, and nothing is left ----------------------------------------------------------------


@pytest.mark.parametrize("served_bytes", [b"another artifact's!!", b"", ARTIFACT[:-1]])
def test_other_bytes_never_get_the_name(
    store: TrustStore, here: Path, site: Site, served_bytes: bytes
) -> None:
    (site.project / "1.0" / NAME).write_bytes(served_bytes)
    got = get_release(store, Wish("demo", folder=here), NOW)
    assert got.decision.verdict.word is Word.REFUSED
    assert got.files == ()
    assert names(here) == []
    assert store.recall("demo").seen == ()


def test_more_bytes_than_were_released_are_refused(
    store: TrustStore, here: Path, site: Site
) -> None:
    (site.project / "1.0" / NAME).write_bytes(ARTIFACT + b"!")
    got = get_release(store, Wish("demo", folder=here), NOW)
    assert got.decision.verdict.word is Word.REFUSED
    assert "sends more than was released" in got.decision.verdict.rows[1].text
    assert got.decision.release is None
    assert names(here) == []
    assert store.recall("demo").seen == ()


def test_more_bytes_in_a_folder_are_refused(tmp_path: Path, site: Site, here: Path) -> None:
    (site.project / "1.0" / NAME).write_bytes(ARTIFACT + b"!")
    store = pinned(tmp_path / "offline", site, None)
    got = get_release(store, Wish("demo", source=str(site.project), folder=here), NOW)
    assert got.decision.verdict.word is Word.REFUSED
    assert names(here) == []


@pytest.mark.parametrize(
    ("release", "word"),
    [
        (Release(root=publishing_root(), signers=("sam",)), Word.NOT_ENOUGH),
        (Release(root=publishing_root(), builders=("builder-a",)), Word.NOT_ENOUGH),
    ],
)
def test_what_the_evidence_refuses_is_not_even_downloaded(
    tmp_path: Path, here: Path, release: Release, word: Word
) -> None:
    site = Site(tmp_path / "site", release).write()
    (site.project / "1.0" / NAME).unlink()
    store = pinned(tmp_path / "trust", site, None)
    got = get_release(store, Wish("demo", source=str(site.project), folder=here), NOW)
    assert got.decision.verdict.word is word
    assert names(here) == []


def test_a_persons_own_demands_hold_here_too(store: TrustStore, here: Path) -> None:
    wish = Wish("demo", folder=here, demands=Demands(signers=3))
    assert get_release(store, wish, NOW).decision.verdict.word is Word.NOT_ENOUGH
    assert names(here) == []


def test_another_file_of_that_name_stays(store: TrustStore, here: Path) -> None:
    here.mkdir()
    (here / NAME).write_bytes(b"mine")
    with pytest.raises(InputError, match="another file of that name") as caught:
        get_release(store, Wish("demo", folder=here), NOW)
    assert caught.value.hint
    assert (here / NAME).read_bytes() == b"mine"
    assert names(here) == [NAME]


def test_the_bundle_of_another_release_stays(store: TrustStore, here: Path) -> None:
    here.mkdir()
    other = Release(released_at=NOW - timedelta(days=1)).bundle()
    (here / BUNDLE).write_bytes(other)
    with pytest.raises(InputError, match="bundle of another release"):
        get_release(store, Wish("demo", folder=here), NOW)
    assert (here / BUNDLE).read_bytes() == other


def test_a_renewed_bundle_takes_the_olds_place(store: TrustStore, here: Path) -> None:
    here.mkdir()
    (here / BUNDLE).write_bytes(Release(signers=("sam", "sven")).bundle())
    get_release(store, Wish("demo", folder=here), NOW)
    assert (here / BUNDLE).read_bytes() == Release(root=publishing_root()).bundle()


# --- which release, which files ------------------------------------------------------------------


def test_an_older_release_comes_when_it_is_named(store: TrustStore, here: Path, site: Site) -> None:
    site.list([site.entry(), LATER_ENTRY])
    got = get_release(store, Wish("demo", version="1.0", folder=here), NOW)
    assert got.decision.verdict.word is Word.VERIFIED
    assert "asked for by name" in got.decision.verdict.rows[8].text


def test_an_unknown_version_is_named_beside_those_there_are(store: TrustStore, here: Path) -> None:
    with pytest.raises(NotEnoughError, match="no such version") as caught:
        get_release(store, Wish("demo", version="9.9", folder=here), NOW)
    assert "1.0" in caught.value.hint


def test_nothing_published_is_not_enough(store: TrustStore, here: Path, site: Site) -> None:
    site.list([])
    with pytest.raises(NotEnoughError, match="no release is published"):
        get_release(store, Wish("demo", folder=here), NOW)


def test_a_bundle_of_another_release_than_listed_is_refused(
    store: TrustStore, here: Path, site: Site
) -> None:
    site.list([release_entry("demo", "1.1", 5, "33" * 32, site.release.bundle())])
    (site.project / "1.1").mkdir()
    (site.project / "1.1/demo-1.1.relsign").write_bytes(site.release.bundle())
    with pytest.raises(VerificationError, match="another release than the one"):
        get_release(store, Wish("demo", folder=here), NOW)
    assert names(here) == []


def test_another_bundle_than_listed_is_refused(store: TrustStore, here: Path, site: Site) -> None:
    (site.project / "1.0" / BUNDLE).write_bytes(Release().bundle()[:-1] + b" ")
    with pytest.raises(VerificationError, match="hash"):
        get_release(store, Wish("demo", folder=here), NOW)
    assert names(here) == []


def two_files(release: Release) -> Release:
    """Return a release that states a second file."""

    def change(statement: Statement) -> Statement:
        (one,) = statement.subject
        two = msgspec.structs.replace(one, name="demo-1.0.zip")
        return msgspec.structs.replace(statement, subject=(one, two))

    return replace(release, change_statement=change)


def test_of_several_files_some_must_be_named(tmp_path: Path, here: Path) -> None:
    site = Site(tmp_path / "site", two_files(Release(root=publishing_root()))).write()
    store = pinned(tmp_path / "trust", site, None)
    wish = Wish("demo", source=str(site.project), folder=here)
    with pytest.raises(InputError, match="several files") as caught:
        get_release(store, wish, NOW)
    assert NAME in caught.value.expected
    assert "demo-1.0.zip" in caught.value.expected
    with pytest.raises(InputError, match="no such file in this release"):
        get_release(store, replace(wish, files=("other",)), NOW)
    for chosen in (replace(wish, files=(NAME,)), replace(wish, everything=True)):
        # No builder made the second file, so the evidence refuses the whole release.
        assert get_release(store, chosen, NOW).decision.verdict.word is Word.REFUSED
    assert names(here) == []


# --- broken off ----------------------------------------------------------------------------------


def interrupted(error: BaseException) -> Callable[[str], AbstractContextManager[Progress]]:
    """Return a progress display during which a person, or the network, gives up."""

    @contextmanager
    def show(_words: str) -> Iterator[Progress]:
        def progress(_done: int, _total: int | None) -> None:
            raise error

        yield progress

    return show


@pytest.mark.parametrize("error", [KeyboardInterrupt(), HostError("the line broke")])
def test_an_interruption_keeps_the_part_and_goes_on(
    store: TrustStore, here: Path, error: BaseException
) -> None:
    with pytest.raises(type(error)):
        get_release(store, Wish("demo", folder=here), NOW, interrupted(error))
    assert names(here) == [f"{NAME}{PART}"]
    get_release(store, Wish("demo", folder=here), NOW)
    assert names(here) == [BUNDLE, NAME]


def test_a_part_with_other_bytes_does_no_harm(store: TrustStore, here: Path) -> None:
    here.mkdir()
    (here / f"{NAME}{PART}").write_bytes(b"junk of another day")
    got = get_release(store, Wish("demo", folder=here), NOW)
    assert got.decision.verdict.word is Word.VERIFIED
    assert (here / NAME).read_bytes() == ARTIFACT


def test_a_file_that_came_meanwhile_is_not_replaced(store: TrustStore, here: Path) -> None:
    @contextmanager
    def show(_words: str) -> Iterator[Progress]:
        yield lambda _done, _total: None
        (here / NAME).write_bytes(b"mine")

    with pytest.raises(InputError, match="meanwhile"):
        get_release(store, Wish("demo", folder=here), NOW, show)
    assert (here / NAME).read_bytes() == b"mine"


# --- refresh -------------------------------------------------------------------------------------


def test_a_refresh_brings_roots_and_listing(store: TrustStore, site: Site) -> None:
    site.add_root(publishing_root(version=2))
    refreshed = refresh(store, "demo", NOW)
    assert refreshed.root_version == 2
    assert refreshed.listing is not None
    assert len(store.recall("demo").roots) == 2


def test_new_roots_are_kept_even_when_the_listing_is_withheld(
    store: TrustStore, site: Site
) -> None:
    site.add_root(publishing_root(version=2))
    (site.project / "metadata/timestamp.json").unlink()
    with pytest.raises(NotEnoughError):
        refresh(store, "demo", NOW)
    assert len(store.recall("demo").roots) == 2


def test_a_frozen_listing_is_noticed(store: TrustStore, here: Path) -> None:
    refresh(store, "demo", NOW)
    for work in (
        lambda: refresh(store, "demo", NOW + timedelta(days=8)),
        lambda: get_release(store, Wish("demo", folder=here), NOW + timedelta(days=8)),
    ):
        with pytest.raises(NotEnoughError, match="expired"):
            work()


def test_a_listing_that_goes_back_is_refused(store: TrustStore, site: Site) -> None:
    saved = (site.project / "metadata/timestamp.json").read_bytes()
    site.list([site.entry(), LATER_ENTRY])
    refresh(store, "demo", NOW)
    (site.project / "metadata/timestamp.json").write_bytes(saved)
    with pytest.raises(VerificationError, match="version"):
        refresh(store, "demo", NOW)


def test_a_root_that_only_tuf_would_believe_is_forgotten(store: TrustStore, site: Site) -> None:
    root = publishing_root(version=2)
    twin = msgspec.structs.replace(root, expires=root.expires + timedelta(days=1))
    policy = msgspec.structs.replace(root.policy, project="other")
    site.add_root(msgspec.structs.replace(twin, policy=policy))
    with pytest.raises(RelsignError):
        refresh(store, "demo", NOW)
    assert len(store.recall("demo").roots) == 1
    site.add_root(root)
    assert refresh(store, "demo", NOW).root_version == 2


def test_a_revocation_reaches_the_person_who_gets(
    store: TrustStore, site: Site, here: Path
) -> None:
    revoked = (Revocation(version="1.0", reason="the key was stolen"),)
    site.add_root(publishing_root(version=2, revoked=revoked))
    got = get_release(store, Wish("demo", folder=here), NOW)
    assert got.decision.verdict.word is Word.REFUSED
    assert names(here) == []


def test_a_project_without_publishers_has_roots_only(tmp_path: Path, here: Path) -> None:
    site = Site(tmp_path / "site", Release(root=make_root()))
    site.add_root(make_root())
    store = pinned(tmp_path / "trust", site, None)
    source = str(site.project)
    refreshed = refresh(store, "demo", NOW, source)
    assert (refreshed.root_version, refreshed.listing) == (1, None)
    site.add_root(make_root(version=2))
    assert refresh(store, "demo", NOW, source).root_version == 2
    with pytest.raises(NotEnoughError, match="no publisher"):
        get_release(store, Wish("demo", source=source, folder=here), NOW)
    (site.project / "root.json").unlink()
    with pytest.raises(NotEnoughError, match=r"no root\.json"):
        refresh(store, "demo", NOW, source)


def test_the_wrong_address_is_explained(store: TrustStore, url: str) -> None:
    with pytest.raises(NotEnoughError) as caught:
        refresh(store, "demo", NOW, url.removesuffix("demo/"))
    assert "root.json" in caught.value.hint


def test_freshness_may_be_required(tmp_path: Path, here: Path) -> None:
    root = publishing_root(freshness=Freshness(required=True, days=7))
    site = Site(tmp_path / "site", Release(root=root)).write()
    store = pinned(tmp_path / "trust", site, None)
    got = get_release(store, Wish("demo", source=str(site.project), folder=here), NOW)
    assert got.decision.verdict.word is Word.VERIFIED
    assert root.members == MEMBERS
    assert signed_root(root) == store.recall("demo").roots[0]
