"""What every signer back end offers: a public identity and one way to sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class PublicIdentity:
    """The public half of a signer's key."""

    kind: Literal["ed25519", "openpgp"]
    data: bytes
    """``ed25519``: 32 raw bytes.  ``openpgp``: a binary certificate."""


class Signer(Protocol):
    """Holds a private key, or reaches one."""

    @property
    def public(self) -> PublicIdentity:
        """Return who signs."""

    def sign(self, message: bytes) -> bytes:
        """Return a signature over `message`, already checked against `public`.

        ``ed25519``: 64 raw bytes (RFC 8032).  ``openpgp``: one binary detached
        signature packet.  Raises InputError for what the caller can mend (a wrong
        passphrase, an expired key), HostError if the machine fails.
        """
