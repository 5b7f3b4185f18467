"""`relsign.toml`: what to build, from which sources, in which environment.

Written by the engineer, trusted to be written by whoever can commit to the
source repository.  A hostile recipe can make a build produce anything, but the
container it runs in is not part of it: a recipe cannot ask for mounts, devices,
privileges, the network or the engine's socket, because it has no words for them.

    [project]
    name = "gzip"
    version = "1.12"

    [[source]]
    kind = "debian-source"
    name = "gzip"
    package = "gzip"
    file = "gzip_1.12.orig.tar.gz"
    sha256 = "5b4f..."

    [[target]]
    name = "linux-amd64"
    builder = "debian-c"
    source_date_epoch = 1649358000
    commands = ["./configure", "make"]
"""

from __future__ import annotations

from functools import lru_cache
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from relsign.formats.canonical import Document, decode_toml
from relsign.formats.names import (
    MAX_ARTIFACTS,
    Epoch,
    FileName,
    HexDigest,
    Name,
    Normaliser,
    RelativePath,
    Version,
    is_reserved,
    refuse_repeats,
    shaped,
)

Url = Annotated[str, shaped("an http or https address", r"https?://[\x21-\x7e]{1,1000}")]
OpenPGPFingerprint = Annotated[str, shaped("40 digits of 0-9 A-F", r"[0-9A-F]{40}")]
DebianName = Annotated[
    str, shaped("a Debian package name: a-z 0-9 + . -", r"[a-z0-9][a-z0-9+.-]{1,63}")
]
EnvironmentName = Annotated[
    str, shaped("up to 64 of A-Z 0-9 _, the first a letter", r"[A-Z][A-Z0-9_]{0,63}")
]
EnvironmentValue = Annotated[
    str, shaped("one line of up to 1000 ASCII characters", r"[\x20-\x7e]{0,1000}")
]
Command = Annotated[str, Meta(min_length=1, max_length=10_000)]

MAX_COMMANDS = 200


def sbom_file(target: str) -> str:
    """Return the file name of a target's bill of materials."""
    return f"{target}.cdx.json"


class Project(Document, frozen=True, kw_only=True):
    """The release this recipe makes."""

    name: Name
    version: Version
    profile: Name | msgspec.UnsetType = msgspec.UNSET
    """The sandbox profile to build in; the newest that relsign has where it is not named."""


class UpstreamSignature(Document, frozen=True, kw_only=True):
    """A detached OpenPGP signature of the upstream author over a source file."""

    file: FileName
    """File beside the source, in the same folder of the same server."""
    sha256: HexDigest
    key: RelativePath
    """Armoured certificate in this repository."""
    fingerprint: OpenPGPFingerprint
    """Primary key that must have signed."""


class SourceFields(Document, frozen=True, kw_only=True):
    """What every kind of source says: its folder in the build, and its digest."""

    name: Name
    sha256: HexDigest
    unpack: bool = True
    strip: Annotated[int, Meta(ge=0, le=8)] = 1
    """Leading path components dropped on unpacking."""


class DebianSource(SourceFields, frozen=True, kw_only=True, tag_field="kind", tag="debian-source"):
    """A file of a Debian source package, fetched from the machine's apt sources."""

    package: DebianName
    file: FileName
    component: Literal["main", "contrib", "non-free", "non-free-firmware"] = "main"
    signature: UpstreamSignature | None = None


class PypiSdist(SourceFields, frozen=True, kw_only=True, tag_field="kind", tag="pypi-sdist"):
    """A source distribution, fetched from the Python index pip is configured for."""

    package: Name
    version: Version
    file: FileName


class Archive(SourceFields, frozen=True, kw_only=True, tag_field="kind", tag="archive"):
    """A file at a URL."""

    url: Url
    file: FileName
    signature: UpstreamSignature | None = None


class TagSignature(Document, frozen=True, kw_only=True):
    """A signed git tag that must point at the commit."""

    tag: Name
    key: RelativePath
    fingerprint: OpenPGPFingerprint


class Git(SourceFields, frozen=True, kw_only=True, tag_field="kind", tag="git"):
    """A commit; `sha256` is of ``git archive --format=tar COMMIT``."""

    url: Annotated[
        str,
        shaped(
            "an https, http, ssh, git or file address",
            r"(?:https?|ssh|git|file)://[\x21-\x7e]{1,1000}",
        ),
    ]
    commit: Annotated[
        str, shaped("a whole commit id: 40 or 64 digits of 0-9 a-f", r"[0-9a-f]{40}|[0-9a-f]{64}")
    ]
    strip: Annotated[int, Meta(ge=0, le=8)] = 0
    tag: TagSignature | None = None

    @property
    def file(self) -> str:
        """Name the tar of the commit goes by in the link's materials."""
        return f"{self.name}-{self.commit[:12]}.tar"


Source = DebianSource | PypiSdist | Archive | Git


class Artifact(Document, frozen=True, kw_only=True):
    """A file the commands leave behind, published under its last path component."""

    path: RelativePath
    expect_sha256: HexDigest | None = None
    """Digest somebody else published for these bytes; a difference fails the build."""
    normalise: Annotated[tuple[Normaliser, ...], Meta(max_length=4)] = ()
    """What rewrites the file after the commands, in this order; the fingerprint says so."""

    @property
    def name(self) -> str:
        """File name it is published under."""
        return self.path.rsplit("/", 1)[-1]


class Pack(Document, frozen=True, kw_only=True):
    """A folder packed by relsign into a deterministic ``.tar.gz`` artifact."""

    directory: RelativePath
    name: FileName
    expect_sha256: HexDigest | None = None


class Target(Document, frozen=True, kw_only=True):
    """One build: an environment, commands, and the artifacts they must leave."""

    name: Name
    builder: Name
    source_date_epoch: Epoch | Literal["unset"]
    """No default fits all projects, so it is always stated."""
    directory: RelativePath | None = None
    """Where commands start, below the build folder; the only source by default."""
    commands: Annotated[tuple[Command, ...], Meta(min_length=1, max_length=MAX_COMMANDS)]
    """Shell lines, each run by ``sh -e -u -c`` in `directory`."""
    environment: dict[EnvironmentName, EnvironmentValue] = msgspec.field(default_factory=dict)
    artifact: Annotated[tuple[Artifact, ...], Meta(max_length=MAX_ARTIFACTS)] = ()
    pack: tuple[Pack, ...] = ()
    time_limit_minutes: Annotated[int, Meta(ge=1, le=7 * 24 * 60)] = 12 * 60
    """A command that hangs ends the build, not the builder's day."""

    def __post_init__(self) -> None:
        """Refuse a target that leaves nothing, or names a file twice or reservedly."""
        names = self.artifact_names
        if not names:
            raise ValueError("target names no artifact")
        refuse_repeats("artifact", names)
        for name in names:
            if is_reserved(name):
                raise ValueError(f"artifact name is reserved for relsign: {name}")

    @property
    def artifact_names(self) -> tuple[str, ...]:
        """Published names, in the recipe's order, packs last."""
        return tuple(a.name for a in self.artifact) + tuple(p.name for p in self.pack)


class Check(Document, frozen=True, kw_only=True):
    """Commands that look at the finished artifacts and must succeed.

    They run as a build's do, in a container of `builder`, in a folder that holds the
    release's artifacts and nothing else.  Whatever they write is thrown away.
    """

    name: Name
    builder: Name
    commands: Annotated[tuple[Command, ...], Meta(min_length=1, max_length=MAX_COMMANDS)]
    """Shell lines, each run by ``sh -e -u -c``; the artifacts lie where they start."""
    artifacts: Annotated[tuple[FileName, ...], Meta(max_length=MAX_ARTIFACTS)] = ()
    """Published names this check looks at; all of the release where none is named."""
    environment: dict[EnvironmentName, EnvironmentValue] = msgspec.field(default_factory=dict)
    time_limit_minutes: Annotated[int, Meta(ge=1, le=24 * 60)] = 60


class Recipe(Document, frozen=True, kw_only=True):
    """A whole `relsign.toml`."""

    project: Project
    source: Annotated[tuple[Source, ...], Meta(min_length=1, max_length=100)]
    target: Annotated[tuple[Target, ...], Meta(min_length=1, max_length=100)]
    check: Annotated[tuple[Check, ...], Meta(max_length=100)] = ()

    def __post_init__(self) -> None:
        """Refuse names that stand twice, and checks of artifacts that are not made."""
        refuse_repeats("source", (s.name for s in self.source))
        refuse_repeats("source file", (s.file for s in self.source))
        refuse_repeats("target", (t.name for t in self.target))
        refuse_repeats("artifact", self.artifact_names)
        refuse_repeats("check", (c.name for c in self.check))
        known = set(self.artifact_names)
        # Not an ending reserved for all: recipes of earlier releases may have such a file.
        for target in self.target:
            if (name := sbom_file(target.name)) in known:
                raise ValueError(f"artifact name is reserved for relsign: {name}")
        for check in self.check:
            for name in check.artifacts:
                if name not in known:
                    raise ValueError(f"check {check.name} looks at no artifact: {name}")

    @property
    def artifact_names(self) -> tuple[str, ...]:
        """Published names of all targets."""
        return tuple(name for target in self.target for name in target.artifact_names)

    @property
    def builders(self) -> tuple[str, ...]:
        """Names of the environments that targets and checks need, sorted."""
        needed = {target.builder for target in self.target} | {c.builder for c in self.check}
        return tuple(sorted(needed))


def parse_recipe(data: bytes, where: str = "relsign.toml") -> Recipe:
    """Return the recipe in TOML `data`; raise InputError with the path inside it."""
    return _parse(data, where)


@lru_cache(maxsize=4)
def _parse(data: bytes, where: str) -> Recipe:
    # A command asks for its one recipe several times, and one of ten thousand artifacts
    # takes as long to read as they take to hash.  A recipe cannot be changed.
    return decode_toml(data, Recipe, where)
