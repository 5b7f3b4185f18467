"""Step 9: the release in hand is the newest that the publishers tell of.

A listing is TUF's timestamp, snapshot and targets (TUF specification 1.0, section 5).
The client that fetched it has refused every step back; here, without a memory and
without the network, it is verified again from its bytes:

    (1) each of the three is signed by a publisher of the root, tried key by key;
    (2) timestamp -> snapshot -> targets hang together by version, length and digest;
    (3) none is expired: who withholds new listings only wins the time until then;
    (4) it is the project's, and it was not signed in the future.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Party
from relsign.crypto.signatures import verify_by
from relsign.errors import InputError, NotEnoughError, RelsignError, VerificationError
from relsign.formats.canonical import Value
from relsign.formats.listing import (
    ListedRelease,
    MetaFile,
    SnapshotFile,
    TargetsFile,
    TimestampFile,
    listed_project,
    listed_releases,
    parse_snapshot,
    parse_targets,
    parse_timestamp,
)
from relsign.formats.tuf import TufSignature
from relsign.verify.release import CLOCK_SKEW


class ListingFiles(Value, frozen=True):
    """The three files as they came, none of them believed."""

    timestamp: bytes
    snapshot: bytes
    targets: bytes


class VerifiedListing(Value, frozen=True):
    """What a publisher says is published; made by `verify_listing` and by nothing else."""

    project: str
    releases: tuple[ListedRelease, ...]
    """Oldest first."""
    signed_at: datetime
    expires: datetime
    """When the first of the three files expires."""

    @property
    def newest(self) -> ListedRelease | None:
        """The release with the highest sequence, or None where nothing is published."""
        return self.releases[-1] if self.releases else None


class ReleaseInHand(Value, frozen=True):
    """What the signed statement says of itself."""

    project: str
    version: str
    sequence: int
    statement_sha256: str
    revoked: bool = False
    """Whether the owners took it back: publishers list it no more."""


class FreshnessDemand(Value, frozen=True):
    """What is asked of step 9."""

    max_age_days: int | None = None
    """How long ago the timestamp may have been signed; None leaves it to its expiry."""
    wanted: str | None = None
    """The version the person named, which may then be an older one."""


def verify_listing(
    publishers: tuple[Party, ...], files: ListingFiles, now: datetime
) -> VerifiedListing:
    """Return what the listing says, having checked (1) to (4).

    Raises VerificationError for a listing that no publisher signed, that does not hang
    together or comes from the future, InputError for malformed files, and
    NotEnoughError for an expired one.
    """
    timestamp, snapshot, targets = _parse(files)
    for file in (timestamp, snapshot, targets):
        name = f"{file.signed.type_}.json"
        _require_signed(publishers, file.signatures, file.signed.to_bytes(), name, now)
    _require_same(timestamp.signed.meta.snapshot, files.snapshot, snapshot.signed.version)
    _require_same(snapshot.signed.meta.targets, files.targets, targets.signed.version)
    stamp = timestamp.signed.stamp
    if listed_project(targets.signed) not in {None, stamp.project}:
        raise VerificationError("the listing names bundles of another project")
    if stamp.signed_at > now + CLOCK_SKEW:
        raise VerificationError(
            "the listing was signed in the future",
            where="timestamp.json: x-relsign.signed_at",
            got=stamp.signed_at.isoformat(),
            hint="check this machine's clock",
        )
    expires = min(file.signed.expires for file in (timestamp, snapshot, targets))
    if now >= expires:
        raise NotEnoughError(
            "the listing of releases has expired",
            where="timestamp.json",
            expected=f"one that is valid at {now.isoformat()}",
            got=f"valid until {expires.isoformat()}",
            hint=_refresh(stamp.project),
        )
    releases = listed_releases(targets.signed)
    return VerifiedListing(stamp.project, releases, stamp.signed_at, expires)


def verify_freshness(
    listing: VerifiedListing | None, release: ReleaseInHand, demand: FreshnessDemand, now: datetime
) -> str:
    """Return the row's words for a release that is the newest, or that was asked for by name.

    Raises VerificationError for a release that the listing contradicts, or that is older
    than the newest; NotEnoughError where a listing is missing, or too old to tell.
    """
    if listing is None:
        raise NotEnoughError("no listing of releases is at hand", hint=_refresh(release.project))
    if listing.project != release.project:
        raise VerificationError(
            "the listing is another project's", expected=release.project, got=listing.project
        )
    _require_recent(listing, demand.max_age_days, now)
    _require_listed(listing, release)
    return _say_place(listing, release, demand.wanted)


def _parse(files: ListingFiles) -> tuple[TimestampFile, SnapshotFile, TargetsFile]:
    return (
        parse_timestamp(files.timestamp),
        parse_snapshot(files.snapshot),
        parse_targets(files.targets),
    )


def _require_signed(
    publishers: tuple[Party, ...],
    signatures: tuple[TufSignature, ...],
    message: bytes,
    name: str,
    now: datetime,
) -> None:
    """(1) One publisher is enough; labels are not looked at."""
    for signature in signatures:
        for party in publishers:
            try:
                verify_by(party, bytes.fromhex(signature.sig), message, now)
            except (VerificationError, InputError):
                continue
            return
    raise VerificationError(
        "no publisher of this project signed the listing",
        where=name,
        hint="fetch root and listing anew with `relsign trust refresh`",
    )


def _require_same(meant: MetaFile, data: bytes, version: int) -> None:
    """(2) A file is the very one that the file before it means."""
    if (meant.version, meant.length, meant.hashes.sha256) != (version, len(data), sha256_hex(data)):
        raise VerificationError(
            "the files of the listing do not belong together",
            expected=f"version {meant.version}, sha256 {meant.hashes.sha256}",
            got=f"version {version}, sha256 {sha256_hex(data)}",
            hint="fetch the listing anew with `relsign trust refresh`",
        )


def _require_recent(listing: VerifiedListing, max_age_days: int | None, now: datetime) -> None:
    if max_age_days is not None and now - listing.signed_at > timedelta(days=max_age_days):
        raise NotEnoughError(
            "the listing of releases is too old",
            expected=f"at most {max_age_days} days",
            got=f"signed at {listing.signed_at.isoformat()}",
            hint=_refresh(listing.project),
        )


def _require_listed(listing: VerifiedListing, release: ReleaseInHand) -> None:
    """Refuse a release that is not the one the publishers list under its version or number."""
    for listed in listing.releases:
        same_version = listed.version == release.version
        if not same_version and listed.sequence != release.sequence:
            continue
        if not same_version:
            raise VerificationError(
                f"release number {release.sequence} is listed as another version",
                expected=listed.version,
                got=release.version,
                hint="do not use it; ask the project's owners",
            )
        if listed.statement_sha256 != release.statement_sha256:
            raise VerificationError(
                f"another release is listed as version {release.version}",
                expected=listed.statement_sha256,
                got=release.statement_sha256,
                hint="do not use it; ask the project's owners",
            )
        if listed.sequence != release.sequence:
            raise VerificationError(
                f"version {release.version} is listed under another number",
                expected=str(listed.sequence),
                got=str(release.sequence),
                hint="do not use it; ask the project's owners",
            )
        return
    raise _unlisted(listing, release)


def _unlisted(listing: VerifiedListing, release: ReleaseInHand) -> RelsignError:
    """Return why the publishers do not list a release, as far as the listing tells."""
    newest = listing.newest
    if release.revoked:
        hint = f"the newest listed is {newest.version}" if newest else "wait for the next release"
        return VerificationError(
            f"version {release.version} was taken back, so the publishers do not list it",
            hint=hint,
        )
    if newest is None or release.sequence > newest.sequence:
        return NotEnoughError(
            "the listing of releases does not know this release yet",
            got=f"version {release.version}, number {release.sequence}",
            hint=_refresh(release.project),
        )
    return VerificationError(
        f"the publishers no longer list version {release.version}",
        got=f"newest is {newest.version}",
        hint=f"use version {newest.version}",
    )


def _say_place(listing: VerifiedListing, release: ReleaseInHand, wanted: str | None) -> str:
    newest = listing.releases[-1]
    until = f"listing of {listing.signed_at:%Y-%m-%d}, valid until {listing.expires:%Y-%m-%d}"
    if newest.version == release.version:
        return f"newest of {len(listing.releases)} releases; {until}"
    if wanted != release.version:
        raise VerificationError(
            f"older than the newest release, {newest.version}",
            got=f"version {release.version}",
            hint=f"use {newest.version}; "
            f"to check this older release on purpose: --release {release.version}",
        )
    return f"older than the newest, {newest.version}, and asked for by name; {until}"


def _refresh(project: str) -> str:
    return f"relsign trust refresh {project}"
