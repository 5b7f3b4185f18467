"""What an input bundle says it holds: nothing unnamed, nothing unused, nothing outside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.errors import InputError
from relsign.formats.fingerprint import ProfileDigest
from relsign.formats.inputs import BundledFile, Content, Inputs, ProjectFile, parse_inputs
from tests.formats.bad_names import BAD_NAMES
from tests.formats.samples import (
    AA,
    BAD_DIGESTS,
    BB,
    CC,
    REMOVE,
    Path,
    Row,
    assert_refused,
    change,
    dump,
    plain,
)

INPUTS = Inputs(
    project="gzip",
    version="1.12",
    profile=ProfileDigest(name="hardened-2", sha256=AA),
    project_files=(
        ProjectFile(path="builders/c/builder.toml", sha256=AA),
        ProjectFile(path="relsign.toml", sha256=BB),
    ),
    contents=(
        Content(kind="package", of="c", name="pool/main/m/make/make_4.3_amd64.deb", sha256=CC),
        Content(kind="source", of="gzip", name="gzip_1.12.orig.tar.gz", sha256=CC),
    ),
    files=(
        BundledFile(sha256=AA, size=0),
        BundledFile(sha256=BB, size=2),
        BundledFile(sha256=CC, size=(8 << 30) - 1),
    ),
)
WHOLE = plain(INPUTS)
FILE = {"path": "builders/c", "sha256": AA}
ROWS: list[Row] = [
    (("profile",), REMOVE, "", "profile"),
    (("profile", "name"), "../evil", "profile.name", "a-z"),
    (("profile", "sha256"), "x", "profile.sha256", "64"),
    (("format",), "relsign/inputs/2", "format", "expected relsign/inputs/1"),
    (("mirror",), "https://example.org", "", "unknown field (got mirror)"),
    (("files",), [], "files", "length >= 1"),
    (("files", 2), REMOVE, "", f"used and bundled files differ: {CC}"),
    (("files", 3), {"sha256": "dd" * 32, "size": 1}, "", "used and bundled files differ: dddd"),
    (("files", 2), {"sha256": BB, "size": 1}, "", "file named twice"),
    (("files", 0), {"sha256": "dd" * 32, "size": 1}, "", "files are not sorted"),
    (("files", 2, "size"), 8 << 30, "files[2].size", "<= 8589934591"),
    (("files", 2, "size"), -1, "files[2].size", "integer"),
    (("project_files",), [], "project_files", "length >= 1"),
    (("project_files", 0, "path"), "relsign.toml", "", "project file named twice: relsign.toml"),
    (("project_files", 0, "path"), "z", "", "project files are not sorted"),
    (("project_files", 1, "path"), "relsign.tomm", "", "no relsign.toml among"),
    (("project_files",), [FILE, *plain(INPUTS.project_files)], "", "a folder and a file"),  # type: ignore[misc]
    (("contents", 1, "name"), "", "contents[1].name", "up to 400"),
    (("contents", 1, "name"), "a\nb", "contents[1].name", "up to 400"),
    (("contents", 1, "kind"), "key", "contents[1].kind", "expected image"),
    (("contents", 1, "kind"), "image", "", "contents are not sorted"),
    *(
        (("project_files", 0, "path"), bad, "project_files[0].path", "file names joined by /")
        for bad in ("../x", "/etc/passwd", "a/../b", "a//b", ".hidden", "a/.git/hooks/x", "", "a\n")
    ),
    *((("contents", 0, "of"), bad, "contents[0].of", "up to 64") for bad in BAD_NAMES),
    *((("files", 0, "sha256"), bad, "files[0].sha256", "64 digits") for bad in BAD_DIGESTS),
]


def test_a_document_keeps_its_bytes() -> None:
    data = INPUTS.to_bytes()
    assert parse_inputs(data) == INPUTS
    assert parse_inputs(data).to_bytes() == data
    assert INPUTS.size_bytes == 2 + (8 << 30) - 1


@pytest.mark.parametrize(("path", "new", "where", "words"), ROWS)
def test_wrong_documents_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"inputs.json: {where}" if where else "inputs.json"
    assert_refused(parse_inputs, dump(change(WHOLE, path, new)), place, words)


def test_another_form_of_the_same_document_is_refused() -> None:
    with pytest.raises(InputError, match="not in canonical form"):
        parse_inputs(INPUTS.to_bytes().replace(b",", b", ", 1))


@given(st.binary(max_size=200))
def test_any_bytes_raise_our_error_only(data: bytes) -> None:
    with pytest.raises(InputError):
        parse_inputs(data)
