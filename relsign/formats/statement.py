"""The release statement: what the signers sign.

An in-toto Statement v1 whose subjects are the artifacts and whose predicate
binds them to project, version, fingerprints, layout and the release before.
`SHA256SUMS` is derived from it byte for byte.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.link import Sha256
from relsign.formats.names import (
    MAX_ARTIFACTS,
    FileName,
    HexDigest,
    Name,
    Time,
    Version,
    is_reserved,
    refuse_repeats,
    whole_seconds_utc,
)

MAX_STATEMENT_BYTES = 16 << 20
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
RELEASE_PREDICATE = "urn:relsign:release:v1"


class Subject(Document, frozen=True, kw_only=True):
    """One artifact."""

    name: FileName
    digest: Sha256


class FingerprintId(Document, frozen=True, kw_only=True):
    """A target's fingerprint, by its id."""

    target: Name
    sha256: HexDigest


class PreviousRelease(Document, frozen=True, kw_only=True):
    """The release this one follows, by the digest of its statement."""

    version: Version
    statement_sha256: HexDigest


class ReleasePredicate(Document, frozen=True, kw_only=True):
    """What the signers say about the subjects."""

    project: Name
    version: Version
    fingerprints: Annotated[tuple[FingerprintId, ...], Meta(min_length=1, max_length=100)]
    layout_sha256: HexDigest
    """Digest of the layout's payload, which does not change as owners sign it."""
    sequence: Annotated[int, Meta(ge=1, le=1 << 31)]
    """Place in the project's releases, counted from 1 in the order they are made."""
    previous: PreviousRelease | None
    released_at: Time

    def __post_init__(self) -> None:
        """Refuse unsorted fingerprints, times with more than one form, and a gap in the row."""
        targets = [f.target for f in self.fingerprints]
        refuse_repeats("target", targets)
        if targets != sorted(targets):
            raise ValueError("fingerprints are not sorted by target")
        if not whole_seconds_utc(self.released_at):
            raise ValueError("released_at is not whole seconds in UTC")
        if (self.sequence == 1) != (self.previous is None):
            raise ValueError("the first release follows none, and every other one follows one")


class Statement(Document, frozen=True, kw_only=True):
    """A release, as signed."""

    type_: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(
        default="https://in-toto.io/Statement/v1", name="_type"
    )
    subject: Annotated[tuple[Subject, ...], Meta(min_length=1, max_length=MAX_ARTIFACTS)]
    predicateType: Literal["urn:relsign:release:v1"] = "urn:relsign:release:v1"
    predicate: ReleasePredicate

    def __post_init__(self) -> None:
        """Refuse a name twice (two digests would be ambiguous), unsorted or reserved."""
        names = [s.name for s in self.subject]
        refuse_repeats("subject", names)
        if names != sorted(names):
            raise ValueError("subjects are not sorted by name")
        for name in names:
            if is_reserved(name):
                raise ValueError(f"subject name is reserved for relsign: {name}")

    def to_bytes(self) -> bytes:
        """Return the payload to be signed."""
        return encode_canonical(self)

    def digests(self) -> dict[str, str]:
        """Return artifact name -> SHA-256."""
        return {s.name: s.digest.sha256 for s in self.subject}


def parse_statement(payload: bytes, where: str = "statement") -> Statement:
    """Return the statement; raise InputError unless `payload` is its canonical form."""
    return decode_canonical(payload, Statement, where, max_bytes=MAX_STATEMENT_BYTES)
