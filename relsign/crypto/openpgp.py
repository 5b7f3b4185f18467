"""OpenPGP detached signatures: whether a certificate's owner made one.

Decides as GnuPG's status lines do when they are read strictly, and stricter
where GnuPG is lenient: a signature made after the time asked about, or one that
says it has expired, is refused; integers are written one way; nothing stands
before or after the one packet.  Which keys may sign is
`relsign.crypto.openpgp_certificate`'s to say, whom to trust the roster's.

    certificate = parse_certificate(dearmor(text, "PUBLIC KEY BLOCK", name), name)
    (signature,) = split_signatures(signature_file, name)
    key = verify_detached(certificate, signature, message, now)
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from relsign.crypto.openpgp_armor import armor, dearmor, dearmor_all
from relsign.crypto.openpgp_certificate import (
    Certificate,
    SigningKey,
    moment,
    parse_certificate,
    split_certificates,
)
from relsign.crypto.openpgp_cleartext import canonical_text, unframe
from relsign.crypto.openpgp_keys import HASHES, check_arithmetic
from relsign.crypto.openpgp_packets import (
    SUB_EXPIRES,
    TAG_SIGNATURE,
    Packet,
    Signature,
    parse_signature,
    read_packets,
)
from relsign.errors import InputError, VerificationError

__all__ = [
    "Certificate",
    "SigningKey",
    "armor_signatures",
    "dearmor",
    "parse_certificate",
    "split_certificates",
    "split_signatures",
    "verify_cleartext",
    "verify_detached",
]

MAX_SIGNATURE_BYTES = 1 << 16
MAX_SKEW = timedelta(hours=24)
"""How far a signature may seem to lie ahead: clocks differ, and gpg compares none."""

_BINARY = 0x00
_TEXT = 0x01


def verify_detached(
    certificate: Certificate,
    signature: bytes,
    message: bytes,
    at: datetime,
    *,
    as_made: bool = False,
) -> SigningKey:
    """Check a binary detached signature over `message`; return the key that made it.

    (1) There is exactly one signature packet, of version 4 and type 0x00 (binary).
    (2) It is well understood: dated, no unknown critical part.  (3) It names as
    its maker exactly one key that `certificate` allows to sign.  (4) The
    arithmetic holds, with SHA-256 or stronger.  (5) It was not made a day after `at`,
    nor before its key, and has not expired.  (6) Neither its key nor the primary
    is revoked, or was expired when it was made, or is expired `at` that time.

    `at` is aware; whoever has a trusted time of signing passes that.  With `as_made`
    keys must have been valid when the signature says it was made, and need not be
    `at`: for what others vouch for since then.
    Raises InputError for malformed bytes, VerificationError with the reason else.
    """
    return _verify(certificate, signature, message, at, _BINARY, as_made=as_made)


def verify_cleartext(
    certificate: Certificate, message: bytes, text: bytes, at: datetime, where: str
) -> SigningKey:
    """Check that `message` is `text` signed in the clear (RFC 9580, 7); return the key.

    The frame is the one that `relsign.crypto.openpgp_make` writes, with one signature of
    type 0x01 behind it; the rest is as for `verify_detached`, and so is what is raised.
    """
    canonical = canonical_text(text)
    armoured = unframe(message, canonical, where)
    signature = dearmor(armoured, "SIGNATURE", where)
    return _verify(certificate, signature, canonical, at, _TEXT, as_made=False)


def _verify(
    certificate: Certificate,
    signature: bytes,
    message: bytes,
    at: datetime,
    kind: int,
    *,
    as_made: bool,
) -> SigningKey:
    """Do what `verify_detached` says; the numbers are its steps."""
    parsed = _parse_only_signature(signature, kind)  # (1)
    parsed.check_understood()  # (2)
    created = moment(parsed.created)
    key = _maker(certificate, parsed)  # (3)
    check_arithmetic(parsed, key.algorithm, key.material, message, HASHES)  # (4)
    asked = created if as_made else at
    if created > at + MAX_SKEW:  # (5)
        raise VerificationError(
            "signature is from the future",
            where=key.fingerprint,
            expected=f"at most {at.isoformat()}",
            got=created.isoformat(),
        )
    valid_seconds = parsed.seconds(SUB_EXPIRES)
    if valid_seconds and moment(parsed.created + valid_seconds) <= asked:
        raise VerificationError("signature has expired", where=key.fingerprint)
    _check_validity("key", key, created, asked)  # (6)
    _check_validity("primary key", certificate, created, asked)
    return key


def _parse_only_signature(data: bytes, kind: int) -> Signature:
    packets = _signature_packets(data, "signature")
    if len(packets) != 1:
        raise VerificationError("more than one signature", expected="1", got=str(len(packets)))
    parsed = parse_signature(packets[0].body, "signature")
    if parsed is None:
        raise VerificationError("signature is not of version 4")
    if parsed.kind != kind:
        what = "binary data" if kind == _BINARY else "text"
        raise VerificationError(
            f"signature is not over {what}",
            expected=f"type 0x{kind:02x}",
            got=f"0x{parsed.kind:02x}",
        )
    return parsed


def _signature_packets(data: bytes, where: str) -> tuple[Packet, ...]:
    if len(data) > MAX_SIGNATURE_BYTES:
        raise InputError(
            "signature too large", where=where, expected=f"at most {MAX_SIGNATURE_BYTES} bytes"
        )
    packets = read_packets(data, where)
    if not packets or any(packet.tag != TAG_SIGNATURE for packet in packets):
        raise InputError(
            "not a detached OpenPGP signature",
            where=where,
            hint="make it with `gpg --detach-sign`; armour is removed by the caller",
        )
    return packets


def _maker(certificate: Certificate, signature: Signature) -> SigningKey:
    issuers = signature.issuers
    for key in certificate.signing_keys:
        if issuers and signature.may_be_by(key.fingerprint):
            return key
    raise VerificationError(
        "signature is not by a signing key of this certificate",
        where=certificate.fingerprint,
        got=", ".join(sorted(issuers)) or "no issuer",
    )


def _check_validity(
    word: str, key: SigningKey | Certificate, created: datetime, at: datetime
) -> None:
    if key.revoked:
        raise VerificationError(f"{word} is revoked", where=key.fingerprint)
    if created < key.created_at:
        raise VerificationError(f"signature is older than its {word}", where=key.fingerprint)
    if key.expires_at is not None and key.expires_at <= at:
        raise VerificationError(
            f"{word} has expired", where=key.fingerprint, got=key.expires_at.isoformat()
        )


def armor_signatures(signatures: Iterable[bytes]) -> bytes:
    """Return binary signatures as one text file that ``gpg --verify`` accepts.

    One armoured block each, in the order given.  Raises InputError unless each is
    exactly one signature packet.
    """
    blocks: list[bytes] = []
    for index, signature in enumerate(signatures):
        where = f"signature {index}"
        if len(_signature_packets(signature, where)) != 1:
            raise InputError("more than one signature packet", where=where)
        blocks.append(armor(signature, "SIGNATURE"))
    return b"".join(blocks)


def split_signatures(data: bytes, where: str) -> tuple[bytes, ...]:
    """Return each signature packet of a binary or armoured file, whole, in order.

    Each is fit for `verify_detached`.  Raises InputError for anything else in it.
    """
    armoured = data.startswith(b"-----")
    blocks = dearmor_all(data, "SIGNATURE", where) if armoured else (data,)
    return tuple(packet.whole for block in blocks for packet in _signature_packets(block, where))
