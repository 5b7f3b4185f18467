"""Requests to witnesses and their answers: one form, and anything else is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.errors import InputError
from relsign.formats.checkpoint import MAX_PATH
from relsign.formats.witnessing import (
    MAX_ANSWER_BYTES,
    MAX_REQUEST_BYTES,
    AddCheckpoint,
    parse_add_checkpoint,
    parse_cosignatures,
    parse_size,
    write_cosignatures,
)
from tests.verify.logs import NOW, MemoryLog, consistency_path, cosigned_by

LOG = MemoryLog()
NOTE = LOG.checkpoint()
HASH = "sFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08="


def test_a_request_reads_as_it_was_written() -> None:
    for old in range(4):
        hashes = tuple(consistency_path(old, LOG.entries))
        request = AddCheckpoint(old, hashes, NOTE)
        assert parse_add_checkpoint(request.to_bytes()) == request


def test_the_form_of_the_specification() -> None:
    text = f"old 20852014\n{HASH}\n{HASH}\n\n{NOTE.to_bytes().decode()}"
    request = parse_add_checkpoint(text.encode())
    assert (request.old_size, len(request.hashes), request.checkpoint) == (20852014, 2, NOTE)
    assert request.to_bytes() == text.encode()


@pytest.mark.parametrize(
    ("head", "words"),
    [
        ("", "not a request"),
        ("old", "not a request"),
        ("new 1", "not a request"),
        ("old 01", "not a number"),
        ("old -1", "not a number"),
        ("old 9223372036854775808", "not a number"),
        ("old 1\nAAAA", "not a SHA-256 hash"),
        ("old 1\n\u2014", "not ASCII"),
        ("old 1" + f"\n{HASH}" * (MAX_PATH + 1), "too many hashes"),
        ("old 1\nx", "not base64"),
    ],
)
def test_another_form_is_refused(head: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_add_checkpoint(f"{head}\n\n".encode() + NOTE.to_bytes())


def test_what_is_no_whole_request_is_refused() -> None:
    data = AddCheckpoint(0, (), NOTE).to_bytes()
    for bad in (data[:-1], data.replace(b"\n\n", b"\n"), b"old 0\n", data + b"x"):
        with pytest.raises(InputError):
            parse_add_checkpoint(bad)
    with pytest.raises(InputError, match="too large"):
        parse_add_checkpoint(bytes(MAX_REQUEST_BYTES + 1))


def test_cosignatures_read_as_they_were_written() -> None:
    lines = tuple(cosigned_by(name, NOTE.body(), NOW) for name in ("wanda", "wilma"))
    assert parse_cosignatures(write_cosignatures(lines)) == lines


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a witness's answer"),
        (b"\n", "not a signature line"),
        (b"x", "not a witness's answer"),
        (b"\xff\n", "not UTF-8"),
        (bytes(MAX_ANSWER_BYTES + 1), "too large"),
        (b"\n" * 101, "not a witness's answer"),
    ],
)
def test_another_answer_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_cosignatures(data)


def test_a_size_is_a_number_and_a_newline() -> None:
    assert parse_size(b"0\n") == 0
    assert parse_size(b"20852014\n") == 20852014
    for bad in (b"", b"1", b"1\n\n", b"x\n", b"\xff\n", b"1" * 40 + b"\n"):
        with pytest.raises(InputError):
            parse_size(bad)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for parse in (parse_add_checkpoint, parse_cosignatures, parse_size):
        try:
            parse(data)
        except InputError:
            continue
