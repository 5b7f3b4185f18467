"""`NAME.sealed`: one secret under a passphrase, as it lies on its owner's disk.

Argon2id (RFC 9106) makes a key of the passphrase; XChaCha20-Poly1305 encrypts.  All
fields but the ciphertext are authenticated with it, so a file that was renamed, moved
to another store or given a cheaper cost does not open.  What opens it is
`relsign.crypto.sealing`; this module decides the form and its bounds.

The checksum tells damage from a wrong passphrase.  It protects against nobody who can
write the file.

    >>> header = Header(purpose="frost", name="alice", ops=3, mem_kib=65536,
    ...                 salt="00" * 16, nonce="11" * 24)
    >>> sealed = make_sealed(header, bytes(16))
    >>> parse_sealed(sealed.to_bytes(), "alice.sealed").header == header
    True
"""

from __future__ import annotations

import base64
import hashlib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.names import Base64, Digest, HexDigest, Name, shaped

SALT_BYTES = 16
NONCE_BYTES = 24
TAG_BYTES = 16
MAX_PLAIN_BYTES = 1 << 19
"""Bound on a secret: 512 KiB, so that its document stays below 1 MiB."""
MIN_OPS, MAX_OPS = 1, 10
MIN_MEM_KIB, MAX_MEM_KIB = 8 << 10, 1 << 20
"""Memory that may be asked for: 8 MiB to 1 GiB.  More would be an attack on the reader."""
_MIN_BASE64 = 24
_MAX_BASE64 = 699_072
"""Lengths of 16 bytes, a tag alone, and of the longest ciphertext: 524,304 bytes."""


class Header(Document, frozen=True, kw_only=True):
    """What is authenticated beside the ciphertext: for whom it is, and how to make the key."""

    purpose: Name
    """Which store the secret belongs to."""
    name: Name
    """Which secret of that store it is."""
    kdf: Literal["argon2id"] = "argon2id"
    ops: Annotated[int, Meta(ge=MIN_OPS, le=MAX_OPS)]
    """Passes over the memory."""
    mem_kib: Annotated[int, Meta(ge=MIN_MEM_KIB, le=MAX_MEM_KIB)]
    salt: Annotated[str, shaped("32 digits of 0-9 a-f", r"[0-9a-f]{32}")]
    nonce: Annotated[str, shaped("48 digits of 0-9 a-f", r"[0-9a-f]{48}")]


class Sealed(Document, frozen=True, kw_only=True):
    """One encrypted secret."""

    format: Literal["relsign/sealed/1"] = "relsign/sealed/1"
    header: Header
    ciphertext: Annotated[Base64, Meta(min_length=_MIN_BASE64, max_length=_MAX_BASE64)]
    checksum: HexDigest

    def __post_init__(self) -> None:
        """Refuse base64 with a second form, and damage."""
        if base64.b64encode(self.raw).decode() != self.ciphertext:
            raise ValueError("ciphertext is not in the one form of base64")
        if self.checksum != _checksum_of(self.header, self.ciphertext):
            raise ValueError("checksum does not fit: the file is damaged")

    @property
    def raw(self) -> bytes:
        """The ciphertext and its tag of 16 bytes, undone from base64."""
        return base64.b64decode(self.ciphertext, validate=True)

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return encode_canonical(self)


def associated_with(header: Header) -> bytes:
    """Return the bytes that the ciphertext under a header is bound to."""
    return encode_canonical({"format": "relsign/sealed/1", "header": msgspec.to_builtins(header)})


def make_sealed(header: Header, raw: bytes) -> Sealed:
    """Return the document of a ciphertext with its tag."""
    text = base64.b64encode(raw).decode()
    return Sealed(header=header, ciphertext=text, checksum=_checksum_of(header, text))


def parse_sealed(data: bytes, where: str) -> Sealed:
    """Return the document in canonical JSON.

    Raises InputError for any other form, a cost outside its bounds, or a checksum
    that does not fit.
    """
    return decode_canonical(data, Sealed, where)


def _checksum_of(header: Header, ciphertext: str) -> Digest:
    bound = associated_with(header) + b"\n" + ciphertext.encode()
    return Digest(hashlib.sha256(bound).hexdigest())
