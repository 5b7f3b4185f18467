"""What a group of people agree on before they make a key together, and what comes of it.

    charter       who, how many, for what: the ceremony is named by its digest
    group         the public result: one key, and what each share must look like
    transcript    the charter and every message, so that anybody can check it later

A key is made once (`keygen`).  Its shares may be dealt anew, to the same people or to
others, under the same key (`reshare`); one that was lost may be made again (`repair`).

Participants are kept sorted by name.  Which number a participant has in the arithmetic
follows from the identity key (`relsign.crypto.frost.group.identifier_of`), never from a
message.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.names import (
    Base64,
    Digest,
    HexDigest,
    Name,
    Text,
    Time,
    refuse_repeats,
    whole_seconds_utc,
)

MAX_PARTICIPANTS = 32
MAX_TRANSCRIPT_BYTES = 16 << 20
MAX_MESSAGES = 1_000
"""Messages of one ceremony that a transcript holds."""

GroupRole = Literal["release", "owner"]
CeremonyKind = Literal["keygen", "reshare", "repair"]
Names = Annotated[tuple[Name, ...], Meta(max_length=MAX_PARTICIPANTS)]
GroupThreshold = Annotated[int, Meta(ge=2, le=MAX_PARTICIPANTS)]


class Participant(Document, frozen=True, kw_only=True):
    """A person who holds a share."""

    name: Name
    identity: HexDigest
    """Raw Ed25519 public key that signs this person's messages."""


Participants = Annotated[tuple[Participant, ...], Meta(min_length=2, max_length=MAX_PARTICIPANTS)]


class Charter(Document, frozen=True, kw_only=True):
    """What every participant agrees to before taking part."""

    format: Literal["relsign/charter/1"] = "relsign/charter/1"
    kind: CeremonyKind
    project: Name
    group: Name
    role: GroupRole
    threshold: GroupThreshold
    participants: Participants
    """Who holds a share when this is over."""
    dealers: Names
    """Who deals: everybody at keygen, as many old holders as their threshold later."""
    lost: Name | None
    """At repair, the participant whose share is made again."""
    previous: HexDigest | None
    """Digest of the group this one follows; none at keygen."""
    user_id: Text
    """Of the OpenPGP certificate."""
    created: Time
    """Of the OpenPGP key, part of its fingerprint."""
    expires: Time
    """Of the OpenPGP certificate made at keygen."""
    nonce: HexDigest
    """32 random bytes: no two ceremonies have one name."""

    def __post_init__(self) -> None:
        """Refuse what could not be carried out."""
        _check_people(self.participants, self.threshold)
        names = {p.name for p in self.participants}
        _check_sorted("dealer", self.dealers)
        if not (whole_seconds_utc(self.created) and whole_seconds_utc(self.expires)):
            raise ValueError("created or expires is not whole seconds in UTC")
        if self.expires <= self.created:
            raise ValueError("expires is not after created")
        if (self.kind == "keygen") != (self.previous is None):
            raise ValueError("previous is for what follows a keygen, and needed there")
        if (self.kind == "repair") != (self.lost is not None):
            raise ValueError("lost is for a repair, and needed there")
        if self.kind == "keygen" and set(self.dealers) != names:
            raise ValueError("not everybody deals at keygen")
        if self.kind == "repair" and not (
            self.lost in names and set(self.dealers) < names and self.lost not in self.dealers
        ):
            raise ValueError("lost and dealers are not participants apart from each other")
        if len(self.dealers) < 2:  # noqa: PLR2004 - the smallest threshold there is
            raise ValueError("fewer than two dealers")

    def to_bytes(self) -> bytes:
        """Return the canonical bytes, whose SHA-256 names the ceremony."""
        return encode_canonical(self)

    def identities(self) -> dict[str, bytes]:
        """Return the raw identity key of each participant, by name."""
        return {p.name: bytes.fromhex(p.identity) for p in self.participants}


class Holder(Document, frozen=True, kw_only=True):
    """A participant, and the point its share must answer to."""

    name: Name
    identity: HexDigest
    verifying: HexDigest
    """Verifying share: the participant's secret share times the base point."""


class Group(Document, frozen=True, kw_only=True):
    """The public half of a shared key.

    Follows from the messages of its ceremony, and every participant signed its digest.
    """

    format: Literal["relsign/group/1"] = "relsign/group/1"
    project: Name
    name: Name
    role: GroupRole
    key: HexDigest
    """The group's raw Ed25519 public key."""
    threshold: GroupThreshold
    holders: Annotated[tuple[Holder, ...], Meta(min_length=2, max_length=MAX_PARTICIPANTS)]
    user_id: Text
    created: Time
    ceremony: HexDigest
    """Digest of the charter it was made under."""
    previous: HexDigest | None
    """Digest of the group before a reshare; none for the first."""

    def __post_init__(self) -> None:
        """Refuse people more than once, and a threshold they cannot meet."""
        people = tuple(Participant(name=h.name, identity=h.identity) for h in self.holders)
        _check_people(people, self.threshold)
        if not whole_seconds_utc(self.created):
            raise ValueError("created is not whole seconds in UTC")

    def to_bytes(self) -> bytes:
        """Return the canonical bytes, whose SHA-256 every participant signed."""
        return encode_canonical(self)

    def identities(self) -> dict[str, bytes]:
        """Return the raw identity key of each holder, by name."""
        return {h.name: bytes.fromhex(h.identity) for h in self.holders}


class Transcript(Document, frozen=True, kw_only=True):
    """A ceremony, whole: who said what, each message with its maker's signature."""

    format: Literal["relsign/transcript/1"] = "relsign/transcript/1"
    charter: Charter
    messages: Annotated[tuple[Base64, ...], Meta(max_length=MAX_MESSAGES)]
    """DSSE envelopes, sorted."""

    def __post_init__(self) -> None:
        """Refuse messages in more than one order."""
        _check_sorted("message", self.messages)

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return encode_canonical(self)


def parse_charter(data: bytes, where: str = "charter") -> Charter:
    """Return the charter; raise InputError unless `data` is its canonical form."""
    return decode_canonical(data, Charter, where)


def parse_group(data: bytes, where: str = "group") -> Group:
    """Return the group; raise InputError unless `data` is its canonical form."""
    return decode_canonical(data, Group, where)


def parse_transcript(data: bytes, where: str = "transcript") -> Transcript:
    """Return the transcript; raise InputError unless `data` is its canonical form."""
    return decode_canonical(data, Transcript, where, max_bytes=MAX_TRANSCRIPT_BYTES)


def _check_people(people: tuple[Participant, ...], threshold: int) -> None:
    _check_sorted("participant", tuple(p.name for p in people))
    refuse_repeats("identity", (Digest(p.identity) for p in people))
    if threshold > len(people):
        raise ValueError("threshold is larger than the number of participants")


def _check_sorted(kind: str, names: tuple[str, ...]) -> None:
    refuse_repeats(kind, names)
    if list(names) != sorted(names):
        raise ValueError(f"{kind}s are not sorted")
