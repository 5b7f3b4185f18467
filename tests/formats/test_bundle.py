"""Bundles: evidence in one file, trusted by nobody."""

from __future__ import annotations

import pytest

from relsign.errors import InputError
from relsign.formats.bundle import (
    MAX_BUNDLE_BYTES,
    MAX_FILES,
    bundle_file_name,
    make_bundle,
    parse_bundle,
    read_carefully,
)
from tests.formats.bad_names import BAD_NAMES
from tests.formats.samples import (
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
    assert parse_bundle(make_bundle("gzip", "1.12", contents).to_bytes()).files == contents


LARGE = bytes(range(256)) * 3000
CONTENTS: list[dict[str, bytes]] = [
    {},
    {"empty": b""},
    {"a": LARGE, "b.end": LARGE[:-1], "c": LARGE[:-2]},
    {"a.end": b"1", "b.end": b"2"},
]


@pytest.mark.parametrize("contents", CONTENTS)
def test_what_is_left_out_is_read_all_the_same(contents: dict[str, bytes]) -> None:
    bundle = make_bundle("gzip", "1.12", contents)
    data = bundle.to_bytes()
    assert parse_bundle(data) == bundle
    kept = {name: held for name, held in contents.items() if not name.endswith(".end")}
    assert parse_bundle(data, leave_out=".end").files == kept
    for place in range(0, len(data), max(1, len(data) // 40)):
        for other in (data[:place], data[:place] + b" " + data[place:], data + b"\n"):
            with pytest.raises(InputError):
                parse_bundle(other, leave_out=".end")


@pytest.mark.parametrize("text", ["AAA", "AB==", "=", "a-_b"])
def test_base64_that_is_left_out_must_be_canonical(text: str) -> None:
    data = dump(change(WHOLE, ("files", "x.end"), text))
    with pytest.raises(InputError, match=r"bundle: files(\.x\.end|\[x\.end\]): .*base64"):
        parse_bundle(data, leave_out=".end")


@pytest.mark.parametrize("leave_out", [None, ".end", "b"])
def test_the_careful_way_comes_to_the_same(leave_out: str | None) -> None:
    data = make_bundle("gzip", "1.12", {"a": b"1", "b.end": b"2"}).to_bytes()
    careful = read_carefully(data, "bundle", leave_out)
    assert careful == parse_bundle(data, leave_out=leave_out)


def test_its_size_is_bounded() -> None:
    with pytest.raises(InputError, match="too large"):
        parse_bundle(b"{" * (MAX_BUNDLE_BYTES + 1))


def test_the_name_says_the_release() -> None:
    assert bundle_file_name("gzip", "1.12") == "gzip-1.12.relsign"
