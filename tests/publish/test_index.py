"""The listing a publisher signs: it grows, hangs together, and python-tuf believes it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from tuf.api.metadata import Metadata, Root, Targets

from relsign.crypto.keys import Party
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.listing import ListedRelease, parse_timestamp
from relsign.publish.index import (
    NextIndex,
    PresentIndex,
    Publisher,
    next_index,
    read_index,
    release_entry,
    signed_releases,
    store_index,
)
from relsign.trust.publication.listing import read_listing
from relsign.trust.publication.repository import Place, TufClient
from relsign.verify.freshness import verify_listing
from tests.verify.releases import NOW, PEOPLE, make_root, member, parties, sign_by, signed_root

DAY = timedelta(days=1)
MEMBERS = tuple(
    sorted(
        (
            *(member(*person) for person in PEOPLE),
            member("pia", "pia", "acme", "publisher"),
            member("paul", "paul", "birch", "publisher"),
        ),
        key=lambda m: m.name,
    )
)
ROOT = make_root(members=MEMBERS)
PIA, PAUL = parties(ROOT)["pia"], parties(ROOT)["paul"]
BUNDLES = {"1.0": b"first", "1.1": b"second"}
FIRST = release_entry("demo", "1.0", 1, "11" * 32, b"first")
SECOND = release_entry("demo", "1.1", 2, "22" * 32, b"second")


def publisher(party: Party) -> Publisher:
    return Publisher(party, lambda message: sign_by(party.name, message))


def wanted(releases: Iterable[ListedRelease], publishers: tuple[Party, ...] = (PIA,)) -> NextIndex:
    return NextIndex("demo", tuple(releases), publishers, timestamp_days=7)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "site/demo/metadata"


def publish(folder: Path, *releases: ListedRelease, days: int = 0, by: Party = PIA) -> list[str]:
    """Publish releases some days from now; return the names of the files written."""
    asked = wanted(releases, (by,))
    files = next_index(read_index(folder), asked, publisher(by), NOW + days * DAY)
    store_index(folder, files)
    return sorted(files)


def test_the_first_release_makes_three_files(folder: Path) -> None:
    assert publish(folder, FIRST) == ["1.snapshot.json", "1.targets.json", "timestamp.json"]
    present = read_index(folder)
    assert present.releases() == (FIRST,)
    assert present.files is not None
    listing = verify_listing((PIA,), present.files, NOW)
    assert (listing.newest, listing.signed_at, listing.expires) == (FIRST, NOW, NOW + 7 * DAY)


def test_a_release_more_makes_the_next_three(folder: Path) -> None:
    publish(folder, FIRST)
    assert publish(folder, FIRST, SECOND) == [
        "2.snapshot.json",
        "2.targets.json",
        "timestamp.json",
    ]
    assert read_index(folder).releases() == (FIRST, SECOND)
    assert read_index(folder).versions == (2, 2, 2)
    assert (folder / "1.targets.json").exists()


def again(folder: Path, now: datetime) -> dict[str, bytes]:
    """Return what a publisher signs when it says the same once more."""
    present = read_index(folder)
    return next_index(
        present, NextIndex("demo", present.releases(), (PIA,), 7), publisher(PIA), now
    )


def test_when_nothing_changed_only_the_timestamp_is_signed_again(folder: Path) -> None:
    publish(folder, FIRST)
    assert publish(folder, FIRST, days=5) == ["timestamp.json"]
    files = again(folder, NOW + 6 * DAY)
    assert list(files) == ["timestamp.json"]
    assert parse_timestamp(files["timestamp.json"]).signed.version == 3


def test_an_expired_timestamp_can_be_signed_again(folder: Path) -> None:
    publish(folder, FIRST)
    files = again(folder, NOW + 60 * DAY)
    assert list(files) == ["timestamp.json"]


def test_all_is_signed_again_before_the_long_ones_expire(folder: Path) -> None:
    publish(folder, FIRST)
    files = again(folder, NOW + 359 * DAY)
    assert sorted(files) == ["2.snapshot.json", "2.targets.json", "timestamp.json"]


def test_all_is_signed_again_when_the_publisher_is_another(folder: Path) -> None:
    publish(folder, FIRST)
    assert len(publish(folder, FIRST, by=PAUL)) == 3
    present = read_index(folder)
    assert present.files is not None
    assert verify_listing((PAUL,), present.files, NOW).newest == FIRST


def test_another_publisher_may_refresh_what_still_counts(folder: Path) -> None:
    publish(folder, FIRST)
    asked = wanted([FIRST], (PAUL, PIA))
    assert list(next_index(read_index(folder), asked, publisher(PAUL), NOW)) == ["timestamp.json"]


def test_a_renewed_bundle_is_listed_anew(folder: Path) -> None:
    publish(folder, FIRST)
    renewed = release_entry("demo", "1.0", 1, "11" * 32, b"first, renewed")
    assert len(publish(folder, renewed)) == 3
    assert read_index(folder).releases() == (renewed,)


def test_a_release_may_be_withdrawn(folder: Path) -> None:
    publish(folder, FIRST, SECOND)
    publish(folder, SECOND)
    assert read_index(folder).releases() == (SECOND,)


@pytest.mark.parametrize(
    "other",
    [
        release_entry("demo", "1.0", 1, "33" * 32, b"first"),
        release_entry("demo", "1.0", 2, "11" * 32, b"first"),
        release_entry("demo", "1.2", 1, "33" * 32, b"other"),
    ],
)
def test_a_version_and_a_number_never_get_a_second_release(
    folder: Path, other: ListedRelease
) -> None:
    publish(folder, FIRST)
    with pytest.raises(VerificationError, match="another release is published") as caught:
        publish(folder, other)
    assert caught.value.hint
    assert read_index(folder).releases() == (FIRST,)


def test_two_releases_of_one_number_are_never_listed(folder: Path) -> None:
    twin = release_entry("demo", "1.1", 1, "22" * 32, b"second")
    with pytest.raises(InputError, match="sequence named twice"):
        publish(folder, FIRST, twin)
    assert not folder.exists()


def test_only_a_publisher_signs(folder: Path) -> None:
    sam = parties(ROOT)["sam"]
    with pytest.raises(InputError, match="not a publisher"):
        next_index(read_index(folder), wanted([FIRST]), publisher(sam), NOW)


def test_versions_grow_over_a_crash(folder: Path) -> None:
    publish(folder, FIRST)
    (folder / "7.targets.json").write_bytes(b"half")
    (folder / "9.snapshot.json").write_bytes(b"")
    (folder / "08.targets.json").write_bytes(b"no such name")
    assert publish(folder, FIRST, SECOND) == [
        "10.snapshot.json",
        "8.targets.json",
        "timestamp.json",
    ]
    assert read_index(folder).releases() == (FIRST, SECOND)


def test_a_crash_before_the_first_timestamp_is_no_listing(folder: Path) -> None:
    publish(folder, FIRST)
    (folder / "timestamp.json").unlink()
    assert read_index(folder) == PresentIndex(None, (1, 1, 0))
    assert read_index(folder).releases() == ()
    assert "2.targets.json" in publish(folder, FIRST)


def test_only_what_a_publisher_signed_for_the_project_is_listed(folder: Path) -> None:
    assert signed_releases(read_index(folder), "demo", (PIA,), NOW) == ()
    publish(folder, FIRST)
    present = read_index(folder)
    assert signed_releases(present, "demo", (PIA,), NOW) == (FIRST,)
    for project, publishers in (("other", (PIA,)), ("demo", ())):
        with pytest.raises((VerificationError, NotEnoughError)):
            signed_releases(present, project, publishers, NOW)


def test_a_timestamp_that_means_nothing_is_named(folder: Path) -> None:
    publish(folder, FIRST)
    (folder / "1.snapshot.json").unlink()
    with pytest.raises(NotEnoughError, match=r"1\.snapshot\.json"):
        read_index(folder)
    publish_again = folder / "timestamp.json"
    publish_again.write_bytes(b"{}")
    with pytest.raises(InputError, match=r"timestamp\.json"):
        read_index(folder)


def test_a_false_signature_on_disk_is_made_good(folder: Path) -> None:
    publish(folder, FIRST)
    present = read_index(folder)
    assert present.files is not None
    start = present.files.snapshot.index(b'"sig":"') + len(b'"sig":"')
    other = b"1" if present.files.snapshot[start : start + 1] == b"0" else b"0"
    forged = present.files.snapshot[:start] + other + present.files.snapshot[start + 1 :]
    files = msgspec.structs.replace(present.files, snapshot=forged)
    broken = replace(present, files=files)
    assert len(next_index(broken, wanted([FIRST]), publisher(PIA), NOW)) == 3


# --- python-tuf reads the same -------------------------------------------------------------------


def test_python_tuf_loads_and_verifies_what_we_write(folder: Path) -> None:
    publish(folder, FIRST, SECOND)
    root: Metadata[Root] = Metadata.from_bytes(signed_root(ROOT))
    for role, name in (
        ("timestamp", "timestamp.json"),
        ("snapshot", "1.snapshot.json"),
        ("targets", "1.targets.json"),
    ):
        data = (folder / name).read_bytes()
        metadata: Metadata[Targets] = Metadata.from_bytes(data)
        assert metadata.signed.type == role
        root.signed.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        assert metadata.signed_bytes in data
    listed: Metadata[Targets] = Metadata.from_bytes((folder / "1.targets.json").read_bytes())
    assert listed.signed.targets["1.0/demo-1.0.relsign"].custom == {
        "sequence": 1,
        "statement_sha256": "11" * 32,
        "version": "1.0",
    }


def test_a_tuf_client_follows_release_after_release(folder: Path, tmp_path: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "1.root.json").write_bytes(signed_root(ROOT))
    place = Place(f"{folder}/", f"{folder.parent}/")
    for number, entries in enumerate([[FIRST], [FIRST, SECOND], [SECOND]]):
        publish(folder, *entries, days=number)
        for entry in entries:
            path = folder.parent / entry.bundle_path
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(BUNDLES[entry.version])
        client = TufClient(place, tmp_path / "mine", signed_root(ROOT), NOW + number * DAY)
        client.refresh()
        newest = entries[-1]
        assert client.read_target(newest.bundle_path) == BUNDLES[newest.version]
        listing = read_listing(tmp_path / "mine")
        assert listing is not None
        assert verify_listing((PIA,), listing, NOW + number * DAY).releases == tuple(entries)
