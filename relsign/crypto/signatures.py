"""Which parties signed an envelope: by key material, each signature tried by key.

The keyid beside a signature is a hint for error messages.  A signature counts
for the party whose key verifies it over DSSE's PAE bytes, whatever its label.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from relsign.crypto.keys import Ed25519Public, Party
from relsign.crypto.openpgp import verify_detached
from relsign.errors import InputError, VerificationError
from relsign.formats.envelope import Envelope, Signature

_ED25519_SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True)
class SignatureReport:
    """Outcome of checking an envelope against known parties."""

    valid: tuple[Party, ...]
    """Parties that signed, each once, in roster order."""
    bad: tuple[str, ...]
    """A line per signature that bears a known party's label and does not verify."""
    unknown: int
    """Signatures that no known party made."""


def verify_ed25519(key: Ed25519Public, signature: bytes, message: bytes) -> None:
    """Check an Ed25519 signature (RFC 8032, 5.1.7); raise VerificationError if it is not good.

    libsodium's strict form: a non-canonical S, or R or A of small order, fails.
    """
    if len(signature) != _ED25519_SIGNATURE_BYTES:
        raise VerificationError("not an Ed25519 signature", got=f"{len(signature)} bytes")
    try:
        crypto_sign_open(signature + message, key.raw)
    except BadSignatureError as error:
        raise VerificationError("signature does not verify", got=key.keyid[:8]) from error


def verify_by(party: Party, signature: bytes, message: bytes, at: datetime) -> None:
    """Check that `party` made `signature`; raise VerificationError or InputError if not."""
    if isinstance(party.key, Ed25519Public):
        verify_ed25519(party.key, signature, message)
    else:
        verify_detached(party.key.certificate, signature, message, at)


def verify_envelope(
    envelope: Envelope, parties: tuple[Party, ...], at: datetime
) -> SignatureReport:
    """Say which of `parties` signed `envelope`; raises nothing, bad ones are listed."""
    message = envelope.signed_bytes()
    valid: set[str] = set()
    bad: list[str] = []
    unknown = 0
    for signature in envelope.signatures:
        maker = _find_maker(signature, message, parties, at)
        if isinstance(maker, Party):
            valid.add(maker.name)
        elif maker:
            bad.append(maker)
        else:
            unknown += 1
    return SignatureReport(
        valid=tuple(party for party in parties if party.name in valid),
        bad=tuple(bad),
        unknown=unknown,
    )


def _find_maker(
    signature: Signature, message: bytes, parties: tuple[Party, ...], at: datetime
) -> Party | str:
    """Return the party that signed, or why the one it is labelled with did not, or ``""``."""
    complaint = ""
    for party in sorted(parties, key=lambda p: p.keyid != signature.keyid):
        try:
            verify_by(party, signature.sig, message, at)
        except (VerificationError, InputError) as error:
            if party.keyid == signature.keyid:
                complaint = f"{party.name}: {error.what}"
        else:
            return party
    return complaint
