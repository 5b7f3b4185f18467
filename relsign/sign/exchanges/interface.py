"""What every way for messages has in common.

A message is bytes: one DSSE envelope, signed by one person's identity key.  To an
exchange it is opaque; whoever reads it verifies it.  An exchange is append-only and may
be hostile: it can hold messages back, repeat them and add junk, and nothing else.

    exchange.put(topic, message)          # again, after a crash: nothing changes
    exchange.messages(topic).messages     # each message once, in any order
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from relsign.crypto.raw_signing import Sign
from relsign.errors import InputError
from relsign.formats.canonical import shorten
from relsign.formats.relay import MAX_MESSAGE_BYTES, MAX_TOPIC_MESSAGES

MAX_IGNORED = 20
"""Lines about what was ignored in one topic; the rest is counted in one more."""
_TOPIC = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: a person's Ed25519 identity key, wherever its secret half is."""

    keyid: str
    public: bytes
    """Raw public key, 32 bytes."""
    sign: Sign
    """Gets a message, returns its 64 bytes of Ed25519 signature."""


@dataclass(frozen=True, slots=True)
class Received:
    """What a topic holds for a reader."""

    messages: tuple[bytes, ...]
    """Each once, not empty, at most 64 KiB, at most 4,096; sorted by digest."""
    ignored: tuple[str, ...] = ()
    """A line for people about each thing that is there and is no message."""


class Exchange(Protocol):
    """A place that people who never meet can write to and read from."""

    def put(self, topic: str, message: bytes) -> None:
        """Add a message to a topic; one that is there already changes nothing.

        Durable on return.  Raises InputError for a bad topic or size, HostError if the
        exchange cannot take it: running the same again is always safe.
        """
        ...

    def messages(self, topic: str) -> Received:
        """Return the messages of a topic, none if nobody wrote to it yet.

        Raises InputError for a bad topic, HostError if the exchange cannot be read.
        """
        ...


def check_topic(topic: str) -> None:
    """Raise InputError unless a topic is 64 hexadecimal digits."""
    if not _TOPIC.fullmatch(topic):
        raise InputError(
            "not a topic",
            expected="64 digits of 0-9 a-f",
            got=shorten(ascii(topic)),
            hint="a ceremony is named by the digest of its charter: see `relsign status`",
        )


def check_message(message: bytes) -> None:
    """Raise InputError unless a message has a size that every exchange takes."""
    if not 0 < len(message) <= MAX_MESSAGE_BYTES:
        raise InputError(
            "not a message of a ceremony",
            expected=f"1 to {MAX_MESSAGE_BYTES} bytes",
            got=f"{len(message)}",
            hint="only `relsign` itself makes messages; report this",
        )


def few_lines(lines: Iterable[str]) -> tuple[str, ...]:
    """Return the first `MAX_IGNORED` lines, and one that counts the others."""
    every = tuple(lines)
    if len(every) <= MAX_IGNORED:
        return every
    return (*every[:MAX_IGNORED], f"and {len(every) - MAX_IGNORED} more that are no messages")


def too_many(count: int) -> str:
    """Return the line about messages beyond the bound."""
    return f"{count} messages beyond the first {MAX_TOPIC_MESSAGES} are not looked at"
