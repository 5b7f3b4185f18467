"""What a person may expect of somebody else's envelope, and what contradicts itself."""

from __future__ import annotations

import pytest

from relsign.errors import InputError
from relsign.formats.dsse_policy import DssePolicy, parse_dsse_policy
from relsign.formats.envelope import INTOTO_PAYLOAD
from relsign.formats.foreign_statement import SLSA_PROVENANCE
from tests.formats.samples import (
    BAD_INTEGERS,
    REMOVE,
    Path,
    Row,
    assert_refused,
    change,
    dump_toml,
)

KEY_A = {
    "name": "a",
    "operator": "alice",
    "file": "keys/a.pem",
    "builder_ids": ["https://example.org/builder/a"],
}
KEY_B = {
    "name": "b",
    "operator": "bob",
    "public": "ssh-ed25519 AAAA",
    "scheme": "ed25519",
    "builder_ids": ["https://example.org/builder/b", "urn:b"],
}
SLSA = {"build_type": "urn:build", "external_parameters": {"ref": "v1", "n": 1, "t": {"x": [True]}}}
WHOLE: dict[str, object] = {
    "threshold": 2,
    "payload_type": INTOTO_PAYLOAD,
    "predicate_type": SLSA_PROVENANCE,
    "key": [KEY_A, KEY_B],
    "slsa": SLSA,
}
PLAIN = {"threshold": 1, "key": [{"name": "a", "operator": "alice", "public": "x"}]}


def read(data: bytes) -> DssePolicy:
    return parse_dsse_policy(data, "policy.toml")


def test_a_whole_policy_is_read() -> None:
    policy = read(dump_toml(WHOLE))
    assert policy.slsa is not None
    assert policy.slsa.external_parameters == SLSA["external_parameters"]
    assert [key.builder_ids for key in policy.key] == [
        tuple(KEY_A["builder_ids"]),
        tuple(KEY_B["builder_ids"]),
    ]


def test_a_small_policy_has_defaults() -> None:
    policy = read(dump_toml(PLAIN))
    assert (policy.payload_type, policy.predicate_type) == (INTOTO_PAYLOAD, None)
    assert (policy.slsa, policy.key[0].builder_ids) == (None, ())


ROWS: list[Row] = [
    (("threshold",), 3, "", "threshold is larger than the number of operators"),
    (("threshold",), 0, "threshold", ">= 1"),
    (("threshold",), REMOVE, "", "field missing (expected threshold)"),
    (("extra",), 1, "", "unknown field (got extra)"),
    (("key",), [], "key", "length >= 1"),
    (("key",), REMOVE, "", "field missing (expected key)"),
    (("key",), [{**KEY_A, "name": f"k{n}"} for n in range(65)], "key", "length <= 64"),
    (("key", 1, "name"), "a", "", "key named twice: a"),
    (("key", 1, "operator"), "alice", "", "larger than the number of operators"),
    (("key", 1, "operator"), "ALICE", "", "two operators whose names differ only by case"),
    (("key", 1, "operator"), REMOVE, "key[1]", "field missing (expected operator)"),
    (("key", 1, "name"), "../b", "key[1].name", "up to 64"),
    (("key", 1, "public"), REMOVE, "key[1]", "either `file` or `public`"),
    (("key", 1, "file"), "b.pem", "key[1]", "either `file` or `public`"),
    (("key", 1, "scheme"), "rsa", "key[1].scheme", "rsa"),
    (("key", 1, "builder_ids"), ["urn:b", "urn:b"], "key[1]", "builder id named twice: urn:b"),
    (("key", 1, "builder_ids"), [], "", "number of operators with builder_ids"),
    (("key", 1, "builder_ids"), [""], "key[1].builder_ids[0]", "printable"),
    (("key", 1, "extra"), 1, "key[1]", "unknown field (got extra)"),
    (("payload_type",), "", "payload_type", "printable"),
    (("payload_type",), "a b", "payload_type", "printable"),
    (("payload_type",), "text/plain", "", "need the payload type of in-toto"),
    (("predicate_type",), "urn:other", "", "need the predicate type of SLSA"),
    (("slsa", "build_type"), "", "slsa.build_type", "printable"),
    (("slsa", "build_type"), REMOVE, "slsa", "field missing (expected build_type)"),
    (("slsa", "external_parameters"), REMOVE, "slsa", "field missing"),
    (("slsa", "external_parameters", "n"), 2**53, "slsa", "safe integer"),
    (("slsa", "external_parameters", "n"), float("inf"), "slsa", "external_parameters"),
    (("slsa", "external_parameters", "n"), float("nan"), "slsa", "external_parameters"),
    (("slsa", "extra"), 1, "slsa", "unknown field (got extra)"),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), ROWS)
def test_wrong_fields_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"policy.toml: {where}" if where else "policy.toml"
    assert_refused(read, dump_toml(change(WHOLE, path, new)), place, words)


@pytest.mark.parametrize("threshold", [n for n in BAD_INTEGERS if n is not None])
def test_a_threshold_is_a_small_positive_count(threshold: object) -> None:
    with pytest.raises(InputError):
        read(dump_toml({**WHOLE, "threshold": threshold}))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("not JSON serializable", b"2026-11-21"),
        ("not JSON serializable", b"2026-11-21T12:00:00Z"),
        ("not JSON serializable", b"[{a = 12:00:00}]"),
    ],
)
def test_times_are_no_external_parameters(words: str, text: bytes) -> None:
    data = dump_toml(PLAIN)
    data += b'builder_ids = ["urn:a"]\n[slsa]\nbuild_type = "urn:x"\nexternal_parameters = {t = '
    assert_refused(read, data + text + b"}\n", "policy.toml: slsa", words)


def test_a_predicate_needs_the_payload_type_of_intoto() -> None:
    table = {**PLAIN, "payload_type": "text/plain", "predicate_type": "urn:x"}
    assert_refused(read, dump_toml(table), "policy.toml", "predicate_type needs the payload type")
    del table["predicate_type"]
    assert read(dump_toml(table)).payload_type == "text/plain"


def test_slsa_needs_keys_that_may_speak_for_a_builder() -> None:
    table = {**PLAIN, "slsa": SLSA}
    assert_refused(read, dump_toml(table), "policy.toml", "operators with builder_ids")
