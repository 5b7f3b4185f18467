"""What a build read, as package URLs: for provenance and for the bill of materials.

A package URL (https://github.com/package-url/purl-spec) says which package of which
ecosystem, and no server: where to find it is each machine's own business.  So an address
in a recipe is not repeated either; it may hold a password.  What a URL here cannot say, its
digest does.

    >>> package_url("deb", ("debian", "gcc-12"), "12.2.0-14+b1", arch="amd64")
    'pkg:deb/debian/gcc-12@12.2.0-14%2Bb1?arch=amd64'
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

import msgspec

from relsign.formats.lock import BuilderLock, LockedImage, LockedModule
from relsign.formats.names import HexDigest
from relsign.formats.recipe import DebianSource, Git, PypiSdist, Source

Ecosystem = Literal["source", "deb", "pypi", "npm", "golang", "cargo", "oci"]


@dataclass(frozen=True, slots=True)
class Dependency:
    """One locked input: its name and version as its ecosystem writes them, and its digest."""

    ecosystem: Ecosystem
    name: str
    version: str
    url: str
    sha256: HexDigest


def source_dependency(source: Source) -> Dependency:
    """Return what one source of a recipe is; its file's digest is the recipe's."""
    if isinstance(source, DebianSource):
        name, version = source.package, ""
        url = package_url("deb", ("debian", name), arch="source", file_name=source.file)
    elif isinstance(source, PypiSdist):
        name, version = source.package, source.version
        url = package_url("pypi", (_pypi(name),), version, file_name=source.file)
    else:
        name, version = source.name, source.commit if isinstance(source, Git) else ""
        url = package_url("generic", (name,), version, file_name=source.file)
    return Dependency("source", name, version, url, source.sha256)


def locked_dependencies(lock: BuilderLock) -> tuple[Dependency, ...]:
    """Return every package an environment is made of, sorted by URL and digest."""
    found = (*_debian(lock), *_languages(lock))
    return tuple(sorted(found, key=lambda item: (item.url, item.sha256)))


def _debian(lock: BuilderLock) -> Iterator[Dependency]:
    if isinstance(lock.image, LockedImage):
        repository, _, digest = lock.image.name.partition("@")
        name = repository.rsplit("/", 1)[-1]
        url = package_url("oci", (name,), digest, arch=lock.architecture)
        yield Dependency("oci", repository, digest, url, lock.image.manifest_sha256)
    for package in lock.packages:
        where = ("debian", package.name)
        url = package_url("deb", where, package.version, arch=package.architecture)
        yield Dependency("deb", package.name, package.version, url, package.sha256)


def _languages(lock: BuilderLock) -> Iterator[Dependency]:
    for wheel in lock.wheels:
        url = package_url("pypi", (_pypi(wheel.name),), wheel.version, file_name=wheel.file)
        yield Dependency("pypi", wheel.name, wheel.version, url, wheel.sha256)
    for package in lock.npm or ():
        url = package_url("npm", tuple(package.name.split("/")), package.version)
        yield Dependency("npm", package.name, package.version, url, package.sha256)
    for module in lock.go or ():
        yield _module(module)
    for crate in lock.crates or ():
        url = package_url("cargo", (crate.name,), crate.version)
        yield Dependency("cargo", crate.name, crate.version, url, crate.sha256)


def _module(module: LockedModule) -> Dependency:
    url = package_url("golang", tuple(module.path.split("/")), module.version)
    if isinstance(module.sha256, msgspec.UnsetType):
        # Only its requirements are read, so this one file of it is all that is there.
        return Dependency("golang", module.path, module.version, f"{url}#go.mod", module.mod_sha256)
    return Dependency("golang", module.path, module.version, url, module.sha256)


def package_url(kind: str, path: tuple[str, ...], version: str = "", **qualifiers: str) -> str:
    """Return the package URL in its one canonical form; `path` is namespace and name.

    Not made by the specification's library, which the tests ask whether it is right: what is
    signed must not follow that library's version, and it writes npm's old names small,
    where `JSONStream` and `jsonstream` are two packages.
    """
    url = f"pkg:{kind}/{'/'.join(_encoded(part) for part in path)}"
    if version:
        url += f"@{_encoded(version)}"
    pairs = [f"{key}={_encoded(value)}" for key, value in sorted(qualifiers.items())]
    return f"{url}?{'&'.join(pairs)}" if pairs else url


def _encoded(text: str) -> str:
    # The specification leaves the colon of epochs and digests as it is.
    return quote(text, safe=":")


def _pypi(name: str) -> str:
    return name.lower().replace("_", "-")
