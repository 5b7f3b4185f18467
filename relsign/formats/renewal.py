"""A later end for the OpenPGP certificate of a group: what its participants agree to.

The file only saves them typing.  It is not signed and not trusted: each participant is
shown what it asks for, and the group's key signs once a threshold of them said yes to
the same two times and the same certificate.
"""

from __future__ import annotations

from typing import Literal

from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.names import HexDigest, Name, Time, whole_seconds_utc


class Renewal(Document, frozen=True, kw_only=True):
    """Which certificate is to end later, and when."""

    format: Literal["relsign/renewal/1"] = "relsign/renewal/1"
    project: Name
    group: Name
    certificate: HexDigest
    """SHA-256 of the binary certificate as it is before."""
    at: Time
    """When the renewal says it was made."""
    expires: Time

    def __post_init__(self) -> None:
        """Refuse times that cannot stand in a certificate."""
        if not (whole_seconds_utc(self.at) and whole_seconds_utc(self.expires)):
            raise ValueError("at or expires is not whole seconds in UTC")
        if self.expires <= self.at:
            raise ValueError("expires is not after at")

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return encode_canonical(self)


def parse_renewal(data: bytes, where: str = "renewal") -> Renewal:
    """Return the renewal; raise InputError unless `data` is its canonical form."""
    return decode_canonical(data, Renewal, where)
