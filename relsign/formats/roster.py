"""`keys/roster.toml`: people and machines, what they may do, and their public keys.

Written by the owners and reviewed like code; the trust root is made from it.
`relsign.crypto.keys` decides whether the keys themselves are acceptable.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from relsign.formats.canonical import Document, decode_toml
from relsign.formats.names import Base64, Name, refuse_repeats, shaped

Role = Literal["builder", "signer", "owner", "publisher", "log", "witness", "release"]
MAX_MEMBERS = 256
MAX_SHARES = 32
"""People who hold a share of one key."""

RawKey = Annotated[str, shaped("64 digits of 0-9 a-f", r"[0-9a-f]{64}")]
Certificate = Annotated[Base64, Meta(min_length=40, max_length=100_000)]
Spki = Annotated[Base64, Meta(min_length=40, max_length=3_000)]
RsaScheme = Literal["rsassa-pss-sha256", "rsa-pkcs1v15-sha512"]


class Ed25519Key(Document, frozen=True, kw_only=True, tag_field="kind", tag="ed25519"):
    """A raw Ed25519 public key, as 64 hexadecimal digits."""

    public: RawKey


class OpenPGPKey(Document, frozen=True, kw_only=True, tag_field="kind", tag="openpgp"):
    """An OpenPGP certificate, binary, as base64."""

    certificate: Certificate


class EcdsaKey(Document, frozen=True, kw_only=True, tag_field="kind", tag="ecdsa-p256"):
    """An ECDSA public key on P-256, DER of its SubjectPublicKeyInfo, as base64."""

    public: Spki


class RsaKey(Document, frozen=True, kw_only=True, tag_field="kind", tag="rsa"):
    """An RSA public key, DER of its SubjectPublicKeyInfo, as base64."""

    public: Spki
    scheme: RsaScheme
    """The only way its signatures may be made."""


class FrostKey(Document, frozen=True, kw_only=True, tag_field="kind", tag="frost"):
    """An Ed25519 key that exists nowhere: `threshold` of the people who share it sign."""

    public: RawKey
    threshold: Annotated[int, Meta(ge=2, le=MAX_SHARES)]
    participants: Annotated[tuple[Name, ...], Meta(min_length=2, max_length=MAX_SHARES)]
    """Members with an ed25519 key of their own, sorted."""
    certificate: Certificate | msgspec.UnsetType = msgspec.UNSET
    """OpenPGP certificate of the same key, binary, as base64."""

    def __post_init__(self) -> None:
        """Refuse participants with more than one form, and too few of them."""
        refuse_repeats("participant", self.participants)
        if list(self.participants) != sorted(self.participants):
            raise ValueError("participants are not sorted by name")
        if self.threshold > len(self.participants):
            raise ValueError("threshold is larger than the number of participants")


Key = Ed25519Key | OpenPGPKey | EcdsaKey | RsaKey | FrostKey


class Member(Document, frozen=True, kw_only=True):
    """One key, who operates it, and what it may do."""

    name: Name
    operator: Name
    """The person or machine; several keys of one operator count once."""
    organisation: Name
    roles: Annotated[tuple[Role, ...], Meta(min_length=1, max_length=7)]
    key: Key

    def __post_init__(self) -> None:
        """Refuse a role that stands twice."""
        refuse_repeats("role", self.roles)


class Roster(Document, frozen=True, kw_only=True):
    """A whole `roster.toml`."""

    member: Annotated[tuple[Member, ...], Meta(max_length=MAX_MEMBERS)] = ()

    def __post_init__(self) -> None:
        """Refuse a member that stands twice."""
        refuse_repeats("member", (m.name for m in self.member))


def parse_roster(data: bytes, where: str = "keys/roster.toml") -> Roster:
    """Return the roster in TOML `data`; raise InputError with the path inside it."""
    return decode_toml(data, Roster, where)
