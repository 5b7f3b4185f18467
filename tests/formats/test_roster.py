"""Rosters: people, machines and their keys."""

from __future__ import annotations

import pytest

from relsign.formats.canonical import decode_canonical, encode_canonical
from relsign.formats.roster import (
    EcdsaKey,
    Ed25519Key,
    FrostKey,
    Member,
    OpenPGPKey,
    RsaKey,
    parse_roster,
)
from tests.formats.bad_names import BAD_NAMES
from tests.formats.samples import (
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
    (("member", 0, "roles"), ["owner"] * 8, "member[0].roles", "length <= 7"),
    (
        (*KEY, "kind"),
        "ssh",
        "member[1].key.kind",
        "expected ed25519 or openpgp or ecdsa-p256 or rsa or frost, got 'ssh'",
    ),
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


SPKI = "MFkw" * 20
ECDSA: dict[str, object] = {"kind": "ecdsa-p256", "public": SPKI}
RSA: dict[str, object] = {"kind": "rsa", "public": SPKI, "scheme": "rsassa-pss-sha256"}
GROUP: dict[str, object] = {
    "kind": "frost",
    "public": PUBLIC[1],
    "threshold": 2,
    "participants": ["ana", "bob"],
}
WRONG_KEYS: list[tuple[dict[str, object], dict[str, object], str, str]] = [
    (ECDSA, {"public": "MFkw"}, ".public", "length >= 40"),
    (ECDSA, {"public": "M" * 3001}, ".public", "length <= 3000"),
    (ECDSA, {"public": "-" * 40}, ".public", "base64"),
    (ECDSA, {"scheme": "ecdsa-sha2-nistp256"}, "", "unknown field (got scheme)"),
    (RSA, {"scheme": "rsa-pkcs1v15-sha256"}, ".scheme", "rsa-pkcs1v15-sha512 or rsassa-pss-sha256"),
    (RSA, {"scheme": REMOVE}, "", "field missing (expected scheme)"),
    (RSA, {"public": REMOVE}, "", "field missing (expected public)"),
    (GROUP, {"public": "AA" * 32}, ".public", "64 digits"),
    (GROUP, {"threshold": 1}, ".threshold", ">= 2, got 1"),
    (GROUP, {"threshold": True}, ".threshold", "expected an integer, got true"),
    (GROUP, {"threshold": "2"}, ".threshold", "expected an integer, got '2'"),
    (GROUP, {"threshold": 33}, ".threshold", "<= 32, got 33"),
    (GROUP, {"threshold": 3}, "", "threshold is larger than the number of participants"),
    (GROUP, {"threshold": REMOVE}, "", "field missing (expected threshold)"),
    (GROUP, {"participants": []}, ".participants", "length >= 2"),
    (GROUP, {"participants": ["ana"]}, ".participants", "length >= 2"),
    (GROUP, {"participants": [f"p{n:02}" for n in range(33)]}, ".participants", "length <= 32"),
    (GROUP, {"participants": ["ana", "ana"]}, "", "participant named twice: ana"),
    (GROUP, {"participants": ["bob", "ana"]}, "", "participants are not sorted by name"),
    (GROUP, {"participants": ["ana", "../x"]}, ".participants[1]", "up to 64"),
    (GROUP, {"certificate": "mDME"}, ".certificate", "length >= 40"),
    (GROUP, {"certificate": "-" * 40}, ".certificate", "base64"),
    (GROUP, {"verifying": {}}, "", "unknown field (got verifying)"),
]


def roster_of(key: dict[str, object]) -> bytes:
    member = {**BOB, "key": {name: v for name, v in key.items() if v is not REMOVE}}
    return dump_toml({"member": [member]})


@pytest.mark.parametrize(("key", "changes", "where", "words"), WRONG_KEYS)
def test_wrong_keys_are_refused(
    key: dict[str, object], changes: dict[str, object], where: str, words: str
) -> None:
    place = f"keys/roster.toml: member[0].key{where}"
    assert_refused(parse_roster, roster_of({**key, **changes}), place, words)


@pytest.mark.parametrize(("kind", "key"), [(EcdsaKey, ECDSA), (RsaKey, RSA), (FrostKey, GROUP)])
def test_every_other_kind_of_key_is_read(kind: type, key: dict[str, object]) -> None:
    (member,) = parse_roster(roster_of(key)).member
    assert isinstance(member.key, kind)
    assert decode_canonical(encode_canonical(member), Member, "member") == member


def test_a_group_without_a_certificate_has_none_in_its_bytes() -> None:
    """No `null` stands there, so there is one form for it."""
    (member,) = parse_roster(roster_of(GROUP)).member
    data = encode_canonical(member)
    assert b"certificate" not in data
    null = data.replace(b'"key":{', b'"key":{"certificate":null,')
    assert_refused(
        lambda given: decode_canonical(given, Member, "member"),
        null,
        "member: key.certificate",
        "text",
    )
    (certified,) = parse_roster(roster_of({**GROUP, "certificate": "mDME" * 20})).member
    assert b'"certificate":"mDME' in encode_canonical(certified)
    assert decode_canonical(encode_canonical(certified), Member, "member") == certified
