"""People who make keys together in memory, each with an own seed and an own view.

    room = Room(agreed)                                  # nobody has said anything
    steps = room.finish()                                # everybody talks until all is done
    group, shares = make_group(("ana", "bob", "cleo"), 2)     # the short way, as real

A liar's messages are changed before they are sent: `room.finish({"bob": twist})`.  Or
they go in by hand: `room.say(message)` signs it with its sender's key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from nacl.signing import SigningKey

from relsign.crypto.frost.signing import SecretShare
from relsign.formats.ceremony import CEREMONY_PAYLOAD, CeremonyMessage
from relsign.formats.charter import Charter, Group
from relsign.formats.envelope import Envelope, Signature, pae
from relsign.sign.ceremony.charter import (
    Agreed,
    Terms,
    agree,
    keygen_charter,
    repair_charter,
    reshare_charter,
)
from relsign.sign.ceremony.steps import Person, Step, listen
from relsign.sign.ceremony.transcript import next_step

CREATED = datetime(2026, 11, 20, 12, tzinfo=UTC)
EXPIRES = datetime(2028, 11, 20, 12, tzinfo=UTC)
TERMS = Terms("demo", "release", "release", "Demo releases <demo@example.org>", CREATED, EXPIRES)
ROUNDS = 8
"""More than any ceremony takes, so that one that never ends fails."""

M = TypeVar("M", bound=CeremonyMessage)
Twist = Callable[[CeremonyMessage], CeremonyMessage]
"""What a liar makes of the message that is due."""


def digest(*words: str) -> bytes:
    """Return 32 bytes that are always the same for the same words."""
    return hashlib.sha256("\n".join(words).encode()).digest()


def identity(name: str) -> SigningKey:
    """Return a person's identity key."""
    return SigningKey(digest("identity", name))


def public(*names: str) -> dict[str, bytes]:
    """Return raw identity keys by name."""
    return {name: bytes(identity(name).verify_key) for name in names}


def sign(message: CeremonyMessage, signer: str | None = None) -> bytes:
    """Return a message in its envelope, signed by its sender unless another one signs."""
    payload = message.to_bytes()
    key = identity(signer or message.sender)
    made = Signature(keyid="", sig=key.sign(pae(CEREMONY_PAYLOAD, payload)).signature)
    return Envelope(payload=payload, payload_type=CEREMONY_PAYLOAD, signatures=(made,)).to_bytes()


@dataclass
class Room:
    """A ceremony under way: who has which share, and what was said so far."""

    agreed: Agreed
    shares: Mapping[str, SecretShare] = field(default_factory=dict)
    """Of the group before, by name."""
    said: list[bytes] = field(default_factory=list)
    """Envelopes, in the order they came."""

    @property
    def names(self) -> tuple[str, ...]:
        """Who may speak."""
        return tuple(self.agreed.identities)

    def person(self, name: str) -> Person:
        """Return a person with the seed of this ceremony."""
        seed = digest("seed", name, self.agreed.ceremony)
        return Person(name, seed, self.shares.get(name))

    def look(self, name: str | None, seen: Iterable[bytes] | None = None) -> Step:
        """Return what a person is to do, of all that was said or of a part of it."""
        heard = listen(self.agreed, self.said if seen is None else seen)
        return next_step(self.agreed, heard, None if name is None else self.person(name))

    def turn(
        self, name: str, seen: Iterable[bytes] | None = None, twist: Twist | None = None
    ) -> Step:
        """Let a person do what is next, and say it, or a lie, to all."""
        step = self.look(name, seen)
        self.say(*(message if twist is None else twist(message) for message in step.to_send))
        return step

    def spoken(self, kind: type[M]) -> dict[str, M]:
        """Return everybody's message of a kind."""
        heard = listen(self.agreed, self.said)
        return {m.sender: m for m in heard.messages if isinstance(m, kind)}

    def say(self, *messages: CeremonyMessage) -> None:
        """Add signed messages to what was said."""
        self.said += [sign(message) for message in messages]

    def finish(
        self, lies: Mapping[str, Twist] | None = None, names: Sequence[str] | None = None
    ) -> dict[str, Step]:
        """Let people talk until nobody has anything to add; return where each stands."""
        twists = lies or {}
        for _ in range(ROUNDS):
            before = len(self.said)
            steps = {n: self.turn(n, twist=twists.get(n)) for n in names or self.names}
            if len(self.said) == before:
                return steps
        raise AssertionError("they never stop talking")


def keygen_room(names: Sequence[str], threshold: int) -> Room:
    """Return a room in which a new key is to be made."""
    charter = keygen_charter(TERMS, public(*names), threshold, digest("nonce", *names))
    return Room(agree(charter, None))


def reshare_room(
    group: Group,
    shares: Mapping[str, SecretShare],
    names: Sequence[str],
    threshold: int,
    dealers: Sequence[str],
) -> Room:
    """Return a room in which `dealers` deal a key anew to `names`."""
    nonce = digest("nonce", "reshare", *names)
    charter = reshare_charter(
        group, public(*names), threshold, dealers, expires=EXPIRES, nonce=nonce
    )
    return Room(agree(charter, group), shares)


def repair_room(
    group: Group, shares: Mapping[str, SecretShare], lost: str, helpers: Sequence[str]
) -> Room:
    """Return a room in which `helpers` make the share of `lost` again."""
    charter: Charter = repair_charter(
        group, lost, helpers, expires=EXPIRES, nonce=digest("nonce", "repair", lost)
    )
    left = {name: share for name, share in shares.items() if name != lost}
    return Room(agree(charter, group), left)


def make_group(names: Sequence[str], threshold: int) -> tuple[Group, dict[str, SecretShare]]:
    """Return a group and everybody's share, made by a real key generation."""
    steps = keygen_room(names, threshold).finish()
    shares: dict[str, SecretShare] = {}
    for name, step in steps.items():
        assert step.done is not None, step
        assert step.done.share is not None
        shares[name] = step.done.share
    done = steps[names[0]].done
    assert done is not None
    return done.group, shares
