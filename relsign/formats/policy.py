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

from msgspec import Meta

from relsign.formats.canonical import Document, decode_toml
from relsign.formats.names import HexDigest, Text, Version

Threshold = Annotated[int, Meta(ge=1, le=64)]
Days = Annotated[int, Meta(ge=1, le=3660)]
Dissent = Literal["refuse", "record"]


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


class Revocation(Document, frozen=True, kw_only=True):
    """A release the owners took back: one statement, or a version for good."""

    statement_sha256: HexDigest
    version: Version | None = None
    """If given, every statement of this version is refused, whoever signs it anew."""
    reason: Text


class Policy(Document, frozen=True, kw_only=True):
    """A whole `release.toml`."""

    thresholds: Thresholds
    dissent: Dissent = "refuse"
    """What a builder that got other bytes does to a release that has its quorum."""
    share_roles: bool = False
    """Whether one key may hold two roles."""
    layout_days: Days = 365
    root_days: Days = 730
    revoked: tuple[Revocation, ...] = ()


def parse_policy(data: bytes, where: str = "policies/release.toml") -> Policy:
    """Return the policy in TOML `data`; raise InputError with the path inside it."""
    return decode_toml(data, Policy, where)
