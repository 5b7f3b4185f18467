"""Bundles: evidence in one file, trusted by nobody."""

from __future__ import annotations

import pytest

from relsign.formats.bundle import MAX_FILES, bundle_file_name, make_bundle, parse_bundle
from tests.formats.samples import (
    BAD_NAMES,
    REMOVE,
    Path,
    Row,
    assert_refused,
    change,
    dump,
    make_bundle_value,
    plain,
    read_bundle,
)

WHOLE = plain(make_bundle_value())
ROWS: list[Row] = [
    (("format",), "relsign/bundle/2", "format", "expected relsign/bundle/1"),
    (("format",), REMOVE, "format", "got nothing"),
    (("project",), "../x", "project", "up to 64"),
    (("version",), "1/2", "version", "up to 64"),
    (("files",), [], "files", "expected a table"),
    (("files",), {f"f{i}": "" for i in range(MAX_FILES + 1)}, "files", "length <= 1000"),
    (("files", "a"), "a-_b", "files.a", "expected base64, got 'a-_b'"),
    (("files", "a"), {"x": 1}, "files.a", "expected text, got a table"),
    (("files", "a"), "a\n", "files.a", "expected base64"),
    (("links",), {}, "", "unknown field (got links)"),
    *((("files", bad), "", "files", "a file name") for bad in BAD_NAMES),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), ROWS)
def test_wrong_fields_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"bundle: {where}" if where else "bundle"
    assert_refused(parse_bundle, dump(change(WHOLE, path, new)), place, words)


@pytest.mark.parametrize(
    ("text", "words"),
    [("AAA", "not base64"), ("AB==", "not canonical base64"), ("=", "not base64")],
)
def test_second_forms_of_base64_are_refused(text: str, words: str) -> None:
    data = dump(change(WHOLE, ("files", "release.layout"), text))
    assert_refused(read_bundle, data, "bundle: files.release.layout", words)


def test_files_come_out_as_they_went_in() -> None:
    contents = {"release.layout": b"\xff\x00", "empty": b""}
    assert parse_bundle(make_bundle("gzip", "1.12", contents).to_bytes()).contents() == contents


def test_the_name_says_the_release() -> None:
    assert bundle_file_name("gzip", "1.12") == "gzip-1.12.relsign"
