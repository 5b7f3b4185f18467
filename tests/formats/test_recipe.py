"""Recipes: what to build, in words that cannot ask for the host."""

from __future__ import annotations

import pytest

from relsign.formats.recipe import parse_recipe
from tests.formats.bad_names import BAD_NAMES
from tests.formats.samples import (
    AA,
    BAD_DIGESTS,
    BB,
    RECIPE,
    REMOVE,
    SIGNATURE,
    SOURCE,
    TARGET,
    Path,
    Row,
    assert_refused,
    change,
    dump_toml,
)

COMMIT = "ab" * 20
SDIST: dict[str, object] = {
    "kind": "pypi-sdist",
    "name": "s",
    "package": "s",
    "version": "1",
    "file": "s.tar.gz",
    "sha256": AA,
}
ARCHIVE: dict[str, object] = {
    "kind": "archive",
    "name": "a",
    "url": "https://example.org/a.tar.gz",
    "file": "a.tar.gz",
    "sha256": AA,
}
TAG = {"tag": "v1", "key": "keys/a.asc", "fingerprint": SIGNATURE["fingerprint"]}
GIT: dict[str, object] = {
    "kind": "git",
    "name": "g",
    "url": "file:///srv/g",
    "commit": COMMIT,
    "sha256": AA,
    "tag": TAG,
}
S0, T0 = ("source", 0), ("target", 0)
PINNED = "a whole commit id"
HOST_WORDS = ("mounts", "volumes", "devices", "privileged", "network", "user", "image", "socket")
ROWS: list[Row] = [
    *(((*T0, word), "/", "target[0]", f"unknown field (got {word})") for word in HOST_WORDS),
    (("project",), REMOVE, "", "field missing (expected project)"),
    (("project", "name"), "../gzip", "project.name", "up to 64"),
    *((("project", "version"), bad, "project.version", "up to 64") for bad in BAD_NAMES),
    (("source",), [], "source", "length >= 1"),
    (("source",), [SOURCE] * 101, "source", "length <= 100"),
    (("source", 1), {**SDIST, "name": "gzip"}, "", "source named twice: gzip"),
    (("source", 1), {**SDIST, "file": SOURCE["file"]}, "", "source file named twice: gzip_1.12"),
    ((*S0, "kind"), "oci", "source[0].kind", "got 'oci'"),
    ((*S0, "kind"), REMOVE, "source[0]", "field missing (expected kind)"),
    ((*S0, "url"), "https://x/", "source[0]", "unknown field (got url)"),
    ((*S0, "strip"), 9, "source[0].strip", "<= 8, got 9"),
    ((*S0, "strip"), True, "source[0].strip", "expected an integer, got true"),
    ((*S0, "unpack"), 1, "source[0].unpack", "expected true or false, got 1"),
    ((*S0, "component"), "x", "source[0].component", "main"),
    ((*S0, "package"), "Gzip", "source[0].package", "a Debian package name"),
    ((*S0, "signature", "key"), "../k.asc", "source[0].signature.key", "file names joined"),
    ((*S0, "signature", "fingerprint"), "ab" * 20, "source[0].signature.fingerprint", "40 digits"),
    ((*S0, "signature", "fingerprint"), "BEEF", "source[0].signature.fingerprint", "40 digits"),
    *(((*S0, "sha256"), bad, "source[0].sha256", "64 digits") for bad in BAD_DIGESTS),
    *(((*S0, "file"), bad, "source[0].file", "a file name") for bad in BAD_NAMES),
    *(
        (S0, {**ARCHIVE, "url": url}, "source[0].url", "an http or https address")
        for url in ("", "ftp://x/", "file:///etc/passwd", "https://", "https://a b", "https://a\n")
    ),
    *(
        (S0, {**GIT, "url": url}, "source[0].url", "ssh, git or file address")
        for url in ("", "ext::sh -c id", "--upload-pack=id", "https://a b", "/srv/g", "git@host:g")
    ),
    *(
        (S0, {**GIT, "commit": commit}, "source[0].commit", PINNED)
        for commit in ("", "main", "v1.12", "HEAD", COMMIT[:-1], COMMIT.upper(), COMMIT + "\n")
    ),
    (S0, {**GIT, "tag": {**TAG, "tag": "-d"}}, "source[0].tag.tag", "up to 64"),
    (("target",), [], "target", "length >= 1"),
    (
        ("target", 1),
        {**TARGET, "artifact": [], "pack": [{"directory": "d", "name": "x"}]},
        "",
        "target named twice",
    ),
    (("target", 1), {**TARGET, "name": "b"}, "", "artifact named twice: gzip"),
    ((*T0, "artifact", 1), {"path": "other/gzip"}, "target[0]", "artifact named twice: gzip"),
    ((*T0, "artifact", 1), {"path": "SHA256SUMS"}, "target[0]", "reserved for relsign"),
    ((*T0, "pack", 0, "name"), "a.relsign", "target[0]", "reserved for relsign: a.relsign"),
    (
        (*T0, "artifact", 1),
        {"path": "linux-amd64.cdx.json"},
        "",
        "reserved for relsign: linux-amd64.cdx.json",
    ),
    ((*T0, "pack", 0, "name"), "gzip", "target[0]", "artifact named twice: gzip"),
    ((*T0, "commands"), [], "target[0].commands", "length >= 1"),
    ((*T0, "commands"), [""], "target[0].commands[0]", "text of length >= 1"),
    ((*T0, "commands"), ["x" * 10_001], "target[0].commands[0]", "length <= 10000"),
    ((*T0, "commands"), ["x"] * 201, "target[0].commands", "length <= 200"),
    ((*T0, "source_date_epoch"), REMOVE, "target[0]", "field missing (expected source_date_epoch)"),
    ((*T0, "source_date_epoch"), "now", "target[0].source_date_epoch", "expected unset, got 'now'"),
    ((*T0, "source_date_epoch"), -1, "target[0].source_date_epoch", ">= 0, got -1"),
    ((*T0, "source_date_epoch"), 1.0, "target[0].source_date_epoch", "an integer or text, got 1.0"),
    ((*T0, "directory"), "../..", "target[0].directory", "file names joined"),
    ((*T0, "environment", "cc"), "gcc", "target[0].environment", "A-Z 0-9 _"),
    ((*T0, "environment", "A=B"), "gcc", "target[0].environment", "got 'A=B'"),
    ((*T0, "environment", "CC"), "a\nb", "target[0].environment.CC", "one line"),
    ((*T0, "environment", "CC"), 1, "target[0].environment.CC", "expected text, got 1"),
    *(
        ((*T0, "artifact", 0, "path"), bad, "target[0].artifact[0].path", "file names")
        for bad in BAD_NAMES
    ),
    *(
        ((*T0, "pack", 0, "name"), bad, "target[0].pack[0].name", "a file name")
        for bad in BAD_NAMES
    ),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), ROWS)
def test_wrong_fields_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"relsign.toml: {where}" if where else "relsign.toml"
    assert_refused(parse_recipe, dump_toml(change(RECIPE, path, new)), place, words)


def test_a_target_without_artifacts_is_refused() -> None:
    target = {**TARGET, "artifact": [], "pack": []}
    data = dump_toml(change(RECIPE, ("target",), [target]))
    assert_refused(parse_recipe, data, "relsign.toml: target[0]", "target names no artifact")


# --- normalisers, time limits, checks ----------------------------------------------------------

CHECK: dict[str, object] = {
    "name": "smoke",
    "builder": "debian-test",
    "commands": ["tar xf gzip-1.12.tar.gz", "./gzip --version"],
    "artifacts": ["gzip-1.12.tar.gz"],
    "environment": {"LC_ALL": "C"},
    "time_limit_minutes": 5,
}
CHECKED = change(RECIPE, ("check",), [CHECK])
C0 = ("check", 0)
CHECK_ROWS: list[Row] = [
    ((*T0, "time_limit_minutes"), 0, "target[0].time_limit_minutes", ">= 1, got 0"),
    ((*T0, "time_limit_minutes"), 10_081, "target[0].time_limit_minutes", "<= 10080, got 10081"),
    ((*T0, "time_limit_minutes"), 1.5, "target[0].time_limit_minutes", "an integer"),
    ((*T0, "time_limit_minutes"), True, "target[0].time_limit_minutes", "an integer"),
    ((*T0, "artifact", 0, "normalise"), "tar-1", "target[0].artifact[0].normalise", "a list"),
    (
        (*T0, "artifact", 0, "normalise"),
        ["tar"],
        "target[0].artifact[0].normalise[0]",
        "got 'tar'",
    ),
    (
        (*T0, "artifact", 0, "normalise"),
        ["tar-1"] * 5,
        "target[0].artifact[0].normalise",
        "length <= 4",
    ),
    *(((*C0, word), "/", "check[0]", f"unknown field (got {word})") for word in HOST_WORDS),
    *(
        ((*C0, field), REMOVE, "check[0]", f"field missing (expected {field})")
        for field in ("name", "builder", "commands")
    ),
    *(((*C0, "name"), bad, "check[0].name", "a letter or digit") for bad in BAD_NAMES),
    *(((*C0, "builder"), bad, "check[0].builder", "a letter or digit") for bad in BAD_NAMES),
    *(((*C0, "artifacts", 0), bad, "check[0].artifacts[0]", "a file name") for bad in BAD_NAMES),
    ((*C0, "commands"), [], "check[0].commands", "length >= 1"),
    ((*C0, "commands"), [""], "check[0].commands[0]", "length >= 1"),
    ((*C0, "commands"), ["x"] * 201, "check[0].commands", "length <= 200"),
    ((*C0, "environment", "cc"), "gcc", "check[0].environment", "A-Z 0-9 _"),
    ((*C0, "time_limit_minutes"), 0, "check[0].time_limit_minutes", ">= 1, got 0"),
    ((*C0, "time_limit_minutes"), 1441, "check[0].time_limit_minutes", "<= 1440, got 1441"),
    ((*C0, "artifacts"), ["gzip.1"], "", "check smoke looks at no artifact: gzip.1"),
    ((*C0, "artifacts"), ["src"], "", "check smoke looks at no artifact: src"),
    (("check", 1), CHECK, "", "check named twice: smoke"),
    (("check",), [{**CHECK, "name": f"c{n}"} for n in range(101)], "check", "length <= 100"),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), CHECK_ROWS)
def test_wrong_checks_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"relsign.toml: {where}" if where else "relsign.toml"
    assert_refused(parse_recipe, dump_toml(change(CHECKED, path, new)), place, words)


def test_a_recipe_says_what_is_checked_and_where() -> None:
    recipe = parse_recipe(dump_toml(CHECKED))
    (check,) = recipe.check
    assert (check.artifacts, check.time_limit_minutes) == (("gzip-1.12.tar.gz",), 5)
    assert recipe.builders == ("debian-c", "debian-test")
    bare = {"name": "b", "builder": "debian-c", "commands": ["true"]}
    plain_check = parse_recipe(dump_toml(change(RECIPE, ("check",), [bare]))).check[0]
    assert (plain_check.artifacts, plain_check.environment) == ((), {})
    assert plain_check.time_limit_minutes == 60


def test_a_recipe_without_checks_says_so() -> None:
    recipe = parse_recipe(dump_toml(RECIPE))
    assert recipe.check == ()
    assert recipe.builders == ("debian-c",)
    target = recipe.target[0]
    assert (target.time_limit_minutes, target.artifact[0].normalise) == (720, ())


def test_normalisers_run_in_the_order_they_stand_in() -> None:
    names = ["tar-1", "gzip-1"]
    table = change(RECIPE, (*T0, "artifact", 0, "normalise"), names)
    assert parse_recipe(dump_toml(table)).target[0].artifact[0].normalise == tuple(names)


# --- what a recipe says ------------------------------------------------------------------------


def test_every_kind_of_source_is_read() -> None:
    recipe = parse_recipe(dump_toml({**RECIPE, "source": [SOURCE, SDIST, ARCHIVE, GIT]}))
    files = [source.file for source in recipe.source]
    assert files == [SOURCE["file"], "s.tar.gz", "a.tar.gz", "g-abababababab.tar"]
    assert [source.strip for source in recipe.source] == [1, 1, 1, 0]


def test_a_recipe_says_what_it_publishes() -> None:
    recipe = parse_recipe(dump_toml(RECIPE))
    assert recipe.artifact_names == ("gzip", "gzip-1.12.tar.gz")
    assert recipe.target[0].artifact[0].expect_sha256 == BB
    unset = change(RECIPE, ("target", 0, "source_date_epoch"), "unset")
    assert parse_recipe(dump_toml(unset)).target[0].source_date_epoch == "unset"
