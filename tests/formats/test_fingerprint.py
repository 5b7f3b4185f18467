"""Fingerprints: one outcome, one byte string, one id."""

from __future__ import annotations

import pytest

from relsign.formats.fingerprint import parse_fingerprint
from tests.formats.bad_names import BAD_NAMES
from tests.formats.samples import (
    AA,
    BAD_DIGESTS,
    BAD_INTEGERS,
    BB,
    CC,
    REMOVE,
    Path,
    Row,
    assert_refused,
    change,
    dump,
    make_fingerprint,
    plain,
)

WHOLE = plain(make_fingerprint())
SOURCE = {"name": "gzip", "sha256": AA}
FIRST = {"name": "gzip", "sha256": CC, "size": 1, "mode": "0644"}
ROWS: list[Row] = [
    (("format",), "relsign/fingerprint/2", "format", "expected relsign/fingerprint/1"),
    (("format",), REMOVE, "format", "got nothing"),
    (("project",), REMOVE, "", "field missing (expected project)"),
    (("project",), None, "project", "wrong type (expected text, got null)"),
    (("artifacts", 0, "owner"), "root", "artifacts[0]", "unknown field (got owner)"),
    (("artifacts", 0, "mode"), "4755", "artifacts[0].mode", "expected 0644 or 0755, got '4755'"),
    (("artifacts", 0, "mode"), 755, "artifacts[0].mode", "wrong type"),
    (("artifacts",), [], "artifacts", "length >= 1"),
    (("sources",), [], "sources", "length >= 1"),
    (("artifacts",), {}, "artifacts", "expected a list, got a table"),
    (("artifacts", 2), FIRST, "", "artifact named twice: gzip"),
    (("artifacts", 2), {**FIRST, "name": "a"}, "", "artifact list is not sorted by name"),
    (("sources", 1), SOURCE, "", "source named twice: gzip"),
    (("sources", 1), {**SOURCE, "name": "a"}, "", "source list is not sorted by name"),
    (("source_date_epoch",), "unset", "source_date_epoch", "an integer or null, got 'unset'"),
    (("source_date_epoch",), -1, "source_date_epoch", ">= 0, got -1"),
    *((("artifacts", 1, "name"), bad, "artifacts[1].name", "a file name") for bad in BAD_NAMES),
    *((("project",), bad, "project", "the first a letter or digit") for bad in BAD_NAMES),
    *((("recipe_sha256",), bad, "recipe_sha256", "64 digits of 0-9 a-f") for bad in BAD_DIGESTS),
    *((("artifacts", 0, "size"), bad, "artifacts[0].size", "an integer") for bad in BAD_INTEGERS),
    (("profile", "without"), [], "profile.without", "length >= 1"),
    (("profile", "without"), None, "profile.without", "expected a list"),
    (("profile", "without"), "clock", "profile.without", "expected a list"),
    (("profile", "without"), ["host name", "clock"], "", "knobs are not sorted"),
    (("profile", "without"), ["clock", "clock"], "", "knob named twice: clock"),
    *(
        (("profile", "without"), [bad], "profile.without[0]", "up to 64 of a-z 0-9 and space")
        for bad in ("", " clock", "Clock", "a-b", "clock\n", "\u0441lock", "x" * 65, "a\x1b")
    ),
    (("artifacts", 0, "normalised"), [], "artifacts[0].normalised", "length >= 1"),
    (("artifacts", 0, "normalised"), None, "artifacts[0].normalised", "expected a list"),
    (("artifacts", 0, "normalised"), ["gzip-2"], "artifacts[0].normalised[0]", "got 'gzip-2'"),
    (("artifacts", 0, "normalised"), ["tar-1"] * 5, "artifacts[0].normalised", "length <= 4"),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), ROWS)
def test_wrong_fields_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"fingerprint.json: {where}" if where else "fingerprint.json"
    assert_refused(parse_fingerprint, dump(change(WHOLE, path, new)), place, words)


def test_a_build_without_an_epoch_says_so() -> None:
    data = dump(change(WHOLE, ("source_date_epoch",), None))
    assert parse_fingerprint(data).source_date_epoch is None


def test_what_the_engine_could_not_set_is_said() -> None:
    knobs = ["address randomisation", "cpu count"]
    fingerprint = parse_fingerprint(dump(change(WHOLE, ("profile", "without"), knobs)))
    assert fingerprint.profile.without == tuple(knobs)
    assert parse_fingerprint(fingerprint.to_bytes()) == fingerprint


def test_normalisers_keep_the_order_they_ran_in() -> None:
    names = ["tar-1", "gzip-1"]
    fingerprint = parse_fingerprint(dump(change(WHOLE, ("artifacts", 0, "normalised"), names)))
    assert fingerprint.artifacts[0].normalised == tuple(names)
    assert parse_fingerprint(fingerprint.to_bytes()) == fingerprint


def test_what_is_not_said_is_not_written() -> None:
    # So that the ids of earlier builds stay what they were.
    data = make_fingerprint().to_bytes()
    assert b"without" not in data
    assert b"normalised" not in data


def test_links_name_every_input_and_output() -> None:
    fingerprint = make_fingerprint()
    assert fingerprint.materials() == {
        "relsign.toml": AA,
        "profiles/hardened-1.json": CC,
        "builders/debian-c/builder.lock": AA,
        "builders/debian-c/rootfs.tar": BB,
        "sources/gzip": BB,
    }
    assert fingerprint.products() == {"gzip": AA, "gzip.1": BB}
    assert fingerprint.file == "linux-amd64.fingerprint.json"
