"""Cargo's `Cargo.lock`: which crates, and the checksums of their archives.

Versions 3 and 4 (the Cargo Book, "Cargo.toml vs Cargo.lock").  A package without a
source is the project itself, or a member of its workspace, and is left out.  All
others must come from one registry and state a checksum: nothing binds the bytes of
what comes out of git.
"""

from __future__ import annotations

import msgspec

from relsign.errors import InputError
from relsign.formats.canonical import Document, decode_toml, decode_value, shorten
from relsign.formats.lock import MAX_LOCKED, CrateName, SemanticVersion
from relsign.formats.names import HexDigest

MAX_LOCK_BYTES = 4 << 20
LOCK_VERSIONS = (3, 4)
REGISTRY = ("registry+", "sparse+")
_HINT = "take the crate from the registry, and run `cargo generate-lockfile` again"


class Crate(Document, frozen=True, kw_only=True):
    """A crate of the registry and the SHA-256 of its archive."""

    name: CrateName
    version: SemanticVersion
    checksum: HexDigest


class _Package(msgspec.Struct, frozen=True):
    name: str
    version: str
    source: str | None = None
    checksum: str | None = None


class _Lock(msgspec.Struct, frozen=True):
    version: int = 1
    package: tuple[_Package, ...] = ()


def parse_cargo_lock(data: bytes, where: str = "Cargo.lock") -> tuple[Crate, ...]:
    """Return the crates a lock file names, sorted.

    Raises InputError naming the package for a git dependency, one without checksum,
    one from a second registry, odd names, and a lock file of another version.
    """
    lock = decode_toml(data, _Lock, where, max_bytes=MAX_LOCK_BYTES)
    if lock.version not in LOCK_VERSIONS:
        raise InputError(
            "unknown version",
            where=f"{where}: version",
            expected=" or ".join(map(str, LOCK_VERSIONS)),
            got=str(lock.version),
            hint="run `cargo generate-lockfile` with a current Cargo",
        )
    found: dict[tuple[str, str], Crate] = {}
    sources: set[str] = set()
    for package in lock.package:
        if package.source is None:
            continue
        at = f"{where}: {shorten(package.name)} {shorten(package.version)}"
        sources.add(package.source)
        if len(sources) > 1:
            raise InputError("crates of a second registry", where=at, hint=_HINT)
        if (package.name, package.version) in found:
            raise InputError("named twice", where=at)
        found[package.name, package.version] = _crate(package, package.source, at)
    if len(found) > MAX_LOCKED:
        raise InputError("too many crates", where=where, expected=f"at most {MAX_LOCKED}")
    return tuple(found[key] for key in sorted(found))


def _crate(package: _Package, source: str, at: str) -> Crate:
    if not source.startswith(REGISTRY):
        raise InputError("not from a registry", where=at, got=shorten(source), hint=_HINT)
    if package.checksum is None:
        raise InputError("no checksum", where=at, hint=_HINT)
    value = {"name": package.name, "version": package.version, "checksum": package.checksum}
    return decode_value(value, Crate, at)
