"""Commitments: a builder is bound to a result before it has seen anybody else's.

Published by each builder as ``build.<first 8 hex of keyid>.commitment``, a DSSE
envelope around `Commitment`.  The number in it is the SHA-256 of an `Opening`, which
stays on the builder's machine: its salt comes out with the builder's `build` link,
whose products are the fingerprints.  The salt keeps others from trying which result
it stands for; the builder's keyid keeps a copy from opening under another key.

    >>> opening = Opening(builder="aa" * 32, fingerprints={"linux": Digest("bb" * 32)},
    ...                   salt=Digest("cc" * 32))
    >>> opening.to_bytes()[:20]
    b'{"builder":"aaaaaaaa'
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.fingerprint import EnvironmentDigest
from relsign.formats.link import MAX_TWINS, Host
from relsign.formats.names import Digest, HexDigest, KeyId, Name, Time, Version, whole_seconds_utc
from relsign.formats.twin import Twin

COMMITMENT_PAYLOAD = "application/vnd.relsign.commitment+json"
"""Payload type of commitments: no signature over anything else can pass for one."""

MAX_COMMITMENT_BYTES = 4 << 10
"""Bound on an envelope with a commitment."""
MAX_HELD_BYTES = 1 << 20
COMMITMENT_ENDING = ".commitment"


class Commitment(Document, frozen=True, kw_only=True):
    """What a builder publishes before it shows what it built."""

    format: Literal["relsign/commitment/1"] = "relsign/commitment/1"
    project: Name
    version: Version
    commitment: HexDigest
    """SHA-256 of the opening's canonical bytes."""

    def to_bytes(self) -> bytes:
        """Return the payload to be signed; its SHA-256 is what others have heard."""
        return encode_canonical(self)


class Opening(Document, frozen=True, kw_only=True):
    """What a commitment is the digest of."""

    format: Literal["relsign/commitment/1"] = "relsign/commitment/1"
    builder: KeyId
    """Whole keyid of the builder, which it has from its key material."""
    fingerprints: dict[str, Digest]
    """Target -> fingerprint id."""
    salt: HexDigest
    """32 random bytes, new for every build."""

    def to_bytes(self) -> bytes:
        """Return the canonical bytes, whose SHA-256 the builder commits to."""
        return encode_canonical(self)


class HeldTarget(Document, frozen=True, kw_only=True):
    """When one target was built, kept for its provenance."""

    started_at: Time
    finished_at: Time

    def __post_init__(self) -> None:
        """Refuse times with more than one form, and an end before the start."""
        if not (whole_seconds_utc(self.started_at) and whole_seconds_utc(self.finished_at)):
            raise ValueError("started_at or finished_at is not whole seconds in UTC")
        if self.finished_at < self.started_at:
            raise ValueError("finished_at is before started_at")


class HeldBuild(Document, frozen=True, kw_only=True):
    """What a builder keeps to itself between its commitment and its links.

    Private to the builder: whoever reads the salt can tell whether a guess at the
    result is right.  Whoever changes it can only make the opening fail.
    """

    format: Literal["relsign/held-build/1"] = "relsign/held-build/1"
    salt: HexDigest
    targets: Annotated[dict[Name, HeldTarget], Meta(min_length=1)]
    host: Host | None
    checked: Annotated[tuple[EnvironmentDigest, ...], Meta(min_length=1)] | UnsetType = UNSET
    """Environments the recipe's checks ran in; absent where it has none."""
    twins: Annotated[tuple[Twin, ...], Meta(min_length=1, max_length=MAX_TWINS)] | UnsetType = UNSET
    """What its `build` link will say of them."""

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return encode_canonical(self)


def parse_commitment(payload: bytes, where: str = "commitment") -> Commitment:
    """Return the commitment in a verified payload; raise InputError for anything else."""
    return decode_canonical(payload, Commitment, where, max_bytes=MAX_COMMITMENT_BYTES)


def parse_held_build(data: bytes, where: str = "held build") -> HeldBuild:
    """Return what a builder kept; raise InputError unless `data` is its canonical form."""
    return decode_canonical(data, HeldBuild, where, max_bytes=MAX_HELD_BYTES)


def commitment_file_name(keyid: str) -> str:
    """Return the file name of a builder's commitment."""
    return f"build.{keyid[:8]}{COMMITMENT_ENDING}"
