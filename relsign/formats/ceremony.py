"""The messages of a key ceremony: one DSSE envelope each, signed by its sender.

    proposal       the charter; whoever proposes a ceremony sends it
    dealing        step 1: a dealer's commitments; everybody's keys for sealed messages
    shares         step 2: a dealer's shares, each sealed to its receiver
    contribution   step 3 of a repair: a helper's part of the lost share
    acceptance     last step: everybody has a share that fits, and signs the result
    complaint      instead of it: who sent a share that does not fit, and the proof

A message names its ceremony by the digest of the charter, so that none can be replayed
into another.  Numbers in secret are sealed boxes around `SealedNumber`, which says
whose number for whom it is.  Points and scalars are 64 hexadecimal digits of their 32
bytes (RFC 8032; RFC 9591, 6.1).
"""

from __future__ import annotations

from typing import Annotated, Literal, cast

from msgspec import Meta

from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.charter import MAX_PARTICIPANTS, Charter
from relsign.formats.names import Base64, HexDigest, Name, shaped

CEREMONY_PAYLOAD = "application/vnd.relsign.ceremony+json"
"""Payload type of ceremony messages: no signature over anything else can pass for one."""

MAX_MESSAGE_BYTES = 64 << 10
"""Bound on one message in its envelope."""

Sealed = Annotated[dict[Name, Base64], Meta(max_length=MAX_PARTICIPANTS)]
Points = Annotated[dict[Name, HexDigest], Meta(max_length=MAX_PARTICIPANTS)]
SealingKeys = Annotated[dict[Name, HexDigest], Meta(max_length=MAX_PARTICIPANTS)]
Proof = Annotated[str, shaped("128 digits of 0-9 a-f", r"[0-9a-f]{128}")]


class Message(Document, frozen=True, kw_only=True):
    """What every message says."""

    ceremony: HexDigest
    """Digest of the charter."""
    sender: Name

    def to_bytes(self) -> bytes:
        """Return the payload to be signed."""
        return encode_canonical(self)


class Proposal(Message, frozen=True, kw_only=True, tag_field="kind", tag="proposal"):
    """The charter itself."""

    charter: Charter


class Dealing(Message, frozen=True, kw_only=True, tag_field="kind", tag="dealing"):
    """Step 1: commitments to a polynomial, and keys to receive with."""

    sealing: SealingKeys
    """For each who will seal a number to the sender: an X25519 key for that one alone.

    One key for all would have to be given away whole in a complaint, and with it what
    honest dealers sent: at a reshare that is a share of a key that stays in use.
    """
    commitments: Annotated[tuple[HexDigest, ...], Meta(max_length=MAX_PARTICIPANTS)]
    """A point per coefficient; none from who does not deal, and at repair."""
    proof: Proof | None
    """Of knowing the polynomial's constant, bound to the ceremony; none without commitments."""


class Shares(Message, frozen=True, kw_only=True, tag_field="kind", tag="shares"):
    """Step 2: a number for each receiver."""

    heard: HexDigest
    """Digest of every dealing (`relsign.sign.ceremony.hearing.digest_of`)."""
    sealed: Sealed
    points: Points
    """At repair: each number times the base point, the sender's own among them."""


class Contribution(Message, frozen=True, kw_only=True, tag_field="kind", tag="contribution"):
    """Step 3 of a repair: a helper's part of the lost share, sealed to its owner."""

    heard: HexDigest
    """Digest of every dealing and every shares message."""
    sealed: Base64


class Acceptance(Message, frozen=True, kw_only=True, tag_field="kind", tag="acceptance"):
    """Last step: this participant's share fits the group that all messages give."""

    heard: HexDigest
    """Digest of every message of the steps before."""
    group: HexDigest
    """Digest of the group document."""


class Complaint(Message, frozen=True, kw_only=True, tag_field="kind", tag="complaint"):
    """A number that does not fit; the ceremony ends and begins anew without the culprit.

    Whoever has the sealing secret can open the box, and so see who of the two is wrong.
    """

    accused: Name
    sealing_secret: HexDigest
    """Of the key in the sender's dealing for the accused: it opens no other's boxes."""


CeremonyMessage = Proposal | Dealing | Shares | Contribution | Acceptance | Complaint


class SealedNumber(Document, frozen=True, kw_only=True):
    """What is inside a sealed box."""

    ceremony: HexDigest
    sender: Name
    receiver: Name
    purpose: Literal["share", "contribution", "signature"]
    number: HexDigest
    """A scalar."""

    def to_bytes(self) -> bytes:
        """Return the canonical bytes, all of one length for one pair of names."""
        return encode_canonical(self)


def parse_message(payload: bytes, where: str = "message") -> CeremonyMessage:
    """Return the message in a payload; raise InputError unless it is in canonical form."""
    into = cast("type[CeremonyMessage]", CeremonyMessage)
    return decode_canonical(payload, into, where, max_bytes=MAX_MESSAGE_BYTES)


def parse_sealed_number(data: bytes, where: str = "sealed number") -> SealedNumber:
    """Return the number in an opened box; raise InputError for anything else."""
    return decode_canonical(data, SealedNumber, where)
