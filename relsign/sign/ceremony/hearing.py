"""What was heard: which messages of an exchange count, and why the others do not.

An exchange brings anything in any order: late, twice, of other ceremonies, of strangers,
damaged.  A message counts if its one signature is by the identity key of the participant
it names as its sender.  Who signed two different messages where one was due is named:
nobody else can have made them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Ed25519Public
from relsign.crypto.signatures import verify_ed25519
from relsign.errors import InputError, VerificationError
from relsign.formats.ceremony import CEREMONY_PAYLOAD
from relsign.formats.envelope import parse_envelope
from relsign.formats.names import Digest
from relsign.formats.signing import SIGNING_PAYLOAD

MAX_IGNORED = 50
"""Lines about messages that do not count."""


class Sent(Protocol):
    """What every message says."""

    @property
    def sender(self) -> str:
        """Who says to have sent it."""

    def to_bytes(self) -> bytes:
        """Return the payload."""


M = TypeVar("M", bound=Sent)
Place = tuple[object, ...]
"""Where one participant's one message belongs: its kind, its attempt."""


@dataclass(frozen=True, slots=True)
class Heard(Generic[M]):
    """Messages that count, those that do not, and who contradicted himself."""

    messages: tuple[M, ...]
    """Each once, sorted by their payloads."""
    envelopes: tuple[bytes, ...]
    """What they came in, in the same order."""
    ignored: tuple[str, ...]
    two_tongued: tuple[str, ...]
    """Participants who signed two messages for one place; none of the two counts."""


def hear(
    received: Iterable[bytes],
    payload_type: str,
    parse: Callable[[bytes], M],
    identities: Mapping[str, bytes],
    place: Callable[[M], Place | None],
) -> Heard[M]:
    """Return what counts of the `received` envelopes; raises nothing.

    `identities` are the raw identity keys by name.  `place` says where a message belongs,
    None for one of another ceremony or session.
    """
    ignored: list[str] = []
    found: dict[tuple[str, Place], dict[bytes, tuple[M, bytes]]] = {}
    for data in received:
        try:
            message, payload = _read(data, payload_type, parse, identities)
        except (InputError, VerificationError) as error:
            ignored.append(f"message {sha256_hex(data)[:8]}: {error}")
            continue
        belongs = place(message)
        if belongs is None:
            ignored.append(f"message {sha256_hex(data)[:8]}: of another ceremony or session")
            continue
        copies = found.setdefault((message.sender, belongs), {})
        # Ed25519 leaves the signer many signatures over one payload: that is one message.
        copies[payload] = min(copies.get(payload, (message, data)), (message, data), key=_bytes)
    counted = [next(iter(c.items())) for c in found.values() if len(c) == 1]
    counted.sort(key=lambda item: item[0])
    liars = sorted({sender for (sender, _place), c in found.items() if len(c) > 1})
    if len(ignored) > MAX_IGNORED:
        ignored[MAX_IGNORED:] = [f"{len(ignored) - MAX_IGNORED} more messages do not count"]
    return Heard(
        tuple(message for _payload, (message, _data) in counted),
        tuple(data for _payload, (_message, data) in counted),
        tuple(ignored),
        tuple(liars),
    )


def digest_of(messages: Iterable[Sent]) -> Digest:
    """Return one digest of several messages, whatever order they came in."""
    return sha256_hex(b"".join(sorted(sha256_hex(m.to_bytes()).encode() for m in messages)))


def _bytes(item: tuple[M, bytes]) -> bytes:
    return item[1]


def _read(
    data: bytes, payload_type: str, parse: Callable[[bytes], M], identities: Mapping[str, bytes]
) -> tuple[M, bytes]:
    envelope = parse_envelope(data, "message", payload_type=payload_type)
    message = parse(envelope.payload)
    if message.sender not in identities:
        raise InputError("sent by nobody of this group", got=message.sender)
    if len(envelope.signatures) != 1:
        raise InputError("not one signature", got=str(len(envelope.signatures)))
    key = Ed25519Public(identities[message.sender])
    verify_ed25519(key, envelope.signatures[0].sig, envelope.signed_bytes())
    return message, envelope.payload


def is_signed_by(data: bytes, people: Iterable[bytes]) -> bool:
    """Say whether a message is an envelope with one signature, by one of these raw keys."""
    for payload_type in (CEREMONY_PAYLOAD, SIGNING_PAYLOAD):
        try:
            envelope = parse_envelope(data, "message", payload_type=payload_type)
        except InputError:
            continue
        for raw in people if len(envelope.signatures) == 1 else ():
            with suppress(VerificationError, InputError):
                sig = envelope.signatures[0].sig
                verify_ed25519(Ed25519Public(raw), sig, envelope.signed_bytes())
                return True
    return False
