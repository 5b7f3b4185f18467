r"""Signatures under a note: a log's own, and the timestamped ones of witnesses.

Follows https://c2sp.org/signed-note (type 1, Ed25519) and
https://c2sp.org/tlog-cosignature (type 4, ``cosignature/v1``).  A line is labelled
with a key's name and four bytes of a hash.  The label says which key to try; only
the key says whether the signature holds.

    >>> key_id("example", NOTE_ED25519, bytes(32)).hex()
    '22873f1b'
"""

from __future__ import annotations

import hashlib
from typing import Literal

from relsign.crypto.keys import Ed25519Public
from relsign.crypto.signatures import verify_ed25519
from relsign.errors import VerificationError
from relsign.formats.canonical import Value
from relsign.formats.checkpoint import KEY_ID_BYTES, NoteSignature

NOTE_ED25519: Literal[1] = 1
"""Signature type of a log: Ed25519 over the note text."""

COSIGNATURE_V1: Literal[4] = 4
"""Signature type of a witness: Ed25519 over a time and the note text."""

SignatureType = Literal[1, 4]
MAX_TIMESTAMP = (1 << 63) - 1
_TIMESTAMP_BYTES = 8


class NoteKey(Value, frozen=True):
    """A key, the name its signature lines bear, and the kind of signature it makes."""

    name: str
    kind: SignatureType
    public: Ed25519Public

    @property
    def label(self) -> tuple[str, bytes]:
        """Name and key id, as a signature line bears them."""
        return self.name, key_id(self.name, self.kind, self.public.raw)


def key_id(name: str, kind: SignatureType, public: bytes) -> bytes:
    """Return the four-byte id of a raw public key (signed-note, Signatures)."""
    labelled = name.encode() + b"\n" + bytes([kind]) + public
    return hashlib.sha256(labelled).digest()[:KEY_ID_BYTES]


def cosigned_message(timestamp: int, body: bytes) -> bytes:
    """Return what a witness signs: a header, seconds since 1970, the note text."""
    return b"cosignature/v1\ntime %d\n" % timestamp + body


def make_note_signature(key: NoteKey, signature: bytes) -> NoteSignature:
    """Return the line of a signature over the note text."""
    return NoteSignature(*key.label, signature)


def make_cosignature(key: NoteKey, timestamp: int, signature: bytes) -> NoteSignature:
    """Return the line of a signature over `cosigned_message` at `timestamp`."""
    return NoteSignature(*key.label, timestamp.to_bytes(_TIMESTAMP_BYTES) + signature)


def verify_note_signature(key: NoteKey, line: NoteSignature, body: bytes) -> None:
    """Check a line against the key whose label it bears; raise VerificationError if false."""
    _require_label(key, line)
    verify_ed25519(key.public, line.signature, body)


def verify_cosignature(key: NoteKey, line: NoteSignature, body: bytes) -> int:
    """Return when a witness cosigned, in seconds since 1970; raise VerificationError if false."""
    _require_label(key, line)
    timestamp = int.from_bytes(line.signature[:_TIMESTAMP_BYTES])
    if timestamp > MAX_TIMESTAMP:
        raise VerificationError("cosignature with an impossible time", got=str(timestamp))
    message = cosigned_message(timestamp, body)
    verify_ed25519(key.public, line.signature[_TIMESTAMP_BYTES:], message)
    return timestamp


def _require_label(key: NoteKey, line: NoteSignature) -> None:
    """Refuse a line that names another key, or the same key for another kind of signature."""
    if (line.name, line.key_id) != key.label:
        raise VerificationError(
            "a signature line of another key",
            expected=key.label[1].hex(),
            got=line.key_id.hex(),
        )
