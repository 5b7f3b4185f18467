"""SLSA v1 provenance: one builder's account of one build, for tools that read it.

Follows https://slsa.dev/spec/v1.0/provenance, in the strict part we write.  It
carries no host detail and nothing from the caller's environment.  relsign's own
decision counts links; provenance must agree with them.

What came with later versions of relsign may be absent, so that older provenance keeps
its bytes.  There is no `invocationId`: nobody could look anything up by it.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.fingerprint import Knob
from relsign.formats.link import Sha256
from relsign.formats.names import (
    MAX_ARTIFACTS,
    Epoch,
    FileName,
    HexDigest,
    Name,
    Normaliser,
    RelativePath,
    Time,
    Version,
    refuse_repeats,
    shaped,
    whole_seconds_utc,
)
from relsign.formats.statement import Subject

MAX_PROVENANCE_BYTES = 16 << 20
PROVENANCE_ENDING = ".intoto.jsonl"
BUILD_TYPE = "urn:relsign:build:v1"
MAX_DEPENDENCIES = 30_000
PackageUrl = Annotated[
    str,
    shaped(
        "a package URL without a server",
        r"pkg:[a-z]+(?:/[A-Za-z0-9.~_%:-]+)+(?:@[A-Za-z0-9.~_%:-]+)?"
        r"(?:\?(?:arch|file_name)=[A-Za-z0-9.~_%-]+(?:&file_name=[A-Za-z0-9.~_%-]+)?)?"
        r"(?:#go\.mod)?",
    ),
]
"""No qualifier that could hold an address has a place in it."""


class ExternalParameters(Document, frozen=True, kw_only=True):
    """What the person who asked for the build chose."""

    project: Name
    version: Version
    target: Name
    recipe_sha256: HexDigest
    source_date_epoch: Epoch | msgspec.UnsetType = msgspec.UNSET
    """Absent where the recipe leaves it unset."""


class InternalParameters(Document, frozen=True, kw_only=True):
    """What the builder fixed: the sandbox profile and the outcome's id."""

    profile: Name
    profile_sha256: HexDigest
    fingerprint_sha256: HexDigest
    without: Annotated[tuple[Knob, ...], Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET
    """Knobs of the profile that the engine could not set."""
    normalised: (
        Annotated[dict[FileName, tuple[Normaliser, ...]], Meta(min_length=1)] | msgspec.UnsetType
    ) = msgspec.UNSET
    """Artifacts that were rewritten as the recipe asked, and by what."""


class ResolvedDependency(Document, frozen=True, kw_only=True):
    """One input: its digest, and the name links know it by, a package URL, or both."""

    name: RelativePath | msgspec.UnsetType = msgspec.UNSET
    uri: PackageUrl | msgspec.UnsetType = msgspec.UNSET
    digest: Sha256

    def __post_init__(self) -> None:
        """Refuse an input that is nothing but a digest."""
        if self.name is msgspec.UNSET and self.uri is msgspec.UNSET:
            raise ValueError("neither name nor uri")


class BuildDefinition(Document, frozen=True, kw_only=True):
    """Inputs of the build."""

    buildType: Literal["urn:relsign:build:v1"] = "urn:relsign:build:v1"
    externalParameters: ExternalParameters
    internalParameters: InternalParameters
    resolvedDependencies: Annotated[
        tuple[ResolvedDependency, ...], Meta(min_length=1, max_length=MAX_DEPENDENCIES)
    ]


class BuilderVersion(Document, frozen=True, kw_only=True):
    """What the builder built with."""

    relsign: Version


class BuilderIdentity(Document, frozen=True, kw_only=True):
    """The builder, by roster name."""

    id: Annotated[
        str,
        shaped("urn:relsign:builder:NAME", r"urn:relsign:builder:[A-Za-z0-9][A-Za-z0-9._+-]{0,63}"),
    ]
    version: BuilderVersion | msgspec.UnsetType = msgspec.UNSET


class RunMetadata(Document, frozen=True, kw_only=True):
    """When the build ran."""

    startedOn: Time
    finishedOn: Time

    def __post_init__(self) -> None:
        """Refuse times with more than one form, and an end before the start."""
        if not (whole_seconds_utc(self.startedOn) and whole_seconds_utc(self.finishedOn)):
            raise ValueError("startedOn or finishedOn is not whole seconds in UTC")
        if self.finishedOn < self.startedOn:
            raise ValueError("finishedOn is before startedOn")


class Byproduct(Document, frozen=True, kw_only=True):
    """A file the build leaves beside its artifacts."""

    name: FileName
    digest: Sha256


class RunDetails(Document, frozen=True, kw_only=True):
    """Who ran the build, when, and what else came of it."""

    builder: BuilderIdentity
    metadata: RunMetadata
    byproducts: Annotated[tuple[Byproduct, ...], Meta(min_length=1, max_length=10)] | (
        msgspec.UnsetType
    ) = msgspec.UNSET


class ProvenancePredicate(Document, frozen=True, kw_only=True):
    """SLSA's predicate."""

    buildDefinition: BuildDefinition
    runDetails: RunDetails


class Provenance(Document, frozen=True, kw_only=True):
    """An in-toto Statement v1 with SLSA provenance v1."""

    type_: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(
        default="https://in-toto.io/Statement/v1", name="_type"
    )
    subject: Annotated[tuple[Subject, ...], Meta(min_length=1, max_length=MAX_ARTIFACTS)]
    predicateType: Literal["https://slsa.dev/provenance/v1"] = "https://slsa.dev/provenance/v1"
    predicate: ProvenancePredicate

    def __post_init__(self) -> None:
        """Refuse a name with two digests."""
        refuse_repeats("subject", (s.name for s in self.subject))
        inputs = self.predicate.buildDefinition.resolvedDependencies
        refuse_repeats("dependency", (i.name for i in inputs if i.name is not msgspec.UNSET))
        refuse_repeats("byproduct", (b.name for b in self.predicate.runDetails.byproducts or ()))

    def to_bytes(self) -> bytes:
        """Return the payload to be signed."""
        return encode_canonical(self)


def provenance_file_name(builder: str) -> str:
    """Return the file name of a builder's provenance, one envelope a line."""
    return f"{builder}{PROVENANCE_ENDING}"


def parse_provenance(payload: bytes, where: str = "provenance") -> Provenance:
    """Return the provenance; raise InputError unless `payload` is its canonical form."""
    return decode_canonical(payload, Provenance, where, max_bytes=MAX_PROVENANCE_BYTES)
