"""A participant's share of a group's key, and what a ceremony needs to be gone on with.

Both are secret: they lie sealed in a vault (`relsign.sign.keys.vault`) and nowhere else.
"""

from __future__ import annotations

from typing import Literal

from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.names import HexDigest, Name


class HeldShare(Document, frozen=True, kw_only=True):
    """A secret share; `repr` shows nothing of it."""

    format: Literal["relsign/share/1"] = "relsign/share/1"
    group: HexDigest
    """Digest of the group document it belongs to."""
    name: Name
    """The participant."""
    secret: HexDigest
    """The share, a scalar: 32 bytes, little-endian."""

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return encode_canonical(self)

    def __repr__(self) -> str:
        """Leave the secret out."""
        return f"HeldShare(group={self.group!r}, name={self.name!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Leave the secret out where rich prints."""
        return [("group", self.group), ("name", self.name)]


class HeldCeremony(Document, frozen=True, kw_only=True):
    """What everything secret of one ceremony is derived from; `repr` shows nothing of it."""

    format: Literal["relsign/held-ceremony/1"] = "relsign/held-ceremony/1"
    ceremony: HexDigest
    """Digest of the charter this participant agreed to."""
    name: Name
    seed: HexDigest
    """32 random bytes."""

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return encode_canonical(self)

    def __repr__(self) -> str:
        """Leave the seed out."""
        return f"HeldCeremony(ceremony={self.ceremony!r}, name={self.name!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Leave the seed out where rich prints."""
        return [("ceremony", self.ceremony), ("name", self.name)]


def parse_share(data: bytes, where: str = "share") -> HeldShare:
    """Return the share; raise InputError unless `data` is its canonical form."""
    return decode_canonical(data, HeldShare, where)


def parse_held_ceremony(data: bytes, where: str = "ceremony") -> HeldCeremony:
    """Return what was kept; raise InputError unless `data` is its canonical form."""
    return decode_canonical(data, HeldCeremony, where)
