"""OpenPGP certificates and signatures made from raw Ed25519 signatures.

For a key that no OpenPGP program holds: a group that shares it, a token, a file.
What makes takes `sign`, which gets the 64-byte SHA-512 that OpenPGP signs and
returns R and S.  What is asked depends on the other arguments only, so a dry run
finds out what will be asked; `sign` may stop it with an exception of its own.
What was made is read back by `relsign.crypto.openpgp` before it is returned.

    made = certificate(raw, "Tar <tar@example.org>", created, expires, sign)
    signature = detached(made, b"a release", at, sign)
    armored = armor(signature, "SIGNATURE")

Raised by all: InputError for a time, text or key that cannot be used, before
anything is asked; VerificationError if an answer is not the key's signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from relsign.crypto.keys import parse_ed25519
from relsign.crypto.openpgp import verify_detached
from relsign.crypto.openpgp_armor import armor
from relsign.crypto.openpgp_certificate import Certificate, SigningKey, parse_certificate
from relsign.crypto.openpgp_cleartext import canonical_text, frame
from relsign.crypto.openpgp_keys import KeyPacket, parse_key
from relsign.crypto.openpgp_packets import (
    SUB_EMBEDDED,
    SUB_KEY_EXPIRES,
    SUB_KEY_FLAGS,
    TAG_PUBLIC_KEY,
    TAG_PUBLIC_SUBKEY,
    TAG_SIGNATURE,
    TAG_USER_ID,
    Packet,
    parse_signature,
    read_packets,
)
from relsign.crypto.openpgp_write import (
    Draft,
    Issuer,
    four_octets,
    key_body,
    packet,
    seconds_of,
    signature_body,
    signature_packet,
    subpacket,
)
from relsign.crypto.raw_signing import Sign
from relsign.errors import InputError, VerificationError
from relsign.formats.canonical import shorten

__all__ = [
    "Reason",
    "Subkey",
    "certificate",
    "cleartext",
    "detached",
    "fingerprint",
    "renewed",
    "revocation",
    "revocation_text",
    "revoked",
    "with_subkey",
]

MAX_USER_ID_BYTES = 200
MAX_REASON_BYTES = 200

_BINARY = 0x00
_TEXT = 0x01
_POSITIVE = 0x13
_SUBKEY_BINDING = 0x18
_PRIMARY_BINDING = 0x19
_KEY_REVOCATION = 0x20

_SUB_REASON = 29
_MAY_CERTIFY_AND_SIGN = b"\x03"
_MAY_SIGN = b"\x02"
_PREFERENCES = b"".join(
    (
        subpacket(11, bytes([9, 8, 7])),  # AES-256, AES-192, AES-128
        subpacket(21, bytes([10, 9, 8])),  # SHA-512, SHA-384, SHA-256
        subpacket(22, bytes([2, 3, 1])),  # ZLIB, BZip2, ZIP
        subpacket(30, b"\x01"),  # features: modification detection
        subpacket(23, b"\x80"),  # key servers: only the owner changes this certificate
        subpacket(25, b"\x01"),  # the primary user id
    )
)
"""What key generation writes; a certificate that only signs is not judged by it."""


class Reason(IntEnum):
    """Why a key is revoked (RFC 9580, 5.2.3.31)."""

    UNSTATED = 0
    SUPERSEDED = 1
    COMPROMISED = 2
    RETIRED = 3


@dataclass(frozen=True, slots=True)
class Subkey:
    """A second Ed25519 key that may sign data, and how to ask it."""

    raw: bytes
    created: datetime
    sign: Sign


def certificate(
    raw: bytes, user_id: str, created: datetime, expires: datetime | None, sign: Sign
) -> bytes:
    """Return a binary certificate: key, one user id, its certification (RFC 9580, 10.1).

    It may certify and sign.  The certification is dated `created`, as the key is,
    whose fingerprint depends on that time.  `user_id` is one printable line of at
    most 200 bytes; without `expires` the key never does.  Asks once.
    """
    where = "new OpenPGP certificate"
    key = _new_key(raw, created, where)
    name = _checked_line(user_id, "user id", MAX_USER_ID_BYTES).encode()
    if not name:
        raise InputError("empty user id", where=where, hint="write `Project <mail@example.org>`")
    certification = _certification(key, name, key.created, expires)
    signed = signature_packet(_issuer(key), certification, sign)
    made = packet(TAG_PUBLIC_KEY, key.body) + packet(TAG_USER_ID, name) + signed
    parse_certificate(made, where)
    return made


def with_subkey(certificate: bytes, subkey: Subkey, sign: Sign) -> bytes:
    """Return the certificate with a signing subkey, bound on the day it was created.

    The subkey's `sign` is asked for the back-signature, then `sign` for the binding;
    neither answer is part of what the other is asked.  It expires with its primary.
    """
    where = "new OpenPGP subkey"
    parsed, primary = _usable(certificate)
    key = _new_key(subkey.raw, subkey.created, where)
    if key.material in parsed.materials:
        raise InputError(
            "a subkey with the material of another key",
            where=where,
            hint="a subkey needs a key of its own",
        )
    _refuse_earlier(subkey.created, parsed.created_at, where)
    both = primary.hashed + key.hashed
    back = signature_body(_issuer(key), Draft(_PRIMARY_BINDING, both, key.created), subkey.sign)
    draft = Draft(
        _SUBKEY_BINDING,
        both,
        key.created,
        hashed=subpacket(SUB_KEY_FLAGS, _MAY_SIGN, critical=True),
        unhashed=subpacket(SUB_EMBEDDED, back),
    )
    binding = signature_packet(_issuer(primary), draft, sign)
    made = certificate + packet(TAG_PUBLIC_SUBKEY, key.body) + binding
    parse_certificate(made, where)
    return made


def renewed(certificate: bytes, at: datetime, expires: datetime | None, sign: Sign) -> bytes:
    """Return the certificate with a further certification, which moves the key's expiry.

    The earlier ones stay: Sequoia judges a signature by the certification of its
    own day.  `at` must lie after the latest of them.  Asks once.
    """
    where = "renewed OpenPGP certificate"
    parsed, primary = _usable(certificate)
    packets = list(read_packets(certificate, where))
    start = _only_user_id(packets, where)
    end = start + 1
    seconds = seconds_of(at, "renewal")
    while end < len(packets) and packets[end].tag == TAG_SIGNATURE:
        earlier = parse_signature(packets[end].body, where)
        if earlier is not None and earlier.created >= seconds:
            raise InputError(
                "renewal is not newer than the certification it replaces",
                where=parsed.fingerprint,
                got=at.isoformat(),
                hint="renew with a later time",
            )
        end += 1
    draft = _certification(primary, packets[start].body, seconds, expires)
    signed = signature_packet(_issuer(primary), draft, sign)
    parts = [one.whole for one in packets]
    made = b"".join([*parts[:end], signed, *parts[end:]])
    parse_certificate(made, where)
    return made


def fingerprint(raw: bytes, created: datetime) -> str:
    """Return the fingerprint of a key: 40 upper-case hexadecimal digits (RFC 9580, 5.5.4.1)."""
    return _new_key(raw, created, "OpenPGP key").fingerprint


def revocation(
    raw: bytes, created: datetime, at: datetime, reason: Reason, words: str, sign: Sign
) -> bytes:
    """Return a revocation of a primary key: a packet that does nothing until published.

    Made when the key is, and kept in escrow: once the quorum is lost nobody can make
    it.  `words` say more about the reason: one printable line of at most 200 bytes,
    or nothing.  Asks once.

    To Sequoia a key that was SUPERSEDED or RETIRED is good again once a later
    certification follows, such as a renewal: what lies in escrow for years must be
    COMPROMISED or UNSTATED.
    """
    key = _new_key(raw, created, "OpenPGP revocation")
    _refuse_earlier(at, created, "OpenPGP revocation")
    text = _checked_line(words, "reason for revocation", MAX_REASON_BYTES).encode()
    draft = Draft(
        _KEY_REVOCATION,
        key.hashed,
        seconds_of(at, "revocation"),
        hashed=subpacket(_SUB_REASON, bytes([reason]) + text),
    )
    return signature_packet(_issuer(key), draft, sign)


def revocation_text(revocation: bytes) -> bytes:
    """Return the armour of a revocation, which ``gpg --import`` applies to the key."""
    _check_revocation(revocation)
    begin = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
    block = armor(revocation, "PUBLIC KEY BLOCK").removeprefix(begin)
    return begin + b"Comment: This is a revocation certificate\n" + block


def revoked(certificate: bytes, revocation: bytes) -> bytes:
    """Return the certificate with its revocation in it, for publishing.

    Raises InputError if either is malformed or the certificate is revoked already,
    VerificationError if the revocation is not of this certificate's key.
    """
    _check_revocation(revocation)
    parsed, _ = _usable(certificate)
    first, *others = read_packets(certificate, "certificate")
    made = b"".join([first.whole, revocation, *(one.whole for one in others)])
    if not parse_certificate(made, "revoked OpenPGP certificate").revoked:
        raise VerificationError(
            "revocation is not by this certificate's key",
            where=parsed.fingerprint,
            hint="look for the revocation that was made for this key",
        )
    return made


def detached(
    certificate: bytes, data: bytes, at: datetime, sign: Sign, raw: bytes | None = None
) -> bytes:
    """Return a detached signature packet over `data`, dated `at` (type 0x00, SHA-512).

    `sign` belongs to the primary key, or to the key whose raw bytes are `raw`.
    InputError if that key may not sign at that time.  Asks once.
    """
    parsed, key = _signer(certificate, at, raw)
    draft = Draft(_BINARY, data, seconds_of(at, "signature"))
    made = signature_packet(Issuer(key.fingerprint, key.material), draft, sign)
    verify_detached(parsed, made, data, at)
    return made


def cleartext(
    certificate: bytes, text: bytes, at: datetime, sign: Sign, raw: bytes | None = None
) -> bytes:
    """Return a cleartext signed message of `text`, dated `at` (RFC 9580, 7; type 0x01).

    White space at the end of lines and the kind of line ends are not signed and not
    kept.  `raw` as for `detached`; the rules for text are `canonical_text`'s.  Asks once.
    """
    _, key = _signer(certificate, at, raw)
    canonical = canonical_text(text)
    draft = Draft(_TEXT, canonical, seconds_of(at, "signature"))
    made = signature_packet(Issuer(key.fingerprint, key.material), draft, sign)
    return frame(canonical, armor(made, "SIGNATURE"))


def _new_key(raw: bytes, created: datetime, where: str) -> KeyPacket:
    seconds = seconds_of(created, "key creation")
    return parse_key(key_body(parse_ed25519(raw, where).raw, seconds), where)


def _issuer(key: KeyPacket) -> Issuer:
    return Issuer(key.fingerprint, key.material)


def _certification(key: KeyPacket, name: bytes, at: int, expires: datetime | None) -> Draft:
    """Return the self-certification of a user id; checks the times."""
    lasts = b""
    if expires is not None:
        until = seconds_of(expires, "key expiry")
        if until <= at:
            raise InputError(
                "key would have expired before it is certified",
                where=key.fingerprint,
                got=expires.isoformat(),
                hint="choose a later expiry",
            )
        lasts = subpacket(SUB_KEY_EXPIRES, four_octets(until - key.created), critical=True)
    flags = subpacket(SUB_KEY_FLAGS, _MAY_CERTIFY_AND_SIGN, critical=True)
    signed = key.hashed + b"\xb4" + four_octets(len(name)) + name
    return Draft(_POSITIVE, signed, at, hashed=flags + lasts + _PREFERENCES)


def _usable(data: bytes) -> tuple[Certificate, KeyPacket]:
    """Return what a certificate says and its primary key; refuse a revoked one."""
    parsed = parse_certificate(data, "certificate")
    if parsed.revoked:
        raise InputError(
            "certificate is revoked",
            where=parsed.fingerprint,
            hint="nothing can be added to it: make a new key",
        )
    first = read_packets(data, "certificate")[0]
    primary = parse_key(first.body, "certificate")
    if primary.algorithm != "ed25519":
        raise _not_ours(parsed.fingerprint, "an Ed25519 key")
    return parsed, primary


def _signer(data: bytes, at: datetime, raw: bytes | None) -> tuple[Certificate, SigningKey]:
    """Return the key of a certificate that `raw` names, if it may sign at that time."""
    parsed, primary = _usable(data)
    wanted = primary.material if raw is None else raw
    key = next((key for key in parsed.signing_keys if key.material == wanted), None)
    if key is None:
        raise InputError(
            "not a signing key of this certificate",
            where=parsed.fingerprint,
            got=wanted.hex()[:64],
            hint="name a key that the certificate allows to sign",
        )
    if key.revoked:
        raise InputError("key is revoked", where=key.fingerprint, hint="sign with another key")
    _refuse_earlier(at, key.created_at, "OpenPGP signature")
    expiries = [time for time in (key.expires_at, parsed.expires_at) if time is not None]
    if expiries and at >= min(expiries):
        raise InputError(
            "key has expired",
            where=key.fingerprint,
            got=min(expiries).isoformat(),
            hint="renew the certificate first",
        )
    return parsed, key


def _refuse_earlier(at: datetime, created: datetime, where: str) -> None:
    seconds_of(at, where)
    if at < created:
        raise InputError(
            "dated before its key",
            where=where,
            expected=f"{created.isoformat()} or later",
            got=at.isoformat(),
            hint="check the clock, or wait until the key's creation time",
        )


def _only_user_id(packets: list[Packet], where: str) -> int:
    places = [index for index, one in enumerate(packets) if one.tag == TAG_USER_ID]
    if len(places) != 1:
        raise _not_ours(where, "one user id")
    return places[0]


def _not_ours(where: str, expected: str) -> InputError:
    return InputError(
        "not a certificate that was made here",
        where=where,
        expected=expected,
        hint="change it with the program that made it",
    )


def _check_revocation(data: bytes) -> None:
    packets = read_packets(data, "revocation")
    if len(packets) == 1 and packets[0].tag == TAG_SIGNATURE:
        parsed = parse_signature(packets[0].body, "revocation")
        if parsed is not None and parsed.kind == _KEY_REVOCATION:
            return
    raise InputError(
        "not a key revocation",
        where="revocation",
        expected="one signature packet of type 0x20",
        hint="remove its armour first",
    )


def _checked_line(text: str, what: str, most: int) -> str:
    # A backslash is how the reader shows what it had to escape.
    if not text.isprintable() or "\\" in text or text != text.strip() or len(text.encode()) > most:
        raise InputError(
            f"not an acceptable {what}",
            expected=f"one printable line of at most {most} bytes, no backslash",
            got=shorten(text),
            hint="write it in plain words on one line",
        )
    return text
