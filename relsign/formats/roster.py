"""`keys/roster.toml`: people and machines, what they may do, and their public keys.

Written by the owners and reviewed like code; the trust root is made from it.
`relsign.crypto.keys` decides whether the keys themselves are acceptable.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from relsign.formats.canonical import Document, decode_toml
from relsign.formats.names import Base64, Name, refuse_repeats, shaped

Role = Literal["builder", "signer", "owner", "publisher", "log", "witness"]
MAX_MEMBERS = 256


class Ed25519Key(Document, frozen=True, kw_only=True, tag_field="kind", tag="ed25519"):
    """A raw Ed25519 public key, as 64 hexadecimal digits."""

    public: Annotated[str, shaped("64 digits of 0-9 a-f", r"[0-9a-f]{64}")]


class OpenPGPKey(Document, frozen=True, kw_only=True, tag_field="kind", tag="openpgp"):
    """An OpenPGP certificate, binary, as base64."""

    certificate: Annotated[Base64, Meta(min_length=40, max_length=100_000)]


class Member(Document, frozen=True, kw_only=True):
    """One key, who operates it, and what it may do."""

    name: Name
    operator: Name
    """The person or machine; several keys of one operator count once."""
    organisation: Name
    roles: Annotated[tuple[Role, ...], Meta(min_length=1, max_length=6)]
    key: Ed25519Key | OpenPGPKey

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
