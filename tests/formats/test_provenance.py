"""SLSA provenance: the strict part of it that relsign writes."""

from __future__ import annotations

import pytest

from relsign.formats.provenance import parse_provenance
from tests.formats.bad_names import BAD_NAMES
from tests.formats.samples import (
    AA,
    BAD_TIMES,
    BB,
    REMOVE,
    Path,
    Row,
    assert_refused,
    change,
    dump,
    make_provenance,
    plain,
)

WHOLE = plain(make_provenance())
DEFINITION: Path = ("predicate", "buildDefinition")
PARAMETERS: Path = (*DEFINITION, "externalParameters")
INPUTS: Path = (*DEFINITION, "resolvedDependencies")
DETAILS: Path = ("predicate", "runDetails")
METADATA: Path = (*DETAILS, "metadata")
IN = "predicate.buildDefinition"
ROWS: list[Row] = [
    (("predicateType",), "https://slsa.dev/provenance/v0.2", "predicateType", "provenance/v1"),
    (("_type",), REMOVE, "_type", "got nothing"),
    ((*DEFINITION, "buildType"), "https://example.org/x", f"{IN}.buildType", "urn:relsign:build"),
    ((*PARAMETERS, "ref"), "main", f"{IN}.externalParameters", "unknown field (got ref)"),
    ((*PARAMETERS, "target"), REMOVE, f"{IN}.externalParameters", "field missing"),
    ((*DEFINITION, "internalParameters", "env"), {}, f"{IN}.internalParameters", "unknown field"),
    (INPUTS, [], f"{IN}.resolvedDependencies", "length >= 1"),
    ((*INPUTS, 0, "digest"), {}, f"{IN}.resolvedDependencies[0].digest", "field missing"),
    ((*INPUTS, 0, "downloadLocation"), "x", f"{IN}.resolvedDependencies[0]", "unknown field"),
    ((*INPUTS, 0, "name"), REMOVE, f"{IN}.resolvedDependencies[0]", "neither name nor uri"),
    *(
        ((*INPUTS, 0, "uri"), bad, f"{IN}.resolvedDependencies[0].uri", "without a server")
        for bad in (
            "",
            "file:///",
            "https://example.org/x",
            "pkg:",
            "pkg:deb",
            "pkg:deb/",
            "pkg:deb/a@1?repository_url=x",
            "pkg:generic/a?download_url=https%3A//x",
            "pkg:generic/a?vcs_url=git",
            "pkg:generic/a#src",
            "pkg:generic/a b",
            "pkg:deb/a@1\n",
            "pkg:generic/user:pw@host/x",
        )
    ),
    ((*PARAMETERS, "source_date_epoch"), -1, f"{IN}.externalParameters.source_date_epoch", ">= 0"),
    (
        (*DEFINITION, "internalParameters", "without"),
        [],
        f"{IN}.internalParameters.without",
        "length >= 1",
    ),
    (
        (*DEFINITION, "internalParameters", "normalised"),
        {"gzip": ["gzip-2"]},
        f"{IN}.internalParameters.normalised.gzip[0]",
        "gzip-2",
    ),
    ((*DETAILS, "builder", "version"), {}, "predicate.runDetails.builder.version", "missing"),
    ((*DETAILS, "byproducts"), [], "predicate.runDetails.byproducts", "length >= 1"),
    (
        (*DETAILS, "byproducts"),
        [{"name": "x", "digest": {"sha256": AA}}] * 2,
        "",
        "byproduct named twice: x",
    ),
    (
        (*INPUTS, 1),
        {"name": "sources/gzip", "digest": {"sha256": AA}},
        "",
        "dependency named twice: sources/gzip",
    ),
    (("subject", 1), {"name": "gzip", "digest": {"sha256": AA}}, "", "subject named twice: gzip"),
    (("subject",), [], "subject", "length >= 1"),
    *(
        ((*DETAILS, "builder", "id"), bad, "predicate.runDetails.builder.id", "urn:relsign:builder")
        for bad in ("bob", "urn:relsign:builder:", "urn:relsign:builder:a/b", "x urn:relsign:bob")
    ),
    ((*METADATA, "invocationId"), "1", "predicate.runDetails.metadata", "unknown field"),
    (
        (*METADATA, "startedOn"),
        "2026-11-21T12:00:01Z",
        "predicate.runDetails.metadata",
        "finishedOn is before startedOn",
    ),
    *(
        ((*INPUTS, 0, "name"), bad, f"{IN}.resolvedDependencies[0].name", "file names joined by /")
        for bad in BAD_NAMES
    ),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), ROWS)
def test_wrong_fields_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"provenance: {where}" if where else "provenance"
    assert_refused(parse_provenance, dump(change(WHOLE, path, new)), place, words)


@pytest.mark.parametrize("field", ["startedOn", "finishedOn"])
@pytest.mark.parametrize("time", BAD_TIMES)
def test_a_time_has_one_form(time: object, field: str) -> None:
    data = dump(change(WHOLE, (*METADATA, field), time))
    place = "provenance: predicate.runDetails.metadata"
    if time in {"2026-11-21T13:00:00+01:00", "2026-11-21T12:00:00.5Z"}:
        assert_refused(parse_provenance, data, place, "whole seconds in UTC")
    else:
        assert_refused(parse_provenance, data, f"{place}.{field}", "got ")


MORE: list[tuple[Path, object]] = [
    ((*PARAMETERS, "source_date_epoch"), 0),
    ((*DEFINITION, "internalParameters", "without"), ["uptime"]),
    ((*DEFINITION, "internalParameters", "normalised"), {"gzip": ["gzip-1", "tar-1"]}),
    ((*INPUTS, 0, "uri"), "pkg:deb/debian/a@1:2%2B3?arch=source&file_name=a_1.tar.gz"),
    ((*INPUTS, 1), {"uri": "pkg:golang/a/b@v1#go.mod", "digest": {"sha256": AA}}),
    ((*DETAILS, "builder", "version"), {"relsign": "0.1.0"}),
    ((*DETAILS, "byproducts"), [{"name": "a.cdx.json", "digest": {"sha256": AA}}]),
]


@pytest.mark.parametrize(("path", "new"), MORE)
def test_what_came_later_may_stand_or_be_absent(path: Path, new: object) -> None:
    data = dump(change(WHOLE, path, new))
    assert parse_provenance(data).to_bytes() == data
    assert parse_provenance(dump(WHOLE)).to_bytes() == dump(WHOLE)


def test_two_packages_may_share_a_url() -> None:
    """One version locked as two files; what tells them apart is the digest."""
    twice = [{"uri": "pkg:cargo/a@1", "digest": {"sha256": digest}} for digest in (AA, BB)]
    data = dump(change(WHOLE, INPUTS, twice))
    assert parse_provenance(data).to_bytes() == data
