"""DSSE v1 envelopes: bytes, their type, and signatures over both.

Follows https://github.com/secure-systems-lab/dsse (protocol and envelope).  An
envelope proves nothing here; `relsign.crypto.signatures` checks it by key.  The
keyid of a signature is a label that decides nothing.

    >>> pae("t", b"hi")
    b'DSSEv1 1 t 2 hi'
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from msgspec import Meta

from relsign.errors import InputError
from relsign.formats.canonical import Document, decode_json, encode_canonical
from relsign.formats.names import KeyId

INTOTO_PAYLOAD = "application/vnd.in-toto+json"
"""Payload type of layouts, links and statements alike (in-toto, SLSA)."""

MAX_ENVELOPE_BYTES = 24 << 20
MAX_SIGNATURES = 64
MAX_SIGNATURE_BYTES = 8 << 10


class EncodedSignature(Document, frozen=True, kw_only=True, omit_defaults=True):
    """One signature as it stands in the file."""

    keyid: KeyId | None = None
    sig: Annotated[str, Meta(min_length=1, max_length=2 * MAX_SIGNATURE_BYTES)]


class EncodedEnvelope(Document, frozen=True, kw_only=True):
    """The JSON form of an envelope."""

    payload: str
    payloadType: Annotated[str, Meta(min_length=1, max_length=200)]
    signatures: Annotated[tuple[EncodedSignature, ...], Meta(max_length=MAX_SIGNATURES)]


class Signature(Document, frozen=True, kw_only=True):
    """Signature bytes and the unauthenticated label beside them."""

    keyid: str
    sig: bytes


class Envelope(Document, frozen=True, kw_only=True):
    """A decoded envelope: payload bytes, their type, and signatures not yet checked."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]

    def to_bytes(self) -> bytes:
        """Return the envelope as canonical JSON."""
        return encode_canonical(
            EncodedEnvelope(
                payload=base64.b64encode(self.payload).decode(),
                payloadType=self.payload_type,
                signatures=tuple(
                    EncodedSignature(keyid=s.keyid or None, sig=base64.b64encode(s.sig).decode())
                    for s in self.signatures
                ),
            )
        )

    def signed_bytes(self) -> bytes:
        """Return what every signature of this envelope is over."""
        return pae(self.payload_type, self.payload)

    def with_signatures(self, added: tuple[Signature, ...]) -> Envelope:
        """Return this envelope with `added` signatures, those already there once only."""
        kept = self.signatures + tuple(s for s in added if s not in self.signatures)
        return Envelope(
            payload=self.payload,
            payload_type=self.payload_type,
            signatures=tuple(sorted(set(kept), key=lambda s: (s.keyid, s.sig))),
        )


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return DSSE's pre-authentication encoding of `payload` (DSSE v1, protocol.md)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def parse_envelope(data: bytes, where: str, *, payload_type: str = INTOTO_PAYLOAD) -> Envelope:
    """Return the envelope in `data`, its signatures not yet checked.

    Raises InputError for anything but one envelope of `payload_type`, strict
    base64 and at most 64 signatures.
    """
    encoded = decode_json(data, EncodedEnvelope, where, max_bytes=MAX_ENVELOPE_BYTES)
    if encoded.payloadType != payload_type:
        raise InputError(
            "payload of another type",
            where=f"{where}: payloadType",
            expected=payload_type,
            got=ascii(encoded.payloadType)[:80],
        )
    return Envelope(
        payload=decode_base64(encoded.payload, f"{where}: payload"),
        payload_type=encoded.payloadType,
        signatures=tuple(
            Signature(
                keyid=s.keyid or "", sig=decode_base64(s.sig, f"{where}: signatures[{i}].sig")
            )
            for i, s in enumerate(encoded.signatures)
        ),
    )


def decode_base64(text: str, where: str) -> bytes:
    """Return the bytes of `text` in either base64 alphabet (RFC 4648, sections 4 and 5).

    Raises InputError for junk, mixed alphabets, missing padding or stray bits:
    one byte string has one encoding per alphabet.
    """
    standard = text
    if ("-" in text or "_" in text) and not ("+" in text or "/" in text):
        standard = text.translate(_URLSAFE)
    try:
        data = binascii.a2b_base64(standard, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("not base64", where=where) from error
    # Strict decoding leaves one freedom: bits of the last letters that stand for nothing.
    end = len(data) - len(data) % 3
    if binascii.b2a_base64(data[end:], newline=False).decode() != standard[end // 3 * 4 :]:
        raise InputError("not canonical base64", where=where)
    return data


_URLSAFE = str.maketrans("-_", "+/")
