"""Builder definitions and locks: every byte of an environment, in one form."""

from __future__ import annotations

import pytest

from relsign.formats.canonical import encode_reviewable
from relsign.formats.lock import parse_builder, parse_lock
from tests.formats.bad_names import BAD_NAMES
from tests.formats.samples import (
    AA,
    BAD_DIGESTS,
    BAD_INTEGERS,
    BUILDER,
    REMOVE,
    Path,
    Row,
    assert_refused,
    change,
    dump,
    dump_toml,
    make_lock,
    plain,
)

WHOLE = plain(make_lock())
PACKAGE = {
    "name": "make",
    "version": "4.3-4.1",
    "architecture": "amd64",
    "sha256": AA,
    "size": 1,
    "path": "pool/main/m/make-dfsg/make_4.3-4.1_amd64.deb",
}
BASE_PATH = "pool/main/b/x/base-files_12.4+deb12u15_amd64.deb"
WHEEL = {
    "name": "x",
    "version": "1",
    "file": "hatchling-1.32.4-py3-none-any.whl",
    "sha256": AA,
    "size": 1,
}
LOCK_ROWS: list[Row] = [
    (("format",), "relsign/builder-lock/2", "format", "expected relsign/builder-lock/1"),
    (("format",), REMOVE, "format", "got nothing"),
    (("mirror",), "https://example.org", "", "unknown field (got mirror)"),
    (("architecture",), "all", "architecture", "expected amd64 or arm64, got 'all'"),
    (("packages",), [], "packages", "length >= 1"),
    (("packages", 1), {**PACKAGE, "name": "base-files"}, "", "package named twice: base-files"),
    (("packages", 1), {**PACKAGE, "path": BASE_PATH}, "", "file named twice: base-files_12.4"),
    (("wheels", 1), WHEEL, "", "wheel named twice: hatchling"),
    (("rootfs", "sha256"), REMOVE, "rootfs", "field missing (expected sha256)"),
    *(
        (("packages", 0, "path"), bad, "packages[0].path", "a path below pool/")
        for bad in (
            "",
            "pool",
            "pool/",
            "pool/x/",
            "dists/x",
            "/pool/a/b",
            "pool/../x/y",
            "a/pool/b",
        )
    ),
    *(
        (("packages", 0, "path"), bad, "packages[0].path", "a path below pool/")
        for bad in (
            "pool/a/..",
            "pool//a",
            "pool/a/-b",
            "pool/a/b c",
            "pool/a/b\n",
            "https://a/pool/b",
        )
    ),
    *(
        (("packages", 0, "version"), bad, "packages[0].version", "a Debian version")
        for bad in ("", "a1", "1 2", "1/2", "1_2", "1\n", "$(id)")
    ),
    *(
        (("packages", 0, "name"), bad, "packages[0].name", "a Debian package name")
        for bad in (*BAD_NAMES, "x", "Make", "a_b")
    ),
    *(
        (("wheels", 0, "file"), bad, "wheels[0].file", "the file name of a wheel")
        for bad in (*BAD_NAMES, "x.tar.gz", "../x.whl", ".whl")
    ),
    *((("wheels", 0, "version"), bad, "wheels[0].version", "up to 64") for bad in ("", "1 2", "/")),
    *((("rootfs", "size"), bad, "rootfs.size", "an integer") for bad in BAD_INTEGERS),
    *((("rootfs", "sha256"), bad, "rootfs.sha256", "64 digits") for bad in BAD_DIGESTS),
]
BUILDER_ROWS: list[Row] = [
    (("base",), "alpine", "base", "expected debian, got 'alpine'"),
    (("mounts",), ["/:/host"], "", "unknown field (got mounts)"),
    (("privileged",), True, "", "unknown field (got privileged)"),
    (("architecture",), "all", "architecture", "expected amd64 or arm64"),
    (("packages",), [], "packages", "length >= 1"),
    (("packages",), ["make"] * 1001, "packages", "length <= 1000"),
    (("packages",), "make", "packages", "expected a list"),
    (("suite",), REMOVE, "", "field missing (expected suite)"),
    (("components",), ["../x"], "components[0]", "up to 64"),
    *(
        (("python", 0), bad, "python[0]", "expected PROJECT==VERSION")
        for bad in (
            "hatchling",
            "hatchling>=1",
            "a==1 b==2",
            "-r x==1",
            "a==1;x",
            "a @ x==1",
            "a==\n",
        )
    ),
    *((("name",), bad, "name", "up to 64") for bad in BAD_NAMES),
    *((("packages", 1), bad, "packages[1]", "a Debian package name") for bad in BAD_NAMES),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), LOCK_ROWS)
def test_wrong_locks_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"builder.lock: {where}" if where else "builder.lock"
    assert_refused(parse_lock, encode_reviewable(change(WHOLE, path, new)), place, words)


@pytest.mark.parametrize(("path", "new", "where", "words"), BUILDER_ROWS)
def test_wrong_definitions_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"builder.toml: {where}" if where else "builder.toml"
    assert_refused(parse_builder, dump_toml(change(BUILDER, path, new)), place, words)


def test_a_lock_in_another_form_is_refused() -> None:
    assert_refused(parse_lock, dump(WHOLE), "builder.lock", "not in the form relsign writes")


def test_a_definition_says_little() -> None:
    builder = parse_builder(b'name = "c"\nsuite = "bookworm"\npackages = ["make"]\n')
    assert (builder.base, builder.architecture, builder.components) == (
        "debian",
        "amd64",
        ("main",),
    )
    assert builder.python == ()
