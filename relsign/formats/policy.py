"""`policies/release.toml`: how many must agree, and for how long it holds.

Written by the owners; compiled into the trust root and, for each release, into
the in-toto layout they sign.

    dissent = "refuse"

    [thresholds]
    owners = 2
    signers = 2
    builders = 2
    organisations = 2
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from relsign.formats.canonical import Document, decode_toml
from relsign.formats.log import LogPolicy
from relsign.formats.names import HexDigest, Name, Text, Version, refuse_repeats, shaped

Threshold = Annotated[int, Meta(ge=1, le=64)]
Days = Annotated[int, Meta(ge=1, le=3660)]
Dissent = Literal["refuse", "record"]
ReleaseKey = Literal["required", "optional"]
MAX_REVOKED = 1000
MAX_VOUCHED = 1000
MAX_MATERIALS = 512
"""More signing keys than a certificate of a roster has room for."""

Materials = Annotated[tuple[HexDigest, ...], Meta(min_length=1, max_length=MAX_MATERIALS)]


class Thresholds(Document, frozen=True, kw_only=True):
    """How many distinct people or machines each decision needs."""

    owners: Threshold
    signers: Threshold
    builders: Threshold
    organisations: Threshold

    def __post_init__(self) -> None:
        """Refuse more organisations than builders: it could never be met."""
        if self.organisations > self.builders:
            raise ValueError("organisations is larger than builders")


class Diversity(Document, frozen=True, kw_only=True):
    """How unlike the builders that agree must be; each says so in its signed link."""

    engines: Threshold = 1
    platforms: Threshold = 1
    environments: Threshold = 1


class Freshness(Document, frozen=True, kw_only=True):
    """Whether a verifier must have heard from a publisher lately, and how lately."""

    required: bool = False
    days: Days = 7
    """Validity of what a publisher signs; it signs again before that is over."""


class Revocation(Document, frozen=True, kw_only=True):
    """A release the owners took back: one statement, or every one of a version."""

    statement_sha256: HexDigest | None = None
    version: Version | None = None
    """If given, every statement of this version is refused, whoever signs it anew."""
    reason: Text
    replacement: Version | None = None
    """The version to use instead."""

    def __post_init__(self) -> None:
        """Refuse one that takes nothing back."""
        if self.statement_sha256 is None and self.version is None:
            raise ValueError("names neither statement_sha256 nor version")


class RevokedKey(Document, frozen=True, kw_only=True):
    """A key that must never count again, whoever enrols it."""

    name: Name
    keyid: Annotated[str, shaped("40 or 64 digits of 0-9 a-f", r"[0-9a-f]{40}|[0-9a-f]{64}")]
    """Keyid of an Ed25519 key, fingerprint of an OpenPGP one: derived from its material."""
    material_sha256: Materials | msgspec.UnsetType = msgspec.UNSET
    """SHA-256 of each key in it, as bare bytes: the 32 of an Ed25519 key, the DER of the
    SubjectPublicKeyInfo of any other; sorted.  A fingerprint does not tell which key it is."""
    reason: Text
    replacement: Name | None = None
    """The member who took its place."""

    def __post_init__(self) -> None:
        """Refuse materials with more than one form."""
        if self.material_sha256 is not msgspec.UNSET:
            refuse_repeats("material", self.material_sha256)
            if list(self.material_sha256) != sorted(self.material_sha256):
                raise ValueError("materials are not sorted")


class Vouched(Document, frozen=True, kw_only=True):
    """A release made under an earlier root, which the owners of this one stand by.

    It is judged by the keys, thresholds and dates of its own day.  The owners name
    the very statement, so a key that was stolen since can make no second one.
    """

    version: Version
    statement_sha256: HexDigest
    root_sha256: HexDigest
    """Digest of the root it was made under."""


class Policy(Document, frozen=True, kw_only=True):
    """A whole `release.toml`."""

    thresholds: Thresholds
    dissent: Dissent = "refuse"
    """What a builder that got other bytes does to a release that has its quorum."""
    share_roles: bool = False
    """Whether one key may hold two roles."""
    commit: bool = False
    """Whether builders must publish a commitment before they show a result."""
    release_key: ReleaseKey | msgspec.UnsetType = msgspec.UNSET
    """Whether a release needs the signature of the release key, where there is one; it does
    unless this says optional."""
    layout_days: Days = 365
    root_days: Days = 730
    freshness: Freshness = Freshness()
    diversity: Diversity = Diversity()
    log: LogPolicy | None = None
    revoked: Annotated[tuple[Revocation, ...], Meta(max_length=MAX_REVOKED)] = ()
    revoked_key: Annotated[tuple[RevokedKey, ...], Meta(max_length=MAX_REVOKED)] = ()
    vouched: Annotated[tuple[Vouched, ...], Meta(max_length=MAX_VOUCHED)] = ()

    def __post_init__(self) -> None:
        """Refuse a release that is vouched for twice."""
        refuse_repeats("vouched", (v.statement_sha256 for v in self.vouched))


def parse_policy(data: bytes, where: str = "policies/release.toml") -> Policy:
    """Return the policy in TOML `data`; raise InputError with the path inside it."""
    return decode_toml(data, Policy, where)
