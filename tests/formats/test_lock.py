"""Builder definitions and locks: every byte of an environment, in one form."""

from __future__ import annotations

import msgspec
import pytest

from relsign.errors import InputError
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
    look,
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
BAD_IMAGES = (
    "",
    "debian",
    "debian:bookworm",
    f"debian:12@sha256:{AA}",
    f"registry.example:5000/debian@sha256:{AA}",
    f"Debian@sha256:{AA}",
    f"/debian@sha256:{AA}",
    f"debian@sha256:{AA}\n",
    f"a/../b@sha256:{AA}",
    f"a//b@sha256:{AA}",
    f"a/b/@sha256:{AA}",
    f"{'a/' * 100}a@sha256:{AA}",
    "debian@sha256:12",
    "debian@sha512:" + "a" * 128,
)
IMAGE_NAME = f"library/small@sha256:{AA}"
LAYER = {"sha256": AA, "size": 1, "diff_sha256": AA}
IMAGE = {
    "name": IMAGE_NAME,
    "manifest_sha256": AA,
    "config_sha256": AA,
    "layers": [LAYER],
}
NPM = {
    "name": "@scope/left-pad",
    "version": "1.3.0",
    "integrity": "sha512-" + "A" * 86 + "==",
    "sha256": AA,
    "size": 1,
    "places": ["node_modules/@scope/left-pad"],
}
MODULE = {
    "path": "example.org/m",
    "version": "v1.2.3",
    "sha256": AA,
    "size": 1,
    "mod_sha256": AA,
    "mod_size": 1,
}
CRATE = {"name": "memchr", "version": "2.7.4", "sha256": AA, "size": 1}
GROWN = {
    **{k: v for k, v in look(WHOLE, ()).items() if k != "suite"},  # type: ignore[attr-defined]
    "packages": [],
    "wheels": [],
    "image": IMAGE,
    "files": [{"name": "package-lock.json", "sha256": AA}],
    "npm": [NPM],
    "go": [MODULE],
    "crates": [CRATE],
}
GROWN_ROWS: list[Row] = [
    (("suite",), "bookworm", "", "either suite and packages or image"),
    (("packages",), [PACKAGE], "", "either suite and packages or image"),
    (("image", "layers"), [], "image.layers", "length >= 1"),
    (("image", "layers"), [LAYER] * 129, "image.layers", "length <= 128"),
    (("image", "layers", 0, "diff_sha256"), REMOVE, "image.layers[0]", "diff_sha256"),
    (("image", "layers", 0, "urls"), ["http://h/"], "image.layers[0]", "unknown field"),
    (("npm", 1), NPM, "", "npm folder named twice: node_modules/@scope/left-pad"),
    (("npm", 0, "places"), ["node_modules/../x"], "npm[0].places[0]", "below node_modules"),
    (("npm", 0, "name"), "../x", "npm[0].name", "a package name of npm"),
    (("npm", 0, "integrity"), "sha1-AAAA", "npm[0].integrity", "sha512-BASE64"),
    (("go", 1), MODULE, "", "module named twice: example.org/m@v1.2.3"),
    (("go", 0, "path"), "example.org/../m", "go[0].path", "a path of a Go module"),
    (("go", 0, "version"), "1.2.3", "go[0].version", "a version of a Go module"),
    (("go", 0, "size"), REMOVE, "go[0]", "sha256 and size of a module belong together"),
    (("crates", 1), CRATE, "", "crate named twice: memchr-2.7.4"),
    (("crates", 0, "name"), "../x", "crates[0].name", "a crate"),
    (("files", 0, "name"), "../x", "files[0].name", "a file name of up to 200"),
    *((("image", "name"), bad, "image.name", "REPOSITORY@sha256") for bad in BAD_IMAGES),
]
LOCK_ROWS: list[Row] = [
    (("format",), "relsign/builder-lock/2", "format", "expected relsign/builder-lock/1"),
    (("format",), REMOVE, "format", "got nothing"),
    (("mirror",), "https://example.org", "", "unknown field (got mirror)"),
    (("architecture",), "all", "architecture", "expected amd64 or arm64, got 'all'"),
    (("packages",), [], "", "either suite and packages or image"),
    (("suite",), REMOVE, "", "either suite and packages or image"),
    (("image",), IMAGE, "", "either suite and packages or image"),
    (("packages",), [PACKAGE] * 5001, "packages", "length <= 5000"),
    (("npm",), [], "npm", "length >= 1"),
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
    (("base",), "alpine", "base", "expected debian or oci, got 'alpine'"),
    (("base",), "oci", "", "base oci needs image"),
    (("image",), IMAGE_NAME, "", "image is for base oci"),
    (("build_dependencies_of",), [{"package": "ed"}], "build_dependencies_of[0]", "version"),
    (
        ("build_dependencies_of",),
        [{"package": "ed", "version": "1;id"}],
        "build_dependencies_of[0].version",
        "a Debian version",
    ),
    *(((kind,), "../x", kind, "a file name of up to 200") for kind in ("npm", "go", "cargo")),
    (("mounts",), ["/:/host"], "", "unknown field (got mounts)"),
    (("privileged",), True, "", "unknown field (got privileged)"),
    (("architecture",), "all", "architecture", "expected amd64 or arm64"),
    (("packages",), [], "", "base debian needs suite and packages"),
    (("packages",), ["make"] * 1001, "packages", "length <= 1000"),
    (("packages",), "make", "packages", "expected a list"),
    (("suite",), REMOVE, "", "base debian needs suite and packages"),
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


@pytest.mark.parametrize(("path", "new", "where", "words"), GROWN_ROWS)
def test_wrong_locks_of_images_and_languages_are_refused(
    path: Path, new: object, where: str, words: str
) -> None:
    place = f"builder.lock: {where}" if where else "builder.lock"
    assert_refused(parse_lock, encode_reviewable(change(GROWN, path, new)), place, words)


def test_a_lock_of_an_image_and_languages_keeps_its_bytes() -> None:
    data = encode_reviewable(GROWN)
    lock = parse_lock(data)
    assert lock.to_bytes() == data
    assert lock.suite is msgspec.UNSET
    go_mod_only = change(change(GROWN, ("go", 0, "size"), REMOVE), ("go", 0, "sha256"), REMOVE)
    assert parse_lock(encode_reviewable(go_mod_only)).go is not msgspec.UNSET


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


OF_IMAGE = f'name = "i"\nbase = "oci"\nimage = "library/debian@sha256:{AA}"\n'


@pytest.mark.parametrize(
    "more",
    [
        'suite = "bookworm"',
        'packages = ["make"]',
        'build_dependencies_of = [{package = "ed", version = "1"}]',
    ],
)
def test_an_image_takes_nothing_of_debians(more: str) -> None:
    with pytest.raises(InputError, match="takes no suite and no packages"):
        parse_builder(f"{OF_IMAGE}{more}\n".encode())


def test_a_definition_of_an_image_names_its_files() -> None:
    more = 'npm = "package-lock.json"\ngo = "go.mod"\ncargo = "Cargo.lock"\n'
    builder = parse_builder(f"{OF_IMAGE}{more}".encode())
    assert builder.image == f"library/debian@sha256:{AA}"
    assert builder.files == ("package-lock.json", "go.mod", "Cargo.lock", "go.sum")
    assert parse_builder(OF_IMAGE.encode()).files == ()


@pytest.mark.parametrize("bad", [name for name in BAD_IMAGES if name.isprintable()])
def test_a_tag_and_a_host_are_refused_with_a_way_out(bad: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_builder(f'name = "i"\nbase = "oci"\nimage = "{bad}"\n'.encode())
    assert caught.value.where == "builder.toml: image"
    assert "--registry" in caught.value.hint
