"""Causes that the changed words of a text tell: a date, a path, a number in its context."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from relsign.build.explain.difference import Difference
from relsign.build.explain.times import by_time
from relsign.build.explain.tokens import Change, changes

SECTION = re.compile(r"section (\S+)")
MANIFEST_KEY = re.compile(
    r"(?:Created-By|Build-Jdk(?:-Spec)?|Built-By|Bnd-LastModified|Tool|Archiver-Version"
    r"|Originally-Created-By|Ant-Version)"
)
DIGEST_LIST = re.compile(r"(?:RECORD|SUMS|md5sums|\.SF|MANIFEST\.MF|\.sha\d+|Packages)(?: > |$)")
COMPILER = re.compile(r"GCC: \(|clang version|rustc version|LLD \d|GNU (?:C|AS|GIMPLE)\d*\+* \d")
NATIVE = re.compile(r"-march=|-mtune=|-mcpu=|-mavx|-msse|target-cpu|x86-64-v\d")
PROFILE = re.compile(r"\.cold\b|\.gcda|__gcov|__llvm_prf|-fprofile")
LTO = re.compile(r"\.lto_priv|\.gnu\.lto_|_GLOBAL__(?:sub_)?[IFDN]_|_GLOBAL__N__")
GO = re.compile(r"/go/(?:src|pkg)/|/pkg/mod/|go1\.\d|\.go(?::\d+)?\b|go\.buildid|Go build ID")
GO_ID = re.compile(r"Go build ID|go\.buildid")
RUST = re.compile(r"/rustc/|\.cargo/|/cargo/registry|registry/src|\.rs\b|17h[0-9a-f]{16}E")
DESCRIBE = re.compile(r"\b[vV]?\d[\w.]*-\d+-g[0-9a-f]{7,}|-dirty\b")
GIT = re.compile(r"(?i)(?:commit|git|revision|\brev|describe)\W*\w{0,8}\W*$|-g$")
TEMPORARY = re.compile(
    r"\btmp[a-z0-9_]{8}\b|\btmp[._-]?(?=\w*[0-9A-Z_])[A-Za-z0-9_]{6,}|\bcc[A-Za-z0-9]{6}\.[a-z]+\b"
    r"|/tm[p]/[\w-]+[._-](?=\w*[0-9A-Z])(?=\w*[a-z])\w{6,}"
)
RELEASE = re.compile(r"\b\d+\.\d+\.\d+[-+]\w[\w.+-]*")
KERNEL = re.compile(r"(?i)(?:linux|uname|kernel)[\w \"'=:(.-]*$")
ENGINE = re.compile(r"(?i)docker|podman|catatonit|conmon|\bcrun\b|\brunc\b")
HOME = re.compile(r"^(?:/home/[\w.-]+|/root|/Users/[\w.-]+|/nonexistent)(?:/|$)")
AFTER_USER = re.compile(
    r"(?i)(?:\buser(?:[ _-]?name)?|\bby|logname|packager|builder|owner|whoami)\W{1,4}$"
)
AFTER_HOST = re.compile(
    r"(?i)(?:\bhost(?:[ _-]?name)?|\bmachine|\bnode(?:name)?|\bserver|\bon|\bLinux)\W{1,4}$"
)
AFTER_VARIABLE = re.compile(r"(?:^|[\s\"';])(?:export )?[A-Z][A-Z0-9_]{2,}=[\"']?$")
NAME = re.compile(r"[A-Za-z_][\w.-]*")
Recogniser = Callable[[Change, Difference], str]


def by_words(difference: Difference) -> Iterator[tuple[Change, str]]:
    """Yield each change of an excerpt and the name of its cause, empty if it tells none."""
    for change in changes(difference.one, difference.two):
        found = (recogniser(change, difference) for recogniser in RECOGNISERS)
        yield change, next((name for name in found if name), "")


def is_digest(change: Change, difference: Difference) -> bool:
    """Say whether a change is the digest or size of something else that changed."""
    return bool(DIGEST_LIST.search(difference.place)) and "path" not in change.shapes


def _section(difference: Difference) -> str:
    found = SECTION.findall(difference.place)
    return found[-1] if found else ""


def _both(pattern: re.Pattern[str], one: str, two: str) -> bool:
    return bool(pattern.search(one) and pattern.search(two))


def _by_tool(change: Change, difference: Difference) -> str:
    """Recognise what compilers and archivers write about themselves."""
    del change
    one, two = difference.one, difference.two
    if "MANIFEST.MF" in difference.place and MANIFEST_KEY.match(one):
        return "jar-manifest"
    if _section(difference) == ".comment" or _both(COMPILER, one, two):
        return "march-native" if _both(NATIVE, one, two) else "compiler-version"
    rows = ((NATIVE, "march-native"), (PROFILE, "pgo-profile"), (LTO, "lto-seed"))
    return next((name for pattern, name in rows if _both(pattern, one, two)), "")


def _by_language(change: Change, difference: Difference) -> str:
    """Recognise paths and identifiers of Go and Rust programs."""
    one, two = difference.one, difference.two
    if GO_ID.search(one) or _section(difference) == ".note.go.buildid":
        return "go-build-id"
    if "path" not in change.shapes and not RUST.search(one):
        return ""
    if RUST.search(one) and RUST.search(two):
        return "rust-path"
    return "go-build-path" if _both(GO, one, two) else ""


def _by_shape(change: Change, difference: Difference) -> str:
    del difference
    if change.shapes == ("uuid", "uuid"):
        return "uuid"
    if change.shapes == ("address", "address"):
        return "memory-address"
    names = [TEMPORARY.findall(_near(change, side)) for side in (change.one, change.two)]
    return "temp-names" if all(names) and names[0] != names[1] else ""


def _near(change: Change, side: str) -> str:
    return change.before[-24:] + side + change.after[:8]


def _by_git(change: Change, difference: Difference) -> str:
    del difference
    text = _near(change, change.one), _near(change, change.two)
    if DESCRIBE.search(text[0]) or DESCRIBE.search(text[1]):
        return "git-state"
    hexadecimal = {"hex", "number", "word"} >= set(change.shapes)
    long = min(len(change.one), len(change.two)) >= 7  # noqa: PLR2004 - git's shortest
    return "git-state" if hexadecimal and long and GIT.search(change.before[-24:]) else ""


def _by_path(change: Change, difference: Difference) -> str:
    if change.shapes != ("path", "path"):
        return ""
    if _section(difference).startswith((".debug_", ".zdebug_", ".stab")):
        return "debug-path"
    if _both(HOME, change.one, change.two):
        return "home-folder"
    return "build-path"


def _by_system(change: Change, difference: Difference) -> str:
    """Recognise the kernel, the host and the user, by what stands around their names."""
    del difference
    before = change.before[-40:]
    sides = change.one, change.two
    if _both(RELEASE, *sides) and (KERNEL.search(before) or "-amd64" in "".join(sides)):
        return "kernel-release"
    if _both(ENGINE, *sides):
        return "container-engine"
    if not all(NAME.fullmatch(side) for side in sides):
        return ""
    if change.after.startswith("@") or AFTER_USER.search(before):
        return "user-name"
    return "host-name" if before.endswith("@") or AFTER_HOST.search(before) else ""


def _by_variable(change: Change, difference: Difference) -> str:
    del difference
    return "environment-variable" if AFTER_VARIABLE.search(change.before) else ""


def _random(change: Change, difference: Difference) -> str:
    del difference
    alike = len(change.one) == len(change.two) >= 16  # noqa: PLR2004 - 64 bits
    return "random-value" if alike and change.shapes == ("hex", "hex") else ""


RECOGNISERS: tuple[Recogniser, ...] = (
    _by_tool,
    _by_language,
    _by_shape,
    _by_git,
    lambda change, difference: by_time(change, _section(difference)),
    _by_path,
    _by_system,
    _by_variable,
    _random,
)
