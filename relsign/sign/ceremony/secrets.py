"""Every secret of one participant in one ceremony, from one seed.

Whoever runs the command again after a crash must say the very same bytes again: a
second, different message of one kind would be taken for a lie.  So nothing is random but
the seed, and what depends on others' messages names them in its label, so that no secret
serves for two contents.

    >>> seed, ceremony = bytes(32), "ab" * 32
    >>> derive(seed, ceremony, "sealing", "ana") == derive(seed, ceremony, "sealing", "ana")
    True
    >>> derive(seed, ceremony, "sealing", "ana") == derive(seed, ceremony, "sealinga", "na")
    False
"""

from __future__ import annotations

import hmac

from relsign.errors import InputError

SEED_BYTES = 32
KEY_BYTES = 32
_DOMAIN = "relsign/ceremony/1"


def derive(seed: bytes, ceremony: str, *label: str) -> bytes:
    """Return 64 secret bytes: HMAC-SHA-512 (RFC 2104) of the label under the seed.

    Raises InputError for a seed that is not 32 bytes.  Each part of the label is written
    with its length before it, so that no two labels are one text.
    """
    if len(seed) != SEED_BYTES:
        raise InputError(
            "not a seed",
            expected=f"{SEED_BYTES} random bytes",
            got=f"{len(seed)} bytes",
            hint="take it from the system's random source",
        )
    parts = [part.encode() for part in (_DOMAIN, ceremony, *label)]
    text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hmac.digest(seed, text, "sha512")


def derive_key(seed: bytes, ceremony: str, *label: str) -> bytes:
    """Return 32 secret bytes, the first half of what `derive` gives."""
    return derive(seed, ceremony, *label)[:KEY_BYTES]
