"""Signatures under notes: vectors of others, and labels that prove nothing."""

from __future__ import annotations

import base64

import pytest
from msgspec.structs import replace

from relsign.crypto.keys import Ed25519Public
from relsign.crypto.notes import (
    COSIGNATURE_V1,
    MAX_TIMESTAMP,
    NOTE_ED25519,
    NoteKey,
    cosigned_message,
    key_id,
    make_cosignature,
    make_note_signature,
    verify_cosignature,
    verify_note_signature,
)
from relsign.errors import VerificationError
from relsign.formats.checkpoint import NoteSignature
from tests.verify.logs import cosigned_by, log_key, public, secret, signed_by, witness_key

BODY = b"log.example/relsign\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
TIME = 1_795_262_400

# The example of Go's note package (golang.org/x/mod/sumdb/note, BSD-3-Clause):
# verifier key, text and signature line.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = (
    b"If you think cryptography is the answer to your problem,\n"
    b"then you don't know what your problem is.\n"
)
GO_LINE = (
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
)


def test_the_example_of_gos_note_package_verifies() -> None:
    name, number, encoded = GO_KEY.split("+", 2)
    kind, raw = base64.b64decode(encoded)[0], base64.b64decode(encoded)[1:]
    assert kind == NOTE_ED25519
    assert key_id(name, NOTE_ED25519, raw).hex() == number
    line = base64.b64decode(GO_LINE)
    key = NoteKey(name, NOTE_ED25519, Ed25519Public(raw))
    verify_note_signature(key, NoteSignature(name, line[:4], line[4:]), GO_TEXT)
    with pytest.raises(VerificationError, match="does not verify"):
        verify_note_signature(key, NoteSignature(name, line[:4], line[4:]), GO_TEXT + b"x\n")


def test_a_cosigned_message_is_the_one_of_the_specification() -> None:
    assert cosigned_message(1679315147, BODY) == b"cosignature/v1\ntime 1679315147\n" + BODY


def test_key_ids_depend_on_name_kind_and_key() -> None:
    raw, other = public("wanda").raw, public("wilma").raw
    ids = {
        key_id("wanda", COSIGNATURE_V1, raw),
        key_id("wanda", NOTE_ED25519, raw),
        key_id("wilma", COSIGNATURE_V1, raw),
        key_id("wanda", COSIGNATURE_V1, other),
    }
    assert len(ids) == 4


def test_what_is_made_verifies() -> None:
    verify_note_signature(log_key("log-a"), signed_by("log-a", BODY), BODY)
    line = cosigned_by("wanda", BODY, TIME)
    assert verify_cosignature(witness_key("wanda"), line, BODY) == TIME
    for timestamp in (0, MAX_TIMESTAMP):
        line = cosigned_by("wanda", BODY, timestamp)
        assert verify_cosignature(witness_key("wanda"), line, BODY) == timestamp


GOOD = signed_by("log-a", BODY)
SEEN = cosigned_by("wanda", BODY, TIME)
FAR = make_cosignature(
    witness_key("wanda"),
    MAX_TIMESTAMP + 1,
    secret("wanda").sign(cosigned_message(MAX_TIMESTAMP + 1, BODY)).signature,
)
LATER = (TIME + 1).to_bytes(8)


@pytest.mark.parametrize(
    "line",
    [
        replace(GOOD, name="other"),
        replace(GOOD, key_id=bytes(4)),
        replace(GOOD, signature=bytes(64)),
        replace(GOOD, signature=GOOD.signature[:-1]),
        replace(GOOD, signature=GOOD.signature + b"\x00"),
        replace(GOOD, signature=b"\x00"),
        signed_by("log-b", BODY),
        # The label of one key on the signature of another.
        replace(GOOD, signature=signed_by("log-b", BODY).signature),
        # A witness's signature is none of the log's, also where one key made it.
        make_note_signature(log_key("log-a"), cosigned_by("log-a", BODY, TIME).signature[8:]),
    ],
)
def test_false_signatures_of_a_log(line: NoteSignature) -> None:
    with pytest.raises(VerificationError):
        verify_note_signature(log_key("log-a"), line, BODY)


@pytest.mark.parametrize(
    "line",
    [
        replace(SEEN, name="other"),
        replace(SEEN, key_id=log_key("wanda", "wanda").label[1]),
        replace(SEEN, signature=LATER + SEEN.signature[8:]),
        replace(SEEN, signature=SEEN.signature[8:]),
        replace(SEEN, signature=SEEN.signature[:8]),
        replace(SEEN, signature=b"\x00"),
        replace(SEEN, signature=SEEN.signature + b"\x00"),
        replace(SEEN, signature=SEEN.signature[:8] + signed_by("wanda", BODY).signature),
        FAR,
    ],
)
def test_false_cosignatures(line: NoteSignature) -> None:
    with pytest.raises(VerificationError):
        verify_cosignature(witness_key("wanda"), line, BODY)


def test_a_signature_is_over_the_whole_text() -> None:
    longer = BODY + b"an extension\n"
    for check in (
        lambda: verify_note_signature(log_key("log-a"), GOOD, longer),
        lambda: verify_cosignature(witness_key("wanda"), SEEN, longer),
    ):
        with pytest.raises(VerificationError, match="does not verify"):
            check()
