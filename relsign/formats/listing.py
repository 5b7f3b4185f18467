"""What a publisher says is published: TUF timestamp, snapshot and targets metadata.

Written to the TUF specification 1.0 (sections 4.4 to 4.6) in canonical JSON, so that
any TUF client reads it; read back more strictly than TUF asks.  Every field below must
be there, there are no delegations, and the only targets are the bundles:

    VERSION/PROJECT-VERSION.relsign    length, SHA-256, and in `custom` the release's
                                       sequence, version and the statement's digest

The timestamp says under ``x-relsign`` for which project and when it was signed.

TUF's canonical form and ours are equal here: no text can hold a control character or a
letter outside ASCII.  Nothing is believed that stands here: `relsign.verify.freshness`
decides.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from relsign.formats.bundle import MAX_BUNDLE_BYTES, bundle_file_name
from relsign.formats.canonical import Document, Value, decode_canonical, encode_canonical
from relsign.formats.names import (
    HexDigest,
    Name,
    Size,
    Time,
    Version,
    refuse_repeats,
    shaped,
    whole_seconds_utc,
)
from relsign.formats.tuf import TufSignature, refuse_disorder

MAX_TIMESTAMP_BYTES = 16_384
MAX_SNAPSHOT_BYTES = 2_000_000
MAX_TARGETS_BYTES = 5_000_000
"""Bounds on the three files, as TUF's reference client sets them."""
MAX_RELEASES = 10_000
MAX_SIGNATURES = 16

Number = Annotated[int, Meta(ge=1, le=(1 << 53) - 1)]
"""A version of metadata, or a release's sequence."""

TargetPath = Annotated[
    str,
    shaped(
        "VERSION/PROJECT-VERSION.relsign",
        r"[0-9A-Za-z][0-9A-Za-z.+~_-]{0,63}/[A-Za-z0-9][A-Za-z0-9.+~_-]{0,200}\.relsign",
    ),
]


class Hashes(Document, frozen=True, kw_only=True):
    """SHA-256, as TUF spells it."""

    sha256: HexDigest


class MetaFile(Document, frozen=True, kw_only=True):
    """The one version of a metadata file that is meant."""

    hashes: Hashes
    length: Size
    version: Number


class SnapshotOnly(Document, frozen=True, kw_only=True):
    """What a timestamp points at."""

    snapshot: MetaFile = msgspec.field(name="snapshot.json")


class TargetsOnly(Document, frozen=True, kw_only=True):
    """What a snapshot points at: there are no delegations."""

    targets: MetaFile = msgspec.field(name="targets.json")


class Stamp(Document, frozen=True, kw_only=True):
    """Whose listing this is, and when it was signed."""

    project: Name
    signed_at: Time


class Release(Document, frozen=True, kw_only=True):
    """Which release a bundle is the evidence of."""

    sequence: Number
    statement_sha256: HexDigest
    version: Version


class Target(Document, frozen=True, kw_only=True):
    """One bundle."""

    custom: Release
    hashes: Hashes
    length: Annotated[int, Meta(ge=1, le=MAX_BUNDLE_BYTES)]


class _Signed(Document, frozen=True, kw_only=True):
    """What the three have in common."""

    expires: Time
    spec_version: Literal["1.0.31"] = "1.0.31"
    version: Number

    def __post_init__(self) -> None:
        """Refuse times with more than one form."""
        if not whole_seconds_utc(self.expires):
            raise ValueError("expires is not whole seconds in UTC")

    def to_bytes(self) -> bytes:
        """Return the canonical bytes, which a publisher signs."""
        return encode_canonical(self)


class Timestamp(_Signed, frozen=True, kw_only=True):
    """The newest snapshot; signed again and again."""

    type_: Literal["timestamp"] = msgspec.field(default="timestamp", name="_type")
    meta: SnapshotOnly
    stamp: Stamp = msgspec.field(name="x-relsign")

    def __post_init__(self) -> None:
        """Refuse times with more than one form, and one that was signed after it expired."""
        super().__post_init__()
        if not whole_seconds_utc(self.stamp.signed_at):
            raise ValueError("signed_at is not whole seconds in UTC")
        if self.stamp.signed_at >= self.expires:
            raise ValueError("signed_at is not before expires")


class Snapshot(_Signed, frozen=True, kw_only=True):
    """The one targets file that belongs to it."""

    type_: Literal["snapshot"] = msgspec.field(default="snapshot", name="_type")
    meta: TargetsOnly


class Targets(_Signed, frozen=True, kw_only=True):
    """Every release's bundle."""

    type_: Literal["targets"] = msgspec.field(default="targets", name="_type")
    targets: Annotated[dict[TargetPath, Target], Meta(max_length=MAX_RELEASES)]

    def __post_init__(self) -> None:
        """Refuse releases that are not told apart, and paths that do not follow from them."""
        super().__post_init__()
        releases = [target.custom for target in self.targets.values()]
        refuse_repeats("sequence", (str(release.sequence) for release in releases))
        refuse_repeats("version", (release.version for release in releases))
        refuse_repeats("statement", (release.statement_sha256 for release in releases))
        projects = {_project(path, target) for path, target in self.targets.items()}
        if len(projects) > 1:
            raise ValueError("targets of several projects")


class _File(Document, frozen=True, kw_only=True):
    """What the three files have in common."""

    signatures: Annotated[tuple[TufSignature, ...], Meta(max_length=MAX_SIGNATURES)]

    def __post_init__(self) -> None:
        """Refuse signatures in more than one order."""
        refuse_disorder(self.signatures)

    def to_bytes(self) -> bytes:
        """Return the canonical bytes of the file."""
        return encode_canonical(self)


class TimestampFile(_File, frozen=True, kw_only=True):
    """A whole `timestamp.json`."""

    signed: Timestamp


class SnapshotFile(_File, frozen=True, kw_only=True):
    """A whole `N.snapshot.json`."""

    signed: Snapshot


class TargetsFile(_File, frozen=True, kw_only=True):
    """A whole `N.targets.json`."""

    signed: Targets


class ListedRelease(Value, frozen=True):
    """One release as a listing names it."""

    sequence: int
    version: str
    statement_sha256: str
    bundle_path: str
    """Relative to the project's folder."""
    bundle_sha256: str
    bundle_bytes: int


def listed_releases(targets: Targets) -> tuple[ListedRelease, ...]:
    """Return the releases of a targets document, oldest first."""
    releases = (
        ListedRelease(
            sequence=target.custom.sequence,
            version=target.custom.version,
            statement_sha256=target.custom.statement_sha256,
            bundle_path=path,
            bundle_sha256=target.hashes.sha256,
            bundle_bytes=target.length,
        )
        for path, target in targets.targets.items()
    )
    return tuple(sorted(releases, key=lambda release: release.sequence))


def listed_project(targets: Targets) -> str | None:
    """Return the project whose bundles are listed, or None where none is."""
    return next((_project(path, target) for path, target in targets.targets.items()), None)


def target_path(project: str, version: str) -> str:
    """Return the path of a release's bundle below the project's folder."""
    return f"{version}/{bundle_file_name(project, version)}"


def parse_timestamp(data: bytes, where: str = "timestamp.json") -> TimestampFile:
    """Return the file; raise InputError unless `data` is its canonical form."""
    return decode_canonical(data, TimestampFile, where, max_bytes=MAX_TIMESTAMP_BYTES)


def parse_snapshot(data: bytes, where: str = "snapshot.json") -> SnapshotFile:
    """Return the file; raise InputError unless `data` is its canonical form."""
    return decode_canonical(data, SnapshotFile, where, max_bytes=MAX_SNAPSHOT_BYTES)


def parse_targets(data: bytes, where: str = "targets.json") -> TargetsFile:
    """Return the file; raise InputError unless `data` is its canonical form."""
    return decode_canonical(data, TargetsFile, where, max_bytes=MAX_TARGETS_BYTES)


def _project(path: str, target: Target) -> str:
    """Return the project a path names; raise ValueError if it is not the release's path."""
    version = target.custom.version
    project = path.removeprefix(f"{version}/").removesuffix(f"-{version}.relsign")
    if path != target_path(project, version):
        raise ValueError(f"not the path of version {version}: {path}")
    return project
