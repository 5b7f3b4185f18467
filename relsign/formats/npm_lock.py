"""npm's `package-lock.json`: which packages, at which digest, in which folders.

Read strictly, as others' format in whatever white space they use: versions 2 and 3
(npm documentation, "package-lock.json").  Only packages of a registry with a SHA-512
integrity pass: git, file, folder and workspace dependencies are refused, because
nothing binds their bytes.  `resolved` is not used, since where a package is fetched
is the machine's business.

Left out, as npm leaves them out: optional packages for another system or processor,
and packages that travel inside another one's tarball (``inBundle``).  Development
and peer packages stay: tools that build are among them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Sequence

import msgspec

from relsign.errors import InputError
from relsign.formats.canonical import Document, decode_json, decode_value, shorten
from relsign.formats.lock import MAX_LOCKED, NpmIntegrity, NpmName, NpmPlace, SemanticVersion

MAX_LOCK_BYTES = 16 << 20
MAX_ENTRIES = 20_000
MAX_PLACE = 1024
"""Characters in the folder of a package, as in a name of an archive."""
LOCK_VERSIONS = (2, 3)
SYSTEM = "linux"
PROCESSORS = {"amd64": "x64", "arm64": "arm64"}
"""Debian's word for an architecture, and npm's."""
_PLACE = re.compile(r"(?:node_modules/(?:@[^/@]+/)?[^/@]+/)*node_modules/(?:@[^/@]+/)?[^/@]+")
_WEB = re.compile(r"https?://")
_HINT = "take the package from the registry, and run `npm install` again"


class NpmPackage(Document, frozen=True, kw_only=True):
    """A package of the registry, and every folder it belongs in."""

    name: NpmName
    version: SemanticVersion
    integrity: NpmIntegrity
    places: tuple[NpmPlace, ...]


class _Entry(msgspec.Struct, frozen=True, rename="camel"):
    """The fields used of one entry; the others say nothing about bytes."""

    version: str | None = None
    name: str | None = None
    resolved: str | bool | None = None
    integrity: str | None = None
    link: bool = False
    in_bundle: bool = False
    optional: bool = False
    dev_optional: bool = False
    os: tuple[str, ...] = ()
    cpu: tuple[str, ...] = ()


class _Lock(msgspec.Struct, frozen=True):
    lockfile_version: int = msgspec.field(name="lockfileVersion")
    packages: dict[str, _Entry] = {}


def parse_npm_lock(
    data: bytes, architecture: str, where: str = "package-lock.json"
) -> tuple[NpmPackage, ...]:
    """Return the packages a lock file names for Debian's `architecture`, sorted.

    Raises InputError naming the entry for a dependency that no registry serves, one
    without SHA-512 integrity, one that does not run on `architecture`, odd names and
    folders, and a lock file of another version.
    """
    lock = decode_json(data, _Lock, where, max_bytes=MAX_LOCK_BYTES)
    if lock.lockfile_version not in LOCK_VERSIONS:
        raise InputError(
            "unknown version",
            where=f"{where}: lockfileVersion",
            expected=" or ".join(map(str, LOCK_VERSIONS)),
            got=str(lock.lockfile_version),
            hint="run `npm install --lockfile-version 3`",
        )
    if len(lock.packages) > MAX_ENTRIES:
        raise InputError("too many packages", where=where, expected=f"at most {MAX_ENTRIES}")
    carriers = {place for place, entry in lock.packages.items() if place and not entry.in_bundle}
    places: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for place, entry in lock.packages.items():
        at = f"{where}: packages[{shorten(place)}]"
        if len(place) > MAX_PLACE:
            raise InputError("folder's name is too long", where=at, expected=f"{MAX_PLACE} at most")
        if not place or (entry.in_bundle and _is_carried(place, carriers, at)):
            continue
        _refuse_unserved(place, entry, at)
        if _is_wanted(entry, PROCESSORS[architecture], at):
            places[_identity(place, entry, at)].append(place)
    if len(places) > MAX_LOCKED:
        raise InputError("too many packages", where=where, expected=f"at most {MAX_LOCKED}")
    return tuple(_package(key, sorted(found), where) for key, found in sorted(places.items()))


def _package(key: tuple[str, str, str], places: Sequence[str], where: str) -> NpmPackage:
    name, version, integrity = key
    value = {"name": name, "version": version, "integrity": integrity, "places": places}
    return decode_value(value, NpmPackage, f"{where}: {shorten(name)}@{shorten(version)}")


def _is_carried(place: str, carriers: Collection[str], at: str) -> bool:
    """Say that a package in a bundle lies below one that is fetched; raise if none does."""
    above = place
    while "/node_modules/" in above:
        above = above.rpartition("/node_modules/")[0]
        if above in carriers:
            return True
    raise InputError("in a bundle, but of no package", where=at, hint=_HINT)


def _refuse_unserved(place: str, entry: _Entry, at: str) -> None:
    """Raise InputError for what no registry serves under a name and a version."""
    if entry.link or not _PLACE.fullmatch(place):
        raise InputError(
            "folder or workspace instead of a package of the registry", where=at, hint=_HINT
        )
    if isinstance(entry.resolved, str) and not _WEB.match(entry.resolved):
        raise InputError(
            "git, file or folder dependency", where=at, got=shorten(entry.resolved), hint=_HINT
        )


def _is_wanted(entry: _Entry, processor: str, at: str) -> bool:
    """Say whether npm would install the entry here; raise if it would stop at it."""
    if _admits(entry.os, SYSTEM) and _admits(entry.cpu, processor):
        return True
    if entry.optional or entry.dev_optional:
        return False
    raise InputError(
        "package for another system",
        where=at,
        expected=f"{SYSTEM} {processor}",
        got=shorten(" ".join((*entry.os, *entry.cpu))),
        hint="make it an optional dependency, or lock for another architecture",
    )


def _admits(words: Sequence[str], mine: str) -> bool:
    """Say whether a list of npm's ``os`` or ``cpu`` admits `mine`; ``!word`` excludes."""
    wanted = [word for word in words if not word.startswith("!")]
    return f"!{mine}" not in words and (not wanted or mine in wanted or "any" in wanted)


def _identity(place: str, entry: _Entry, at: str) -> tuple[str, str, str]:
    """Return name, version and integrity of an entry that has to be fetched."""
    # A package under an alias states its own name besides its folder's.
    name = place.rpartition("node_modules/")[2] if entry.name is None else entry.name
    if name.startswith("-"):
        raise InputError("not a package name", where=at, got=shorten(name))
    if entry.integrity is None or not entry.integrity.startswith("sha512-"):
        raise InputError(
            "no SHA-512 integrity",
            where=at,
            got=shorten(entry.integrity or ""),
            hint="delete package-lock.json and node_modules, and run `npm install` again",
        )
    return name, entry.version or "", entry.integrity
