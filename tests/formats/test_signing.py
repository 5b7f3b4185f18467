"""Requests and messages of a signing session, and what lies sealed in a vault."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from relsign.errors import InputError
from relsign.formats.names import Digest
from relsign.formats.share import (
    HeldCeremony,
    HeldShare,
    parse_held_ceremony,
    parse_share,
)
from relsign.formats.signing import (
    Commitments,
    NoncePair,
    SignatureShares,
    SigningRequest,
    parse_signing_message,
)
from tests.formats.group_samples import AA, BB, CC, NOON

REQUEST = SigningRequest(
    kind="release",
    project="gzip",
    group=AA,
    subject=BB,
    manifest=CC,
    messages=AA,
    at=NOON,
    namespace="file",
    slots=("statement", "minisign.1"),
)
COMMITMENTS = Commitments(
    session=AA, attempt=1, sender="ana", nonces={"statement": NoncePair(hiding=AA, binding=BB)}
)
SHARES = SignatureShares(
    session=AA,
    attempt=2,
    sender="bob",
    round=2,
    signers={"ana": AA, "bob": BB},
    shares={"statement": CC},
    sealed={},
)


@pytest.mark.parametrize("message", [COMMITMENTS, SHARES])
def test_messages_come_back_as_they_went(message: Commitments | SignatureShares) -> None:
    assert parse_signing_message(message.to_bytes()) == message


def with_value(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new, 1)


WRONG_MESSAGES = {
    "attempt 0": with_value(COMMITMENTS.to_bytes(), b'"attempt":1', b'"attempt":0'),
    "attempt true": with_value(COMMITMENTS.to_bytes(), b'"attempt":1', b'"attempt":true'),
    "attempt 1001": with_value(COMMITMENTS.to_bytes(), b'"attempt":1', b'"attempt":1001'),
    "another kind": with_value(COMMITMENTS.to_bytes(), b"commitments", b"commitment"),
    "a slot with a slash": with_value(COMMITMENTS.to_bytes(), b"statement", b"state/ment"),
    "a short point": with_value(COMMITMENTS.to_bytes(), b"aa" * 32, b"aa" * 31),
    "a space": COMMITMENTS.to_bytes() + b" ",
    "a second object": COMMITMENTS.to_bytes() + b',"x":1',
    "out of the wrapping": COMMITMENTS.to_bytes() + b'},"x":{',
    "round 1": with_value(SHARES.to_bytes(), b'"round":2', b'"round":1'),
    "round 4": with_value(SHARES.to_bytes(), b'"round":2', b'"round":4'),
    "one signer": with_value(SHARES.to_bytes(), b'"ana":"' + b"aa" * 32 + b'",', b""),
    "nothing": b"",
    "not an object": b"1",
}


@pytest.mark.parametrize("name", WRONG_MESSAGES)
def test_other_messages_are_refused(name: str) -> None:
    with pytest.raises(InputError):
        parse_signing_message(WRONG_MESSAGES[name])


def build(**changes: object) -> SigningRequest:
    return msgspec.convert(
        {**msgspec.to_builtins(REQUEST, builtin_types=(datetime,)), **changes}, SigningRequest
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slots": ("raw", "raw")}, "stands twice"),
        ({"slots": ()}, "length"),
        ({"at": datetime(2026, 1, 1, 0, 0, 0, 5, tzinfo=UTC)}, "whole seconds"),
        ({"kind": "bytes"}, "Invalid enum value"),
    ],
)
def test_requests_that_cannot_be(changes: dict[str, object], words: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=words):
        build(**changes)
    assert build() == REQUEST


def test_a_request_is_named_by_all_it_says() -> None:
    others = [
        build(kind="layout"),
        build(project="gzip2"),
        build(subject="cc" * 32),
        build(manifest=None),
        build(messages="dd" * 32),
        build(namespace="git"),
        build(slots=("statement",)),
    ]
    names = {request.to_bytes() for request in (REQUEST, *others)}
    assert len(names) == len(others) + 1


SECRET = Digest("5e" * 32)
HELD = HeldShare(group=AA, name="ana", secret=SECRET)
CEREMONY = HeldCeremony(ceremony=AA, name="ana", seed=SECRET)


def test_what_lies_in_a_vault_comes_back_and_does_not_show() -> None:
    assert parse_share(HELD.to_bytes()) == HELD
    assert parse_held_ceremony(CEREMONY.to_bytes()) == CEREMONY
    for held in (HELD, CEREMONY):
        assert SECRET not in repr(held)
        assert SECRET not in str(held.__rich_repr__())
        assert "ana" in repr(held)


@pytest.mark.parametrize("data", [b"", b"{}", CEREMONY.to_bytes(), HELD.to_bytes() + b"\n"])
def test_another_share_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        parse_share(data)


@pytest.mark.parametrize("data", [b"", b"{}", HELD.to_bytes(), CEREMONY.to_bytes() + b"\n"])
def test_another_ceremony_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        parse_held_ceremony(data)
