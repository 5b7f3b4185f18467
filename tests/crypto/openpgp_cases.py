"""One table of certificates and signatures: what we, gpg and sqv must say of each.

Where the three differ it is on purpose, and the row says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.crypto.openpgp_maker import (
    CREATED,
    DAY,
    USER_ID,
    Key,
    back_signature,
    binding,
    certification,
    detached,
    ed25519,
    flags,
    lasts,
    packet,
    revocation,
    simple,
    sub,
    uid_hashed,
    when,
)

MESSAGE = b"the release\r\nand its manifest \r\n"
AT = datetime.fromtimestamp(CREATED + 20 * DAY, UTC)

NOTATION = bytes(4) + b"\x00\x0c\x00\x01" + b"x@example.io" + b"y"
PRIMARY = ed25519(1)
SUBKEY = ed25519(2)
STRANGER = ed25519(3)


@cache
def rsa_key(bits: int = 2048) -> Key:
    return Key(rsa.generate_private_key(65537, bits))


@cache
def nist_key(curve: str) -> Key:
    return Key(ec.generate_private_key({"256": ec.SECP256R1(), "384": ec.SECP384R1()}[curve]))


@dataclass(frozen=True)
class Case:
    """What is checked, and who calls it good; `sqv` judges with today's clock."""

    certificate: bytes
    signature: bytes
    good: bool
    gpg: bool
    sqv: bool
    message: bytes = MESSAGE
    reason: str = ""
    """A part of our error's sentence."""


def yes(certificate: bytes, signature: bytes) -> Case:
    return Case(certificate, signature, good=True, gpg=True, sqv=True)


def no(
    certificate: bytes,
    signature: bytes,
    reason: str,
    *,
    gpg: bool = False,
    sqv: bool = False,
    message: bytes = MESSAGE,
) -> Case:
    return Case(
        certificate, signature, good=False, gpg=gpg, sqv=sqv, message=message, reason=reason
    )


def with_subkey(*extra: bytes, flag_byte: int = 0x02, back: bool = True) -> bytes:
    return (
        simple(PRIMARY, flag_byte=0x01)
        + packet(14, SUBKEY.body)
        + binding(PRIMARY, SUBKEY, *extra, flag_byte=flag_byte, back=back)
    )


def short_integers() -> bytes:
    """Return a signature whose R or S has a leading zero byte, found by trying times."""
    usual = len(detached(PRIMARY, MESSAGE))
    tries = (detached(PRIMARY, MESSAGE, created=CREATED + 2 * DAY + n) for n in range(5_000))
    return next(made for made in tries if len(made) < usual)


def unstripped() -> bytes:
    """Return the same signature with its integers padded to 32 bytes, bit counts kept at 256."""
    body = short_integers()[6:]
    hashed = int.from_bytes(body[4:6], "big")
    loose = int.from_bytes(body[6 + hashed : 8 + hashed], "big")
    start = 10 + hashed + loose
    integers, rest = b"", body[start:]
    while rest:
        size = (int.from_bytes(rest[:2], "big") + 7) // 8
        integers += b"\x01\x00" + rest[2 : 2 + size].rjust(32, b"\0")
        rest = rest[2 + size :]
    return packet(2, body[:start] + integers)


def weak_self_signature() -> bytes:
    return packet(6, PRIMARY.body) + packet(13, USER_ID) + certification(PRIMARY, hash_number=2)


def direct_only(*extra: bytes) -> bytes:
    hashed = [PRIMARY.issuer, when(CREATED), flags(0x03), *extra]
    direct = packet(2, PRIMARY.signature_body(0x1F, PRIMARY.hashed, hashed))
    return packet(6, PRIMARY.body) + direct + packet(13, USER_ID) + certification(PRIMARY)


def revoked_primary(hash_number: int = 10) -> bytes:
    return (
        packet(6, PRIMARY.body)
        + revocation(0x20, PRIMARY, PRIMARY.hashed, hash_number=hash_number)
        + packet(13, USER_ID)
        + certification(PRIMARY)
    )


def renewed() -> bytes:
    """Return a key that had expired before its newest self-signature."""
    return simple(PRIMARY, lasts(5 * DAY)) + certification(
        PRIMARY, lasts(400 * DAY), created=CREATED + DAY
    )


def revoked_subkey() -> bytes:
    both = PRIMARY.hashed + SUBKEY.hashed
    return (
        simple(PRIMARY, flag_byte=0x01)
        + packet(14, SUBKEY.body)
        + revocation(0x28, PRIMARY, both)
        # A binding newer than the revocation does not bring the subkey back.
        + binding(PRIMARY, SUBKEY, created=CREATED + 2 * DAY)
    )


def revoked_user_id(created: int = CREATED + DAY) -> bytes:
    signed = uid_hashed(PRIMARY, b"Other <other@example.org>")
    return (
        simple(PRIMARY)
        + packet(13, b"Other <other@example.org>")
        + certification(PRIMARY, user_id=b"Other <other@example.org>")
        + revocation(0x30, PRIMARY, signed, created=created)
    )


def stolen_subkey() -> bytes:
    """Return a certificate that claims another person's key, without its consent."""
    return (
        simple(STRANGER, flag_byte=0x01)
        + packet(14, SUBKEY.body)
        + packet(
            2,
            STRANGER.signature_body(
                0x18,
                STRANGER.hashed + SUBKEY.hashed,
                [STRANGER.issuer, when(CREATED), flags(0x02)],
                # This back-signature was made for another primary key.
                unhashed=[STRANGER.issuer_keyid, back_signature(PRIMARY, SUBKEY)],
            ),
        )
    )


def only_user_id_revoked() -> bytes:
    return simple(PRIMARY) + revocation(0x30, PRIMARY, uid_hashed(PRIMARY))


def user_id_certified_again() -> bytes:
    return only_user_id_revoked() + certification(PRIMARY, created=CREATED + 2 * DAY)


def designated(revoker: Key) -> bytes:
    """Return a key that names a revoker, and a revocation by `revoker` if it is the one."""
    named = sub(12, b"\x80\x16" + bytes.fromhex(STRANGER.fingerprint))
    hashed = [PRIMARY.issuer, when(CREATED), flags(0x03), named]
    made = revoker.signature_body(
        0x20, PRIMARY.hashed, [revoker.issuer, when(CREATED + DAY), sub(29, b"\x00")]
    )
    return (
        packet(6, PRIMARY.body)
        + packet(2, PRIMARY.signature_body(0x1F, PRIMARY.hashed, hashed))
        + packet(2, made)
        + packet(13, USER_ID)
        + certification(PRIMARY)
    )


def weak_back_signature() -> bytes:
    hashed = [PRIMARY.issuer, when(CREATED), flags(0x02)]
    loose = [PRIMARY.issuer_keyid, back_signature(PRIMARY, SUBKEY, hash_number=2)]
    both = PRIMARY.hashed + SUBKEY.hashed
    return (
        simple(PRIMARY, flag_byte=0x01)
        + packet(14, SUBKEY.body)
        + packet(2, PRIMARY.signature_body(0x18, both, hashed, unhashed=loose))
    )


def with_third_parties() -> bytes:
    """Return a certificate that others certified, with packets that are to be skipped."""
    theirs = STRANGER.signature_body(0x10, uid_hashed(PRIMARY), [STRANGER.issuer, when(CREATED)])
    attribute = b"\x05\x01\x10\x00\x01\x01"
    encryption = b"\x04" + CREATED.to_bytes(4, "big") + b"\x10" + bytes(12)
    return (
        simple(PRIMARY)
        + packet(2, theirs)
        + packet(2, b"\x03" + theirs[1:])
        + packet(17, attribute)
        + packet(14, encryption)
    )


def by_issuer(*, hashed: bool, loose: bool) -> bytes:
    dated = [when(CREATED + DAY)]
    body = PRIMARY.signature_body(
        0x00,
        MESSAGE,
        [PRIMARY.issuer, *dated] if hashed else dated,
        unhashed=[PRIMARY.issuer_keyid] if loose else [],
    )
    return packet(2, body)


PLAIN = simple(PRIMARY)
GOOD = detached(PRIMARY, MESSAGE)
BY_SUBKEY = detached(SUBKEY, MESSAGE)

CASES: dict[str, Callable[[], Case]] = {
    "ed25519": lambda: yes(PLAIN, GOOD),
    "rsa": lambda: yes(simple(rsa_key()), detached(rsa_key(), MESSAGE)),
    "p256": lambda: yes(simple(nist_key("256")), detached(nist_key("256"), MESSAGE)),
    "p384": lambda: yes(simple(nist_key("384")), detached(nist_key("384"), MESSAGE)),
    "sha256": lambda: yes(PLAIN, detached(PRIMARY, MESSAGE, hash_number=8)),
    "sha384": lambda: yes(PLAIN, detached(PRIMARY, MESSAGE, hash_number=9)),
    "short integers": lambda: yes(PLAIN, short_integers()),
    "integers not stripped": lambda: no(
        # libgcrypt does not mind; one value has one encoding here.
        PLAIN,
        unstripped(),
        "wrong bit count",
        gpg=True,
    ),
    "subkey": lambda: yes(with_subkey(), BY_SUBKEY),
    "renewed": lambda: yes(renewed(), GOOD),
    "direct-key signature": lambda: yes(direct_only(), GOOD),
    "other user ID revoked": lambda: yes(revoked_user_id(), GOOD),
    "altered": lambda: no(PLAIN, GOOD, "other bytes", message=MESSAGE + b"x"),
    "other key": lambda: no(
        PLAIN, detached(STRANGER, MESSAGE), "not by a signing key of this certificate"
    ),
    "issuer pretended": lambda: no(
        PLAIN,
        packet(
            2,
            STRANGER.signature_body(
                0x00, MESSAGE, [PRIMARY.issuer, when(CREATED)], unhashed=[PRIMARY.issuer_keyid]
            ),
        ),
        "does not verify",
    ),
    "sha1": lambda: no(
        PLAIN, detached(PRIMARY, MESSAGE, hash_number=2), "hash that is not accepted"
    ),
    "sha224": lambda: no(
        PLAIN, detached(PRIMARY, MESSAGE, hash_number=11), "hash that is not accepted", sqv=True
    ),
    "text mode": lambda: no(
        PLAIN, detached(PRIMARY, MESSAGE, kind=0x01), "not over binary data", sqv=True
    ),
    "two signatures": lambda: no(PLAIN, GOOD + GOOD, "more than one signature", sqv=True),
    "one good, one bad": lambda: no(
        PLAIN, GOOD + detached(PRIMARY, b"else"), "more than one signature", sqv=True
    ),
    "future": lambda: no(
        # gpg 2.2 compares a signature's date with no clock; sqv's clock is today's.
        PLAIN,
        detached(PRIMARY, MESSAGE, created=CREATED + 30 * DAY),
        "from the future",
        gpg=True,
        sqv=True,
    ),
    "older than its key": lambda: no(
        PLAIN, detached(PRIMARY, MESSAGE, created=CREATED - DAY), "older than its key"
    ),
    "signature expired": lambda: no(
        PLAIN,
        detached(PRIMARY, MESSAGE, sub(3, DAY.to_bytes(4, "big"))),
        "signature has expired",
    ),
    "unknown critical": lambda: no(
        PLAIN, detached(PRIMARY, MESSAGE, sub(99, b"", critical=True)), "critical"
    ),
    "critical notation": lambda: no(
        PLAIN, detached(PRIMARY, MESSAGE, sub(20, NOTATION, critical=True)), "critical"
    ),
    "unknown, not critical": lambda: yes(PLAIN, detached(PRIMARY, MESSAGE, sub(99, b"x"))),
    "dated twice": lambda: no(
        # The tools take one of the two dates; which one is theirs to know.
        PLAIN,
        detached(PRIMARY, MESSAGE, when(CREATED + DAY)),
        "same thing twice",
        gpg=True,
        sqv=True,
    ),
    "expired": lambda: no(simple(PRIMARY, lasts(5 * DAY)), GOOD, "key has expired"),
    "expired since": lambda: no(
        # sqv asks whether the key was valid when it signed; gpg and we, also now.
        simple(PRIMARY, lasts(15 * DAY)),
        GOOD,
        "key has expired",
        sqv=True,
    ),
    "revoked": lambda: no(revoked_primary(), GOOD, "key is revoked"),
    "revoked with sha1": lambda: no(revoked_primary(2), GOOD, "key is revoked"),
    "primary expired, subkey not": lambda: no(
        packet(6, PRIMARY.body)
        + packet(13, USER_ID)
        + certification(PRIMARY, lasts(15 * DAY), flag_byte=0x01)
        + packet(14, SUBKEY.body)
        + binding(PRIMARY, SUBKEY),
        BY_SUBKEY,
        "primary key has expired",
        sqv=True,
    ),
    "subkey expired": lambda: no(with_subkey(lasts(5 * DAY)), BY_SUBKEY, "key has expired"),
    "subkey revoked": lambda: no(revoked_subkey(), BY_SUBKEY, "key is revoked"),
    "subkey may not sign": lambda: no(
        with_subkey(flag_byte=0x0C), BY_SUBKEY, "not by a signing key"
    ),
    "no back-signature": lambda: no(with_subkey(back=False), BY_SUBKEY, "not by a signing key"),
    "stolen subkey": lambda: no(stolen_subkey(), BY_SUBKEY, "not by a signing key"),
    "primary may not sign": lambda: no(
        simple(PRIMARY, flag_byte=0x01), GOOD, "not by a signing key"
    ),
    "no key flags": lambda: no(
        # gpg takes silence for consent, as RFC 4880 let it; sqv and we do not.
        simple(PRIMARY, flag_byte=None),
        GOOD,
        "not by a signing key",
        gpg=True,
    ),
    "self-signature with sha1": lambda: no(
        # gpg 2.2 still trusts SHA-1 in self-signatures.
        weak_self_signature(),
        GOOD,
        "no valid self-signature",
        gpg=True,
    ),
    "no self-signature": lambda: no(
        packet(6, PRIMARY.body) + packet(13, USER_ID), GOOD, "no valid self-signature"
    ),
    "self-signature by another": lambda: no(
        packet(6, PRIMARY.body)
        + packet(13, USER_ID)
        + packet(
            2,
            STRANGER.signature_body(
                0x13,
                uid_hashed(PRIMARY),
                [PRIMARY.issuer, when(CREATED), flags(3)],
                unhashed=[PRIMARY.issuer_keyid],
            ),
        ),
        GOOD,
        "no valid self-signature",
    ),
    "self-signature older than its key": lambda: no(
        packet(6, PRIMARY.body)
        + packet(13, USER_ID)
        + certification(PRIMARY, created=CREATED - DAY),
        GOOD,
        "no valid self-signature",
    ),
    "self-signature with unknown critical part": lambda: no(
        simple(PRIMARY, sub(99, b"", critical=True)), GOOD, "no valid self-signature"
    ),
    "only user ID revoked": lambda: no(
        # gpg and sqv still know the key; we want a name its owner stands by.
        only_user_id_revoked(),
        GOOD,
        "no valid self-signature",
        gpg=True,
        sqv=True,
    ),
    "user ID certified again": lambda: yes(user_id_certified_again(), GOOD),
    "revoked, packet misplaced": lambda: no(
        simple(PRIMARY) + revocation(0x20, PRIMARY, PRIMARY.hashed), GOOD, "key is revoked"
    ),
    "revoker named": lambda: yes(designated(SUBKEY), GOOD),
    "revoked by the revoker": lambda: no(
        # Nobody has the revoker's key here: gpg and sqv trust, we do not.
        designated(STRANGER),
        GOOD,
        "key is revoked",
        gpg=True,
        sqv=True,
    ),
    "back-signature with sha1": lambda: no(
        weak_back_signature(), BY_SUBKEY, "not by a signing key", gpg=True
    ),
    "third parties": lambda: yes(with_third_parties(), GOOD),
    "direct-key signature forbids": lambda: no(
        packet(6, PRIMARY.body)
        + packet(
            2,
            PRIMARY.signature_body(
                0x1F, PRIMARY.hashed, [PRIMARY.issuer, when(CREATED), flags(0x01)]
            ),
        )
        + packet(13, USER_ID)
        + certification(PRIMARY),
        GOOD,
        "not by a signing key",
        # sqv prefers the flags of the user ID; gpg and we those of the key itself.
        sqv=True,
    ),
    "direct-key signature expires": lambda: no(
        direct_only(lasts(5 * DAY)), GOOD, "key has expired"
    ),
    "issuer by keyid": lambda: yes(PLAIN, by_issuer(hashed=False, loose=True)),
    "issuer by fingerprint": lambda: yes(PLAIN, by_issuer(hashed=True, loose=False)),
    "no issuer": lambda: no(PLAIN, by_issuer(hashed=False, loose=False), "no issuer"),
    "two certificates": lambda: no(
        PLAIN + simple(STRANGER), GOOD, "not one OpenPGP certificate", gpg=True, sqv=True
    ),
}
