"""One good sample of each document of a group and its ceremonies."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from relsign.formats.ceremony import Dealing, SealedNumber, Shares
from relsign.formats.charter import Charter, Group, Holder, Participant, Transcript
from relsign.formats.names import Digest

AA, BB, CC = (Digest(digits * 32) for digits in ("aa", "bb", "cc"))
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = datetime(2027, 11, 21, 12, tzinfo=UTC)
PUBLIC = tuple(
    Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32).public_key().public_bytes_raw().hex()
    for n in (1, 2)
)


def make_charter() -> Charter:
    """Return the charter of a key of two people."""
    return Charter(
        kind="keygen",
        project="gzip",
        group="release",
        role="release",
        threshold=2,
        participants=(
            Participant(name="ana", identity=Digest(PUBLIC[0])),
            Participant(name="bob", identity=Digest(PUBLIC[1])),
        ),
        dealers=("ana", "bob"),
        lost=None,
        previous=None,
        user_id="gzip releases <gzip@example.org>",
        created=NOON,
        expires=LATER,
        nonce=AA,
    )


def make_group() -> Group:
    """Return a group of two people, its points no points."""
    return Group(
        project="gzip",
        name="release",
        role="release",
        key=AA,
        threshold=2,
        holders=(
            Holder(name="ana", identity=Digest(PUBLIC[0]), verifying=BB),
            Holder(name="bob", identity=Digest(PUBLIC[1]), verifying=CC),
        ),
        user_id="gzip releases <gzip@example.org>",
        created=NOON,
        ceremony=AA,
        previous=BB,
    )


def make_transcript() -> Transcript:
    """Return a ceremony of two messages, neither of them good."""
    return Transcript(charter=make_charter(), messages=("AAAA", "AAAB"))


def make_dealing() -> Dealing:
    """Return a dealing to one other, its points no points."""
    return Dealing(
        ceremony=AA, sender="ana", sealing={"bob": BB}, commitments=(AA, CC), proof=AA + BB
    )


def make_shares() -> Shares:
    """Return shares as a repair has them, sealed to one other."""
    return Shares(
        ceremony=AA, sender="ana", heard=BB, sealed={"bob": "AAAA"}, points={"ana": AA, "bob": BB}
    )


def make_sealed_number() -> SealedNumber:
    """Return what is in a box."""
    return SealedNumber(ceremony=AA, sender="ana", receiver="bob", purpose="share", number=CC)
