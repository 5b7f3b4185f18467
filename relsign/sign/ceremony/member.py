"""One participant of a group on one machine: reads the exchange, does what is next.

    heard = what the exchange holds        next_move says what follows
    commit   seeds to disk, then the commitments to the exchange
    answer   seeds burned, shares computed, then they go to the exchange
    wait     somebody else is next

It may be run again at any time, after any crash: what was published is read back, what
was burned and not published is lost and a new attempt begins.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import msgspec

from relsign.crypto.frost.signing import Nonces, SecretShare, make_nonces
from relsign.crypto.sealing import ReceiverKey, seal, unseal
from relsign.errors import InputError, VerificationError
from relsign.formats.ceremony import SealedNumber, parse_sealed_number
from relsign.formats.envelope import Envelope, Signature, decode_base64, pae
from relsign.formats.signing import (
    SIGNING_PAYLOAD,
    Commitments,
    SignatureShares,
    parse_signing_message,
)
from relsign.sign.ceremony.hearing import Heard, hear
from relsign.sign.ceremony.moves import Move, make_commitments, make_shares, next_move
from relsign.sign.ceremony.outputs import rounds
from relsign.sign.ceremony.session import (
    FIRST_ROUND,
    LAST_ROUND,
    Session,
    Standing,
    outputs_of,
    standing,
)
from relsign.sign.exchanges.interface import Exchange, Identity
from relsign.sign.groups.nonces import NonceStore, Seeds

MAX_MOVES = 8
"""Of one visit: commit, answer, answer, and the same of one more attempt."""
Randomness = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Member:
    """A participant with its share, at work."""

    name: str
    identity: Identity
    share: SecretShare = field(repr=False)
    nonces: NonceStore = field(repr=False)
    exchange: Exchange


@dataclass(frozen=True, slots=True)
class Privacy:
    """Keys for signatures that only participants may have: a revocation in escrow."""

    receivers: Mapping[str, bytes]
    """Name -> X25519 public key to which one's own share is sealed for that participant."""
    keys: Mapping[str, ReceiverKey] = field(repr=False)
    """Sender -> one's own key for what that participant seals."""
    randomness: Randomness = field(repr=False)


@dataclass(frozen=True, slots=True)
class Visit:
    """What one visit did, and how things stand after it."""

    did: tuple[Move, ...]
    last: Move
    """``wait``, ``done`` or ``excluded``."""
    stands: Standing
    outputs: Mapping[str, bytes] = field(default_factory=dict)
    """What was made, by the outputs' names, once the session is done."""
    ignored: tuple[str, ...] = ()


def take_part(
    member: Member, session: Session, *, again: bool = False, privacy: Privacy | None = None
) -> Visit:
    """Do for `session` whatever is next for this participant, until somebody else is.

    Raises InputError or HostError from the nonce store or the exchange, VerificationError
    where what is to be answered is not as it was heard; what was published stays.
    """
    did: list[Move] = []
    while True:
        stands, ignored = look(member, session, privacy)
        spent = _spent(member.nonces, session, stands.attempt)
        # A new attempt is asked for once: the next move is of that attempt.
        move = next_move(session, stands, member.name, spent, again=again and not did)
        if move.kind not in {"commit", "answer"} or len(did) >= MAX_MOVES:
            made = outputs_of(session, move.package) if move.kind == "done" and move.package else {}
            return Visit(tuple(did), move, stands, made, ignored)
        if move.kind == "commit":
            _publish(member, session, _commit(member, session, move.attempt))
        else:
            _publish(member, session, _answer(member, session, stands, move, privacy))
        did.append(move)


def look(
    member: Member, session: Session, privacy: Privacy | None = None
) -> tuple[Standing, tuple[str, ...]]:
    """Return how a session stands, and lines about what does not count; changes nothing."""
    received = member.exchange.messages(session.session_id)
    heard = hear(
        received.messages,
        SIGNING_PAYLOAD,
        parse_signing_message,
        session.group.identities(),
        session.place,
    )
    if privacy is not None:
        heard = _opened(heard, session, member.name, privacy)
    stands = standing(session, heard)
    return stands, received.ignored + stands.lines


def seal_message(payload: bytes, payload_type: str, identity: Identity) -> bytes:
    """Return a message in its envelope, signed by its sender's identity key."""
    signature = Signature(keyid=identity.keyid, sig=identity.sign(pae(payload_type, payload)))
    return Envelope(payload=payload, payload_type=payload_type, signatures=(signature,)).to_bytes()


def _spent(nonces: NonceStore, session: Session, attempt: int) -> dict[int, int]:
    """Return the last round of this attempt whose nonces this machine burned."""
    for number in (LAST_ROUND, FIRST_ROUND):
        if nonces.burned(session.session_id, attempt, number) is not None:
            return {attempt: number}
    return {}


def _commit(member: Member, session: Session, attempt: int) -> Commitments:
    seeds = member.nonces.make(session.session_id, attempt, rounds(session.outputs))
    by_slot = {slot: seed for step in seeds.values() for slot, seed in step.items()}
    nonces = _nonces(member.share, by_slot)
    return make_commitments(session, attempt, member.name, member.share, nonces)


def _answer(
    member: Member, session: Session, stands: Standing, move: Move, privacy: Privacy | None
) -> SignatureShares:
    if move.package is None:
        raise VerificationError("no set of signers was chosen")
    digest = move.package.digest(move.round, move.messages)
    seeds = member.nonces.burn(session.session_id, move.attempt, move.round, digest)
    nonces = _nonces(member.share, seeds)
    message = make_shares(session, stands, move, member.name, member.share, nonces)
    return message if privacy is None else _sealed(message, session, privacy)


def _nonces(share: SecretShare, seeds: Mapping[str, Seeds]) -> dict[str, Nonces]:
    return {slot: make_nonces(share, s.hiding, s.binding) for slot, s in seeds.items()}


def _publish(member: Member, session: Session, message: Commitments | SignatureShares) -> None:
    envelope = seal_message(message.to_bytes(), SIGNING_PAYLOAD, member.identity)
    member.exchange.put(session.session_id, envelope)


def _sealed(message: SignatureShares, session: Session, privacy: Privacy) -> SignatureShares:
    """Return the message with its one share in a box for each participant."""
    (number,) = message.shares.values()
    boxes = {}
    for name, public in sorted(privacy.receivers.items()):
        plain = SealedNumber(
            ceremony=session.session_id,
            sender=message.sender,
            receiver=name,
            purpose="signature",
            number=number,
        ).to_bytes()
        boxes[name] = base64.b64encode(seal(plain, public, privacy.randomness(32))).decode()
    return msgspec.structs.replace(message, shares={}, sealed=boxes)


def _opened(
    heard: Heard[Commitments | SignatureShares], session: Session, me: str, privacy: Privacy
) -> Heard[Commitments | SignatureShares]:
    """Return what was heard with one's own boxes opened; one that does not open stays empty."""
    (slot,) = session.request.slots
    messages: list[Commitments | SignatureShares] = []
    for message in heard.messages:
        if isinstance(message, SignatureShares):
            number = _number(message, session, me, privacy)
            shares = {} if number is None else {slot: number.number}
            messages.append(msgspec.structs.replace(message, shares=shares))
        else:
            messages.append(message)
    return replace(heard, messages=tuple(messages))


def _number(
    message: SignatureShares, session: Session, me: str, privacy: Privacy
) -> SealedNumber | None:
    try:
        box = decode_base64(message.sealed[me], "sealed share")
        number = parse_sealed_number(unseal(box, privacy.keys[message.sender], "sealed share"))
    except (KeyError, InputError, VerificationError):
        return None
    wanted = (session.session_id, message.sender, me, "signature")
    said = (number.ceremony, number.sender, number.receiver, number.purpose)
    return number if said == wanted else None
