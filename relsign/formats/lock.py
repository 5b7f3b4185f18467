"""`builder.toml` and `builder.lock`: the environment wanted, and every byte of it.

The definition is written by people.  The lock is written by ``relsign lock``,
read in code review, and bound by its digest into every fingerprint.  Neither
names a server: `path` is where the file lies below any Debian archive, and where
to find an archive is the machine's own configuration.

A hostile edit of a lock changes its digest, so it cannot make two builders who
read different locks agree; one who edits the lock everybody uses controls the
build, which is why it is reviewed like source code.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from relsign.errors import InputError
from relsign.formats.canonical import (
    Document,
    decode_reviewable,
    decode_toml,
    encode_reviewable,
)
from relsign.formats.names import Epoch, FileName, HexDigest, Name, Size, refuse_repeats, shaped
from relsign.formats.recipe import DebianName

MAX_LOCK_BYTES = 4 << 20
Architecture = Literal["amd64", "arm64", "all"]
DebianVersion = Annotated[
    str,
    shaped("a Debian version: a digit, then 0-9 A-Z a-z . + ~ : -", r"[0-9][0-9A-Za-z.+~:-]{0,99}"),
]
Requirement = Annotated[
    str, shaped("PROJECT==VERSION", r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9A-Za-z.+!-]+")
]
ArchivePath = Annotated[
    str,
    shaped(
        "a path below pool/",
        r"pool/[A-Za-z0-9][A-Za-z0-9._+~%-]*(?:/[A-Za-z0-9][A-Za-z0-9._+~%-]*)+",
    ),
]
WheelVersion = Annotated[
    str, shaped("up to 64 of 0-9 A-Z a-z . + ! _ -", r"[0-9A-Za-z.+!_-]{1,64}")
]
WheelName = Annotated[
    str, shaped("the file name of a wheel", r"[A-Za-z0-9_][A-Za-z0-9._+~-]{0,195}\.whl")
]


ImageName = Annotated[
    str,
    shaped(
        "REPOSITORY@sha256:DIGEST, without host and tag",
        r"(?=.{1,200}@)[a-z0-9]+(?:[._-]{1,2}[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]{1,2}[a-z0-9]+)*)*"
        r"@sha256:[0-9a-f]{64}",
    ),
]
"""An image by digest only: a tag is no name, because whoever owns it can move it."""
SemanticVersion = Annotated[
    str,
    shaped(
        "a version 1.2.3, as npm and Cargo write them",
        r"(?=.{5,100}\Z)[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?",
    ),
]
NpmName = Annotated[
    str,
    shaped(
        "a package name of npm",
        r"(?:@[a-z0-9~-][a-z0-9._~-]{0,99}/)?[A-Za-z0-9~_-][A-Za-z0-9._~-]{0,99}",
    ),
]
NpmPlace = Annotated[
    str,
    shaped(
        "a folder below node_modules",
        r"node_modules/[A-Za-z0-9@~_-][A-Za-z0-9@._~-]*(?:/[A-Za-z0-9@~_-][A-Za-z0-9@._~-]*){0,30}",
    ),
]
NpmIntegrity = Annotated[str, shaped("sha512-BASE64", r"sha512-[A-Za-z0-9+/]{86}==")]
ModulePath = Annotated[
    str,
    shaped(
        "a path of a Go module",
        r"[a-z0-9][A-Za-z0-9.~_-]{0,99}(?:/[A-Za-z0-9~_-][A-Za-z0-9.~_-]{0,99}){0,15}",
    ),
]
ModuleVersion = Annotated[
    str, shaped("a version of a Go module: v1.2.3", r"v[0-9]+\.[0-9]+\.[0-9]+[A-Za-z0-9.+-]{0,64}")
]
CrateName = Annotated[str, shaped("a crate", r"[A-Za-z][A-Za-z0-9_-]{0,63}")]
MAX_LOCKED = 5000


class SourcePackage(Document, frozen=True, kw_only=True):
    """A Debian source package at one version."""

    package: DebianName
    version: DebianVersion


class BuilderDefinition(Document, frozen=True, kw_only=True):
    """`builder.toml`: what an environment should hold.

    Its base is Debian, bootstrapped from `packages`, or an image by digest.  The
    languages' own locks (`npm`, `go`, `cargo`) are files beside it; what they name is
    added below ``/usr/lib/relsign/``.
    """

    name: Name
    base: Literal["debian", "oci"] = "debian"
    image: ImageName | None = None
    """For the base ``oci``."""
    suite: Name | None = None
    """For the base ``debian``."""
    architecture: Literal["amd64", "arm64"] = "amd64"
    components: tuple[Name, ...] = ("main",)
    packages: Annotated[tuple[DebianName, ...], Meta(max_length=1000)] = ()
    build_dependencies_of: Annotated[tuple[SourcePackage, ...], Meta(max_length=100)] = ()
    """Debian source packages whose build dependencies come along."""
    python: tuple[Requirement, ...] = ()
    """Build back ends, each pinned to a version."""
    npm: FileName | None = None
    """A ``package-lock.json`` beside the definition."""
    go: FileName | None = None
    """A ``go.mod`` beside the definition; its ``go.sum`` lies there too."""
    cargo: FileName | None = None
    """A ``Cargo.lock`` beside the definition."""

    def __post_init__(self) -> None:
        """Refuse a definition that names what its base cannot have, or lacks what it needs."""
        if self.base == "oci":
            if self.image is None:
                raise ValueError("base oci needs image")
            if self.suite is not None or self.packages or self.build_dependencies_of:
                raise ValueError("base oci takes no suite and no packages")
            return
        if self.image is not None:
            raise ValueError("image is for base oci")
        if self.suite is None or not self.packages:
            raise ValueError("base debian needs suite and packages")

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files beside the definition that belong to it."""
        sums = ("go.sum",) if self.go else ()
        return tuple(name for name in (self.npm, self.go, self.cargo) if name) + sums


class DefinitionFile(Document, frozen=True, kw_only=True):
    """A file beside the definition, as it was when the lock was made."""

    name: FileName
    sha256: HexDigest


class LockedLayer(Document, frozen=True, kw_only=True):
    """A layer of an image: its blob as served, and the digest of the tar inside."""

    sha256: HexDigest
    size: Size
    diff_sha256: HexDigest


class LockedImage(Document, frozen=True, kw_only=True):
    """The image an environment starts from (OCI image specification 1.0)."""

    name: ImageName
    manifest_sha256: HexDigest
    """Of the manifest for the lock's architecture; the name may be of an index of several."""
    config_sha256: HexDigest
    layers: Annotated[tuple[LockedLayer, ...], Meta(min_length=1, max_length=128)]


class LockedNpm(Document, frozen=True, kw_only=True):
    """One npm package, and the folders it is laid out in."""

    name: NpmName
    version: SemanticVersion
    integrity: NpmIntegrity
    """What ``package-lock.json`` states."""
    sha256: HexDigest
    size: Size
    places: Annotated[tuple[NpmPlace, ...], Meta(min_length=1, max_length=1000)]


class LockedModule(Document, frozen=True, kw_only=True):
    """One Go module: its ``go.mod``, and its zip unless only its requirements are read."""

    path: ModulePath
    version: ModuleVersion
    sha256: HexDigest | msgspec.UnsetType = msgspec.UNSET
    """Of the zip; left out where ``go.sum`` names the ``go.mod`` alone."""
    size: Size | msgspec.UnsetType = msgspec.UNSET
    mod_sha256: HexDigest
    mod_size: Size

    def __post_init__(self) -> None:
        """Refuse half of what is said of the zip."""
        if (self.sha256 is msgspec.UNSET) != (self.size is msgspec.UNSET):
            raise ValueError("sha256 and size of a module belong together")


class LockedCrate(Document, frozen=True, kw_only=True):
    """One crate, with the checksum ``Cargo.lock`` states."""

    name: CrateName
    version: SemanticVersion
    sha256: HexDigest
    size: Size


class LockedPackage(Document, frozen=True, kw_only=True):
    """One Debian package file."""

    name: DebianName
    version: DebianVersion
    architecture: Architecture
    sha256: HexDigest
    size: Size
    path: ArchivePath


class LockedWheel(Document, frozen=True, kw_only=True):
    """One pure Python wheel."""

    name: Name
    version: WheelVersion
    file: WheelName
    sha256: HexDigest
    size: Size


class RootFileSystem(Document, frozen=True, kw_only=True):
    """The environment's uncompressed tar, as bootstrapped from the locked files.

    For an image it is the ChainID of all its layers (OCI image specification 1.0,
    "Layer ChainID"), which for one layer is that layer's own digest; `size` counts all.
    """

    sha256: HexDigest
    size: Size


class BuilderLock(Document, frozen=True, kw_only=True):
    """`builder.lock`: every file of the environment, and what they become.

    What a definition does not ask for is left out, so that locks made before
    relsign knew of it keep their bytes.
    """

    format: Literal["relsign/builder-lock/1"] = "relsign/builder-lock/1"
    builder: Name
    definition_sha256: HexDigest
    files: tuple[DefinitionFile, ...] | msgspec.UnsetType = msgspec.UNSET
    """Files beside the definition."""
    suite: Name | msgspec.UnsetType = msgspec.UNSET
    image: LockedImage | msgspec.UnsetType = msgspec.UNSET
    architecture: Literal["amd64", "arm64"]
    source_date_epoch: Epoch
    packages: Annotated[tuple[LockedPackage, ...], Meta(max_length=MAX_LOCKED)]
    wheels: tuple[LockedWheel, ...]
    npm: Annotated[tuple[LockedNpm, ...], Meta(min_length=1, max_length=MAX_LOCKED)] | (
        msgspec.UnsetType
    ) = msgspec.UNSET
    go: Annotated[tuple[LockedModule, ...], Meta(min_length=1, max_length=MAX_LOCKED)] | (
        msgspec.UnsetType
    ) = msgspec.UNSET
    crates: Annotated[tuple[LockedCrate, ...], Meta(min_length=1, max_length=MAX_LOCKED)] | (
        msgspec.UnsetType
    ) = msgspec.UNSET
    rootfs: RootFileSystem

    def __post_init__(self) -> None:
        """Refuse a thing that stands twice, and a lock without exactly one base."""
        has_image = self.image is not msgspec.UNSET
        if has_image == bool(self.packages) or has_image == (self.suite is not msgspec.UNSET):
            raise ValueError("either suite and packages or image")
        refuse_repeats("package", (p.name for p in self.packages))
        refuse_repeats("file", (p.path.rsplit("/", 1)[-1] for p in self.packages))
        refuse_repeats("wheel", (w.file for w in self.wheels))
        refuse_repeats("npm folder", (place for p in self.npm or () for place in p.places))
        refuse_repeats("module", (f"{m.path}@{m.version}" for m in self.go or ()))
        refuse_repeats("crate", (f"{c.name}-{c.version}" for c in self.crates or ()))

    def to_bytes(self) -> bytes:
        """Return the one form the file may have."""
        return encode_reviewable(self)


def parse_builder(data: bytes, where: str = "builder.toml") -> BuilderDefinition:
    """Return the definition in TOML `data`; raise InputError with the path inside it."""
    try:
        return decode_toml(data, BuilderDefinition, where)
    except InputError as error:
        if error.where != f"{where}: image":
            raise
        raise InputError(
            error.what,
            where=error.where,
            expected=error.expected,
            got=error.got,
            hint="a tag can be moved and a host is this machine's business: write the name and "
            "the digest the registry gives for it, and say where it is with --registry",
        ) from error


def parse_lock(data: bytes, where: str = "builder.lock") -> BuilderLock:
    """Return the lock; raise InputError unless `data` is exactly what we would write."""
    return decode_reviewable(data, BuilderLock, where, max_bytes=MAX_LOCK_BYTES)
