"""Causes that a header field alone tells: what differs there has one reason."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from relsign.build.explain.difference import Difference

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
PROFILE = re.compile(r"\.(?:gcda|gcno|profraw|profdata)$|section \S*(?:__llvm_prf|gcov)")
COMPRESSIONS = frozenset({"gzip", "xz", "bzip2"})
MAX_ZONE = timedelta(hours=26)
ZONE_STEP = timedelta(minutes=15)


def by_field(difference: Difference) -> tuple[str, ...]:
    """Return the names of causes that the field speaks for, the likeliest first."""
    what = difference.what
    if what == "zip.mtime":
        return _zip_time(difference)
    if what.endswith(".missing"):
        return _missing(difference)
    if what == "elf.name" and ".gnu.lto_" in difference.one:
        return ("lto-seed",)
    if what == "type" and {difference.one, difference.two} <= COMPRESSIONS:
        return ("compression-level",)
    return (DIRECT[what],) if what in DIRECT else ()


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


def _missing(difference: Difference) -> tuple[str, ...]:
    place = difference.place
    if PROFILE.search(place):
        return ("pgo-profile",)
    if difference.what == "elf.missing":
        return (
            ("stripped",) if re.search(r"section \.(?:debug_|z?debug|symtab|strtab)", place) else ()
        )
    if difference.what in {"line.missing", "string.missing"}:
        return ("pgo-profile",) if SPLIT.search(difference.one or difference.two) else ()
    return ("missing-file",)
