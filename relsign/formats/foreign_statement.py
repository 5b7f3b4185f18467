"""in-toto statements and SLSA provenance that other programs write.

Follows https://github.com/in-toto/attestation (spec/v1) and
https://slsa.dev/spec/v1.0/provenance.  Parse only payloads whose signatures were verified.
Fields these specifications tell readers to ignore are ignored; what a decision rests on
(subjects, predicate type, builder, external parameters) is read strictly.

    >>> statement = parse_foreign_statement(
    ...     b'{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"'
    ...     + b"a" * 64 + b'"}}],"predicateType":"urn:x"}', "payload")
    >>> statement.predicateType
    'urn:x'
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from relsign.errors import InputError
from relsign.formats.canonical import Document, decode_json, decode_value, shorten
from relsign.formats.names import MAX_ARTIFACTS

SLSA_PROVENANCE = "https://slsa.dev/provenance/v1"
MAX_STATEMENT_BYTES = 16 << 20
MAX_DEPENDENCIES = 50_000

DIGEST_DIGITS = {
    "sha1": (40,),
    "sha224": (56,),
    "sha256": (64,),
    "sha384": (96,),
    "sha512": (128,),
    "sha3_256": (64,),
    "sha3_384": (96,),
    "sha3_512": (128,),
    "blake2b": (128,),
    "gitCommit": (40, 64),
    "gitTree": (40, 64),
    "gitTag": (40, 64),
    "gitBlob": (40, 64),
}
"""Algorithms of in-toto's DigestSet that name content, and how many digits each has."""

Label = Annotated[str, Meta(min_length=1, max_length=4096)]
"""A name or URI as its writer chose it; shown escaped, never opened, never fetched."""

DigestSet = Annotated[dict[str, Annotated[str, Meta(max_length=1000)]], Meta(max_length=50)]


class ForeignSubject(Document, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """What a statement is about; names are hints, digests are what counts."""

    name: str = ""
    digest: Annotated[DigestSet, Meta(min_length=1)]

    @property
    def sha256(self) -> str | None:
        """The subject's SHA-256, or None where it gives no such digest."""
        digest = self.digest.get("sha256", "")
        return digest if re.fullmatch("[0-9a-f]{64}", digest) else None


class ForeignStatement(Document, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """An in-toto statement, version 1 or 0.1, whatever its predicate."""

    type_: Literal["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"] = (
        msgspec.field(name="_type")
    )
    subject: Annotated[tuple[ForeignSubject, ...], Meta(min_length=1, max_length=MAX_ARTIFACTS)]
    predicateType: Label
    predicate: dict[str, object] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a name with two digests: either could be shown to the person who asks."""
        seen: dict[str, dict[str, str]] = {}
        for subject in self.subject:
            if subject.name and seen.setdefault(subject.name, subject.digest) != subject.digest:
                raise ValueError(f"one subject name, two digests: {shorten(subject.name)}")


class ForeignDependency(Document, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """One input of a build."""

    name: str = ""
    uri: str = ""
    digest: DigestSet = msgspec.field(default_factory=dict)

    def has_digest(self) -> bool:
        """Say whether a digest of a known algorithm and length names the content."""
        return any(
            len(digits) in DIGEST_DIGITS.get(algorithm, ())
            and re.fullmatch("[0-9a-f]+", digits) is not None
            for algorithm, digits in self.digest.items()
        )


class ForeignDefinition(Document, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """How the build was asked for."""

    buildType: Label
    externalParameters: dict[str, object]
    resolvedDependencies: Annotated[
        tuple[ForeignDependency, ...], Meta(max_length=MAX_DEPENDENCIES)
    ] = ()


class ForeignBuilder(Document, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """Who ran the build."""

    id: Label


class ForeignRun(Document, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """The run."""

    builder: ForeignBuilder


class ForeignProvenance(Document, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """SLSA's predicate, version 1, as far as a decision rests on it."""

    buildDefinition: ForeignDefinition
    runDetails: ForeignRun


def parse_foreign_statement(payload: bytes, where: str) -> ForeignStatement:
    """Return the statement in a verified `payload`.

    Raises InputError for anything but an in-toto statement with at least one subject, every
    subject with a digest and no name with two.
    """
    return decode_json(payload, ForeignStatement, where, max_bytes=MAX_STATEMENT_BYTES)


def read_provenance(statement: ForeignStatement, where: str) -> ForeignProvenance:
    """Return the SLSA provenance a statement holds; raise InputError if it is none."""
    if statement.predicateType != SLSA_PROVENANCE:
        raise InputError(
            "not SLSA provenance v1",
            where=f"{where}: predicateType",
            expected=SLSA_PROVENANCE,
            got=shorten(statement.predicateType),
            hint="name the attestation that says how the file was built",
        )
    return decode_value(statement.predicate, ForeignProvenance, f"{where}: predicate")
