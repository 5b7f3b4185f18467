"""What goes over the wire between a person and a relay of ceremony messages.

A relay keeps messages it cannot judge; it only wants to know which member asks.  So
each request bears a document that names it (method, path, digest of the body, time,
nonce, and the relay that is meant), signed by the member's key over DSSE's PAE.  It
travels in one header, checked before a byte of the body is read:

    Authorization: Relsign KEYID.DOCUMENT.SIGNATURE

each part in hexadecimal digits: one request has one spelling.  Whether the signer is
a member and the request the one that is named is decided by `relsign.relay.admission`.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated, Literal

from msgspec import Meta

from relsign.errors import InputError
from relsign.formats.canonical import (
    Document,
    Value,
    decode_canonical,
    encode_canonical,
)
from relsign.formats.envelope import pae
from relsign.formats.names import Base64, HexDigest, Text, Time, shaped, whole_seconds_utc

REQUEST_TYPE = "application/vnd.relsign.relay-request+json"
"""Payload type under which a request is signed: no other signature of a key can be one."""

MAX_MESSAGE_BYTES = 64 << 10
"""Bound on one message of a ceremony, wherever it travels."""
MAX_TOPIC_MESSAGES = 4096
"""Messages of one topic that a reader looks at."""

WINDOW_SECONDS = 300
"""How far the clocks of a member and a relay may be apart."""
PAGE_MESSAGES = 256
PAGE_BYTES = 512 << 10
"""Bound on the messages of one page; one message more than half of it has its own."""
MAX_PAGE_BYTES = 1 << 20
"""Bound on a page's JSON; a reader refuses more."""
MAX_HEADER_BYTES = 2048
MAX_REQUEST_BYTES = 900

_HEADER = re.compile(r"Relsign ([0-9a-f]{64})\.((?:[0-9a-f]{2}){1,900})\.([0-9a-f]{128})")
_HOST = r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])"
ADDRESS = (
    rf"https?://{_HOST}(?::[1-9][0-9]{{0,4}})?(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]{{0,63}}){{0,4}}"
)

Audience = Annotated[str, shaped("an address such as https://relay.example", ADDRESS)]
"""The address of a relay in the one form that `audience_of` gives."""

TopicPath = Annotated[
    str,
    shaped(
        "/v1/topics/ and 64 digits of 0-9 a-f",
        r"/v1/topics/[0-9a-f]{64}(?:\?after=(?:0|[1-9][0-9]{0,8}))?",
    ),
]
"""What is asked for, below the relay's address."""

Nonce = Annotated[str, shaped("32 digits of 0-9 a-f", r"[0-9a-f]{32}")]
Number = Annotated[int, Meta(ge=1, le=999_999_999)]


class RelayRequest(Document, frozen=True, kw_only=True):
    """What a member signs: this request, to this relay, now, once."""

    format: Literal["relsign/relay-request/1"] = "relsign/relay-request/1"
    audience: Audience
    body_sha256: HexDigest
    method: Literal["GET", "POST"]
    nonce: Nonce
    path: TopicPath
    time: Time

    def __post_init__(self) -> None:
        """Refuse times with more than one form, and a message that is put behind another."""
        if not whole_seconds_utc(self.time):
            raise ValueError("time is not whole seconds in UTC")
        if self.method == "POST" and "?" in self.path:
            raise ValueError("POST takes no after")

    @property
    def topic(self) -> str:
        """The topic that is asked for."""
        return self.path.partition("?")[0].rpartition("/")[2]

    @property
    def after(self) -> int:
        """The number after which messages are wanted."""
        return int(self.path.partition("=")[2] or 0)

    def to_bytes(self) -> bytes:
        """Return the canonical bytes of the document."""
        return encode_canonical(self)


class Credential(Value, frozen=True):
    """The header of a request, its signature not yet checked."""

    keyid: str
    request: bytes
    """Canonical bytes of a `RelayRequest`, or whatever stands there."""
    signature: bytes

    def to_header(self) -> str:
        """Return the value of the ``Authorization`` header."""
        return f"Relsign {self.keyid}.{self.request.hex()}.{self.signature.hex()}"

    def signed_bytes(self) -> bytes:
        """Return what the signature is over (DSSE v1)."""
        return pae(REQUEST_TYPE, self.request)


class PageMessage(Document, frozen=True, kw_only=True):
    """A message and its place in the topic."""

    message: Annotated[Base64, Meta(min_length=4, max_length=4 * (MAX_MESSAGE_BYTES // 3 + 1))]
    number: Number


class Page(Document, frozen=True, kw_only=True):
    """A relay's answer to GET: messages in the order of their numbers."""

    format: Literal["relsign/relay-page/1"] = "relsign/relay-page/1"
    messages: Annotated[tuple[PageMessage, ...], Meta(max_length=PAGE_MESSAGES)]
    more: bool
    """Whether there are messages behind the last of these."""

    def __post_init__(self) -> None:
        """Refuse numbers that do not rise, and a promise of more behind nothing."""
        numbers = [message.number for message in self.messages]
        if any(one >= two for one, two in pairwise(numbers)):
            raise ValueError("numbers do not rise")
        if self.more and not numbers:
            raise ValueError("more behind nothing")

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return encode_canonical(self)


class Receipt(Document, frozen=True, kw_only=True):
    """A relay's answer to POST: the message is on its disk."""

    format: Literal["relsign/relay-receipt/1"] = "relsign/relay-receipt/1"
    number: Number
    sha256: HexDigest

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return encode_canonical(self)


class RelayRefusal(Document, frozen=True, kw_only=True):
    """A relay's answer to anything it does not do."""

    format: Literal["relsign/relay-refusal/1"] = "relsign/relay-refusal/1"
    error: Text
    hint: Text | None = None

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return encode_canonical(self)


def topic_path(topic: str, after: int | None = None) -> str:
    """Return the path of a topic, below the relay's address."""
    return f"/v1/topics/{topic}" + ("" if after is None else f"?after={after}")


def parse_header(text: str) -> Credential:
    """Return the credential in an ``Authorization`` header; raise InputError for another."""
    found = _HEADER.fullmatch(text) if len(text) <= MAX_HEADER_BYTES else None
    if found is None:
        raise InputError("no credential of a member", hint="ask with `relsign`")
    keyid, request, signature = found.groups()
    return Credential(keyid, bytes.fromhex(request), bytes.fromhex(signature))


def parse_request(data: bytes, where: str = "request") -> RelayRequest:
    """Return the request that was signed; raise InputError unless `data` is canonical."""
    return decode_canonical(data, RelayRequest, where, max_bytes=MAX_REQUEST_BYTES)


def parse_page(data: bytes, where: str) -> Page:
    """Return a page of messages; raise InputError unless `data` is canonical."""
    return decode_canonical(data, Page, where, max_bytes=MAX_PAGE_BYTES)


def parse_receipt(data: bytes, where: str) -> Receipt:
    """Return a receipt; raise InputError unless `data` is canonical."""
    return decode_canonical(data, Receipt, where, max_bytes=MAX_REQUEST_BYTES)


def parse_refusal(data: bytes, where: str) -> RelayRefusal:
    """Return a refusal; raise InputError unless `data` is canonical."""
    return decode_canonical(data, RelayRefusal, where, max_bytes=MAX_REQUEST_BYTES)
