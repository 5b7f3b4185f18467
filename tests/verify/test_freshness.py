"""Step 9: who signed the listing, whether it holds together, and which release is newest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from msgspec.structs import replace
from nacl.signing import SigningKey

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Ed25519Public, Party
from relsign.errors import InputError, NotEnoughError, RelsignError, VerificationError
from relsign.formats.listing import (
    Hashes,
    MetaFile,
    Release,
    Snapshot,
    SnapshotFile,
    SnapshotOnly,
    Stamp,
    Target,
    Targets,
    TargetsFile,
    TargetsOnly,
    Timestamp,
    TimestampFile,
    target_path,
)
from relsign.formats.names import Digest
from relsign.formats.tuf import TufSignature
from relsign.verify.freshness import (
    FreshnessDemand,
    ListingFiles,
    ReleaseInHand,
    VerifiedListing,
    verify_freshness,
    verify_listing,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def key(name: str) -> SigningKey:
    return SigningKey(sha256_hex(name.encode())[:32].encode())


def party(name: str) -> Party:
    public = Ed25519Public(key(name).verify_key.encode())
    return Party(name, name, "acme", ("publisher",), public)


PIA, PAUL = party("pia"), party("paul")


def signatures(message: bytes, *names: str) -> tuple[TufSignature, ...]:
    made = (
        TufSignature(keyid=Digest(party(n).keyid), sig=key(n).sign(message).signature.hex())
        for n in names
    )
    return tuple(sorted(made, key=lambda signature: signature.keyid))


def meant(data: bytes, version: int) -> MetaFile:
    return MetaFile(hashes=Hashes(sha256=sha256_hex(data)), length=len(data), version=version)


@dataclass
class Listing:
    """A listing of releases 1.0, 1.1, ..., every part of which a test can change."""

    releases: int = 3
    project: str = "demo"
    signed_at: datetime = NOW - DAY
    timestamp_expires: datetime = NOW + 6 * DAY
    snapshot_expires: datetime = NOW + 300 * DAY
    targets_expires: datetime = NOW + 300 * DAY
    signers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    change_timestamp: Callable[[Timestamp], Timestamp] = lambda value: value
    change_snapshot: Callable[[Snapshot], Snapshot] = lambda value: value
    stamp_project: str = "demo"

    def files(self) -> ListingFiles:
        targets = Targets(
            expires=self.targets_expires,
            version=4,
            targets=dict(map(self._entry, range(self.releases))),
        )
        first = TargetsFile(signatures=self._by("targets", targets), signed=targets).to_bytes()
        snapshot = self.change_snapshot(
            Snapshot(
                expires=self.snapshot_expires,
                version=5,
                meta=TargetsOnly(targets=meant(first, 4)),
            )
        )
        second = SnapshotFile(signatures=self._by("snapshot", snapshot), signed=snapshot).to_bytes()
        timestamp = self.change_timestamp(
            Timestamp(
                expires=self.timestamp_expires,
                version=6,
                meta=SnapshotOnly(snapshot=meant(second, 5)),
                stamp=Stamp(project=self.stamp_project, signed_at=self.signed_at),
            )
        )
        third = TimestampFile(signatures=self._by("timestamp", timestamp), signed=timestamp)
        return ListingFiles(third.to_bytes(), second, first)

    def verify(self, *publishers: Party) -> VerifiedListing:
        return verify_listing(publishers or (PAUL, PIA), self.files(), NOW)

    def _entry(self, number: int) -> tuple[str, Target]:
        version = f"1.{number}"
        release = Release(sequence=number + 1, statement_sha256=statement(version), version=version)
        entry = Target(custom=release, hashes=Hashes(sha256=Digest("bb" * 32)), length=5)
        return target_path(self.project, version), entry

    def _by(self, role: str, signed: Timestamp | Snapshot | Targets) -> tuple[TufSignature, ...]:
        return signatures(signed.to_bytes(), *self.signers.get(role, ("pia",)))


def statement(version: str) -> Digest:
    return sha256_hex(version.encode())


def test_a_listing_holds() -> None:
    listing = Listing().verify()
    assert listing.project == "demo"
    assert [release.version for release in listing.releases] == ["1.0", "1.1", "1.2"]
    assert listing.newest == listing.releases[-1]
    assert listing.signed_at == NOW - DAY
    assert listing.expires == NOW + 6 * DAY


def test_an_empty_listing_holds() -> None:
    assert Listing(releases=0).verify().newest is None


def test_the_first_expiry_counts() -> None:
    assert Listing(targets_expires=NOW + DAY).verify().expires == NOW + DAY


def test_labels_decide_nothing() -> None:
    files = Listing().files()
    relabelled = files.targets.replace(PIA.keyid.encode(), b"0" * 64)
    assert relabelled != files.targets
    # The digest in the snapshot is of the whole file, so a label cannot be changed later.
    with pytest.raises(VerificationError, match="belong together"):
        verify_listing((PIA,), replace(files, targets=relabelled), NOW)
    stamped = files.timestamp.replace(PIA.keyid.encode(), b"0" * 64)
    assert verify_listing((PIA,), replace(files, timestamp=stamped), NOW).newest is not None


def test_several_may_sign() -> None:
    signers = dict.fromkeys(("timestamp", "snapshot", "targets"), ("mallory", "paul", "pia"))
    assert Listing(signers=signers).verify(PAUL).newest is not None


def _of(**changes: object) -> Callable[[MetaFile], MetaFile]:
    return lambda meta: msgspec.structs.replace(meta, **changes)


def _timestamp(change: Callable[[MetaFile], MetaFile]) -> Listing:
    return Listing(
        change_timestamp=lambda t: msgspec.structs.replace(
            t, meta=SnapshotOnly(snapshot=change(t.meta.snapshot))
        )
    )


def _snapshot(change: Callable[[MetaFile], MetaFile]) -> Listing:
    return Listing(
        change_snapshot=lambda s: msgspec.structs.replace(
            s, meta=TargetsOnly(targets=change(s.meta.targets))
        )
    )


OTHER = Hashes(sha256=Digest("00" * 32))
FALSE: dict[str, tuple[Listing, type[RelsignError], str]] = {
    "nobody signed the timestamp": (
        Listing(signers={"timestamp": ()}),
        VerificationError,
        "timestamp.json: no publisher",
    ),
    "a stranger signed the timestamp": (
        Listing(signers={"timestamp": ("mallory",)}),
        VerificationError,
        "timestamp.json: no publisher",
    ),
    "a stranger signed the snapshot": (
        Listing(signers={"snapshot": ("mallory",)}),
        VerificationError,
        "snapshot.json: no publisher",
    ),
    "a stranger signed the targets": (
        Listing(signers={"targets": ("mallory",)}),
        VerificationError,
        "targets.json: no publisher",
    ),
    "another snapshot is meant": (
        _timestamp(_of(version=4)),
        VerificationError,
        "belong together",
    ),
    "a longer snapshot is meant": (_timestamp(_of(length=1)), VerificationError, "belong together"),
    "other snapshot bytes": (_timestamp(_of(hashes=OTHER)), VerificationError, "belong together"),
    "other targets are meant": (_snapshot(_of(version=3)), VerificationError, "belong together"),
    "longer targets are meant": (_snapshot(_of(length=1)), VerificationError, "belong together"),
    "other target bytes": (_snapshot(_of(hashes=OTHER)), VerificationError, "belong together"),
    "bundles of another project": (
        Listing(project="other"),
        VerificationError,
        "another project",
    ),
    "from the future": (
        Listing(signed_at=NOW + 2 * DAY),
        VerificationError,
        "in the future",
    ),
    "the timestamp expired": (Listing(timestamp_expires=NOW), NotEnoughError, "has expired"),
    "the snapshot expired": (Listing(snapshot_expires=NOW), NotEnoughError, "has expired"),
    "the targets expired": (Listing(targets_expires=NOW), NotEnoughError, "has expired"),
}


@pytest.mark.parametrize("case", FALSE)
def test_a_false_listing_is_refused(case: str) -> None:
    listing, kind, words = FALSE[case]
    with pytest.raises(RelsignError) as caught:
        listing.verify()
    assert type(caught.value) is kind
    assert words in str(caught.value)


def test_an_expired_listing_says_how_to_get_another() -> None:
    with pytest.raises(NotEnoughError) as caught:
        Listing(timestamp_expires=NOW - DAY / 2).verify()
    assert caught.value.hint == "relsign trust refresh demo"


def test_without_publishers_nothing_holds() -> None:
    with pytest.raises(VerificationError, match="no publisher"):
        verify_listing((), Listing().files(), NOW)


@pytest.mark.parametrize("part", ["timestamp", "snapshot", "targets"])
def test_malformed_files_are_refused(part: str) -> None:
    files = Listing().files()
    changed = {name: getattr(files, name) for name in ("timestamp", "snapshot", "targets")}
    changed[part] = b"{}"
    with pytest.raises(InputError, match=part):
        verify_listing((PIA,), ListingFiles(**changed), NOW)


# --- the release ---------------------------------------------------------------------------------


def release(version: str, sequence: int, digest: str | None = None) -> ReleaseInHand:
    return ReleaseInHand("demo", version, sequence, digest or statement(version))


def ask(
    in_hand: ReleaseInHand,
    listing: VerifiedListing | None,
    demand: FreshnessDemand | None = None,
) -> str:
    return verify_freshness(listing, in_hand, demand or FreshnessDemand(), NOW)


def test_the_newest_release_passes() -> None:
    words = ask(release("1.2", 3), Listing().verify())
    assert words == "newest of 3 releases; listing of 2026-11-20, valid until 2026-11-27"


def test_an_older_release_is_refused_and_the_newest_named() -> None:
    with pytest.raises(VerificationError, match=r"newest release, 1\.2") as caught:
        ask(release("1.1", 2), Listing().verify())
    assert caught.value.hint == ("use 1.2; to check this older release on purpose: --release 1.1")


def test_an_older_release_passes_when_it_was_asked_for() -> None:
    demand = FreshnessDemand(wanted="1.1")
    words = ask(release("1.1", 2), Listing().verify(), demand)
    assert words.startswith("older than the newest, 1.2, and asked for by name")


def test_asking_for_one_release_lets_no_other_pass() -> None:
    with pytest.raises(VerificationError, match="older"):
        ask(release("1.1", 2), Listing().verify(), FreshnessDemand(wanted="1.0"))


CONTRADICTED: dict[str, tuple[ReleaseInHand, type[RelsignError], str]] = {
    "another statement": (
        release("1.2", 3, "cc" * 32),
        VerificationError,
        "another release is listed as version 1.2",
    ),
    "another statement, older": (
        release("1.0", 1, "cc" * 32),
        VerificationError,
        "another release is listed",
    ),
    "another number": (release("1.2", 9), VerificationError, "under another number"),
    "a number that is taken": (release("2.0", 3), VerificationError, "number 3 is listed as"),
    "newer than the listing": (release("2.0", 4), NotEnoughError, "does not know this release yet"),
    "another project": (
        ReleaseInHand("other", "1.2", 3, statement("1.2")),
        VerificationError,
        "another project's",
    ),
}


@pytest.mark.parametrize("case", CONTRADICTED)
def test_a_release_the_listing_contradicts_is_refused(case: str) -> None:
    in_hand, kind, words = CONTRADICTED[case]
    with pytest.raises(RelsignError) as caught:
        ask(in_hand, Listing().verify())
    assert type(caught.value) is kind
    assert words in str(caught.value)
    assert caught.value.hint or in_hand.project == "other"


def test_a_release_no_longer_listed_is_refused() -> None:
    listing = Listing().verify()
    shortened = replace(listing, releases=listing.releases[1:])
    with pytest.raises(VerificationError, match="no longer list version") as caught:
        ask(release("1.0", 1), shortened, FreshnessDemand(wanted="1.0"))
    assert caught.value.hint == "use version 1.2"


@pytest.mark.parametrize(("releases", "hint"), [(0, "wait"), (3, "newest listed is 1.2")])
def test_a_release_taken_back_is_not_waited_for(releases: int, hint: str) -> None:
    gone = replace(release("2.0", 4), revoked=True)
    with pytest.raises(VerificationError, match=r"version 2\.0 was taken back") as caught:
        ask(gone, Listing(releases=releases).verify())
    assert hint in caught.value.hint


def test_an_empty_listing_knows_no_release() -> None:
    with pytest.raises(NotEnoughError, match="does not know"):
        ask(release("1.0", 1), Listing(releases=0).verify())


def test_a_listing_that_is_missing_says_how_to_get_one() -> None:
    with pytest.raises(NotEnoughError, match="no listing") as caught:
        ask(release("1.2", 3), None)
    assert caught.value.hint == "relsign trust refresh demo"


@pytest.mark.parametrize(("days", "passes"), [(None, True), (1, True), (0, False)])
def test_a_listing_may_be_too_old_for_a_person(days: int | None, *, passes: bool) -> None:
    demand = FreshnessDemand(max_age_days=days)
    if passes:
        assert ask(release("1.2", 3), Listing().verify(), demand)
        return
    with pytest.raises(NotEnoughError, match="too old") as caught:
        ask(release("1.2", 3), Listing().verify(), demand)
    assert caught.value.hint == "relsign trust refresh demo"


def test_another_statement_is_a_contradiction() -> None:
    with pytest.raises(VerificationError):
        ask(release("1.2", 3, "cc" * 32), Listing().verify(), FreshnessDemand())
