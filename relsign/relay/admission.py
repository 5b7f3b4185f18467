"""Who may ask a relay for what: the rules, without network or disk.

(1) the header holds a credential; (2) its key is a member's; (3) the signature is that
key's.  Until here the answer is one and the same 401: strangers learn nothing.  From here
on it is a member, who is told what is wrong: (4) the document is canonical; (5) it is
about this relay, method and path; (6) its time is within the window; (7) the member does
not ask too often; (8) the nonce is new.  The body is judged last, by its digest: no byte
of it is read for anybody else.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from relsign.crypto.signatures import verify_ed25519
from relsign.errors import InputError, VerificationError
from relsign.formats.relay import (
    MAX_MESSAGE_BYTES,
    WINDOW_SECONDS,
    Credential,
    RelayRequest,
    parse_header,
    parse_request,
)
from relsign.relay.limits import MEMBER_RATE, STRANGER_RATE, Buckets, Nonces
from relsign.relay.members import Members, RelayMember
from relsign.relay.refusal import RefusedError

MAX_NONCES = 1 << 18


@dataclass(frozen=True, slots=True)
class Asked:
    """What came over the network, before its body."""

    address: str
    """Of the client, or of the proxy before this relay."""
    method: str
    path: str
    """As it was sent, percent signs and query included, below the relay's address."""
    authorization: str


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, by the clock on the wall and by one that only goes forward."""

    wall: datetime
    steady: float


@dataclass(frozen=True, slots=True)
class Admitted:
    """A member's own request."""

    member: RelayMember
    request: RelayRequest


@dataclass(frozen=True, slots=True)
class Gate:
    """The rules of one relay."""

    audience: str
    members: Members
    askers: Buckets = field(default_factory=lambda: Buckets(MEMBER_RATE))
    strangers: Buckets = field(default_factory=lambda: Buckets(STRANGER_RATE))
    nonces: Nonces = field(default_factory=lambda: Nonces(2 * WINDOW_SECONDS + 60, MAX_NONCES))

    def admit(self, asked: Asked, now: Moment) -> Admitted:
        """Return whose request this is; raise RefusedError for any that is not a member's."""
        try:
            credential, member = self._recognise(asked.authorization)  # (1) to (3)
        except (InputError, VerificationError) as error:
            # Members are told apart first, so strangers behind the same proxy cannot lock
            # them out.
            if not self.strangers.spend(asked.address, now.steady):
                raise RefusedError(429, "too many requests") from error
            raise RefusedError(401, "members only") from error
        request = self._understand(credential, asked)  # (4) and (5)
        _check_time(request.time, now.wall)  # (6)
        if not self.askers.spend(member.key.keyid, now.steady):  # (7)
            raise RefusedError(429, "you ask too often", "wait a minute")
        if not self.nonces.is_new(member.key.keyid, request.nonce, now.steady):  # (8)
            raise RefusedError(409, "this request was here before", "run the command again")
        return Admitted(member, request)

    def _recognise(self, authorization: str) -> tuple[Credential, RelayMember]:
        credential = parse_header(authorization)
        member = self.members.get(credential.keyid)
        if member is None:
            raise VerificationError("not a member")
        verify_ed25519(member.key, credential.signature, credential.signed_bytes())
        return credential, member

    def _understand(self, credential: Credential, asked: Asked) -> RelayRequest:
        try:
            request = parse_request(credential.request)
        except InputError as error:
            raise RefusedError(400, "not a request that relsign makes", "update relsign") from error
        if request.audience != self.audience:
            raise RefusedError(
                403, "signed for another address", f"this relay is known as {self.audience}"
            )
        if (request.method, request.path) != (asked.method, asked.path):
            raise RefusedError(403, "signed for another request")
        return request


def _check_time(time: datetime, now: datetime) -> None:
    apart = time - now
    if abs(apart) > timedelta(seconds=WINDOW_SECONDS):
        way = "ahead of" if apart > timedelta(0) else "behind"
        seconds = int(abs(apart).total_seconds())
        raise RefusedError(
            403,
            f"your clock is {seconds} seconds {way} the relay's",
            f"set your clock; at most {WINDOW_SECONDS} seconds are borne",
        )


def announced_bytes(request: RelayRequest, content_length: str, encoding: str) -> int:
    """Return how long the body will be; raise RefusedError before a byte of it is read."""
    if encoding:
        raise RefusedError(411, "a message is sent in one piece, its length announced")
    if not content_length.isascii() or not (content_length or "0").isdigit():
        raise RefusedError(400, "the length is no number")
    size = int(content_length[:10] or "0")
    if request.method == "GET":
        if size:
            raise RefusedError(400, "GET has no body")
        return 0
    if not size:
        raise RefusedError(411, "a message has a length, which is announced")
    if size > MAX_MESSAGE_BYTES:
        raise RefusedError(413, f"a message has at most {MAX_MESSAGE_BYTES} bytes")
    return size


def check_body(request: RelayRequest, body: bytes) -> None:
    """Raise RefusedError unless a body is the one that was signed."""
    if hashlib.sha256(body).hexdigest() != request.body_sha256:
        raise RefusedError(400, "the body is not the one that was signed")
