"""DSSE envelopes: bytes, their type, and signatures over both."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as ReferenceEnvelope

from relsign.errors import InputError
from relsign.formats.envelope import (
    INTOTO_PAYLOAD,
    MAX_ENVELOPE_BYTES,
    Envelope,
    Signature,
    decode_base64,
    pae,
    parse_envelope,
)
from tests.formats.samples import (
    REMOVE,
    Path,
    Row,
    assert_refused,
    change,
    dump,
    make_envelope,
    read_envelope,
)

WHOLE = json.loads(make_envelope().to_bytes())
SIGNATURE = {"keyid": "aa" * 32, "sig": "AAAA"}
ROWS: list[Row] = [
    (
        ("payloadType",),
        "text/plain",
        "payloadType",
        f"(expected {INTOTO_PAYLOAD}, got 'text/plain')",
    ),
    (("payloadType",), INTOTO_PAYLOAD + " ", "payloadType", "payload of another type"),
    (("payloadType",), INTOTO_PAYLOAD.upper(), "payloadType", "payload of another type"),
    (("payloadType",), "\x1b\u202e", "payloadType", "got '\\x1b\\u202e'"),
    (("payloadType",), "", "payloadType", "length >= 1"),
    (("payloadType",), "x" * 201, "payloadType", "length <= 200"),
    (("payloadType",), REMOVE, "", "field missing (expected payloadType)"),
    (("payload",), "e30", "payload", "not base64"),
    (("payload",), "e31=", "payload", "not canonical base64"),
    (("payload",), {}, "payload", "expected text, got a table"),
    (("payload",), REMOVE, "", "field missing (expected payload)"),
    (("extra",), 1, "", "unknown field (got extra)"),
    (("signatures",), None, "signatures", "expected a list, got null"),
    (("signatures",), [SIGNATURE] * 65, "signatures", "length <= 64"),
    (("signatures",), [SIGNATURE] * 20_000, "signatures", "length <= 64"),
    (("signatures", 1, "sig"), "", "signatures[1].sig", "length >= 1"),
    (("signatures", 1, "sig"), "A" * 16_385, "signatures[1].sig", "length <= 16384"),
    (("signatures", 1, "sig"), "====", "signatures[1].sig", "base64"),
    (("signatures", 1, "sig"), REMOVE, "signatures[1]", "field missing (expected sig)"),
    (("signatures", 1, "cert"), "", "signatures[1]", "unknown field (got cert)"),
    (("signatures", 1, "keyid"), "", "signatures[1].keyid", "8 to 64 digits"),
    (("signatures", 1, "keyid"), "../../x", "signatures[1].keyid", "8 to 64 digits"),
    (("signatures", 1, "keyid"), 7, "signatures[1].keyid", "expected text or null, got 7"),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), ROWS)
def test_wrong_fields_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"envelope: {where}" if where else "envelope"
    assert_refused(read_envelope, dump(change(WHOLE, path, new)), place, words)


def test_another_payload_type_is_read_only_where_it_is_asked_for() -> None:
    data = dump(change(WHOLE, ("payloadType",), "text/plain"))
    assert parse_envelope(data, "envelope", payload_type="text/plain").payload_type == "text/plain"
    with pytest.raises(InputError, match="payload of another type"):
        parse_envelope(make_envelope().to_bytes(), "envelope", payload_type="text/plain")


def test_signatures_without_keyid_survive() -> None:
    data = dump(change(WHOLE, ("signatures", 0, "keyid"), REMOVE))
    envelope = read_envelope(data)
    assert envelope.signatures[0].keyid == ""
    assert read_envelope(envelope.to_bytes()) == envelope
    assert envelope.to_bytes() == data


def test_envelopes_too_large_are_refused() -> None:
    assert_refused(read_envelope, b" " * (MAX_ENVELOPE_BYTES + 1), "envelope", "too large")


# --- base64 ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", b""),
        ("AA==", b"\x00"),
        ("++//", b"\xfb\xef\xff"),
        ("--__", b"\xfb\xef\xff"),
        ("e30=", b"{}"),
    ],
)
def test_both_alphabets_are_read(text: str, data: bytes) -> None:
    assert decode_base64(text, "x") == data


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("AA", "not base64"),
        ("AA=", "not base64"),
        ("AA===", "base64"),
        ("=AA=", "not base64"),
        ("A===", "not base64"),
        ("AB==", "not canonical base64"),
        ("-B==", "not canonical base64"),
        ("+-//", "not base64"),
        ("--//", "not base64"),
        ("AAAA\n", "not base64"),
        (" AAAA", "not base64"),
        ("AA AA", "not base64"),
        ("AA==AA==", "base64"),
        ("AAA\u00e9", "not base64"),
        ("\uff21AAA", "not base64"),
        ("\ud800AAA", "not base64"),
        ("AA*A", "not base64"),
    ],
)
def test_junk_and_second_forms_are_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        decode_base64(text, "envelope: payload")
    assert caught.value.where == "envelope: payload"


@given(st.binary(max_size=200))
def test_base64_round_trips_in_both_alphabets(data: bytes) -> None:
    assert decode_base64(base64.b64encode(data).decode(), "x") == data
    assert decode_base64(base64.urlsafe_b64encode(data).decode(), "x") == data


# --- what is signed ----------------------------------------------------------------------------


def test_the_encoding_is_that_of_the_specification() -> None:
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == expected


@given(st.binary(max_size=100), st.text(st.characters(codec="utf-8"), max_size=50))
def test_the_reference_signs_the_same_bytes(payload: bytes, kind: str) -> None:
    assert pae(kind, payload) == ReferenceEnvelope(payload, kind, {}).pae()


def test_the_reference_reads_what_we_write() -> None:
    envelope = make_envelope()
    reference = ReferenceEnvelope.from_dict(json.loads(envelope.to_bytes()))
    assert reference.payload == envelope.payload
    assert reference.pae() == envelope.signed_bytes()
    read = {(s.keyid, bytes.fromhex(s.signature)) for s in reference.signatures.values()}
    assert read == {(s.keyid, s.sig) for s in envelope.signatures}


def test_we_read_what_the_reference_writes() -> None:
    envelope = make_envelope()
    reference = ReferenceEnvelope.from_dict(json.loads(envelope.to_bytes()))
    assert read_envelope(json.dumps(reference.to_dict(), indent=1).encode()) == envelope


def test_signatures_are_added_once_and_sorted() -> None:
    envelope = Envelope(payload=b"x", payload_type="t", signatures=())
    first, second = Signature(keyid="a", sig=b"1"), Signature(keyid="b", sig=b"1")
    signed = envelope.with_signatures((second, first, second)).with_signatures((first,))
    assert signed.signatures == (first, second)
    assert signed.payload == b"x"
