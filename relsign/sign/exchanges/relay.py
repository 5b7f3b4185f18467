"""An exchange over HTTP: the client of `relsign relay`.

Each request is signed by the person's identity key, each try anew: a relay takes one
nonce once.  What comes back is untrusted: bounded, parsed strictly, counted, and a relay
that talks nonsense ends in one error.  A relay can hold messages back; it cannot make one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from relsign.errors import HostError, InputError
from relsign.formats.canonical import shorten
from relsign.formats.envelope import decode_base64
from relsign.formats.names import Digest
from relsign.formats.relay import (
    MAX_PAGE_BYTES,
    MAX_TOPIC_MESSAGES,
    Credential,
    Page,
    RelayRequest,
    parse_page,
    parse_receipt,
    parse_refusal,
    topic_path,
)
from relsign.sign.exchanges.interface import (
    Identity,
    Received,
    check_message,
    check_topic,
    few_lines,
    too_many,
)
from relsign.system.ask import Answer, NoAnswerError, Patience, Question, ask
from relsign.system.clock import now_utc

TRIES = 3
BUSY = frozenset({429, 500, 502, 503, 504})
"""Answers after which the same question may be asked again."""
DONE = frozenset({200, 201})
MAX_PAGES = 2 * MAX_TOPIC_MESSAGES
_LATER = "run the same command again; what was sent before it broke off is kept"
_HINTS = {
    401: "the relay's members are those of its root or roster: ask who runs it to add your key",
    404: "is this the address of a `relsign relay`? Ask who runs it",
}


@dataclass(frozen=True, slots=True)
class RelayPatience:
    """How long to bear with a relay, in seconds."""

    one: Patience = field(default_factory=Patience)
    """For one request."""
    topic: float = 300
    """For all pages of one topic."""
    pause: float = 1
    """Before the second try; the third waits for twice as long."""


@dataclass(frozen=True, slots=True)
class RelayExchange:
    """A relay at an address, asked as one person."""

    address: str
    """As `audience_of` gives it."""
    identity: Identity
    patience: RelayPatience = field(default_factory=RelayPatience)

    def put(self, topic: str, message: bytes) -> None:
        """Add a message: see `Exchange.put`."""
        check_topic(topic)
        check_message(message)
        answer = self._ask("POST", topic_path(topic), message)
        with _blaming(self.address):
            receipt = parse_receipt(answer.body, "receipt")
            if receipt.sha256 != hashlib.sha256(message).hexdigest():
                raise InputError("receipt for another message", got=receipt.sha256[:12])

    def messages(self, topic: str) -> Received:
        """Return the messages of a topic: see `Exchange.messages`."""
        check_topic(topic)
        found: dict[str, bytes] = {}
        lines: list[str] = []
        after = 0
        end = time.monotonic() + self.patience.topic
        for _page in range(MAX_PAGES):
            answer = self._ask("GET", topic_path(topic, after), b"")
            with _blaming(self.address):
                page = _read_page(answer.body, after)
            for one in page.messages:
                after = one.number
                _take(one.message, f"message {after}", found, lines)
            if not page.more:
                break
            if len(found) >= MAX_TOPIC_MESSAGES:
                lines.append(f"more than {MAX_TOPIC_MESSAGES} messages: the rest is not read")
                break
            if time.monotonic() > end:
                raise HostError("the relay is too slow", where=self.address, hint=_LATER)
        names = sorted(found)
        if len(names) > MAX_TOPIC_MESSAGES:
            lines.append(too_many(len(names) - MAX_TOPIC_MESSAGES))
        kept = tuple(found[name] for name in names[:MAX_TOPIC_MESSAGES])
        return Received(kept, few_lines(lines))

    def _ask(
        self, method: Literal["GET", "POST"], path: str, body: bytes, tries: int = TRIES
    ) -> Answer:
        """Ask until there is an answer of use; raise HostError when there is none."""
        headers = {"Authorization": self._credential(method, path, body).to_header()}
        question = Question(method, self.address + path, headers, body or None)
        try:
            answer = ask(question, MAX_PAGE_BYTES, self.patience.one)
        except NoAnswerError:
            if tries == 1:
                raise
        else:
            if answer.status in DONE:
                return answer
            if answer.status not in BUSY or tries == 1:
                raise _refusal(answer, self.address)
        time.sleep(self.patience.pause * (TRIES + 1 - tries))
        return self._ask(method, path, body, tries - 1)

    def _credential(self, method: Literal["GET", "POST"], path: str, body: bytes) -> Credential:
        request = RelayRequest(
            audience=self.address,
            body_sha256=Digest(hashlib.sha256(body).hexdigest()),
            method=method,
            nonce=os.urandom(16).hex(),
            path=path,
            time=now_utc(),
        )
        unsigned = Credential(self.identity.keyid, request.to_bytes(), b"")
        signature = self.identity.sign(unsigned.signed_bytes())
        return Credential(unsigned.keyid, unsigned.request, signature)


def _take(encoded: str, where: str, found: dict[str, bytes], lines: list[str]) -> None:
    """Add a message to those that were found, or a line that says why not."""
    try:
        message = decode_base64(encoded, where)
        check_message(message)
    except InputError as error:
        lines.append(str(error))
    else:
        found[hashlib.sha256(message).hexdigest()] = message


def _read_page(body: bytes, after: int) -> Page:
    page = parse_page(body, "page")
    if page.messages and page.messages[0].number <= after:
        raise InputError("the same messages again", got=f"number {page.messages[0].number}")
    return page


@contextlib.contextmanager
def _blaming(address: str) -> Iterator[None]:
    """Say that the relay is at fault, not the person, where its answer makes no sense."""
    try:
        yield
    except InputError as error:
        raise HostError(
            "the relay talks nonsense",
            where=address,
            got=shorten(str(error)),
            hint="is this the address of a `relsign relay`? Ask who runs it",
        ) from error


def _refusal(answer: Answer, address: str) -> HostError:
    """Return what to say of an answer that is no success, in the relay's words if it has any."""
    got = f"status {answer.status}"
    hint = _HINTS.get(answer.status, _LATER)
    try:
        said = parse_refusal(answer.body, "refusal")
    except InputError:
        return HostError("the relay refused", where=address, got=got, hint=hint)
    return HostError(
        "the relay refused", where=address, got=f"{got}: {said.error}", hint=said.hint or hint
    )
