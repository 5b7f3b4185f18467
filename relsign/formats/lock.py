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

from msgspec import Meta

from relsign.formats.canonical import (
    Document,
    decode_reviewable,
    decode_toml,
    encode_reviewable,
)
from relsign.formats.names import Epoch, HexDigest, Name, Size, refuse_repeats, shaped
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
WheelName = Annotated[
    str, shaped("the file name of a wheel", r"[A-Za-z0-9_][A-Za-z0-9._+~-]{0,195}\.whl")
]


class BuilderDefinition(Document, frozen=True, kw_only=True):
    """`builder.toml`: what an environment should hold."""

    name: Name
    base: Literal["debian"] = "debian"
    suite: Name
    architecture: Literal["amd64", "arm64"] = "amd64"
    components: tuple[Name, ...] = ("main",)
    packages: Annotated[tuple[DebianName, ...], Meta(min_length=1, max_length=1000)]
    python: tuple[Requirement, ...] = ()
    """Build back ends, each pinned to a version."""


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
    version: Annotated[str, shaped("up to 64 of 0-9 A-Z a-z . + ! _ -", r"[0-9A-Za-z.+!_-]{1,64}")]
    file: WheelName
    sha256: HexDigest
    size: Size


class RootFileSystem(Document, frozen=True, kw_only=True):
    """The environment's uncompressed tar, as bootstrapped from the locked files."""

    sha256: HexDigest
    size: Size


class BuilderLock(Document, frozen=True, kw_only=True):
    """`builder.lock`: every file of the environment, and what they become."""

    format: Literal["relsign/builder-lock/1"] = "relsign/builder-lock/1"
    builder: Name
    definition_sha256: HexDigest
    suite: Name
    architecture: Literal["amd64", "arm64"]
    source_date_epoch: Epoch
    packages: Annotated[tuple[LockedPackage, ...], Meta(min_length=1, max_length=5000)]
    wheels: tuple[LockedWheel, ...]
    rootfs: RootFileSystem

    def __post_init__(self) -> None:
        """Refuse a package or file that stands twice."""
        refuse_repeats("package", (p.name for p in self.packages))
        refuse_repeats("file", (p.path.rsplit("/", 1)[-1] for p in self.packages))
        refuse_repeats("wheel", (w.file for w in self.wheels))

    def to_bytes(self) -> bytes:
        """Return the one form the file may have."""
        return encode_reviewable(self)


def parse_builder(data: bytes, where: str = "builder.toml") -> BuilderDefinition:
    """Return the definition in TOML `data`; raise InputError with the path inside it."""
    return decode_toml(data, BuilderDefinition, where)


def parse_lock(data: bytes, where: str = "builder.lock") -> BuilderLock:
    """Return the lock; raise InputError unless `data` is exactly what we would write."""
    return decode_reviewable(data, BuilderLock, where, max_bytes=MAX_LOCK_BYTES)
