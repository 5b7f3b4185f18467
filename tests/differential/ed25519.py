"""Ed25519 by hand, for signatures that no honest program makes (RFC 8032, 5.1.6)."""

from __future__ import annotations

import hashlib

from nacl.bindings import crypto_core_ed25519_add, crypto_scalarmult_ed25519_base_noclamp

ORDER = 2**252 + 27742317777372353535851937790883648493
PRIME = 2**255 - 19
IDENTITY = (1).to_bytes(32, "little")
SMALL_ORDER = {
    "order 1": IDENTITY,
    "order 2": (PRIME - 1).to_bytes(32, "little"),
    "order 4": bytes(32),
    "order 8": bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
}


def private_scalar(seed: bytes) -> int:
    """Return the number a seed stands for."""
    number = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    return number & ((1 << 254) - 8) | 1 << 254


def challenge(point: bytes, public: bytes, message: bytes) -> int:
    """Return the hash that a signature answers."""
    digest = hashlib.sha512(point + public + message).digest()
    return int.from_bytes(digest, "little") % ORDER


def sign_with_nonce(seed: bytes, public: bytes, message: bytes, nonce: int, added: bytes) -> bytes:
    """Return a signature whose R is the nonce's point plus `added`, and whose S answers it.

    With a point of small order added, a verifier that multiplies by the cofactor
    accepts it and one that does not refuses it.  Nonce 0 makes R of small order.
    """
    point = added
    if nonce:
        base = crypto_scalarmult_ed25519_base_noclamp(nonce.to_bytes(32, "little"))
        point = base if added == IDENTITY else crypto_core_ed25519_add(base, added)
    answer = (nonce + challenge(point, public, message) * private_scalar(seed)) % ORDER
    return point + answer.to_bytes(32, "little")


def above_order(signature: bytes) -> bytes:
    """Return the same signature with S plus the order of the group: not canonical."""
    answer = int.from_bytes(signature[32:], "little") + ORDER
    return signature[:32] + answer.to_bytes(32, "little")
