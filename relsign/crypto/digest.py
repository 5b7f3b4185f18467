"""SHA-256 of bytes in hand; files are hashed by `relsign.system.files`."""

from __future__ import annotations

import hashlib

from relsign.formats.names import Digest


def sha256_hex(data: bytes) -> Digest:
    """Return the SHA-256 of `data` as 64 lower-case hexadecimal digits."""
    return Digest(hashlib.sha256(data).hexdigest())
