"""Rosters: people, machines and their keys."""

from __future__ import annotations

import pytest

from relsign.formats.roster import Ed25519Key, OpenPGPKey, parse_roster
from tests.formats.samples import (
    BAD_NAMES,
    PUBLIC,
    REMOVE,
    ROSTER,
    Path,
    Row,
    assert_refused,
    change,
    dump_toml,
)

BOB = {
    "name": "bob",
    "operator": "x",
    "organisation": "x",
    "roles": ["owner"],
    "key": {"kind": "ed25519", "public": PUBLIC[1]},
}
KEY: Path = ("member", 1, "key")
ROWS: list[Row] = [
    (("member", 2), BOB, "", "member named twice: bob"),
    (("member",), [{**BOB, "name": f"b{i}"} for i in range(257)], "member", "length <= 256"),
    (("member",), {}, "member", "expected a list, got a table"),
    (("member", 0, "threshold"), 1, "member[0]", "unknown field (got threshold)"),
    (("member", 0, "operator"), REMOVE, "member[0]", "field missing (expected operator)"),
    (("member", 0, "roles"), [], "member[0].roles", "length >= 1"),
    (("member", 0, "roles"), "owner", "member[0].roles", "expected a list"),
    (("member", 0, "roles"), ["admin"], "member[0].roles[0]", "builder or log or owner"),
    (("member", 0, "roles"), ["owner"] * 2, "member[0]", "role named twice: owner"),
    (("member", 0, "roles"), ["owner"] * 7, "member[0].roles", "length <= 6"),
    ((*KEY, "kind"), "ssh", "member[1].key.kind", "expected ed25519 or openpgp, got 'ssh'"),
    ((*KEY, "kind"), REMOVE, "member[1].key", "field missing (expected kind)"),
    ((*KEY, "kind"), 1, "member[1].key.kind", "expected text"),
    ((*KEY, "certificate"), "x", "member[1].key", "unknown field (got certificate)"),
    ((*KEY, "public"), REMOVE, "member[1].key", "field missing (expected public)"),
    ((*KEY, "public"), "aa" * 31, "member[1].key.public", "64 digits of 0-9 a-f"),
    ((*KEY, "public"), "AA" * 32, "member[1].key.public", "64 digits of 0-9 a-f"),
    (("member", 0, "key", "certificate"), "AAAA", "member[0].key.certificate", "length >= 40"),
    (("member", 0, "key", "certificate"), "A" * 100_001, "member[0].key.certificate", "<= 100000"),
    (("member", 0, "key", "certificate"), "-----" * 10, "member[0].key.certificate", "base64"),
    *((("member", 0, "name"), bad, "member[0].name", "up to 64") for bad in BAD_NAMES),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), ROWS)
def test_wrong_fields_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"keys/roster.toml: {where}" if where else "keys/roster.toml"
    assert_refused(parse_roster, dump_toml(change(ROSTER, path, new)), place, words)


def test_both_kinds_of_key_are_read() -> None:
    first, second = (member.key for member in parse_roster(dump_toml(ROSTER)).member)
    assert isinstance(first, OpenPGPKey)
    assert isinstance(second, Ed25519Key)


def test_an_empty_roster_has_no_members() -> None:
    assert parse_roster(b"").member == ()
