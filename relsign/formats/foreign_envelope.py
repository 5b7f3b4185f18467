"""DSSE envelopes that other programs write, alone or one per line.

Strict where meaning is at stake (base64, duplicate keys, bounds, payload type), open where
the specification leaves room: labels of any form, either base64 alphabet, fields we do not
know.  https://github.com/secure-systems-lab/dsse, envelope.md.

    >>> line = b'{"payload":"aGk=","payloadType":"t","signatures":[]}'
    >>> parse_foreign_envelope(line, "one.json", payload_type="t").payload
    b'hi'
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from relsign.errors import InputError
from relsign.formats.canonical import Document, decode_json, shorten
from relsign.formats.envelope import (
    MAX_ENVELOPE_BYTES,
    MAX_SIGNATURE_BYTES,
    MAX_SIGNATURES,
    Envelope,
    Signature,
    decode_base64,
)

MAX_LINES = 1000
"""Envelopes in one file."""


class _ForeignSignature(Document, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """One signature as others write it; its label may be anything, or absent."""

    keyid: Annotated[str, Meta(max_length=1000)] | None = None
    sig: Annotated[str, Meta(min_length=1, max_length=2 * MAX_SIGNATURE_BYTES)]


class _ForeignEnvelope(Document, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """The JSON form of an envelope, with whatever else others put beside it."""

    payload: str
    payloadType: Annotated[str, Meta(min_length=1, max_length=200)]
    signatures: Annotated[tuple[_ForeignSignature, ...], Meta(max_length=MAX_SIGNATURES)]


def parse_foreign_envelope(data: bytes, where: str, *, payload_type: str) -> Envelope:
    """Return the envelope in `data`, its signatures not yet checked.

    Raises InputError for anything but one envelope of `payload_type`, strict base64 and at
    most 64 signatures.
    """
    encoded = decode_json(data, _ForeignEnvelope, where, max_bytes=MAX_ENVELOPE_BYTES)
    if encoded.payloadType != payload_type:
        raise InputError(
            "payload of another type",
            where=f"{where}: payloadType",
            expected=shorten(payload_type),
            got=shorten(encoded.payloadType),
            hint="a signature over another type of payload says nothing about this one",
        )
    signatures = tuple(
        Signature(
            keyid=shorten(s.keyid or ""),
            sig=decode_base64(s.sig, f"{where}: signatures[{i}].sig"),
        )
        for i, s in enumerate(encoded.signatures)
    )
    return Envelope(
        payload=decode_base64(encoded.payload, f"{where}: payload"),
        payload_type=encoded.payloadType,
        signatures=signatures,
    )


def split_lines(data: bytes, where: str) -> tuple[tuple[int, bytes], ...]:
    """Return the lines of a ``.jsonl`` that are not blank, each with its number from 1.

    Raises InputError when there is none, or more than a thousand.
    """
    # JSON's own white space, so that no other byte parts or ends a line.
    lines = enumerate(data.split(b"\n", MAX_LINES + 1), 1)
    filled = tuple((number, line) for number, line in lines if line.strip(b" \t\r"))
    if not 0 < len(filled) <= MAX_LINES:
        raise InputError(
            "not a list of envelopes",
            where=where,
            expected=f"1 to {MAX_LINES} lines, an envelope each",
            got=f"more than {MAX_LINES} lines" if filled else "none",
            hint="name the file that holds the attestations of this release",
        )
    return filled
