"""One raw Ed25519 signature from whoever can make it: a key, or people who share one.

An output format is a function that asks for signatures over the bytes it needs.
What comes back is checked before anything is built from it, so a signer that errs
or lies is found out here and never in a published file.  Whatever the signer
itself raises, such as "not all have answered yet", passes through untouched.

    >>> checked_signature(lambda message: bytes(64), bytes([3]) + bytes(31), b"m", "example")
    Traceback (most recent call last):
        ...
    relsign.errors.VerificationError: example: the signer's answer does not verify (got 64 bytes)
"""

from __future__ import annotations

from collections.abc import Callable

from relsign.crypto.keys import Ed25519Public
from relsign.crypto.signatures import verify_ed25519
from relsign.errors import VerificationError

Sign = Callable[[bytes], bytes]
"""Gets exactly the bytes to be signed; returns a signature of its key's kind.

Of an Ed25519 key, the only kind asked for here, 64 bytes: R and S (RFC 8032, 5.1.6).
"""


def checked_signature(sign: Sign, raw: bytes, message: bytes, where: str) -> bytes:
    """Return the 64 bytes that `sign` makes of `message` for the raw public key `raw`.

    Raises VerificationError if they are not that key's signature, by libsodium's
    strict rules, and whatever `sign` raises.
    """
    signature = sign(message)
    try:
        verify_ed25519(Ed25519Public(raw), signature, message)
    except VerificationError as error:
        raise VerificationError(
            "the signer's answer does not verify",
            where=where,
            got=f"{len(signature)} bytes",
            hint="nothing was made: check that the signer holds this key, then sign again",
        ) from error
    return signature
