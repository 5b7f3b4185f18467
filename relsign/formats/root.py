"""`root.json`: the keys and thresholds a verifier pins for one project.

TUF root metadata (TUF specification 1.0, section 5.3), so that any TUF client can
walk from one version to the next, with relsign's own part under ``x-relsign``:
everybody's keys, the thresholds, and what was taken back.  TUF's part follows from
ours, and a root in which it does not is refused (`relsign.crypto.tuf`).

Canonical JSON as the other documents.  TUF's canonical form is another one, but for
texts without control characters, which is all that can stand here, they are equal.

A root is trusted because the person verifying pinned its digest, having compared its
12 words over another channel, or because the owners of the version before and its own
signed it.  Digest and words are those of ``signed`` alone: an owner's signature may
still be added to a root that somebody has pinned.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.log import LogPolicy
from relsign.formats.names import HexDigest, Name, Time, refuse_repeats, whole_seconds_utc
from relsign.formats.policy import (
    MAX_REVOKED,
    MAX_VOUCHED,
    Dissent,
    Diversity,
    Freshness,
    ReleaseKey,
    Revocation,
    RevokedKey,
    Thresholds,
    Vouched,
)
from relsign.formats.roster import MAX_MEMBERS, Member
from relsign.formats.tuf import TufSignature, refuse_disorder

MAX_ROOT_BYTES = 512_000
"""As TUF's reference client bounds it."""
SPEC_VERSION = "1.0.31"
MAX_ROOT_SIGNATURES = 64

KeyIds = Annotated[tuple[HexDigest, ...], Meta(max_length=MAX_MEMBERS)]


class TufPublic(Document, frozen=True, kw_only=True):
    """An Ed25519 public key, as TUF spells it."""

    public: HexDigest


class TufKey(Document, frozen=True, kw_only=True):
    """A key of a TUF role."""

    keytype: Literal["ed25519"] = "ed25519"
    keyval: TufPublic
    scheme: Literal["ed25519"] = "ed25519"


class TufRole(Document, frozen=True, kw_only=True):
    """Who may sign one kind of TUF metadata."""

    keyids: KeyIds
    threshold: Annotated[int, Meta(ge=1, le=64)]


class TufRoles(Document, frozen=True, kw_only=True):
    """TUF's four roles: owners sign roots, publishers the rest."""

    root: TufRole
    snapshot: TufRole
    targets: TufRole
    timestamp: TufRole


class RootPolicy(Document, frozen=True, kw_only=True):
    """What the owners decided."""

    format: Literal["relsign/root/2"] = "relsign/root/2"
    project: Name
    members: Annotated[tuple[Member, ...], Meta(min_length=1, max_length=MAX_MEMBERS)]
    thresholds: Thresholds
    dissent: Dissent
    share_roles: bool
    commit: bool = False
    freshness: Freshness = Freshness()
    diversity: Diversity = Diversity()
    log: LogPolicy | None = None
    revoked: Annotated[tuple[Revocation, ...], Meta(max_length=MAX_REVOKED)] = ()
    revoked_keys: Annotated[tuple[RevokedKey, ...], Meta(max_length=MAX_REVOKED)] = ()
    vouched: Annotated[tuple[Vouched, ...], Meta(max_length=MAX_VOUCHED)] = ()
    release_key: ReleaseKey | msgspec.UnsetType = msgspec.UNSET
    """Left out of the bytes where nobody set it, so that roots of before it stay the same."""

    def __post_init__(self) -> None:
        """Refuse lists with more than one form."""
        names = [m.name for m in self.members]
        refuse_repeats("member", names)
        if names != sorted(names):
            raise ValueError("members are not sorted by name")
        refuse_repeats("vouched", (v.statement_sha256 for v in self.vouched))


class Root(Document, frozen=True, kw_only=True):
    """The part of a root that is signed."""

    type_: Literal["root"] = msgspec.field(default="root", name="_type")
    consistent_snapshot: bool = True
    expires: Time
    keys: Annotated[dict[HexDigest, TufKey], Meta(max_length=MAX_MEMBERS)]
    roles: TufRoles
    spec_version: Literal["1.0.31"] = "1.0.31"
    version: Annotated[int, Meta(ge=1, le=1 << 31)]
    policy: RootPolicy = msgspec.field(name="x-relsign")

    def __post_init__(self) -> None:
        """Refuse times with more than one form, and a repository whose files may be replaced."""
        if not self.consistent_snapshot:
            raise ValueError("consistent_snapshot is not true")
        if not whole_seconds_utc(self.expires):
            raise ValueError("expires is not whole seconds in UTC")

    @property
    def project(self) -> str:
        """The project whose releases this root is about."""
        return self.policy.project

    @property
    def members(self) -> tuple[Member, ...]:
        """Everybody with a key, sorted by name."""
        return self.policy.members

    @property
    def thresholds(self) -> Thresholds:
        """How many distinct people or machines each decision needs."""
        return self.policy.thresholds

    def to_bytes(self) -> bytes:
        """Return the canonical bytes, which owners sign and whose words people compare."""
        return encode_canonical(self)


class RootFile(Document, frozen=True, kw_only=True):
    """A whole `root.json`."""

    signatures: Annotated[tuple[TufSignature, ...], Meta(max_length=MAX_ROOT_SIGNATURES)]
    signed: Root

    def __post_init__(self) -> None:
        """Refuse signatures in more than one order."""
        refuse_disorder(self.signatures)

    def to_bytes(self) -> bytes:
        """Return the canonical bytes of the file."""
        return encode_canonical(self)


def root_file_name(version: int) -> str:
    """Return the name TUF gives one version of a root."""
    return f"{version}.root.json"


def parse_root(data: bytes, where: str = "root.json") -> RootFile:
    """Return the root file; raise InputError unless `data` is its canonical form."""
    return decode_canonical(data, RootFile, where, max_bytes=MAX_ROOT_BYTES)
