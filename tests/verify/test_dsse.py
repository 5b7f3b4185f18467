"""The decision on somebody else's envelope, with securesystemslib beside it."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as ReferenceEnvelope
from securesystemslib.exceptions import VerificationError as ReferenceRefusal
from securesystemslib.signer._crypto_signer import CryptoSigner
from securesystemslib.signer._key import Key, SSlibKey

from relsign.errors import InputError
from relsign.formats.envelope import INTOTO_PAYLOAD
from relsign.formats.foreign_statement import SLSA_PROVENANCE
from relsign.verify.dsse import DSSE_STEPS, MAX_TRIES, DsseDecision, DsseVerdict, decide_dsse
from relsign.verify.dsse_expectation import expect_keys
from relsign.verify.verdict import Outcome, Row, Word
from tests.crypto.stranger_keys import (
    BUILD_TYPE,
    BUILDER,
    PARAMETERS,
    b64,
    private,
    provenance,
    reference,
    signer,
    statement,
)
from tests.crypto.test_spki import VECTOR_SIGNATURE, vector_key
from tests.verify.dsse_asking import (
    DIGEST,
    FILES,
    KINDS,
    attested,
    decide,
    expect,
    expect_slsa,
    word,
)

# --- against the reference ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("ed1", "ed25519"),
        ("ec1", "ecdsa-sha2-nistp256"),
        ("rsa1", "rsassa-pss-sha256"),
        ("rsa1", "rsa-pkcs1v15-sha256"),
    ],
)
@pytest.mark.parametrize("change", ["none", "payload", "signature", "type", "key"])
def test_we_and_the_reference_agree_on_one_key(name: str, scheme: str, change: str) -> None:
    made = json.loads(reference(statement(FILES), signer(name, scheme)))
    if change == "payload":
        made["payload"] = b64(statement({"y": DIGEST}))
    if change == "signature":
        made["signatures"][0]["sig"] = b64(
            bytes([1]) + base64.b64decode(made["signatures"][0]["sig"])[1:]
        )
    if change == "type":
        made["payloadType"] += ".other"
    other = f"{name[:-1]}2" if change == "key" else name
    key = SSlibKey.from_crypto(
        private(other).public_key(), scheme=scheme, keyid=made["signatures"][0]["keyid"]
    )
    data = json.dumps(made).encode()
    expectation = expect(other, payload_type=made["payloadType"])
    files = {} if change == "type" else FILES
    ours = decide_dsse(((1, data),), expectation, files).word is Word.VERIFIED
    try:
        ReferenceEnvelope.from_dict(made).verify([key], 1)
    except ReferenceRefusal:
        assert not ours
    else:
        assert ours
    assert ours is (change == "none")


def test_honest_thresholds_of_mixed_keys_verify() -> None:
    data = reference(statement(FILES), *(signer(name) for name in KINDS))
    keys: list[Key] = [signer(name).public_key for name in KINDS]
    assert len(ReferenceEnvelope.from_dict(json.loads(data)).verify(keys, 3)) == 3
    assert decide(data, expect(*KINDS, threshold=3)).outcome is Outcome.NOT_REQUIRED
    assert word(data, expect(*KINDS, "ed2", threshold=3)) is Word.VERIFIED
    assert word(data, expect(*KINDS, "ed2", threshold=4)) is Word.NOT_ENOUGH


def test_a_twin_key_counts_once_where_the_reference_counts_it_twice() -> None:
    public = private("ed1").public_key()
    twins = [
        SSlibKey.from_crypto(public, keyid="1" * 64),
        SSlibKey.from_crypto(public, keyid="2" * 64),
    ]
    data = reference(statement(FILES), *(CryptoSigner(private("ed1"), twin) for twin in twins))
    assert len(ReferenceEnvelope.from_dict(json.loads(data)).verify(list(twins), 2)) == 2
    row = decide(data, expect("ed1", "ed2", threshold=2))
    assert (row.name, row.outcome) == ("signers", Outcome.MISSING)
    assert row.text == "1 of 2 signed (need 2) ed1.pem"
    assert word(data, expect("ed1")) is Word.VERIFIED


def test_two_signatures_of_one_key_count_once() -> None:
    one, two = (json.loads(reference(statement(FILES), signer("ec1"))) for _ in range(2))
    assert one["signatures"][0]["sig"] != two["signatures"][0]["sig"]
    two["signatures"][0]["keyid"] = "another"
    one["signatures"] += two["signatures"]
    data = json.dumps(one).encode()
    assert decide(data, expect("ec1", "ec2", threshold=2)).outcome is Outcome.MISSING
    (answer,) = decide_dsse(((1, data),), expect("ec1"), FILES).answers
    assert answer.verdict.rows[1].evidence[1] == "1 more signatures, which were not counted"


@pytest.mark.parametrize("keyid", ["", "0" * 64, "ed2.pem", None])
def test_labels_decide_nothing(keyid: str | None) -> None:
    made = json.loads(reference(statement(FILES), signer("ed1")))
    made["signatures"][0]["keyid"] = keyid
    data = json.dumps(made).encode()
    assert word(data, expect("ed1", "ed2")) is Word.VERIFIED
    assert word(data, expect("ed2")) is Word.REFUSED


def test_a_missing_label_is_none_at_all() -> None:
    made = json.loads(reference(statement(FILES), signer("rsa1")))
    del made["signatures"][0]["keyid"]
    assert word(json.dumps(made).encode(), expect("rsa1")) is Word.VERIFIED


def test_the_url_safe_alphabet_verifies() -> None:
    made = json.loads(reference(statement(FILES), *(signer(name) for name in KINDS)))
    for place in (made, *made["signatures"]):
        for field in {"payload", "sig"} & place.keys():
            place[field] = place[field].translate(str.maketrans("+/", "-_"))
    assert word(json.dumps(made).encode(), expect(*KINDS, threshold=3)) is Word.VERIFIED


def test_the_vector_of_the_dsse_protocol_verifies() -> None:
    vector = {
        "payload": "aGVsbG8gd29ybGQ=",
        "payloadType": "http://example.com/HelloWorld",
        "signatures": [{"sig": VECTOR_SIGNATURE}],
    }
    wanted = expect_keys({"vector.pem": vector_key()}, 1, vector["payloadType"])  # type: ignore[arg-type]
    data = json.dumps(vector).encode()
    assert decide_dsse(((1, data),), wanted, {}).word is Word.VERIFIED
    row = decide(data, wanted)
    assert (row.name, row.outcome) == ("subject", Outcome.REFUSED)
    assert "a payload of this type speaks of no files" in row.text


# --- signatures without meaning ----------------------------------------------------------------


def test_a_signature_without_the_encoding_is_refused() -> None:
    payload = statement(FILES)
    bare = signer("ed1").sign(payload).signature
    made = {
        "payload": b64(payload),
        "payloadType": INTOTO_PAYLOAD,
        "signatures": [{"sig": b64(bytes.fromhex(bare))}],
    }
    row = decide(json.dumps(made).encode(), expect("ed1"))
    assert (row.name, row.outcome) == ("signers", Outcome.REFUSED)
    assert row.text == "no signature is by a key you trust over these bytes (got 1 signatures)"


def test_no_signature_at_all_is_not_enough() -> None:
    row = decide(reference(statement(FILES)), expect("ed1"))
    assert (row.name, row.outcome, row.text) == (
        "signers",
        Outcome.MISSING,
        "0 of 1 signed (need 1)",
    )


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 100_000, b"\xff"])
def test_what_is_no_envelope_is_refused(data: bytes) -> None:
    row = decide(data, expect("ed1"))
    assert (row.name, row.outcome) == ("envelope", Outcome.REFUSED)


def test_another_payload_type_is_refused_before_any_signature_is_tried() -> None:
    data = reference(statement(FILES), signer("ed1"), kind="text/plain")
    row = decide(data, expect("ed1"))
    assert (row.name, row.outcome) == ("envelope", Outcome.REFUSED)
    assert "payload of another type (expected application/vnd.in-toto+json" in row.text


def test_a_payload_is_not_parsed_before_it_is_verified() -> None:
    made = json.loads(reference(b"[" * 100_000, signer("ed1")))
    row = decide(json.dumps(made).encode(), expect("ed2"))
    assert row.name == "signers"
    row = decide(json.dumps(made).encode(), expect("ed1"))
    assert (row.name, row.outcome) == ("statement", Outcome.REFUSED)


def _junk(count: int, payload: bytes, size: int = 64) -> bytes:
    signatures = [{"sig": b64(number.to_bytes(size))} for number in range(1, count + 1)]
    return json.dumps(
        {"payload": b64(payload), "payloadType": INTOTO_PAYLOAD, "signatures": signatures}
    ).encode()


def test_junk_signatures_cost_a_bounded_time() -> None:
    start = time.process_time()
    assert word(_junk(20_000, b"x"), expect("ed1")) is Word.REFUSED
    with pytest.raises(InputError, match="too many signatures to try"):
        word(_junk(64, b"x" * (17 << 20)), expect("ed1"))
    assert word(_junk(64, b"x" * (1 << 20)), expect("ed1")) is Word.REFUSED
    assert word(_junk(64, b"x" * (17 << 20), 256), expect("rsa1")) is Word.REFUSED
    lines = tuple((n, _junk(64, b"x")) for n in range(MAX_TRIES // 64 + 1))
    with pytest.raises(InputError, match="too many signatures to try"):
        decide_dsse(lines, expect("ed1"), FILES)
    assert time.process_time() - start < 20


@given(st.binary(max_size=80))
def test_any_bytes_end_as_a_row(data: bytes) -> None:
    assert word(data, expect("ed1")) is Word.REFUSED
    signed = reference(data, signer("ed1"))
    assert word(signed, expect("ed1")) is Word.REFUSED


# --- statement and subjects --------------------------------------------------------------------


def test_the_predicate_type_is_compared() -> None:
    data = reference(statement(FILES), signer("ed1"))
    assert word(data, expect("ed1", predicate_type="urn:example:other")) is Word.VERIFIED
    row = decide(data, expect("ed1", predicate_type="urn:example:other "))
    assert (row.name, row.outcome) == ("statement", Outcome.REFUSED)


@pytest.mark.parametrize(
    ("subjects", "files", "outcome", "words"),
    [
        ({"x": DIGEST}, {"x": DIGEST}, Outcome.PASS, f"x: sha256 {DIGEST}"),
        ({"x": DIGEST}, {"y": DIGEST}, Outcome.PASS, ", listed as x"),
        ({"": DIGEST}, {"y": DIGEST}, Outcome.PASS, ", listed as a file without a name"),
        ({"x": DIGEST, "y": "b" * 64}, {"x": DIGEST, "y": "b" * 64}, Outcome.PASS, "2 files"),
        ({"x": DIGEST}, {"x": "b" * 64}, Outcome.REFUSED, f"(expected {DIGEST}, got bbbb"),
        ({"x": "sha1"}, {"x": "b" * 64}, Outcome.REFUSED, "(expected another digest, got"),
        ({"x": DIGEST}, {"y": "b" * 64}, Outcome.REFUSED, "(expected one of its subjects"),
        ({"x": DIGEST, "y": "b" * 64}, {"y": DIGEST}, Outcome.REFUSED, f"(expected {'b' * 64}"),
        ({"x": DIGEST}, {}, Outcome.NOT_REQUIRED, "no file was named"),
        ({"\x1b\u202e": DIGEST}, {"x": DIGEST}, Outcome.PASS, "listed as \\x1b\\u202e"),
    ],
)
def test_files_are_the_subjects(
    subjects: dict[str, str], files: dict[str, str], outcome: Outcome, words: str
) -> None:
    data = reference(statement(subjects), signer("ed1"))
    decision = decide_dsse(((1, data),), expect("ed1"), files)
    # Two files of one envelope are one answer.
    (answer,) = decision.answers
    row = answer.verdict.rows[3]
    assert (row.name, row.outcome) == ("subject", outcome)
    assert words in row.text
    assert (decision.word is Word.VERIFIED) is (outcome is not Outcome.REFUSED)


def test_one_name_with_two_digests_is_refused() -> None:
    document = json.loads(statement(FILES))
    document["subject"] += [{"name": "x.tar.gz", "digest": {"sha256": "b" * 64}}]
    row = decide(reference(json.dumps(document).encode(), signer("ed1")), expect("ed1"))
    assert (row.name, row.outcome) == ("statement", Outcome.REFUSED)


# --- provenance --------------------------------------------------------------------------------


def test_honest_provenance_verifies() -> None:
    data = attested("ed1", "ec1")
    (answer,) = decide_dsse(((1, data),), expect_slsa("ed1", "ec1", threshold=2), FILES).answers
    assert [(row.outcome, row.text) for row in answer.verdict.rows[2:]] == [
        (Outcome.PASS, f"predicate {SLSA_PROVENANCE}"),
        (Outcome.PASS, f"x.tar.gz: sha256 {DIGEST}"),
        (Outcome.PASS, BUILDER),
        (Outcome.PASS, f"{BUILD_TYPE}, 4 external parameters as expected"),
        (Outcome.PASS, "1 inputs, each with a digest"),
    ]


NO_INPUTS: list[object] = []
MD5 = {"md5": "a" * 32}
NOT_EXPECTED = "not the build that was expected (expected"


@pytest.mark.parametrize(
    ("changes", "step", "words"),
    [
        ({"builder": f"{BUILDER}/"}, "builder", "0 of those who signed may speak"),
        ({"builder": BUILDER.upper()}, "builder", "may speak for this builder"),
        ({"buildType": "urn:other"}, "build", f"buildType: {NOT_EXPECTED} {BUILD_TYPE}"),
        (
            {"externalParameters": {**PARAMETERS, "extra": 1}},
            "build",
            f"externalParameters.extra: {NOT_EXPECTED} not to be there, got 1)",
        ),
        ({"externalParameters": {**PARAMETERS, "extra": None}}, "build", "got null"),
        ({"externalParameters": {"ref": "v1.0"}}, "build", f"debug: {NOT_EXPECTED} false, got"),
        ({"externalParameters": {**PARAMETERS, "ref": "v2"}}, "build", 'expected "v1.0", got "v2"'),
        ({"externalParameters": {**PARAMETERS, "debug": 0}}, "build", "expected false, got 0"),
        ({"externalParameters": {**PARAMETERS, "jobs": "4"}}, "build", 'expected 4, got "4"'),
        ({"externalParameters": {**PARAMETERS, "jobs": 2**60}}, "build", "no canonical form"),
        ({"externalParameters": {}}, "build", "got nothing"),
        ({"resolvedDependencies": [{"uri": "git+x"}]}, "dependencies", "digest (got git+x)"),
        ({"resolvedDependencies": [{"name": "y", "digest": MD5}]}, "dependencies", "(got y)"),
        ({"resolvedDependencies": [{}]}, "dependencies", "(got no name)"),
    ],
)  # fmt: skip
def test_an_unexpected_build_is_refused(changes: dict[str, object], step: str, words: str) -> None:
    row = decide(attested("ed1", **changes), expect_slsa("ed1"))
    assert (row.name, row.outcome) == (step, Outcome.REFUSED)
    assert words in row.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"resolvedDependencies": NO_INPUTS}, "none listed"),
        ({"externalParameters": {**PARAMETERS, "jobs": 4.0}}, "1 inputs, each with a digest"),
        ({"internalParameters": {"other": 1}}, "1 inputs, each with a digest"),
        ({"extra": "field"}, "1 inputs, each with a digest"),
    ],
)
def test_what_slsa_leaves_open_is_accepted(changes: dict[str, object], words: str) -> None:
    assert decide(attested("ed1", **changes), expect_slsa("ed1")).text == words


def test_a_key_counts_only_for_the_builders_it_may_speak_for() -> None:
    data = attested("ed1", "ec1")
    wanted = expect_slsa("ed1", "ec1", threshold=2)
    one, two = wanted.keys
    wanted = replace(wanted, keys=(one, replace(two, builder_ids=frozenset({"urn:other"}))))
    row = decide(data, wanted)
    assert (row.name, row.outcome) == ("builder", Outcome.REFUSED)
    assert "1 of those who signed may speak for this builder (need 2)" in row.text


def test_another_predicate_is_no_provenance() -> None:
    data = reference(statement(FILES, provenance()), signer("ed1"))
    assert decide(data, expect_slsa("ed1")).name == "statement"
    row = decide(data, replace(expect_slsa("ed1"), predicate_type=None))
    assert (row.name, row.outcome) == ("builder", Outcome.REFUSED)
    assert "not SLSA provenance v1" in row.text


def test_builder_ids_without_a_build_leave_the_build_open() -> None:
    wanted = replace(expect_slsa("ed1"), slsa=None)
    (answer,) = decide_dsse(((1, attested("ed1")),), wanted, FILES).answers
    assert answer.verdict.word is Word.VERIFIED
    assert answer.verdict.rows[5].outcome is Outcome.NOT_REQUIRED


def test_provenance_without_a_file_is_not_enough() -> None:
    row = decide(attested("ed1"), expect_slsa("ed1"), {})
    assert (row.name, row.outcome) == ("subject", Outcome.MISSING)


# --- several envelopes -------------------------------------------------------------------------


def lines(*data: bytes) -> tuple[tuple[int, bytes], ...]:
    return tuple(enumerate(data, 1))


def words_of(decision: DsseDecision) -> list[tuple[int, tuple[str, ...], Word]]:
    return [(a.line, a.files, a.verdict.word) for a in decision.answers]


GOOD = reference(statement(FILES), signer("ed1"))
OTHER = reference(statement({"y": "b" * 64}), signer("ed1"))
STRANGE = reference(statement(FILES), signer("ed2"))


@pytest.mark.parametrize(
    ("data", "files", "answers"),
    [
        ((STRANGE, b"junk", OTHER, GOOD), FILES, [(4, ("x.tar.gz",), Word.VERIFIED)]),
        ((GOOD, GOOD), FILES, [(1, ("x.tar.gz",), Word.VERIFIED)]),
        ((STRANGE, OTHER), FILES, [(2, ("x.tar.gz",), Word.REFUSED)]),
        ((b"junk", STRANGE), {}, [(2, (), Word.REFUSED)]),
        ((b"junk", GOOD), {}, [(2, (), Word.VERIFIED)]),
        (
            (GOOD, OTHER),
            {**FILES, "y": "b" * 64},
            [(1, ("x.tar.gz",), Word.VERIFIED), (2, ("y",), Word.VERIFIED)],
        ),
        (
            (GOOD, OTHER),
            {**FILES, "y": "c" * 64},
            [(1, ("x.tar.gz", "y"), Word.REFUSED)],
        ),
    ],
)
def test_each_file_is_answered_by_its_best_envelope(
    data: tuple[bytes, ...],
    files: dict[str, str],
    answers: list[tuple[int, tuple[str, ...], Word]],
) -> None:
    decision = decide_dsse(lines(*data), expect("ed1"), files)
    assert words_of(decision) == answers
    all_well = all(word is Word.VERIFIED for _, _, word in answers)
    assert (decision.word is Word.VERIFIED) is all_well


def test_signatures_of_two_lines_are_not_added_up() -> None:
    decision = decide_dsse(lines(GOOD, STRANGE), expect("ed1", "ed2", threshold=2), FILES)
    assert decision.word is Word.NOT_ENOUGH


def test_a_row_that_was_not_reached_is_never_verified() -> None:
    rows = tuple(Row(n, name, Outcome.PASS, "") for n, name in enumerate(DSSE_STEPS, 1))
    assert DsseVerdict(rows).word is Word.VERIFIED
    unreached = msgspec.structs.replace(rows[6], outcome=Outcome.NOT_REACHED)
    assert DsseVerdict((*rows[:6], unreached)).word is Word.NOT_ENOUGH
    refused = msgspec.structs.replace(rows[0], outcome=Outcome.REFUSED)
    assert DsseVerdict((refused, *rows[1:6], unreached)).word is Word.REFUSED
