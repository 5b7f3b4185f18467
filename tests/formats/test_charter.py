"""Charters, groups and transcripts: what could not be carried out is no charter."""

from __future__ import annotations

import msgspec
import pytest

from relsign.formats.charter import parse_charter, parse_group, parse_transcript
from tests.formats.group_samples import make_charter, make_group, make_transcript
from tests.formats.samples import (
    AA,
    BAD_DIGESTS,
    BAD_INTEGERS,
    BAD_TIMES,
    BB,
    CC,
    PUBLIC,
    REMOVE,
    Path,
    Row,
    assert_refused,
    change,
    dump,
    plain,
)

CHARTER = plain(make_charter())
GROUP = plain(make_group())
TRANSCRIPT = plain(make_transcript())
PEOPLE = [{"name": f"p{n:02}", "identity": f"{n:064x}"} for n in range(33)]
ANA, BOB = ({"name": n, "identity": k} for n, k in zip(("ana", "bob"), PUBLIC, strict=True))
CLEO = {"name": "cleo", "identity": CC}
RESHARE: dict[str, object] = {
    "kind": "reshare",
    "previous": BB,
    "participants": [BOB, CLEO],
    "dealers": ["ana", "dora"],
}
REPAIR: dict[str, object] = {
    "kind": "repair",
    "previous": BB,
    "participants": [ANA, BOB, CLEO],
    "dealers": ["ana", "bob"],
    "lost": "cleo",
}
NAME = "up to 64 of A-Z"

CHARTER_ROWS: list[Row] = [
    (("format",), "relsign/charter/2", "format", "expected relsign/charter/1"),
    (("kind",), "refresh", "kind", "got 'refresh'"),
    (("project",), "../x", "project", NAME),
    (("group",), "", "group", NAME),
    (("role",), "signer", "role", "got 'signer'"),
    (("threshold",), 1, "threshold", ">= 2, got 1"),
    (("threshold",), 33, "threshold", "<= 32, got 33"),
    (("threshold",), 3, "", "threshold is larger than the number of participants"),
    (("participants",), [ANA], "participants", "length >= 2"),
    (("participants",), PEOPLE, "participants", "length <= 32"),
    (("participants",), [BOB, ANA], "", "participants are not sorted"),
    (("participants",), [ANA, ANA], "", "participant named twice: ana"),
    (("participants", 1, "identity"), PUBLIC[0], "", "identity named twice"),
    (("participants", 0, "identity"), "AA" * 32, "participants[0].identity", "64 digits"),
    (("participants", 0, "name"), "a b", "participants[0].name", NAME),
    (("participants", 0, "share"), AA, "participants[0]", "unknown field"),
    (("dealers",), ["bob", "ana"], "", "dealers are not sorted"),
    (("dealers",), ["ana", "ana"], "", "dealer named twice"),
    (("dealers",), ["ana"], "", "not everybody deals at keygen"),
    (("dealers",), ["ana", "eve"], "", "not everybody deals at keygen"),
    (("dealers",), [p["name"] for p in PEOPLE], "dealers", "length <= 32"),
    (("lost",), "bob", "", "lost is for a repair"),
    (("lost",), REMOVE, "", "lost"),
    (("previous",), AA, "", "previous is for what follows a keygen"),
    (("user_id",), "a\nb", "user_id", "one line"),
    (("user_id",), "", "user_id", "one line"),
    (("expires",), "2026-11-21T12:00:00Z", "", "expires is not after created"),
    (("nonce",), "aa", "nonce", "64 digits"),
    (("extra",), 1, "", "unknown field"),
]
GROUP_ROWS: list[Row] = [
    (("format",), "relsign/charter/1", "format", "expected relsign/group/1"),
    (("role",), "builder", "role", "got 'builder'"),
    (("key",), "xx", "key", "64 digits"),
    (("threshold",), 3, "", "threshold is larger than the number of participants"),
    (("holders",), [], "holders", "length >= 2"),
    (("holders", 1, "name"), "aaa", "", "participants are not sorted"),
    (("holders", 1, "name"), "ana", "", "participant named twice"),
    (("holders", 1, "identity"), PUBLIC[0], "", "identity named twice"),
    (("holders", 0, "verifying"), REMOVE, "holders[0]", "verifying"),
    (("ceremony",), None, "ceremony", "got null"),
    (("previous",), "aa", "previous", "64 digits"),
]
TRANSCRIPT_ROWS: list[Row] = [
    (("format",), "relsign/group/1", "format", "expected relsign/transcript/1"),
    (("messages",), ["AAAB", "AAAA"], "", "messages are not sorted"),
    (("messages",), ["AAAA", "AAAA"], "", "message named twice"),
    (("messages",), [f"{n:04}" for n in range(1001)], "messages", "length <= 1000"),
    (("messages", 0), "a b", "messages[0]", "base64"),
    (("charter", "threshold"), 3, "charter", "threshold is larger"),
    (("charter", "dealers"), ["ana"], "charter", "not everybody deals at keygen"),
]


def at(document: str, where: str) -> str:
    return f"{document}: {where}" if where else document


@pytest.mark.parametrize(("path", "new", "where", "words"), CHARTER_ROWS)
def test_wrong_charters_are_refused(path: Path, new: object, where: str, words: str) -> None:
    assert_refused(parse_charter, dump(change(CHARTER, path, new)), at("charter", where), words)


@pytest.mark.parametrize(("path", "new", "where", "words"), GROUP_ROWS)
def test_wrong_groups_are_refused(path: Path, new: object, where: str, words: str) -> None:
    assert_refused(parse_group, dump(change(GROUP, path, new)), at("group", where), words)


@pytest.mark.parametrize(("path", "new", "where", "words"), TRANSCRIPT_ROWS)
def test_wrong_transcripts_are_refused(path: Path, new: object, where: str, words: str) -> None:
    data = dump(change(TRANSCRIPT, path, new))
    assert_refused(parse_transcript, data, at("transcript", where), words)


KINDS: list[tuple[dict[str, object], dict[str, object], str]] = [
    (RESHARE, {"previous": None}, "previous is for what follows a keygen"),
    (RESHARE, {"lost": "bob"}, "lost is for a repair"),
    (RESHARE, {"dealers": ["ana"]}, "fewer than two dealers"),
    (RESHARE, {"dealers": []}, "fewer than two dealers"),
    (REPAIR, {"lost": None}, "lost is for a repair"),
    (REPAIR, {"previous": None}, "previous is for what follows a keygen"),
    (REPAIR, {"lost": "dora"}, "lost and dealers are not participants"),
    (REPAIR, {"lost": "bob"}, "lost and dealers are not participants"),
    (REPAIR, {"dealers": ["ana", "dora"]}, "lost and dealers are not participants"),
    (REPAIR, {"dealers": ["ana", "bob", "cleo"]}, "lost and dealers are not participants"),
    (REPAIR, {"dealers": ["ana"]}, "fewer than two dealers"),
]


@pytest.mark.parametrize(("kind", "fields", "words"), KINDS)
def test_each_kind_has_its_fields(
    kind: dict[str, object], fields: dict[str, object], words: str
) -> None:
    whole = {**msgspec.to_builtins(make_charter()), **kind}
    good = dump(plain(whole))
    assert parse_charter(good).to_bytes() == good
    assert_refused(parse_charter, dump(plain({**whole, **fields})), "charter", words)


@pytest.mark.parametrize("time", BAD_TIMES)
@pytest.mark.parametrize("field", ["created", "expires"])
def test_a_charters_times_have_one_form(field: str, time: object) -> None:
    early = change(CHARTER, ("created",), "2020-11-21T12:00:00Z")
    data = dump(change(early, (field,), time))
    unread = time in {"2026-11-21T13:00:00+01:00", "2026-11-21T12:00:00.5Z"}
    words = "created or expires is not whole seconds in UTC" if unread else "got "
    assert_refused(parse_charter, data, "charter" if unread else f"charter: {field}", words)


@pytest.mark.parametrize("time", BAD_TIMES)
def test_a_groups_time_has_one_form(time: object) -> None:
    data = dump(change(GROUP, ("created",), time))
    unread = time in {"2026-11-21T13:00:00+01:00", "2026-11-21T12:00:00.5Z"}
    words = "created is not whole seconds in UTC" if unread else "got "
    assert_refused(parse_group, data, "group" if unread else "group: created", words)


@pytest.mark.parametrize("number", BAD_INTEGERS)
def test_a_threshold_is_an_integer(number: object) -> None:
    data = dump(change(CHARTER, ("threshold",), number))
    assert_refused(parse_charter, data, "charter: threshold", "threshold")


@pytest.mark.parametrize("digest", BAD_DIGESTS)
@pytest.mark.parametrize("field", ["key", "ceremony"])
def test_a_groups_digests_have_one_form(field: str, digest: str) -> None:
    data = dump(change(GROUP, (field,), digest))
    assert_refused(parse_group, data, f"group: {field}", "64 digits")


def test_identities_are_raw_keys_by_name() -> None:
    keys = {"ana": bytes.fromhex(PUBLIC[0]), "bob": bytes.fromhex(PUBLIC[1])}
    assert make_charter().identities() == keys
    assert make_group().identities() == keys


def test_a_transcript_may_be_larger_than_other_documents() -> None:
    messages = [f"{n:04}" + "A" * 4096 for n in range(300)]
    data = dump(change(TRANSCRIPT, ("messages",), messages))
    assert len(data) > 1 << 20
    assert len(parse_transcript(data).messages) == 300
    large = change(TRANSCRIPT, ("messages",), ["A" * (17 << 20)])
    assert_refused(parse_transcript, dump(large), "transcript", "too large")
