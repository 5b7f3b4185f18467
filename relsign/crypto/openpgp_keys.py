"""OpenPGP public keys and the arithmetic of one signature.

Decides which keys are acceptable (Ed25519, RSA of 2048 to 8192 bits, ECDSA on
P-256 and P-384) and whether one signature verifies under one key.  What a key
may sign, and when, is `relsign.crypto.openpgp`'s to say.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, cast

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from nacl.bindings import crypto_core_ed25519_is_valid_point

from relsign.crypto.openpgp_packets import Reader, Signature
from relsign.errors import InputError, VerificationError

Algorithm = Literal["ed25519", "rsa", "ecdsa-p256", "ecdsa-p384"]

_RSA = 1
_ECDSA = 19
_EDDSA = 22
_NUMBERS = {"rsa": _RSA, "ecdsa-p256": _ECDSA, "ecdsa-p384": _ECDSA, "ed25519": _EDDSA}

_ED25519_OID = bytes.fromhex("2b06010401da470f01")
_CURVES: dict[bytes, tuple[Algorithm, type[ec.EllipticCurve]]] = {
    bytes.fromhex("2a8648ce3d030107"): ("ecdsa-p256", ec.SECP256R1),
    bytes.fromhex("2b81040022"): ("ecdsa-p384", ec.SECP384R1),
}
_MIN_RSA_BITS = 2048
_MAX_RSA_BITS = 8192
_MAX_EXPONENT_BITS = 64
_KEY_VERSION = 4
_NATIVE_POINT = 0x40
_UNCOMPRESSED = b"\x04"
_ED25519_BYTES = 32

HASHES: dict[int, hashes.HashAlgorithm] = {
    8: hashes.SHA256(),
    9: hashes.SHA384(),
    10: hashes.SHA512(),
}
"""Hashes that carry trust (RFC 9580, 9.5); SHA-1, MD5 and RIPEMD-160 carry none."""

REVOCATION_HASHES: dict[int, hashes.HashAlgorithm] = {
    2: hashes.SHA1(),  # noqa: S303  # an old revocation is heeded: ignoring it would trust more
    11: hashes.SHA224(),
    **HASHES,
}


@dataclass(frozen=True, slots=True)
class KeyPacket:
    """A version 4 public key or subkey packet that can verify signatures."""

    body: bytes
    fingerprint: str
    """40 upper-case hexadecimal digits."""
    created: int
    """Seconds since 1970; part of the fingerprint."""
    algorithm: Algorithm
    material: bytes
    """Ed25519: the 32 raw bytes.  RSA and ECDSA: DER SubjectPublicKeyInfo."""

    @property
    def hashed(self) -> bytes:
        """How signatures and the fingerprint cover this key (RFC 9580, 5.2.4)."""
        return hashed_key(self.body)


def hashed_key(body: bytes) -> bytes:
    """Return what signatures cover of a key packet's body (RFC 9580, 5.2.4)."""
    return b"\x99" + len(body).to_bytes(2, "big") + body


def parse_key(body: bytes, where: str) -> KeyPacket:
    """Parse a public key packet's body (RFC 9580, 5.5.2).

    Raises InputError for malformed bytes, another version or algorithm, RSA under
    2048 or over 8192 bits, and points that are off the curve or of small order.
    """
    reader = Reader(body, where)
    version = reader.number(1)
    if version != _KEY_VERSION:
        raise _unsupported(f"key version {version}", where)
    created = reader.number(4)
    number = reader.number(1)
    if number == _EDDSA:
        algorithm, material = _ed25519(reader, where)
    elif number == _RSA:
        algorithm, material = _rsa(reader, where)
    elif number == _ECDSA:
        algorithm, material = _ecdsa(reader, where)
    else:
        raise _unsupported(f"algorithm {number}", where)
    reader.end()
    # SHA-1 is how RFC 9580 defines a version 4 fingerprint; the key itself is compared too.
    fingerprint = hashlib.sha1(hashed_key(body), usedforsecurity=False).hexdigest().upper()
    return KeyPacket(body, fingerprint, created, algorithm, material)


def _unsupported(got: str, where: str) -> InputError:
    return InputError(
        "OpenPGP key is of a kind that is not accepted",
        where=where,
        expected="a version 4 Ed25519, RSA (2048 to 8192 bits) or ECDSA (P-256, P-384) key",
        got=got,
    )


def _ed25519(reader: Reader, where: str) -> tuple[Algorithm, bytes]:
    curve = reader.take(reader.number(1))
    point = reader.mpi()
    if curve != _ED25519_OID:
        raise _unsupported(f"curve {curve.hex()}", where)
    raw = point[1:]
    prefixed = len(point) == _ED25519_BYTES + 1 and point[0] == _NATIVE_POINT
    if not prefixed or not crypto_core_ed25519_is_valid_point(raw):
        raise InputError("not an acceptable Ed25519 public key", where=where, got=raw.hex()[:64])
    return "ed25519", raw


def _rsa(reader: Reader, where: str) -> tuple[Algorithm, bytes]:
    modulus = int.from_bytes(reader.mpi(), "big")
    exponent = int.from_bytes(reader.mpi(), "big")
    bits = modulus.bit_length()
    if not _MIN_RSA_BITS <= bits <= _MAX_RSA_BITS:
        raise _unsupported(f"RSA of {bits} bits", where)
    if exponent.bit_length() > _MAX_EXPONENT_BITS:
        raise _unsupported("an RSA exponent of more than 64 bits", where)
    try:
        key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError as error:
        raise InputError("not an acceptable RSA public key", where=where) from error
    return "rsa", key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _ecdsa(reader: Reader, where: str) -> tuple[Algorithm, bytes]:
    oid = reader.take(reader.number(1))
    point = reader.mpi()
    if oid not in _CURVES:
        raise _unsupported(f"curve {oid.hex()}", where)
    algorithm, curve = _CURVES[oid]
    if point[:1] != _UNCOMPRESSED:
        raise _unsupported("a compressed point", where)
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(curve(), point)
    except ValueError as error:
        raise InputError("not an acceptable ECDSA public key", where=where) from error
    return algorithm, key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def check_arithmetic(
    signature: Signature,
    algorithm: Algorithm,
    material: bytes,
    signed: bytes,
    accepted: dict[int, hashes.HashAlgorithm],
) -> None:
    """Check that `signature` over `signed` verifies under one key and an accepted hash.

    Raises VerificationError if it does not, InputError for malformed integers.
    """
    if signature.key_algorithm != _NUMBERS[algorithm]:
        raise VerificationError("signature is of another algorithm than the key")
    if signature.hash_algorithm not in accepted:
        raise VerificationError(
            "signature uses a hash that is not accepted",
            expected="SHA-256, SHA-384 or SHA-512",
            got=f"hash algorithm {signature.hash_algorithm}",
        )
    hash_algorithm = accepted[signature.hash_algorithm]
    hasher = hashes.Hash(hash_algorithm)
    hasher.update(signed)
    hasher.update(signature.trailer)
    digest = hasher.finalize()
    if digest[:2] != signature.digest_start:
        raise VerificationError("signature was made over other bytes")
    try:
        _verify(signature, material, digest, hash_algorithm)
    except (InvalidSignature, UnsupportedAlgorithm) as error:
        raise VerificationError("signature does not verify") from error


def _verify(
    signature: Signature, material: bytes, digest: bytes, hash_algorithm: hashes.HashAlgorithm
) -> None:
    reader = Reader(signature.mpis, "signature")
    first = reader.mpi()
    second = b"" if signature.key_algorithm == _RSA else reader.mpi()
    reader.end()
    if signature.key_algorithm == _EDDSA:
        # Leading zeros are not written in an integer: they come back here.
        joined = first.rjust(_ED25519_BYTES, b"\0") + second.rjust(_ED25519_BYTES, b"\0")
        Ed25519PublicKey.from_public_bytes(material).verify(joined, digest)
        return
    key = load_der_public_key(material)
    if isinstance(key, ec.EllipticCurvePublicKey):
        pair = encode_dss_signature(int.from_bytes(first, "big"), int.from_bytes(second, "big"))
        key.verify(pair, digest, ec.ECDSA(Prehashed(hash_algorithm)))
        return
    rsa_key = cast("rsa.RSAPublicKey", key)
    padded = first.rjust((rsa_key.key_size + 7) // 8, b"\0")
    rsa_key.verify(padded, digest, padding.PKCS1v15(), Prehashed(hash_algorithm))
