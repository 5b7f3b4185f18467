"""Release statements: what the signers sign has one form and no second reading."""

from __future__ import annotations

import pytest

from relsign.formats.statement import parse_statement
from tests.formats.bad_names import BAD_NAMES
from tests.formats.samples import (
    AA,
    BAD_DIGESTS,
    BAD_TIMES,
    BB,
    REMOVE,
    Path,
    Row,
    assert_refused,
    change,
    dump,
    make_statement,
    plain,
)

WHOLE = plain(make_statement())
SUBJECT = {"name": "gzip", "digest": {"sha256": BB}}
FINGERPRINT = {"target": "linux-amd64", "sha256": BB}
V1 = "https://in-toto.io/Statement/v1"
ROWS: list[Row] = [
    (("_type",), "https://in-toto.io/Statement/v0.1", "_type", f"expected {V1}"),
    (("_type",), "layout", "_type", "got 'layout'"),
    (("_type",), REMOVE, "_type", "got nothing"),
    (("predicateType",), "https://slsa.dev/provenance/v1", "predicateType", "urn:relsign:release"),
    (("predicate", "more"), 1, "predicate", "unknown field (got more)"),
    (("predicate", "previous"), REMOVE, "predicate", "field missing (expected previous)"),
    (("predicate", "previous"), {}, "predicate.previous", "field missing"),
    (("predicate", "fingerprints"), [], "predicate.fingerprints", "length >= 1"),
    (("predicate", "fingerprints", 2), FINGERPRINT, "predicate", "target named twice"),
    (
        ("predicate", "fingerprints", 2),
        {**FINGERPRINT, "target": "a"},
        "predicate",
        "fingerprints are not sorted by target",
    ),
    (("subject",), [], "subject", "length >= 1"),
    (("subject", 2), SUBJECT, "", "subject named twice: gzip"),
    (("subject", 2), {**SUBJECT, "name": "a"}, "", "subjects are not sorted by name"),
    (("subject", 0, "digest", "sha512"), AA * 2, "subject[0].digest", "unknown field"),
    (("subject", 0, "digest"), {}, "subject[0].digest", "field missing (expected sha256)"),
    (("subject", 0, "digest"), AA, "subject[0].digest", "expected a table"),
    *(
        (("subject", 0, "name"), name, "", f"subject name is reserved for relsign: {name}")
        for name in ("SHA256SUMS", "SHA256SUMS.asc", "a.relsign", "a.link", "a.intoto.jsonl")
    ),
    *((("subject", 1, "name"), bad, "subject[1].name", "a file name") for bad in BAD_NAMES),
    *((("predicate", "version"), bad, "predicate.version", "up to 64") for bad in BAD_NAMES),
    *(
        (("predicate", "layout_sha256"), bad, "predicate.layout_sha256", "64 digits")
        for bad in BAD_DIGESTS
    ),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), ROWS)
def test_wrong_fields_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"statement: {where}" if where else "statement"
    assert_refused(parse_statement, dump(change(WHOLE, path, new)), place, words)


@pytest.mark.parametrize("time", BAD_TIMES)
def test_a_time_has_one_form(time: object) -> None:
    data = dump(change(WHOLE, ("predicate", "released_at"), time))
    place = "statement: predicate.released_at"
    # A time the schema can read but no document may hold is refused with its whole predicate.
    if time in {"2026-11-21T13:00:00+01:00", "2026-11-21T12:00:00.5Z"}:
        assert_refused(parse_statement, data, "statement: predicate", "whole seconds in UTC")
    else:
        assert_refused(parse_statement, data, place, "got ")


def test_a_first_release_has_no_previous() -> None:
    first = change(WHOLE, ("predicate", "previous"), None)
    data = dump(change(first, ("predicate", "sequence"), 1))
    assert parse_statement(data).predicate.previous is None
    for gap in (dump(first), dump(change(WHOLE, ("predicate", "sequence"), 1))):
        assert_refused(parse_statement, gap, "statement: predicate", "the first release follows")


def test_subjects_are_the_manifest() -> None:
    assert make_statement().digests() == {"gzip": AA, "gzip.1": BB}
