"""The `metadata/` folder of a publication: what is published, signed by a publisher.

    1.root.json 2.root.json ...   the owners' roots, placed by whoever publishes a root
    N.targets.json                the bundle of every release
    N.snapshot.json               which targets file is meant
    timestamp.json                which snapshot is meant, signed again before it expires

TUF metadata with consistent snapshots (TUF specification 1.0, section 6.2): a numbered
file is never written twice, and the timestamp is last, so whoever reads meanwhile sees
the old listing or the new one.  Versions grow over everything that lies in the folder,
also over files of a run that crashed before its timestamp.

A publisher's key is kept online.  Whoever has it can hide a release or show an old
listing's releases as new; the release itself it cannot change.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Party
from relsign.crypto.raw_signing import Sign
from relsign.errors import InputError, VerificationError
from relsign.formats.listing import (
    MAX_SNAPSHOT_BYTES,
    MAX_TARGETS_BYTES,
    MAX_TIMESTAMP_BYTES,
    Hashes,
    ListedRelease,
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
    listed_releases,
    parse_snapshot,
    parse_targets,
    parse_timestamp,
    target_path,
)
from relsign.formats.names import Digest
from relsign.formats.tuf import TufSignature
from relsign.system.files import host_error, make_folder, read_bounded, write_whole
from relsign.verify.freshness import ListingFiles, verify_listing

METADATA = "metadata"
TIMESTAMP = "timestamp.json"
LONG_DAYS = 365
"""How long targets and snapshot are valid at least: the timestamp is what keeps fresh."""

_NUMBERED = re.compile(r"([1-9][0-9]{0,14})\.(targets|snapshot)\.json")


@dataclass(frozen=True, slots=True)
class Publisher:
    """Who signs, and how: a member with the role `publisher`."""

    party: Party
    sign: Sign
    """Returns a raw Ed25519 signature of the message."""


@dataclass(frozen=True, slots=True)
class PresentIndex:
    """The listing that lies in a folder; None where there is none yet."""

    files: ListingFiles | None = None
    versions: tuple[int, int, int] = (0, 0, 0)
    """Highest versions seen of targets, snapshot and timestamp."""

    def releases(self) -> tuple[ListedRelease, ...]:
        """Return what is listed, oldest first; raises InputError for a malformed file."""
        if self.files is None:
            return ()
        return listed_releases(parse_targets(self.files.targets).signed)


@dataclass(frozen=True, slots=True)
class NextIndex:
    """What is to be signed next."""

    project: str
    releases: tuple[ListedRelease, ...]
    publishers: tuple[Party, ...]
    """Whose signatures count under the root that is published."""
    timestamp_days: int
    """Validity of the timestamp; the root's `freshness.days`."""


def release_entry(
    project: str, version: str, sequence: int, statement_sha256: str, bundle: bytes
) -> ListedRelease:
    """Return the entry of one release."""
    return ListedRelease(
        sequence=sequence,
        version=version,
        statement_sha256=statement_sha256,
        bundle_path=target_path(project, version),
        bundle_sha256=sha256_hex(bundle),
        bundle_bytes=len(bundle),
    )


def read_index(folder: Path) -> PresentIndex:
    """Return the listing in a `metadata/` folder.

    Raises InputError for a malformed file and NotEnoughError where the timestamp means
    one that is not there.
    """
    if not folder.is_dir():
        return PresentIndex()
    highest = {"targets": 0, "snapshot": 0}
    for entry in os.scandir(folder):
        match = _NUMBERED.fullmatch(entry.name)
        if match:
            highest[match[2]] = max(highest[match[2]], int(match[1]))
    if not (folder / TIMESTAMP).exists():
        return PresentIndex(None, (highest["targets"], highest["snapshot"], 0))
    stamp = read_bounded(folder / TIMESTAMP, MAX_TIMESTAMP_BYTES)
    timestamp = parse_timestamp(stamp, TIMESTAMP).signed
    number = timestamp.meta.snapshot.version
    snapshot = read_bounded(folder / f"{number}.snapshot.json", MAX_SNAPSHOT_BYTES)
    number = parse_snapshot(snapshot).signed.meta.targets.version
    targets = read_bounded(folder / f"{number}.targets.json", MAX_TARGETS_BYTES)
    versions = (highest["targets"], highest["snapshot"], timestamp.version)
    return PresentIndex(ListingFiles(stamp, snapshot, targets), versions)


def next_index(
    present: PresentIndex, wanted: NextIndex, publisher: Publisher, now: datetime
) -> dict[str, bytes]:
    """Return name -> bytes of the metadata files to write, `timestamp.json` last.

    Where the listing on disk says the same, is signed by one of `wanted.publishers` and
    outlives the new timestamp, only the timestamp is made anew.  Raises
    VerificationError for a release that is listed already with another statement, or
    has the number of another, InputError for a publisher the root does not name or too
    many releases.
    """
    if publisher.party not in wanted.publishers:
        raise InputError(
            "not a publisher of this project",
            got=publisher.party.name,
            hint="sign with the key of a member that has the role publisher",
        )
    _require_same_statements(wanted.project, present.releases(), wanted.releases)
    expires = now + timedelta(days=wanted.timestamp_days)
    files: dict[str, bytes] = {}
    snapshot = _standing_snapshot(present, wanted, expires, now)
    if snapshot is None:
        files = _make_snapshot(present, wanted, publisher, now)
        snapshot = files[f"{present.versions[1] + 1}.snapshot.json"]
    timestamp = Timestamp(
        expires=expires,
        version=present.versions[2] + 1,
        meta=SnapshotOnly(snapshot=_meant(snapshot, parse_snapshot(snapshot).signed.version)),
        stamp=Stamp(project=wanted.project, signed_at=now),
    )
    signatures = _signed(publisher, timestamp.to_bytes())
    files[TIMESTAMP] = TimestampFile(signatures=signatures, signed=timestamp).to_bytes()
    return files


def signed_releases(
    present: PresentIndex, project: str, publishers: tuple[Party, ...], now: datetime
) -> tuple[ListedRelease, ...]:
    """Return what one of `publishers` listed for a project; nothing where nobody did.

    Whoever can write to the server's disk can put any listing there: only what a
    publisher signed says anything.  It is asked as of its own time, for an expired one
    is what is to be made anew.  Raises VerificationError for one that does not hold.
    """
    if present.files is None:
        return ()
    at = min(now, parse_timestamp(present.files.timestamp).signed.stamp.signed_at)
    listing = verify_listing(publishers, present.files, at)
    if listing.project != project:
        raise VerificationError(
            "the listing is another project's", expected=project, got=listing.project
        )
    return listing.releases


def store_index(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write metadata files, each whole, the timestamp last; raise HostError for a full disk.

    A folder made here is readable for a web server of another user, whatever the umask.
    """
    make_folder(folder.parent)
    try:
        folder.mkdir()
        folder.chmod(0o755)
    except FileExistsError:
        make_folder(folder)
    except OSError as error:
        raise host_error(error, folder) from error
    for name in sorted(files, key=lambda name: (name == TIMESTAMP, name)):
        write_whole(folder / name, files[name])


def _standing_snapshot(
    present: PresentIndex, wanted: NextIndex, expires: datetime, now: datetime
) -> bytes | None:
    """Return the snapshot on disk if a new timestamp may go on pointing at it."""
    if present.files is None or present.releases() != _sorted(wanted.releases):
        return None
    snapshot = parse_snapshot(present.files.snapshot).signed
    targets = parse_targets(present.files.targets).signed
    if min(snapshot.expires, targets.expires) < expires:
        return None
    try:
        # An expired timestamp is what a refresh mends, so it is asked about its own time.
        at = min(now, parse_timestamp(present.files.timestamp).signed.stamp.signed_at)
        verify_listing(wanted.publishers, present.files, at)
    except VerificationError:
        return None
    return present.files.snapshot


def _make_snapshot(
    present: PresentIndex, wanted: NextIndex, publisher: Publisher, now: datetime
) -> dict[str, bytes]:
    """Return a new targets file and the snapshot that means it."""
    expires = now + timedelta(days=max(LONG_DAYS, 2 * wanted.timestamp_days))
    try:
        targets = Targets(
            expires=expires,
            version=present.versions[0] + 1,
            targets={release.bundle_path: _target(release) for release in wanted.releases},
        )
    except ValueError as error:
        raise InputError(
            f"these releases cannot stand in one list: {error}",
            hint="each release has a version, a number and a statement of its own",
        ) from error
    listed = TargetsFile(signatures=_signed(publisher, targets.to_bytes()), signed=targets)
    data = listed.to_bytes()
    # What the parser would refuse (a strange name, too many) must not be published.
    parse_targets(data)
    snapshot = Snapshot(
        expires=expires,
        version=present.versions[1] + 1,
        meta=TargetsOnly(targets=_meant(data, targets.version)),
    )
    meaning = SnapshotFile(signatures=_signed(publisher, snapshot.to_bytes()), signed=snapshot)
    return {
        f"{targets.version}.targets.json": data,
        f"{snapshot.version}.snapshot.json": meaning.to_bytes(),
    }


def _require_same_statements(
    project: str, before: Iterable[ListedRelease], after: Iterable[ListedRelease]
) -> None:
    """One version and one number never get a second statement."""
    said = {release.version: release for release in before}
    numbers = {release.sequence: release for release in said.values()}
    for release in after:
        for old in (said.get(release.version), numbers.get(release.sequence)):
            if old is not None and _identity(old) != _identity(release):
                raise VerificationError(
                    "another release is published under this version or number",
                    expected=f"version {old.version}, number {old.sequence}",
                    got=f"version {release.version}, number {release.sequence}",
                    hint=follow(project, old.version),
                )


def follow(project: str, version: str) -> str:
    """Return the hint for a release that has the number of published `version`."""
    bundle = target_path(project, version)
    return (
        "make it follow the published one: remove its release.statement, then each signer runs "
        f"`relsign sign --as NAME --previous SITE/{project}/{bundle}`"
    )


def _identity(release: ListedRelease) -> tuple[str, int, str]:
    return release.version, release.sequence, release.statement_sha256


def _sorted(releases: Iterable[ListedRelease]) -> tuple[ListedRelease, ...]:
    return tuple(sorted(releases, key=lambda release: release.sequence))


def _target(release: ListedRelease) -> Target:
    return Target(
        custom=Release(
            sequence=release.sequence,
            statement_sha256=Digest(release.statement_sha256),
            version=release.version,
        ),
        hashes=Hashes(sha256=Digest(release.bundle_sha256)),
        length=release.bundle_bytes,
    )


def _meant(data: bytes, version: int) -> MetaFile:
    return MetaFile(hashes=Hashes(sha256=sha256_hex(data)), length=len(data), version=version)


def _signed(publisher: Publisher, message: bytes) -> tuple[TufSignature, ...]:
    signature = publisher.sign(message).hex()
    return (TufSignature(keyid=Digest(publisher.party.keyid), sig=signature),)
