"""Messages of a ceremony, and what is inside a sealed box."""

from __future__ import annotations

import pytest

from relsign.formats.ceremony import (
    MAX_MESSAGE_BYTES,
    Acceptance,
    CeremonyMessage,
    Complaint,
    Contribution,
    Proposal,
    parse_message,
    parse_sealed_number,
)
from tests.formats.bad_names import BAD_NAMES
from tests.formats.group_samples import make_charter, make_dealing, make_sealed_number, make_shares
from tests.formats.samples import (
    AA,
    BAD_DIGESTS,
    BB,
    REMOVE,
    Path,
    assert_refused,
    change,
    dump,
    plain,
    refusal,
)

MESSAGES: dict[str, CeremonyMessage] = {
    "proposal": Proposal(ceremony=AA, sender="ana", charter=make_charter()),
    "dealing": make_dealing(),
    "shares": make_shares(),
    "contribution": Contribution(ceremony=AA, sender="ana", heard=BB, sealed="AAAA"),
    "acceptance": Acceptance(ceremony=AA, sender="ana", heard=BB, group=AA),
    "complaint": Complaint(ceremony=AA, sender="ana", accused="bob", sealing_secret=BB),
}
MANY = [f"p{n:02}" for n in range(33)]

ROWS: list[tuple[str, Path, object, str, str]] = [
    ("proposal", ("charter",), REMOVE, "", "charter"),
    ("proposal", ("charter", "threshold"), 3, "charter", "threshold is larger"),
    ("proposal", ("charter", "kind"), "dealing", "charter.kind", "got 'dealing'"),
    ("dealing", ("sealing",), None, "sealing", "got null"),
    ("dealing", ("sealing",), AA, "sealing", "got "),
    ("dealing", ("sealing", "bob"), "bb", "sealing.bob", "64 digits"),
    ("dealing", ("sealing", "../x"), AA, "sealing", "up to 64 of A-Z"),
    ("dealing", ("sealing",), dict.fromkeys(MANY, AA), "sealing", "length <= 32"),
    ("dealing", ("commitments",), [AA] * 33, "commitments", "length <= 32"),
    ("dealing", ("commitments", 0), "x", "commitments[0]", "64 digits"),
    ("dealing", ("commitments",), None, "commitments", "got null"),
    ("dealing", ("proof",), AA, "proof", "128 digits"),
    ("dealing", ("proof",), "AB" * 64, "proof", "128 digits"),
    ("dealing", ("proof",), REMOVE, "", "proof"),
    ("shares", ("heard",), REMOVE, "", "heard"),
    ("shares", ("sealed",), dict.fromkeys(MANY, "AAAA"), "sealed", "length <= 32"),
    ("shares", ("sealed", "bob"), "a b", "sealed.bob", "base64"),
    ("shares", ("sealed", "bob"), 5, "sealed.bob", "got 5"),
    ("shares", ("points", "bob"), "AA" * 32, "points.bob", "64 digits"),
    ("shares", ("points",), dict.fromkeys(MANY, AA), "points", "length <= 32"),
    ("contribution", ("sealed",), {"bob": "AAAA"}, "sealed", "got "),
    ("contribution", ("sealed",), "\u00e9", "sealed", "base64"),
    ("acceptance", ("group",), None, "group", "got null"),
    ("complaint", ("accused",), "-x", "accused", "up to 64 of A-Z"),
    ("complaint", ("sealing_secret",), None, "sealing_secret", "got null"),
    ("complaint", ("sealing_secret",), "bb", "sealing_secret", "64 digits"),
]


@pytest.mark.parametrize("kind", MESSAGES)
def test_a_message_is_read_as_it_was_written(kind: str) -> None:
    data = MESSAGES[kind].to_bytes()
    assert parse_message(data) == MESSAGES[kind]
    assert b'"kind":"%b"' % kind.encode() in data


@pytest.mark.parametrize(("kind", "path", "new", "where", "words"), ROWS)
def test_wrong_fields_are_refused(
    kind: str, path: Path, new: object, where: str, words: str
) -> None:
    place = f"message: {where}" if where else "message"
    assert_refused(parse_message, dump(change(plain(MESSAGES[kind]), path, new)), place, words)


@pytest.mark.parametrize("kind", MESSAGES)
@pytest.mark.parametrize("field", ["ceremony", "sender", "kind"])
def test_every_message_says_whose_it_is_and_of_what(kind: str, field: str) -> None:
    refusal(parse_message, dump(change(plain(MESSAGES[kind]), (field,), REMOVE)))
    refusal(parse_message, dump(change(plain(MESSAGES[kind]), (field,), None)))
    refusal(parse_message, dump(change(plain(MESSAGES[kind]), (field,), "\n")))
    refusal(parse_message, dump(change(plain(MESSAGES[kind]), ("extra",), "")))


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_sender_is_a_name(name: str) -> None:
    refusal(parse_message, dump(change(plain(make_dealing()), ("sender",), name)))


@pytest.mark.parametrize("digest", BAD_DIGESTS)
def test_a_ceremony_is_a_digest(digest: str) -> None:
    refusal(parse_message, dump(change(plain(make_dealing()), ("ceremony",), digest)))


@pytest.mark.parametrize("kind", ["share", "Dealing", "", "signature-shares", 3, None])
def test_a_message_of_no_kind_is_refused(kind: object) -> None:
    refusal(parse_message, dump(change(plain(make_dealing()), ("kind",), kind)))


GOOD = make_dealing().to_bytes()
FORMS = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b" " + GOOD,
    GOOD + b"\n",
    GOOD + b',"message":' + GOOD,
    GOOD + b',"other":1',
    GOOD[:-1] + b',"sender":"ana"}',
    GOOD.replace(b'"sealing"', b'"sealin\\u0067"'),
    b'{"message":' + GOOD + b"}",
    b"\xff" + GOOD,
]


@pytest.mark.parametrize("data", FORMS)
def test_a_message_has_one_form(data: bytes) -> None:
    refusal(parse_message, data)


def test_a_message_has_a_bound() -> None:
    sealed = "A" * (MAX_MESSAGE_BYTES - len(MESSAGES["contribution"].to_bytes()) - 100)
    plain_message = plain(MESSAGES["contribution"])
    parse_message(dump(change(plain_message, ("sealed",), sealed)))
    assert_refused(
        parse_message,
        dump(change(plain_message, ("sealed",), sealed + "A" * 200)),
        "message",
        "too",
    )


NUMBER_ROWS: list[tuple[Path, object, str, str]] = [
    (("purpose",), "nonce", "purpose", "got 'nonce'"),
    (("number",), "cc", "number", "64 digits"),
    (("number",), 5, "number", "got 5"),
    (("sender",), "", "sender", "up to 64"),
    (("receiver",), "a/b", "receiver", "up to 64"),
    (("receiver",), REMOVE, "", "receiver"),
    (("ceremony",), None, "ceremony", "got null"),
    (("extra",), 1, "", "unknown field"),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), NUMBER_ROWS)
def test_what_is_no_sealed_number_is_refused(
    path: Path, new: object, where: str, words: str
) -> None:
    data = dump(change(plain(make_sealed_number()), path, new))
    place = f"sealed number: {where}" if where else "sealed number"
    assert_refused(parse_sealed_number, data, place, words)


def test_sealed_numbers_of_one_pair_have_one_length() -> None:
    lengths = {
        len(dump(change(plain(make_sealed_number()), ("number",), digit * 64))) for digit in "09af"
    }
    assert lengths == {len(make_sealed_number().to_bytes())}
