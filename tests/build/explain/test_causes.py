"""Every cause is planted and named first; what only looks like it is not called so."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import pytest

from relsign.build.explain.causes import BY_KNOB, CAUSES, Cause, find_causes
from relsign.build.explain.subjects import explain
from tests.build.explain import plants
from tests.build.explain.plants import Plant, from_python, lines, tar_tool

SET = "print({'alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta', 'eta'})"

PLANTED: tuple[tuple[str, Plant], ...] = (
    ("date-time-macros", plants.date_time_macros),
    ("embedded-time", lines("built 2026-11-21 17:23:03", "built 2026-11-22 09:00:41")),
    ("embedded-time", lines("Sat Nov 21 17:23:03 UTC 2026", "Mon Nov 23 06:11:59 UTC 2026")),
    ("embedded-time", lines("const long made = 1700000000;", "const long made = 1700012345;")),
    ("embedded-time", lines("(c) 2025 the authors", "(c) 2026 the authors")),
    (
        "embedded-time",
        lines("Date: Sat, 21 Nov 2026 17:23:03 +0000", "Date: Sun, 22 Nov 2026 08:01:02 +0000"),
    ),
    ("time-zone", lines("made 2026-11-21T17:23:03+00:00", "made 2026-11-22T05:23:03+12:00")),
    ("embedded-time", plants.binary_time),
    ("time-zone", lines("made at 17:23:03", "made at 19:23:03")),
    ("time-zone", plants.zip_zone),
    ("gzip-time", plants.gzip_time),
    ("gzip-name", plants.gzip_name),
    ("gzip-system", plants.gzip_system),
    ("tar-time", plants.tar_time),
    ("zip-time", plants.zip_time),
    ("ar-time", plants.ar_time),
    ("deb-time", plants.deb_time),
    ("pyc-time", plants.pyc_time),
    ("tar-owner-names", tar_tool(("--owner=ann:1", "--owner=bob:1"))),
    ("owner-ids", tar_tool(("--owner=o:1000", "--owner=o:1001"))),
    ("umask-modes", tar_tool(mode=(0o644, 0o664))),
    ("umask-modes", plants.ar_mode),
    ("zip-attributes", plants.zip_attributes),
    ("zip-extra-fields", plants.zip_extra),
    ("compression-level", plants.compression_level),
    ("compression-level", plants.xz_level),
    ("compressor-version", plants.compressor_version),
    ("archiver-version", tar_tool(("--format=ustar", "--format=gnu"))),
    ("jar-manifest", plants.jar_manifest),
    ("jar-manifest", plants.manifest_order),
    ("library-order", plants.library_order),
    ("link-order", plants.link_order),
    ("member-order", plants.member_order),
    ("locale-sorted", plants.locale_sorted),
    ("directory-order", lines("src/c.c\nsrc/a.c\nsrc/b.c", "src/b.c\nsrc/c.c\nsrc/a.c")),
    ("directory-order", lines("OBJS = c.o a.o b.o", "OBJS = b.o c.o a.o")),
    ("parallel-race", lines("  CC c.o\n  CC a.o\n  CC b.o", "  CC b.o\n  CC c.o\n  CC a.o")),
    ("hash-order", from_python(SET, PYTHONHASHSEED=("1", "2"))),
    ("hash-order", from_python(f"for x in {SET[6:-1]}: print(x)", PYTHONHASHSEED=("1", "2"))),
    ("debug-path", plants.debug_path),
    ("debug-path", plants.packed_debug_path),
    ("build-path", plants.file_macro),
    ("build-path", lines("prefix=/build/one/usr", "prefix=/build/second/usr")),
    (
        "go-build-path",
        plants.binary_with(".gopclntab", (b"/home/a/go/src/x/main.go", b"/srv/go/src/x/main.go")),
    ),
    ("go-build-id", plants.go_build_id),
    (
        "rust-path",
        plants.binary_with(
            ".rodata.r",
            (
                b"/home/a/.cargo/registry/src/memchr-2/src/lib.rs",
                b"/root/.cargo/registry/src/memchr-2/src/lib.rs",
            ),
        ),
    ),
    ("code-generation", plants.code_generation),
    (
        "rust-path",
        lines("/home/a/.cargo/registry/src/x-1/lib.rs", "/root/.cargo/registry/src/x-1/lib.rs"),
    ),
    ("temp-names", from_python("import tempfile; print('from', tempfile.mktemp())")),
    ("temp-names", lines("file ccJk3x9A.o", "file ccQq81Zb.o")),
    ("home-folder", lines("cache=/home/ann/.cache/x", "cache=/root/.cache/x")),
    ("git-state", lines("version 1.2-14-g1a2b3c4", "version 1.2-14-g1a2b3c4-dirty")),
    ("git-state", lines("commit 1a2b3c4d5e6f", "commit 9a8b7c6d5e4f")),
    ("kernel-release", lines("Linux 5.10.0-21-amd64 x86_64", "Linux 6.1.0-9-amd64 x86_64")),
    ("container-engine", lines("init: docker-init", "init: podman-init")),
    ("host-name", lines("built by ann@alpha", "built by ann@beta")),
    ("host-name", lines("host: alpha", "host: beta")),
    ("user-name", lines("built by ann@alpha", "built by bob@alpha")),
    (
        "user-name",
        from_python("import getpass; print('user =', getpass.getuser())", LOGNAME=("ann", "bob")),
    ),
    ("environment-variable", lines("export FLAVOUR=mint", "export FLAVOUR=lime")),
    ("locale-format", lines("total 1,234,567.25", "total 1.234.567,25")),
    ("locale-format", lines("made Sat 21 Mar 2026", "made Sa 21. März 2026")),
    ("cpu-count", lines("configured with jobs = 8", "configured with jobs = 16")),
    ("cpu-count", from_python("import os; print('cpus:', os.environ['N'])", N=("2", "64"))),
    ("memory-size", lines("MemTotal:  16384 kB", "MemTotal:  32768 kB")),
    ("march-native", plants.march_native),
    ("pgo-profile", plants.pgo_profile),
    ("pgo-profile", plants.profile_member),
    ("lto-seed", plants.lto_seed),
    ("float-digits", lines("pi = 3.14159265358979", "pi = 3.14159265358981")),
    ("compiler-version", plants.compiler_version),
    ("python-version", plants.python_version),
    ("stripped", plants.stripped),
    ("uuid", from_python("import uuid; print('id', uuid.uuid4())")),
    ("pid", from_python("import os; print('pid', os.getpid())")),
    ("memory-address", from_python("print(repr(object()), 'lives at', hex(id(object())))")),
    ("build-counter", lines("Linux build #12 SMP", "Linux build #13 SMP")),
    ("line-ends", plants.line_ends),
    ("pyc-references", plants.pyc_references),
    ("build-id", plants.build_id),
    ("random-value", from_python("import secrets; print('salt a' + secrets.token_hex(16) + '1')")),
    ("missing-file", plants.missing_file),
    ("other-inputs", plants.other_inputs),
)


def _named(plant: Plant, folder: Path, knobs: frozenset[str] = frozenset()) -> list[str]:
    sides = []
    for side in (0, 1):
        below = folder / ("one", "two")[side]
        below.mkdir(parents=True)
        sides.append(plant(below, side))
    found = explain(sides[0], sides[1])
    assert found.differences
    return [each.cause.name for each in find_causes(found.differences, knobs)]


@pytest.mark.parametrize(
    ("name", "plant"), PLANTED, ids=[f"{n}-{name}" for n, (name, _) in enumerate(PLANTED)]
)
def test_a_planted_cause_is_named_first(name: str, plant: Plant, tmp_path: Path) -> None:
    assert _named(plant, tmp_path)[:1] == [name]


def test_every_cause_is_planted() -> None:
    assert {name for name, _ in PLANTED} == set(CAUSES)


NEAR_MISSES: tuple[tuple[str, str, str, str], ...] = (
    # not this cause, but that one (empty: none at all)
    ("embedded-time", "build-counter", "build number 7", "build number 8"),
    ("embedded-time", "time-zone", "at 12:00:05 UTC", "at 14:00:05 CEST"),
    ("embedded-time", "locale-format", "on 21 March 2026", "on 21 marzo 2026"),
    ("embedded-time", "", "version 1.2.3", "version 1.2.4"),
    ("embedded-time", "", "123 apples", "456 apples"),
    ("embedded-time", "", "size 1048576 bytes", "size 2097152 bytes"),
    ("embedded-time", "", "\0\0\0\0x\0\0\0", "\0\0\0\0y\0\0\0"),
    ("time-zone", "embedded-time", "at 12:00:05", "at 14:31:44"),
    ("time-zone", "embedded-time", "2026-11-21T17:23:03Z", "2026-11-22T09:00:41Z"),
    ("pid", "cpu-count", "threads: 4", "threads: 8"),
    ("pid", "", "width 4711", "width 4712"),
    ("cpu-count", "pid", "pid: 4711", "pid: 4712"),
    ("cpu-count", "", "score 4", "score 8"),
    (
        "uuid",
        "random-value",
        "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
        "1a1b2c3d4e5f60718293a4b5c6d7e8f0",
    ),
    (
        "random-value",
        "uuid",
        "12345678-1234-4abc-8def-1234567890ab",
        "87654321-1234-4abc-8def-1234567890ab",
    ),
    (
        "random-value",
        "git-state",
        "commit 0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
        "commit 1a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    ),
    ("memory-address", "random-value", "0a1b2c3d4e5f6071", "0a1b2c3d4e5f6072"),
    ("build-path", "home-folder", "at /home/ann/x", "at /home/bob/x"),
    ("build-path", "rust-path", "/root/.cargo/registry/src/a.rs", "/src/.cargo/registry/src/a.rs"),
    ("build-path", "kernel-release", "kernel 5.10.0-21-amd64", "kernel 6.1.0-3-amd64"),
    ("home-folder", "build-path", "at /build/ann/x", "at /build/bob/x"),
    ("host-name", "user-name", "user = ann", "user = bob"),
    ("user-name", "host-name", "hostname = ann", "hostname = bob"),
    ("user-name", "", "colour = red", "colour = blue"),
    ("host-name", "", "colour of fox: red", "colour of fox: blue"),
    ("temp-names", "build-path", "/build/tmpl/one", "/build/tmpl/two"),
    ("git-state", "kernel-release", "Linux 5.10.0-21-amd64", "Linux 5.10.0-22-amd64"),
    ("git-state", "", "1.2-rc1", "1.2-rc2"),
    ("container-engine", "", "in docker", "in peace"),
    ("float-digits", "", "ratio 0.25", "ratio 0.75"),
    ("locale-format", "", "total 1,234", "total 5,678"),
    ("locale-sorted", "hash-order", "b\na\nc", "c\nb\na"),
    ("hash-order", "locale-sorted", "Zoo\nalpha\nbeta", "alpha\nbeta\nZoo"),
    ("hash-order", "", "alpha beta", "alpha gamma"),
    (
        "directory-order",
        "parallel-race",
        "  CC b.o\n  CC a.o\n  CC c.o",
        "  CC c.o\n  CC b.o\n  CC a.o",
    ),
    ("parallel-race", "directory-order", "b/x.c\na/x.c\nc/x.c", "c/x.c\nb/x.c\na/x.c"),
    ("compiler-version", "", "gcc is nice", "gcc is nicer"),
    ("march-native", "", "marching on", "marching off"),
    ("environment-variable", "", "lower=mint", "lower=lime"),
    ("memory-size", "", "remember 16", "remember 32"),
)


@pytest.mark.parametrize(
    ("not_this", "but", "one", "two"),
    NEAR_MISSES,
    ids=[f"{n}-{row[0]}" for n, row in enumerate(NEAR_MISSES)],
)
def test_a_near_miss_is_not_called_so(
    not_this: str, but: str, one: str, two: str, tmp_path: Path
) -> None:
    named = _named(lines(one, two), tmp_path)
    assert not_this not in named
    assert named == ([but] if but else [])


KNOBS: tuple[tuple[str, str, str, str], ...] = (
    ("time", "embedded-time", "number 5", "number 6"),
    ("time", "embedded-time", "made at 17:23:03", "made at 19:23:03"),
    ("time-zone", "time-zone", "made 2022-12-26 19:35", "made 2022-12-27 09:20"),
    ("time-zone", "time-zone", "made 2022-12-26", "made 2022-12-27"),
    ("host-name", "host-name", "colour red", "colour blue"),
    ("user", "user-name", "colour red", "colour blue"),
    ("user", "home-folder", "at /home/ann/x", "at /home/bob/x"),
    ("folder", "build-path", "colour red", "colour blue"),
    ("locale", "locale-format", "Fehler", "error"),
    ("locale", "locale-sorted", "src/c.c\nsrc/a.c\nsrc/b.c", "src/b.c\nsrc/c.c\nsrc/a.c"),
    ("cpu-count", "cpu-count", "a 8 b", "a 4 b"),
    ("cpu-count", "parallel-race", "c.o\na.o\nb.o", "b.o\nc.o\na.o"),
    ("hash-seeds", "hash-order", "c.o\na.o\nb.o", "b.o\nc.o\na.o"),
    ("file-order", "directory-order", "gamma\nalpha\nbeta", "beta\ngamma\nalpha"),
    ("environment", "environment-variable", "colour red", "colour blue"),
    ("umask", "umask-modes", "colour red", "colour blue"),
    ("engine", "container-engine", "colour red", "colour blue"),
    ("engine", "kernel-release", "Linux 5.10.0-21-amd64", "Linux 6.1.0-3-amd64"),
)


@pytest.mark.parametrize(("knob", "cause", "one", "two"), KNOBS)
def test_a_guilty_knob_decides(knob: str, cause: str, one: str, two: str, tmp_path: Path) -> None:
    assert _named(lines(one, two), tmp_path, frozenset({knob}))[:1] == [cause]


def test_time_and_zone_together_are_told_apart_by_the_words(tmp_path: Path) -> None:
    both = frozenset({"time", "time-zone"})
    plain = lines("made 2022-12-26 19:35", "made 2022-12-26 21:41")
    assert _named(plain, tmp_path / "a", both) == ["embedded-time"]
    zone = lines("made at 17:23:03", "made at 19:23:03")
    assert _named(zone, tmp_path / "b", both) == ["time-zone"]


Owner = dict[str, str | int]

OWNERS: tuple[tuple[str, Owner, Owner, tuple[str, ...]], ...] = (
    # what differs, the owner on each side, and all causes in their order
    ("numbers", {"uid": 1000, "gid": 1000}, {"uid": 4321, "gid": 8765}, ("owner-ids",)),
    ("numbers of one name", {"uid": 1, "uname": "a"}, {"uid": 2, "uname": "a"}, ("owner-ids",)),
    (
        "a number without a name",
        {"uid": 1, "uname": "ann"},
        {"uid": 2, "uname": ""},
        ("owner-ids",),
    ),
    ("a number too long for its field", {"uid": 1}, {"uid": 99_999_999}, ("owner-ids",)),
    ("names", {"gname": "ann"}, {"gname": "bob"}, ("tar-owner-names",)),
    ("a name or none", {"uname": "ann"}, {"uname": ""}, ("tar-owner-names",)),
    (
        "both",
        {"uid": 1, "uname": "ann"},
        {"uid": 2, "uname": "bob"},
        ("tar-owner-names", "owner-ids"),
    ),
)


@pytest.mark.parametrize(
    ("one", "two", "causes"), [row[1:] for row in OWNERS], ids=[row[0] for row in OWNERS]
)
@pytest.mark.parametrize("knobs", [frozenset[str](), frozenset({"user"})], ids=["none", "user"])
def test_owners_numbers_and_names_are_told_apart(
    one: Owner, two: Owner, causes: tuple[str, ...], knobs: frozenset[str], tmp_path: Path
) -> None:
    def plant(folder: Path, side: int) -> Path:
        def change(info: tarfile.TarInfo) -> None:
            for field, value in (one, two)[side].items():
                setattr(info, field, value)

        return plants.tar_of(folder, change, tarfile.PAX_FORMAT)

    assert _named(plant, tmp_path, knobs) == list(causes)


def test_several_causes_are_all_found(tmp_path: Path) -> None:
    plant = lines("by ann@alpha in /build/a at 2026-11-21", "by bob@beta in /build/b at 2026-11-29")
    assert set(_named(plant, tmp_path)) == {
        "user-name", "host-name", "build-path", "embedded-time"
    }  # fmt: skip


def test_code_that_moves_with_a_longer_text_is_no_cause(tmp_path: Path) -> None:
    assert _named(plants.file_macro, tmp_path) == ["build-path"]
    assert "code-generation" not in _named(plants.link_order, tmp_path / "more")


def test_a_build_id_that_follows_from_another_cause_is_not_named(tmp_path: Path) -> None:
    assert _named(plants.compiler_version, tmp_path) == ["compiler-version"]


def test_a_digest_that_follows_from_another_member_is_not_named(tmp_path: Path) -> None:
    plant = lines(f"x.py,sha256={'ab' * 32},120", f"x.py,sha256={'cd' * 32},121", "RECORD")
    assert _named(plant, tmp_path) == []


@pytest.mark.parametrize("cause", CAUSES.values(), ids=list(CAUSES))
def test_a_cause_says_what_to_do(cause: Cause) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9-]{0,63}", cause.name)
    assert cause.sentence.endswith((".", ")."))
    assert cause.fix
    assert not cause.fix.endswith(".")
    assert cause.knobs <= set(BY_KNOB)
