"""Causes that a header field alone tells: what differs there has one reason."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from datetime import datetime, timedelta

from relsign.build.explain.difference import Difference
from relsign.build.explain.times import are_times

DIRECT = {
    "gzip.mtime": "gzip-time",
    "gzip.name": "gzip-name",
    "gzip.comment": "gzip-name",
    "gzip.system": "gzip-system",
    "gzip.extra": "gzip-system",
    "gzip.level": "compression-level",
    "xz.check": "compression-level",
    "xz.level": "compression-level",
    "bzip2.level": "compression-level",
    "zip.level": "compression-level",
    "compressed": "compressor-version",
    "tar.mtime": "tar-time",
    "tar.times": "tar-time",
    "tar.ids": "owner-ids",
    "tar.owner": "tar-owner-names",
    "tar.mode": "umask-modes",
    "tar.format": "archiver-version",
    "ar.mtime": "ar-time",
    "ar.ids": "owner-ids",
    "ar.mode": "umask-modes",
    "zip.mode": "zip-attributes",
    "zip.extra": "zip-extra-fields",
    "zip.version": "archiver-version",
    "zip.flags": "archiver-version",
    "pyc.mtime": "pyc-time",
    "pyc.flags": "pyc-time",
    "pyc.version": "python-version",
    "pyc.references": "pyc-references",
    "file.mode": "umask-modes",
    "input": "other-inputs",
    "text.line-ends": "line-ends",
    "elf:.note.gnu.build-id": "build-id",
    "elf:.note.go.buildid": "go-build-id",
    "elf:.note.gnu.property": "march-native",
    "elf:code": "code-generation",
    "elf:code-vectors": "march-native",
}
SPLIT = re.compile(r"\.cold$|\.part\.\d+$|__gcov|__llvm_prf")
DATA = frozenset({"bytes", "elf:.data", "elf:.rodata", "elf:.sdata", "elf:.tdata"})
DEBIAN = re.compile(r"(?: > |^)(?:debian-binary|(?:control|data)\.tar(?:\.\w+)?)$")
PROFILE = re.compile(r"\.(?:gcda|gcno|profraw|profdata)$|section \S*(?:__llvm_prf|gcov)")
STRIPPED = re.compile(r"section \.(?:z?debug|symtab|strtab)")
COMPRESSIONS = frozenset({"gzip", "xz", "bzip2"})
OWNER_KEYS = frozenset({"uid", "gid"})
LOWER_HALF = 0xFFFF
MAX_ZONE = timedelta(hours=26)
ZONE_STEP = timedelta(minutes=15)


def by_field(difference: Difference) -> tuple[str, ...]:
    """Return the names of causes that the field speaks for, the likeliest first."""
    what = difference.what
    if what == "zip.mtime":
        return _zip_time(difference)
    if what.endswith(".missing"):
        return _missing(difference)
    name = DIRECT.get(what, "")
    for special, is_meant in SPECIAL:
        if is_meant(difference):
            name = special
    return (name,) if name else ()


def _is_binary_time(difference: Difference) -> bool:
    """Say whether one aligned word differs, and holds seconds since 1970 on both sides."""
    try:
        one, two = (bytes.fromhex(side) for side in (difference.one, difference.two))
    except ValueError:
        return False
    for order in ("<", ">"):
        words = zip(_words(one, order), _words(two, order), strict=False)
        changed = [pair for pair in words if pair[0] != pair[1]]
        if len(changed) != 1:
            return False
        first, second = changed[0]
        # Times hardly share their lower half; small numbers read from the wrong end do.
        if (first ^ second) & LOWER_HALF and are_times(first, second):
            return True
    return False


def _words(data: bytes, order: str) -> tuple[int, ...]:
    return struct.unpack(f"{order}{len(data) // 4}L", data[: len(data) // 4 * 4])


def _zip_time(difference: Difference) -> tuple[str, ...]:
    """Say time-zone where two local times are whole quarters of an hour apart."""
    try:
        one, two = (datetime.fromisoformat(text) for text in (difference.one, difference.two))
    except ValueError:
        return ("zip-time",)
    apart = abs(one - two)
    if apart <= MAX_ZONE and not apart % ZONE_STEP:
        return ("time-zone", "zip-time")
    return ("zip-time", "time-zone")


def _is_long_owner(difference: Difference) -> bool:
    """Say whether a tar header differs only by the extension that a large number needs."""
    changed = set(difference.one.split()) ^ set(difference.two.split())
    return difference.what == "tar.format" and changed <= OWNER_KEYS


def _missing(difference: Difference) -> tuple[str, ...]:
    place = difference.place
    if PROFILE.search(place):
        return ("pgo-profile",)
    if difference.what == "elf.missing":
        return ("stripped",) if STRIPPED.search(place) else ()
    if difference.what in {"line.missing", "string.missing"}:
        return ("pgo-profile",) if SPLIT.search(difference.one or difference.two) else ()
    return ("missing-file",)


SPECIAL: tuple[tuple[str, Callable[[Difference], bool]], ...] = (
    ("deb-time", lambda each: each.what == "ar.mtime" and bool(DEBIAN.search(each.place))),
    ("owner-ids", _is_long_owner),
    ("lto-seed", lambda each: each.what == "elf.name" and ".gnu.lto_" in each.one),
    (
        "compression-level",
        lambda each: each.what == "type" and {each.one, each.two} <= COMPRESSIONS,
    ),
    (
        "embedded-time",
        lambda each: each.what in DATA and each.kind == "bytes" and _is_binary_time(each),
    ),
)
"""Fields whose value decides, too."""
