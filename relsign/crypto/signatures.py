"""Which parties signed an envelope: by key material, each signature tried by key.

The keyid beside a signature is a hint for error messages.  A signature counts
for the party whose key verifies it over DSSE's PAE bytes, whatever its label.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from relsign.crypto.keys import Ed25519Public, OpenPGPPublic, Party
from relsign.errors import InputError, VerificationError
from relsign.formats.canonical import Value
from relsign.formats.envelope import Envelope, Signature

_ED25519_SIGNATURE_BYTES = 64
Check = Callable[[Party, bytes], None]
"""Raises unless a party made a signature."""

MAX_STRANGERS = 4
"""Signatures of an envelope that are tried with keys their label does not name."""


class SignatureReport(Value, frozen=True):
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


def verify_by(
    party: Party, signature: bytes, message: bytes, at: datetime, *, as_made: bool = False
) -> None:
    """Check that `party` made `signature`; raise VerificationError or InputError if not.

    `at` and `as_made` are for OpenPGP keys, which expire: see `verify_detached`.
    """
    if isinstance(party.key, Ed25519Public):
        verify_ed25519(party.key, signature, message)
    # As in `relsign.crypto.keys`: loaded for the few roots that have such a key.
    elif isinstance(party.key, OpenPGPPublic):
        from relsign.crypto.openpgp import verify_detached  # noqa: PLC0415

        verify_detached(party.key.certificate, signature, message, at, as_made=as_made)
    else:
        from relsign.crypto.spki_keys import verify_spki  # noqa: PLC0415

        verify_spki(party.key, signature, message)


def verify_envelope(
    envelope: Envelope, parties: tuple[Party, ...], at: datetime, *, as_made: bool = False
) -> SignatureReport:
    """Say which of `parties` signed `envelope`; raises nothing, bad ones are listed.

    Each signature is tried with the key its label names, then, at most
    `MAX_STRANGERS` of them, with every other key: labels decide nothing, but an
    envelope full of junk must not cost hours.
    """
    message = envelope.signed_bytes()
    check = partial(verify_by, message=message, at=at, as_made=as_made)
    makers = [_labelled(signature, parties, check) for signature in envelope.signatures]
    others = [n for n, maker in enumerate(makers) if not isinstance(maker, Party)]
    for number in others[:MAX_STRANGERS]:
        found = _unlabelled(envelope.signatures[number], parties, check)
        makers[number] = found or makers[number]
    names = {maker.name for maker in makers if isinstance(maker, Party)}
    return SignatureReport(
        valid=tuple(party for party in parties if party.name in names),
        bad=tuple(maker for maker in makers if isinstance(maker, str) and maker),
        unknown=makers.count(""),
    )


def _labelled(signature: Signature, parties: tuple[Party, ...], check: Check) -> Party | str:
    """Return the party a signature is labelled with, or why it did not sign, or ``""``."""
    for party in parties:
        if party.keyid == signature.keyid:
            try:
                check(party, signature.sig)
            except (VerificationError, InputError) as error:
                return f"{party.name}: {error.what}"
            return party
    return ""


def _unlabelled(signature: Signature, parties: tuple[Party, ...], check: Check) -> Party | None:
    """Return whichever party made a signature, whatever its label says."""
    for party in parties:
        if party.keyid != signature.keyid:
            try:
                check(party, signature.sig)
            except (VerificationError, InputError):
                continue
            return party
    return None
