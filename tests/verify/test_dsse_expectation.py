"""What may be expected of an envelope: whose keys, each once, how many, for which builder."""

from __future__ import annotations

import pytest

from relsign.errors import InputError
from relsign.formats.dsse_policy import parse_dsse_policy
from relsign.formats.foreign_statement import SLSA_PROVENANCE
from relsign.verify.dsse_expectation import expect_keys, expect_policy
from relsign.verify.verdict import Word
from tests.crypto.stranger_keys import openssh, pem, reference, signer, statement
from tests.verify.dsse_asking import FILES, attested, decide, word


def test_a_key_given_twice_counts_once() -> None:
    twice = {"a.pem": pem("ed1"), "b.pub": openssh("ed1")}
    assert len(expect_keys(twice, 1).keys) == 1
    with pytest.raises(InputError, match="threshold nobody can meet"):
        expect_keys(twice, 2)


@pytest.mark.parametrize("threshold", [0, -1, 3, 10**30])
def test_a_threshold_nobody_can_meet_is_refused(threshold: int) -> None:
    with pytest.raises(InputError, match="expected 1 to 2, the number of different keys"):
        expect_keys({"a": pem("ed1"), "b": pem("ec1")}, threshold)


@pytest.mark.parametrize(
    ("kind", "predicate", "builders", "words"),
    [
        ("", None, {}, "no payload type"),
        ("text/plain", "urn:x", {}, "for a payload that has none"),
        ("text/plain", None, {"a": frozenset({"urn:b"})}, "for a payload that has none"),
    ],
)
def test_contradictory_words_are_refused(
    kind: str, predicate: str | None, builders: dict[str, frozenset[str]], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        expect_keys({"a": pem("ed1")}, 1, kind, predicate, builders)


def test_builder_ids_of_a_command_line_belong_to_their_key() -> None:
    keys = {"a": pem("ed1"), "b": openssh("ed1"), "c": pem("ec1")}
    builders = {"a": frozenset({"urn:1"}), "b": frozenset({"urn:2"})}
    made = expect_keys(keys, 1, builders=builders)
    assert [key.builder_ids for key in made.keys] == [{"urn:1", "urn:2"}, frozenset()]
    assert made.asks_for_builder
    with pytest.raises(InputError, match="different keys with a builder id"):
        expect_keys(keys, 2, builders=builders)


def policy(*entries: str, threshold: int = 1, more: str = "") -> str:
    keys = "".join(f"[[key]]\n{entry}\n" for entry in entries)
    return f"threshold = {threshold}\n{keys}{more}"


A = 'name = "a"\noperator = "alice"\nfile = "a.pem"\nbuilder_ids = ["urn:a"]'
LINE = openssh("ec1").decode()
B = f'name = "b"\noperator = "bob"\npublic = """{LINE}"""\nbuilder_ids = ["urn:b"]'
POLICY_FILES = {"a.pem": pem("ed1"), "rsa.pem": pem("rsa1")}


def test_a_policy_becomes_an_expectation() -> None:
    slsa = '[slsa]\nbuild_type = "urn:t"\nexternal_parameters = {}'
    parsed = parse_dsse_policy(policy(A, B, threshold=2, more=slsa).encode())
    made = expect_policy(parsed, POLICY_FILES, "policy")
    assert [(k.name, k.operator, set(k.builder_ids)) for k in made.keys] == [
        ("a", "alice", {"urn:a"}),
        ("b", "bob", {"urn:b"}),
    ]
    assert (made.threshold, made.operators, made.predicate_type) == (2, 2, SLSA_PROVENANCE)


@pytest.mark.parametrize(
    ("entry", "where", "words"),
    [
        ('public = "junk"', "policy: key[1].public", "not a public key"),
        ('file = "a.pem"', "policy", "one key under two names"),
        (f'public = """{openssh("ed1").decode()}"""', "policy", "one key under two names"),
        (
            'file = "rsa.pem"\nscheme = "ed25519"',
            "policy: key[1].scheme",
            "not a scheme of this key",
        ),
    ],
)
def test_bad_keys_of_a_policy_are_refused(entry: str, where: str, words: str) -> None:
    text = policy(A, f'name = "c"\noperator = "carol"\n{entry}')
    with pytest.raises(InputError, match=words) as caught:
        expect_policy(parse_dsse_policy(text.encode()), POLICY_FILES, "policy")
    assert caught.value.where == where


def test_a_policy_may_hold_an_rsa_key_to_one_scheme() -> None:
    text = policy('name = "r"\noperator = "r"\nfile = "rsa.pem"\nscheme = "rsassa-pss-sha256"')
    wanted = expect_policy(parse_dsse_policy(text.encode()), POLICY_FILES, "policy")
    for scheme, outcome in (
        ("rsassa-pss-sha256", Word.VERIFIED),
        ("rsa-pkcs1v15-sha256", Word.REFUSED),
    ):
        data = reference(statement(FILES), signer("rsa1", scheme))
        assert word(data, wanted) is outcome


def test_two_keys_of_one_operator_count_once() -> None:
    text = policy(
        A.replace("alice", "bob"),
        B,
        'name = "c"\noperator = "carol"\nfile = "rsa.pem"\nbuilder_ids = ["urn:a"]',
        threshold=2,
    )
    wanted = expect_policy(parse_dsse_policy(text.encode()), POLICY_FILES, "policy")
    data = attested("ed1", "ec1", builder="urn:a")
    row = decide(data, wanted)
    assert (row.name, row.text) == ("signers", "1 of 2 signed (need 2) a b")
    assert decide(attested("ed1", "rsa1", builder="urn:a"), wanted).name == "dependencies"
