"""Envelopes of other programs: open where the specification is, strict where it matters."""

from __future__ import annotations

import base64
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.errors import InputError
from relsign.formats.envelope import INTOTO_PAYLOAD, MAX_ENVELOPE_BYTES, Envelope
from relsign.formats.foreign_envelope import MAX_LINES, parse_foreign_envelope, split_lines
from tests.formats.samples import REMOVE, Path, Row, assert_refused, change, dump

SIGNATURE = {"keyid": "anything at all", "sig": "AAAA"}
WHOLE = {
    "payload": "++//",
    "payloadType": INTOTO_PAYLOAD,
    "signatures": [SIGNATURE, {"sig": "BBBB"}],
}


def read(data: bytes) -> Envelope:
    return parse_foreign_envelope(data, "envelope", payload_type=INTOTO_PAYLOAD)


ROWS: list[Row] = [
    (("payloadType",), "text/plain", "payloadType", "payload of another type"),
    (("payloadType",), "", "payloadType", "length >= 1"),
    (("payloadType",), INTOTO_PAYLOAD + "\n", "payloadType", "payload of another type"),
    (("payloadType",), REMOVE, "", "field missing (expected payloadType)"),
    (("payload",), "e30", "payload", "not base64"),
    (("payload",), "+-//", "payload", "not base64"),
    (("payload",), "e31=", "payload", "not canonical base64"),
    (("payload",), "e3 0=", "payload", "not base64"),
    (("payload",), None, "payload", "expected text, got null"),
    (("signatures",), {}, "signatures", "expected a list"),
    (("signatures",), REMOVE, "", "field missing (expected signatures)"),
    (("signatures",), [SIGNATURE] * 65, "signatures", "length <= 64"),
    (("signatures", 0, "sig"), "", "signatures[0].sig", "length >= 1"),
    (("signatures", 0, "sig"), "A" * 16_388, "signatures[0].sig", "length <= 16384"),
    (("signatures", 1, "sig"), "====", "signatures[1].sig", "base64"),
    (("signatures", 1, "sig"), REMOVE, "signatures[1]", "field missing (expected sig)"),
    (("signatures", 1, "keyid"), 7, "signatures[1].keyid", "expected text or null, got 7"),
    (("signatures", 1, "keyid"), "x" * 1001, "signatures[1].keyid", "length <= 1000"),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), ROWS)
def test_wrong_fields_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"envelope: {where}" if where else "envelope"
    assert_refused(read, dump(change(WHOLE, path, new)), place, words)


@pytest.mark.parametrize(
    ("path", "new"),
    [
        (("payload",), "--__"),
        (("payload",), ""),
        (("signatures",), []),
        (("signatures",), [SIGNATURE] * 64),
        (("signatures", 0, "keyid"), ""),
        (("signatures", 0, "keyid"), None),
        (("signatures", 0, "keyid"), "\x1b[31m\u202e"),
        (("signatures", 0, "cert"), "of another program"),
        (("extra",), {"of": "another program"}),
    ],
)
def test_what_the_specification_allows_is_read(path: Path, new: object) -> None:
    envelope = read(dump(change(WHOLE, path, new)))
    assert envelope.payload in {b"\xfb\xef\xff", b""}
    assert all(s.keyid.isprintable() for s in envelope.signatures)


def test_a_key_twice_in_the_json_is_refused() -> None:
    assert_refused(read, dump(WHOLE)[:-1] + b',"payload":"AAAA"}', "envelope", "duplicate key")


def test_white_space_is_free() -> None:
    assert read(json.dumps(WHOLE, indent=4).encode() + b"\r\n") == read(dump(WHOLE))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(dump({**WHOLE, "signatures": [SIGNATURE] * 20_000}), id="20,000 signatures"),
        pytest.param(b"[" * 100_000, id="100,000 brackets"),
        pytest.param(b'{"payload":' * 100_000, id="100,000 tables"),
        pytest.param(
            dump(WHOLE)[:-1] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
            id="100,000 brackets in a field nobody reads",
        ),
        pytest.param(b" " * (64 << 20), id="64 MiB of nothing"),
        pytest.param(b'{"payload":"' + b"A" * MAX_ENVELOPE_BYTES + b'"}', id="a large payload"),
        pytest.param(b"9" * 100_000, id="100,000 digits"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xfe{\0}\0", id="UTF-16"),
    ],
)
def test_hostile_sizes_are_refused_quickly(data: bytes) -> None:
    start = time.process_time()
    with pytest.raises(InputError):
        read(data)
    assert time.process_time() - start < 5


@given(st.binary(max_size=60))
def test_any_bytes_raise_nothing_else(data: bytes) -> None:
    with pytest.raises(InputError):
        read(data)


@given(st.binary(max_size=200))
def test_any_payload_comes_through_either_alphabet(payload: bytes) -> None:
    for encode in (base64.standard_b64encode, base64.urlsafe_b64encode):
        assert read(dump({**WHOLE, "payload": encode(payload).decode()})).payload == payload


# --- lines -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"a", ((1, b"a"),)),
        (b"a\n", ((1, b"a"),)),
        (b"a\r\nb\r\n", ((1, b"a\r"), (2, b"b\r"))),
        (b"\n \na\n\t\nb", ((3, b"a"), (5, b"b"))),
        (b"a\x0bb\x85c\n", ((1, b"a\x0bb\x85c"),)),
    ],
)
def test_lines_are_numbered_and_blank_ones_left_out(
    data: bytes, lines: tuple[tuple[int, bytes], ...]
) -> None:
    assert split_lines(data, "x.jsonl") == lines


def test_the_number_of_lines_is_bounded() -> None:
    assert len(split_lines(b"a\n" * MAX_LINES, "x.jsonl")) == MAX_LINES
    for data, got in ((b"a\n" * (MAX_LINES + 1), "more than 1000 lines"), (b"\n \n", "none")):
        with pytest.raises(InputError, match=f"x.jsonl: not a list of envelopes.*{got}"):
            split_lines(data, "x.jsonl")
