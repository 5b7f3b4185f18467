"""Builds OpenPGP packets by hand, right and wrong, from RFC 9580: for tests only.

Nothing of `relsign` is used, so that the two can disagree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CREATED = 1_704_067_200  # 2024-01-01T00:00:00Z
DAY = 86_400
USER_ID = b"Test <test@example.org>"

HASHES = {
    2: hashes.SHA1(),  # noqa: S303  # what a weak signature is made of
    8: hashes.SHA256(),
    9: hashes.SHA384(),
    10: hashes.SHA512(),
    11: hashes.SHA224(),
}

PrivateKey = Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def mpi(value: bytes) -> bytes:
    number = int.from_bytes(value, "big")
    bits = number.bit_length()
    return bits.to_bytes(2, "big") + number.to_bytes((bits + 7) // 8, "big")


def packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4, "big") + body


def sub(kind: int, body: bytes, *, critical: bool = False) -> bytes:
    data = bytes([kind | (0x80 if critical else 0)]) + body
    return b"\xff" + len(data).to_bytes(4, "big") + data


def when(seconds: int) -> bytes:
    return sub(2, seconds.to_bytes(4, "big"))


def lasts(seconds: int) -> bytes:
    return sub(9, seconds.to_bytes(4, "big"))


def flags(value: int) -> bytes:
    return sub(27, bytes([value]))


@dataclass(frozen=True)
class Key:
    private: PrivateKey
    created: int = CREATED

    @property
    def algorithm(self) -> int:
        if isinstance(self.private, Ed25519PrivateKey):
            return 22
        return 1 if isinstance(self.private, rsa.RSAPrivateKey) else 19

    @property
    def body(self) -> bytes:
        head = b"\x04" + self.created.to_bytes(4, "big") + bytes([self.algorithm])
        if isinstance(self.private, Ed25519PrivateKey):
            raw = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            return head + b"\x09" + bytes.fromhex("2b06010401da470f01") + mpi(b"\x40" + raw)
        if isinstance(self.private, rsa.RSAPrivateKey):
            public = self.private.public_key().public_numbers()
            return head + mpi(public.n.to_bytes(1024, "big")) + mpi(public.e.to_bytes(4, "big"))
        point = self.private.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )
        oid = {256: "2a8648ce3d030107", 384: "2b81040022", 521: "2b81040023"}
        curve = bytes.fromhex(oid[self.private.curve.key_size])
        return head + bytes([len(curve)]) + curve + mpi(point)

    @property
    def hashed(self) -> bytes:
        return b"\x99" + len(self.body).to_bytes(2, "big") + self.body

    @property
    def fingerprint(self) -> str:
        return hashlib.sha1(self.hashed, usedforsecurity=False).hexdigest().upper()

    @property
    def issuer(self) -> bytes:
        return sub(33, b"\x04" + bytes.fromhex(self.fingerprint))

    @property
    def issuer_keyid(self) -> bytes:
        return sub(16, bytes.fromhex(self.fingerprint)[-8:])

    def integers(self, digest: bytes, hash_number: int) -> bytes:
        if isinstance(self.private, Ed25519PrivateKey):
            made = self.private.sign(digest)
            return mpi(made[:32]) + mpi(made[32:])
        prehashed = Prehashed(HASHES[hash_number])
        if isinstance(self.private, rsa.RSAPrivateKey):
            return mpi(self.private.sign(digest, padding.PKCS1v15(), prehashed))
        r, s = decode_dss_signature(self.private.sign(digest, ec.ECDSA(prehashed)))
        return mpi(r.to_bytes(66, "big")) + mpi(s.to_bytes(66, "big"))

    def signature_body(
        self,
        kind: int,
        signed: bytes,
        hashed: Sequence[bytes],
        *,
        unhashed: Sequence[bytes] | None = None,
        hash_number: int = 10,
    ) -> bytes:
        """Return a signature packet's body; the issuer's keyid is unhashed unless told."""
        area = b"".join(hashed)
        loose = b"".join([self.issuer_keyid] if unhashed is None else unhashed)
        head = bytes([4, kind, self.algorithm, hash_number]) + len(area).to_bytes(2, "big") + area
        trailer = head + b"\x04\xff" + len(head).to_bytes(4, "big")
        hasher = hashes.Hash(HASHES[hash_number])
        hasher.update(signed + trailer)
        digest = hasher.finalize()
        integers = self.integers(digest, hash_number)
        return head + len(loose).to_bytes(2, "big") + loose + digest[:2] + integers


def ed25519(seed: int, created: int = CREATED) -> Key:
    return Key(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32), created)


def uid_hashed(key: Key, user_id: bytes = USER_ID) -> bytes:
    return key.hashed + b"\xb4" + len(user_id).to_bytes(4, "big") + user_id


def certification(
    key: Key,
    *extra: bytes,
    user_id: bytes = USER_ID,
    flag_byte: int | None = 0x03,
    created: int = CREATED,
    hash_number: int = 10,
    kind: int = 0x13,
) -> bytes:
    """Return a self-certification packet with creation time, issuer, flags and `extra`."""
    hashed = [key.issuer, when(created), *extra]
    if flag_byte is not None:
        hashed.append(flags(flag_byte))
    return packet(
        2, key.signature_body(kind, uid_hashed(key, user_id), hashed, hash_number=hash_number)
    )


def simple(key: Key, *extra: bytes, flag_byte: int | None = 0x03) -> bytes:
    """Return a certificate with one user ID."""
    return (
        packet(6, key.body) + packet(13, USER_ID) + certification(key, *extra, flag_byte=flag_byte)
    )


def back_signature(primary: Key, subkey: Key, *, hash_number: int = 10) -> bytes:
    return sub(
        32,
        subkey.signature_body(
            0x19,
            primary.hashed + subkey.hashed,
            [subkey.issuer, when(subkey.created)],
            hash_number=hash_number,
        ),
    )


def binding(
    primary: Key,
    subkey: Key,
    *extra: bytes,
    flag_byte: int = 0x02,
    created: int | None = None,
    back: bool = True,
) -> bytes:
    """Return a subkey binding packet; the back-signature is in its unhashed area."""
    hashed = [primary.issuer, when(created or subkey.created), flags(flag_byte), *extra]
    loose = [primary.issuer_keyid, *([back_signature(primary, subkey)] if back else [])]
    both = primary.hashed + subkey.hashed
    return packet(2, primary.signature_body(0x18, both, hashed, unhashed=loose))


def revocation(
    kind: int, key: Key, signed: bytes, *, created: int = CREATED + DAY, hash_number: int = 10
) -> bytes:
    hashed = [key.issuer, when(created), sub(29, b"\x00")]
    return packet(2, key.signature_body(kind, signed, hashed, hash_number=hash_number))


def detached(
    key: Key,
    message: bytes,
    *extra: bytes,
    created: int = CREATED + 10 * DAY,
    kind: int = 0x00,
    hash_number: int = 10,
) -> bytes:
    hashed = [key.issuer, when(created), *extra]
    return packet(2, key.signature_body(kind, message, hashed, hash_number=hash_number))
