"""What every signer back end offers: a public identity and one way to sign."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from relsign.crypto.keys import parse_ed25519
from relsign.crypto.signatures import verify_ed25519
from relsign.formats.roster import RsaScheme

PSS_SHA256: RsaScheme = "rsassa-pss-sha256"
"""How an RSA key signs unless its owner says otherwise."""


@dataclass(frozen=True, slots=True)
class PublicIdentity:
    """The public half of a signer's key."""

    kind: Literal["ed25519", "ecdsa-p256", "rsa", "openpgp"]
    data: bytes
    """``ed25519``: 32 raw bytes.  ``ecdsa-p256`` and ``rsa``: SubjectPublicKeyInfo in DER.
    ``openpgp``: a binary certificate."""
    scheme: RsaScheme | None = None
    """``rsa``: how it signs."""


class Signer(Protocol):
    """Holds a private key, or reaches one."""

    @property
    def public(self) -> PublicIdentity:
        """Return who signs."""

    def sign(self, message: bytes) -> bytes:
        """Return a signature over `message`, already checked against `public`.

        ``ed25519``: 64 raw bytes (RFC 8032).  ``ecdsa-p256``: r and s in DER (RFC 3279,
        2.2.3) over SHA-256.  ``rsa``: as long as the modulus, PSS with SHA-256 and a salt
        of 32 bytes, or PKCS #1 v1.5 with SHA-512 (RFC 8017).  ``openpgp``: one binary
        detached signature packet.  Raises InputError for what the caller can mend (a wrong
        passphrase, an expired key), HostError if the machine fails, VerificationError if
        the signature made does not verify.
        """


def check_signature(public: PublicIdentity, signature: bytes, message: bytes) -> None:
    """Check what a back end made, before anybody uses it; GnuPG's is checked as OpenPGP.

    A fault while signing can give the private key away, and an agent or a token may be
    anything.  Raises VerificationError if the signature is not this key's over `message`,
    InputError if the key is not acceptable.
    """
    where = "the key that signed"
    if public.kind == "ed25519":
        verify_ed25519(parse_ed25519(public.data, where), signature, message)
        return
    # As in `relsign.crypto.keys`: loaded for the few who have such a key.
    from relsign.crypto.spki_keys import parse_ecdsa, parse_rsa, verify_spki  # noqa: PLC0415

    if public.kind == "ecdsa-p256":
        verify_spki(parse_ecdsa(public.data, where), signature, message)
    else:
        verify_spki(parse_rsa(public.data, public.scheme or PSS_SHA256, where), signature, message)
