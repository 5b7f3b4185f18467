r"""OpenPGP packets written, each in its shortest form: version 4, Ed25519 and SHA-512 only.

What they mean is `relsign.crypto.openpgp_make`'s to say.  Algorithm 22
(EdDSALegacy) is the one that every tool in use accepts: GnuPG knows neither
algorithm 27 nor version 6.

    >>> packet(13, b"Ada").hex()
    'cd03416461'
    >>> mpi(bytes([0, 0, 5])).hex()
    '000305'
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from relsign.crypto.openpgp_packets import (
    SIGNATURE_VERSION,
    SUB_CREATED,
    SUB_ISSUER_FINGERPRINT,
    SUB_ISSUER_KEYID,
    TAG_SIGNATURE,
)
from relsign.crypto.raw_signing import Sign, checked_signature
from relsign.errors import InputError
from relsign.formats.names import whole_seconds_utc

_EDDSA = 22
_SHA512 = 10
_KEY_VERSION = b"\x04"
_ED25519_OID = bytes.fromhex("2b06010401da470f01")
_NATIVE_POINT = b"\x40"
_NEW_FORMAT = 0xC0
_CRITICAL = 0x80
_ONE_OCTET = 192
_MAX_SECONDS = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Issuer:
    """The key a signature names as its maker."""

    fingerprint: str
    """40 hexadecimal digits."""
    raw: bytes

    @property
    def _octets(self) -> bytes:
        return bytes.fromhex(self.fingerprint)

    @property
    def subpacket(self) -> bytes:
        """The issuer's fingerprint, which is signed."""
        return subpacket(SUB_ISSUER_FINGERPRINT, _KEY_VERSION + self._octets)

    @property
    def keyid_subpacket(self) -> bytes:
        """The issuer's keyid, unsigned: GnuPG 2.2 does not find a key without it."""
        return subpacket(SUB_ISSUER_KEYID, self._octets[-8:])


@dataclass(frozen=True, slots=True)
class Draft:
    """A signature that is still to be made (RFC 9580, 5.2.3)."""

    kind: int
    """Signature type, such as 0x00 over binary data."""
    signed: bytes
    """What is hashed before the signature's own head."""
    created: int
    """Seconds since 1970."""
    hashed: bytes = b""
    """Signed subpackets besides issuer and creation time."""
    unhashed: bytes = b""
    """Unsigned subpackets besides the issuer's keyid."""


def seconds_of(moment: datetime, what: str) -> int:
    """Return a time as OpenPGP counts it, in seconds since 1970.

    Raises InputError unless it is aware, UTC, in whole seconds, and fits four bytes.
    """
    if whole_seconds_utc(moment):
        seconds = int(moment.timestamp())
        if 0 <= seconds <= _MAX_SECONDS:
            return seconds
    raise InputError(
        f"not a time OpenPGP can hold: {what}",
        expected=f"whole seconds, UTC, 1970 to {datetime.fromtimestamp(_MAX_SECONDS, UTC):%Y}",
        got=moment.isoformat(),
        hint="give the time in UTC without a fraction of a second",
    )


def four_octets(number: int) -> bytes:
    """Return a time or duration as subpackets and key packets hold it."""
    return number.to_bytes(4, "big")


def packet(tag: int, body: bytes) -> bytes:
    """Return one packet with its header (RFC 9580, 4.2.1)."""
    return bytes([_NEW_FORMAT | tag]) + _length(len(body)) + body


def subpacket(kind: int, body: bytes, *, critical: bool = False) -> bytes:
    """Return one signature subpacket (RFC 9580, 5.2.3.7)."""
    return _length(1 + len(body)) + bytes([kind | (_CRITICAL if critical else 0)]) + body


def _length(size: int) -> bytes:
    # Nothing written here comes near 8,384 bytes, where the third form begins.
    if size < _ONE_OCTET:
        return bytes([size])
    return (size - _ONE_OCTET + (_ONE_OCTET << 8)).to_bytes(2, "big")


def mpi(value: bytes) -> bytes:
    """Return a multiprecision integer: true bit count, no leading zero (RFC 9580, 3.2).

    About one Ed25519 signature in 128 has such a zero; readers refuse it if written.
    """
    number = int.from_bytes(value, "big")
    bits = number.bit_length()
    return bits.to_bytes(2, "big") + number.to_bytes((bits + 7) // 8, "big")


def key_body(raw: bytes, created: int) -> bytes:
    """Return the body of an Ed25519 key packet; `created` is part of its fingerprint."""
    curve = bytes([len(_ED25519_OID)]) + _ED25519_OID
    return _KEY_VERSION + four_octets(created) + bytes([_EDDSA]) + curve + mpi(_NATIVE_POINT + raw)


def signature_body(issuer: Issuer, draft: Draft, sign: Sign) -> bytes:
    """Return the body of a signature packet; `sign` gets the 64 bytes of a SHA-512.

    Raises VerificationError if `sign` does not make the issuer's signature.
    """
    created = subpacket(SUB_CREATED, four_octets(draft.created), critical=True)
    hashed = issuer.subpacket + created + draft.hashed
    unhashed = issuer.keyid_subpacket + draft.unhashed
    head = bytes([SIGNATURE_VERSION, draft.kind, _EDDSA, _SHA512]) + _area(hashed)
    trailer = bytes([SIGNATURE_VERSION, 0xFF]) + four_octets(len(head))
    digest = hashlib.sha512(draft.signed + head + trailer).digest()
    made = checked_signature(sign, issuer.raw, digest, f"OpenPGP key {issuer.fingerprint}")
    integers = mpi(made[:32]) + mpi(made[32:])
    return head + _area(unhashed) + digest[:2] + integers


def signature_packet(issuer: Issuer, draft: Draft, sign: Sign) -> bytes:
    """Return a whole signature packet; raises as `signature_body`."""
    return packet(TAG_SIGNATURE, signature_body(issuer, draft, sign))


def _area(subpackets: bytes) -> bytes:
    return len(subpackets).to_bytes(2, "big") + subpackets
