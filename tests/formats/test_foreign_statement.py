"""Statements and provenance of other programs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.errors import InputError
from relsign.formats.foreign_statement import (
    SLSA_PROVENANCE,
    ForeignDependency,
    ForeignProvenance,
    ForeignStatement,
    parse_foreign_statement,
    read_provenance,
)
from tests.crypto.stranger_keys import BUILD_TYPE, BUILDER, PARAMETERS, provenance
from tests.formats.samples import REMOVE, Path, Row, assert_refused, change, dump

AA, BB = "a" * 64, "b" * 64
SUBJECT = {"name": "x.tar.gz", "digest": {"sha256": AA}}
WHOLE = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [SUBJECT, {"name": "y", "digest": {"sha256": BB, "sha512": "c" * 128}}],
    "predicateType": SLSA_PROVENANCE,
    "predicate": provenance(),
}
DEFINITION = ("predicate", "buildDefinition")


def read(data: bytes) -> ForeignStatement:
    return parse_foreign_statement(data, "payload")


def read_whole(data: bytes) -> ForeignProvenance:
    return read_provenance(read(data), "payload")


ROWS: list[Row] = [
    (("_type",), "https://in-toto.io/Statement/v2", "_type", "statement/v2"),
    (("_type",), "", "_type", "not an acceptable value"),
    (("_type",), REMOVE, "", "field missing (expected _type)"),
    (("predicateType",), "", "predicateType", "length >= 1"),
    (("predicateType",), 1, "predicateType", "expected text, got 1"),
    (("predicateType",), "x" * 4097, "predicateType", "length <= 4096"),
    (("predicate",), [], "predicate", "expected a table"),
    (("subject",), [], "subject", "length >= 1"),
    (("subject",), REMOVE, "", "field missing (expected subject)"),
    (("subject", 0, "digest"), {}, "subject[0].digest", "length >= 1"),
    (("subject", 0, "digest"), REMOVE, "subject[0]", "field missing (expected digest)"),
    (("subject", 0, "digest", "sha256"), 7, "subject[0].digest", "expected text, got 7"),
    (("subject", 0, "name"), None, "subject[0].name", "expected text, got null"),
    (("subject", 1, "name"), "x.tar.gz", "", "one subject name, two digests: x.tar.gz"),
    (
        ("subject", 1),
        {"name": "x.tar.gz", "digest": {"sha256": AA, "sha512": "d" * 128}},
        "",
        "one subject name, two digests",
    ),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), ROWS)
def test_wrong_fields_are_refused(path: Path, new: object, where: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read(dump(change(WHOLE, path, new)))
    assert caught.value.where.startswith(f"payload: {where}" if where else "payload")
    assert words.lower() in str(caught.value).lower()


@pytest.mark.parametrize(
    ("path", "new"),
    [
        (("_type",), "https://in-toto.io/Statement/v0.1"),
        (("extra",), 1),
        (("predicate",), REMOVE),
        (("subject", 0, "name"), REMOVE),
        (("subject", 0, "downloadLocation"), "https://example.org/"),
        (("subject", 1), SUBJECT),
        (("subject", 1, "name"), "\x1b\u202e"),
    ],
)
def test_what_the_specification_allows_is_read(path: Path, new: object) -> None:
    assert read(dump(change(WHOLE, path, new))).predicateType == SLSA_PROVENANCE


@pytest.mark.parametrize(
    ("digest", "sha256"),
    [
        ({"sha256": AA}, AA),
        ({"sha256": AA.upper()}, None),
        ({"sha256": AA + "\n"}, None),
        ({"sha256": "a" * 63}, None),
        ({"sha512": "a" * 128}, None),
    ],
)
def test_only_a_whole_sha256_of_a_subject_counts(
    digest: dict[str, str], sha256: str | None
) -> None:
    statement = read(dump(change(WHOLE, ("subject", 0, "digest"), digest)))
    assert statement.subject[0].sha256 == sha256


# --- provenance --------------------------------------------------------------------------------


def test_provenance_is_read() -> None:
    found = read_whole(dump(WHOLE))
    assert found.buildDefinition.buildType == BUILD_TYPE
    assert found.buildDefinition.externalParameters == PARAMETERS
    assert found.runDetails.builder.id == BUILDER
    assert [d.has_digest() for d in found.buildDefinition.resolvedDependencies] == [True]


PROVENANCE_ROWS: list[Row] = [
    (("predicateType",), "https://slsa.dev/provenance/v0.2", "predicateType", "not SLSA"),
    (("predicate",), {}, "predicate", "field missing (expected buildDefinition)"),
    (("predicate",), REMOVE, "predicate", "field missing (expected buildDefinition)"),
    ((*DEFINITION, "buildType"), REMOVE, ".".join(DEFINITION), "field missing"),
    ((*DEFINITION, "buildType"), "", ".".join((*DEFINITION, "buildType")), "length >= 1"),
    ((*DEFINITION, "externalParameters"), REMOVE, ".".join(DEFINITION), "field missing"),
    (
        (*DEFINITION, "externalParameters"),
        [],
        ".".join((*DEFINITION, "externalParameters")),
        "expected a table",
    ),
    (
        (*DEFINITION, "resolvedDependencies", 0),
        "x",
        ".".join((*DEFINITION, "resolvedDependencies[0]")),
        "expected a table",
    ),
    (("predicate", "runDetails", "builder", "id"), REMOVE, "predicate.runDetails.builder", "id"),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), PROVENANCE_ROWS)
def test_wrong_provenance_is_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"payload: {where}".replace("predicate.", "predicate: ", 1)
    assert_refused(read_whole, dump(change(WHOLE, path, new)), place, words)


@pytest.mark.parametrize(
    ("digest", "has"),
    [
        ({"sha256": AA}, True),
        ({"sha1": "a" * 40}, True),
        ({"gitCommit": "a" * 40}, True),
        ({"gitCommit": AA}, True),
        ({"md5": "a" * 32, "sha512": "a" * 128}, True),
        ({}, False),
        ({"md5": "a" * 32}, False),
        ({"sha256": ""}, False),
        ({"sha256": "a" * 40}, False),
        ({"sha256": "A" * 64}, False),
        ({"sha256": "z" * 64}, False),
        ({"own": AA}, False),
    ],
)
def test_which_digests_name_content(digest: dict[str, str], *, has: bool) -> None:
    assert ForeignDependency(digest=digest).has_digest() is has


@given(st.binary(max_size=60))
def test_any_bytes_raise_nothing_else(data: bytes) -> None:
    with pytest.raises(InputError):
        read(data)
