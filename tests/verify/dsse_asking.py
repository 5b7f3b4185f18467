"""Asking for a decision on an envelope, and finding the row that matters."""

from __future__ import annotations

from dataclasses import replace

from relsign.crypto.digest import sha256_hex
from relsign.formats.dsse_policy import SlsaExpectation
from relsign.formats.foreign_statement import SLSA_PROVENANCE
from relsign.verify.dsse import DSSE_STEPS, decide_dsse
from relsign.verify.dsse_expectation import Expectation, expect_keys
from relsign.verify.verdict import Outcome, Row, Word
from tests.crypto.stranger_keys import (
    BUILD_TYPE,
    BUILDER,
    FILE,
    PARAMETERS,
    pem,
    provenance,
    reference,
    signer,
    statement,
)

DIGEST = sha256_hex(FILE)
FILES = {"x.tar.gz": DIGEST}
KINDS = ("ed1", "ec1", "rsa1")
SLSA = SlsaExpectation(build_type=BUILD_TYPE, external_parameters=PARAMETERS)


def expect(*names: str, threshold: int = 1, **words: object) -> Expectation:
    made = expect_keys({f"{name}.pem": pem(name) for name in names}, threshold)
    return replace(made, **words)  # type: ignore[arg-type]


def expect_slsa(*names: str, threshold: int = 1, builder: str = BUILDER) -> Expectation:
    made = expect(*names, threshold=threshold, slsa=SLSA, predicate_type=SLSA_PROVENANCE)
    return replace(
        made, keys=tuple(replace(key, builder_ids=frozenset({builder})) for key in made.keys)
    )


def decide(data: bytes, expectation: Expectation, files: dict[str, str] | None = None) -> Row:
    """Return the first row that is not well, or the last one."""
    decision = decide_dsse(((1, data),), expectation, FILES if files is None else files)
    (answer,) = decision.answers
    assert tuple(row.name for row in answer.verdict.rows) == DSSE_STEPS
    assert [row.number for row in answer.verdict.rows] == list(range(1, 8))
    for row in answer.verdict.rows:
        if row.outcome in {Outcome.REFUSED, Outcome.MISSING}:
            assert answer.verdict.word is not Word.VERIFIED
            assert row.hint
            return row
    assert decision.word is Word.VERIFIED
    return answer.verdict.rows[-1]


def word(data: bytes, expectation: Expectation) -> Word:
    return decide_dsse(((1, data),), expectation, FILES).word


def attested(*names: str, **changes: object) -> bytes:
    payload = statement(FILES, provenance(**changes), SLSA_PROVENANCE)
    return reference(payload, *(signer(name) for name in names))
