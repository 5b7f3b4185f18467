"""What a group is asked to sign, and the messages by which it does.

    request            what kind of thing, of which release: rebuilt by everybody alone
    commitments        round 1: a pair of points for each signature that is wanted
    signature-shares   round 2, and 3 for what needs a signature of round 2

A request is never sent: each participant makes it from the documents on its own disk,
and a message that names another request's digest is for somebody else.  Nobody can ask
a group to sign given bytes.

An attempt is one set of commitments.  Where people answered different sets, or one of
the set does not come back, a new attempt begins with new commitments.
"""

from __future__ import annotations

from typing import Annotated, Literal, cast

from msgspec import Meta

from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.ceremony import MAX_MESSAGE_BYTES, Sealed
from relsign.formats.charter import MAX_PARTICIPANTS
from relsign.formats.names import HexDigest, Name, Text, Time, shaped, whole_seconds_utc

SIGNING_PAYLOAD = "application/vnd.relsign.signing+json"
"""Payload type of signing messages: no signature over anything else can pass for one."""

MAX_ATTEMPTS = 1_000
MAX_SLOTS = 32

RequestKind = Literal["release", "layout", "root", "certificate", "revocation"]
Slot = Annotated[str, shaped("a slot name of a-z 0-9 . -", r"[a-z][a-z0-9.-]{0,31}")]
"""One signature that is wanted, such as ``openpgp`` or ``minisign.2``."""
Attempt = Annotated[int, Meta(ge=1, le=MAX_ATTEMPTS)]


class SigningRequest(Document, frozen=True, kw_only=True):
    """One typed request; its digest names the session."""

    format: Literal["relsign/signing-request/1"] = "relsign/signing-request/1"
    kind: RequestKind
    project: Name
    group: HexDigest
    """Digest of the group document: key, people and shares."""
    subject: HexDigest
    """SHA-256 of the payload that is signed: statement, layout, root, key packet."""
    manifest: HexDigest | None
    """SHA-256 of SHA256SUMS, for a release."""
    messages: HexDigest
    """Digest of the bytes that are signed first, slot by slot: nobody signs others."""
    at: Time
    """When the signatures say they were made."""
    namespace: Text
    """What the signatures are for; that of sshsig among them."""
    slots: Annotated[tuple[Slot, ...], Meta(min_length=1, max_length=MAX_SLOTS)]
    """The signatures that are wanted, in order."""

    def __post_init__(self) -> None:
        """Refuse what has two forms."""
        if len(set(self.slots)) != len(self.slots):
            raise ValueError("a slot stands twice")
        if not whole_seconds_utc(self.at):
            raise ValueError("at is not whole seconds in UTC")

    def to_bytes(self) -> bytes:
        """Return the canonical bytes, whose SHA-256 names the session."""
        return encode_canonical(self)


class NoncePair(Document, frozen=True, kw_only=True):
    """Commitments to two nonces (RFC 9591, 5.1)."""

    hiding: HexDigest
    binding: HexDigest


class SigningMessage(Document, frozen=True, kw_only=True):
    """What every message of a session says."""

    session: HexDigest
    """Digest of the request."""
    attempt: Attempt
    sender: Name

    def to_bytes(self) -> bytes:
        """Return the payload to be signed."""
        return encode_canonical(self)


class Commitments(SigningMessage, frozen=True, kw_only=True, tag_field="kind", tag="commitments"):
    """Round 1: a participant will sign, with these nonces."""

    nonces: Annotated[dict[Slot, NoncePair], Meta(min_length=1, max_length=MAX_SLOTS)]


class SignatureShares(
    SigningMessage, frozen=True, kw_only=True, tag_field="kind", tag="signature-shares"
):
    """Round 2 or 3: a participant's shares of signatures."""

    round: Annotated[int, Meta(ge=2, le=3)]
    signers: Annotated[dict[Name, HexDigest], Meta(min_length=2, max_length=MAX_PARTICIPANTS)]
    """Who signs together: the digest of each one's commitments message."""
    shares: Annotated[dict[Slot, HexDigest], Meta(max_length=MAX_SLOTS)]
    sealed: Sealed
    """Of a signature that is not for everybody: its share, sealed to each participant."""


def parse_signing_message(payload: bytes, where: str = "message") -> Commitments | SignatureShares:
    """Return the message in a payload; raise InputError unless it is in canonical form."""
    into = cast("type[Commitments | SignatureShares]", Commitments | SignatureShares)
    return decode_canonical(payload, into, where, max_bytes=MAX_MESSAGE_BYTES)
