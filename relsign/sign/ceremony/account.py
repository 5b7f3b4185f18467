"""Who made a group's signature: found out again from the messages that were kept.

A group's signature says that enough of its people took part, and not which.  The messages
do: each is signed by its sender's identity key, and each share holds or does not, for
anybody who reads it.  A set of people answers for a signature where their shares add up
to exactly these bytes; no other set can have made them with these commitments.

Nothing said later takes an account away.  Who signs a second message for the place of a
first one is named, and both are read: a set's answers name its commitments by digest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from relsign.crypto.digest import sha256_hex
from relsign.crypto.frost.group import identifier_of, parse_point
from relsign.crypto.frost.signing import Commitment, aggregate, verify_share
from relsign.errors import CulpritError, NotEnoughError, VerificationError
from relsign.formats.names import Digest
from relsign.formats.signing import (
    SIGNING_PAYLOAD,
    Commitments,
    SignatureShares,
    parse_signing_message,
)
from relsign.sign.ceremony.hearing import Heard, Place, hear
from relsign.sign.ceremony.outputs import finish, plan, rounds
from relsign.sign.ceremony.session import Session, Signers
from relsign.sign.exchanges.interface import Received

ASK = "get the messages from another participant: `relsign collect FOLDER`"


@dataclass(frozen=True, slots=True)
class SignedSet:
    """People who answered for one another in one attempt, and what their shares make."""

    attempt: int
    signers: Signers
    holding: Mapping[int, tuple[str, ...]]
    """Round -> whose shares hold."""
    outputs: Mapping[str, bytes] = field(default_factory=dict)
    """By the outputs' names; empty where a share is missing or does not hold."""

    @property
    def names(self) -> tuple[str, ...]:
        """Who they are."""
        return tuple(name for name, _digest in self.signers)


@dataclass(frozen=True, slots=True)
class Account:
    """What the messages of one session say, whatever became of it."""

    session: Digest
    committed: tuple[str, ...]
    """Who committed, in any attempt."""
    sets: tuple[SignedSet, ...]
    """Sorted by attempt and names."""
    culprits: tuple[str, ...]
    """Who sent shares that do not hold, or two messages where one was due."""
    ignored: tuple[str, ...]
    """A line for each message, or thing among the messages, that does not count."""


@dataclass(frozen=True, slots=True)
class Accounted:
    """A group's signatures, and the sets that made them: usually one."""

    account: Account
    sets: tuple[SignedSet, ...]
    files: int
    """How many outputs were held against what the sets made."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return everybody who signed, sorted."""
        return tuple(sorted({name for each in self.sets for name in each.names}))


def verify_account(
    session: Session, received: Received, made: Mapping[str, bytes], own: Collection[str]
) -> Accounted:
    """Return who made the signatures `made`, by the names of the session's outputs.

    (1) every output is there; (2) each is byte for byte what the shares of one set add
    up to; (3) each person of these sets is among `own`: those whose own signature over
    the same document holds.  Raises VerificationError for an output that no set made,
    NotEnoughError where an output, messages or somebody's own signature is missing.
    """
    account = read_account(session, received)
    sets: dict[Signers, SignedSet] = {}
    for output in session.outputs:
        if output.name not in made:  # (1)
            raise NotEnoughError(
                "the group's signature is not there",
                where=output.name,
                hint="who signed runs `relsign sign` again: it writes them all",
            )
        found = _makers(account, output.name, made[output.name])  # (2)
        sets[found.signers] = found
    accounted = Accounted(account, tuple(sets.values()), len(session.outputs))
    for name in accounted.names:
        if name not in own:  # (3)
            raise NotEnoughError(
                "has a part in the group's signature, and no own one that holds",
                where=name,
                hint="let them sign the statement under their own name: `relsign sign`",
            )
    return accounted


def _makers(account: Account, name: str, data: bytes) -> SignedSet:
    complete = [each for each in account.sets if each.outputs]
    for each in complete:
        if each.outputs[name] == data:
            return each
    if complete:
        raise VerificationError(
            "nobody of this session made this signature",
            where=name,
            expected=f"what {', '.join(complete[0].names)} made",
            hint="it is of another session, or the shares of some other people: ask who "
            "wrote it here",
        )
    ignored = f"; {account.ignored[0]}" if account.ignored else ""
    raise NotEnoughError(
        "messages of the signing are missing",
        where=f"session {account.session[:16]}",
        expected="commitments and shares of as many as the threshold",
        got=f"{', '.join(account.committed) or 'nobody'} committed{ignored}",
        hint=ASK,
    )


def read_account(session: Session, received: Received) -> Account:
    """Return what the kept messages of a session say; raises nothing for what is in them."""
    heard = _hear(session, received.messages)
    committed: dict[str, Commitments] = {
        sha256_hex(m.to_bytes()): m for m in heard.messages if isinstance(m, Commitments)
    }
    answers: dict[tuple[int, Signers], list[SignatureShares]] = {}
    for message in heard.messages:
        if isinstance(message, SignatureShares):
            signers: Signers = tuple(sorted(message.signers.items()))
            answers.setdefault((message.attempt, signers), []).append(message)
    sets: list[SignedSet] = []
    culprits = set(_two_tongued(session, received.messages))
    for (attempt, signers), said in sorted(answers.items(), key=lambda item: item[0]):
        chosen = _chosen(session, attempt, signers, committed)
        if chosen is not None:
            made, liars = _read_set(session, chosen, attempt, signers, said)
            sets.append(made)
            culprits |= liars
    return Account(
        session=session.session_id,
        committed=tuple(sorted({m.sender for m in committed.values()})),
        sets=tuple(sets),
        culprits=tuple(sorted(culprits)),
        ignored=received.ignored + heard.ignored,
    )


def _hear(session: Session, received: tuple[bytes, ...]) -> Heard[Commitments | SignatureShares]:
    """Return every message of the session that its sender signed, also two for one place."""

    def place(message: Commitments | SignatureShares) -> Place | None:
        belongs = session.place(message)
        return None if belongs is None else (*belongs, message.to_bytes())

    identities = session.group.identities()
    return hear(received, SIGNING_PAYLOAD, parse_signing_message, identities, place)


def _two_tongued(session: Session, received: tuple[bytes, ...]) -> tuple[str, ...]:
    identities = session.group.identities()
    return hear(
        received, SIGNING_PAYLOAD, parse_signing_message, identities, session.place
    ).two_tongued


def _chosen(
    session: Session, attempt: int, signers: Signers, committed: Mapping[str, Commitments]
) -> dict[str, Commitments] | None:
    """Return the commitments a set names; None where it is no set, or one is not there."""
    found: dict[str, Commitments] = {}
    for name, digest in signers:
        message = committed.get(digest)
        if message is None or (message.sender, message.attempt) != (name, attempt):
            return None
        if set(message.nonces) != set(session.request.slots) or not _is_fit(message):
            return None
        found[name] = message
    return found if len(found) == session.group.threshold else None


def _is_fit(message: Commitments) -> bool:
    """Say whether all that somebody committed to are points of the group."""
    try:
        for pair in message.nonces.values():
            parse_point(bytes.fromhex(pair.hiding), message.sender)
            parse_point(bytes.fromhex(pair.binding), message.sender)
    except VerificationError:
        return False
    return True


def _read_set(
    session: Session,
    chosen: Mapping[str, Commitments],
    attempt: int,
    signers: Signers,
    said: Iterable[SignatureShares],
) -> tuple[SignedSet, set[str]]:
    """Return a set with what it made, and who answered it with shares that do not hold."""
    made: dict[str, bytes] = {}
    holding: dict[int, tuple[str, ...]] = {}
    liars: set[str] = set()
    answers = [answer for answer in said if answer.sender in chosen]
    for number, slots in sorted(rounds(session.outputs).items()):
        wanted = {slot: plan(session.outputs, made)[slot] for slot in slots}
        due = [answer for answer in answers if answer.round == number]
        try:
            held = {a.sender: a for a in due if _holds(session, chosen, a, wanted)}
            holding[number] = tuple(sorted(held))
            liars |= {a.sender for a in due if held.get(a.sender) != a}
            if len(held) == len(chosen):
                made |= {s: _signature(session, chosen, held, s, wanted[s]) for s in slots}
        except VerificationError:
            # Commitments that cancel out: nobody's share is wrong, and no signature comes.
            return SignedSet(attempt, signers, holding), liars
        if len(held) < len(chosen):
            return SignedSet(attempt, signers, holding), liars
    return SignedSet(attempt, signers, holding, finish(session.outputs, made)), liars


def _holds(
    session: Session,
    chosen: Mapping[str, Commitments],
    answer: SignatureShares,
    wanted: Mapping[str, bytes],
) -> bool:
    """Say whether an answer has every share, and each holds; raises where none can."""
    if set(answer.shares) != set(wanted):
        return False
    identifier = _identifier(session, answer.sender)
    try:
        for slot, share in answer.shares.items():
            listed = _commitments(session, chosen, slot)
            verify_share(session.shares, identifier, bytes.fromhex(share), wanted[slot], listed)
    except CulpritError:
        return False
    return True


def _signature(
    session: Session,
    chosen: Mapping[str, Commitments],
    held: Mapping[str, SignatureShares],
    slot: str,
    message: bytes,
) -> bytes:
    shares = {
        _identifier(session, name): bytes.fromhex(answer.shares[slot])
        for name, answer in held.items()
    }
    return aggregate(session.shares, message, _commitments(session, chosen, slot), shares)


def _commitments(
    session: Session, chosen: Mapping[str, Commitments], slot: str
) -> tuple[Commitment, ...]:
    return tuple(
        Commitment(
            _identifier(session, name),
            bytes.fromhex(message.nonces[slot].hiding),
            bytes.fromhex(message.nonces[slot].binding),
        )
        for name, message in chosen.items()
    )


def _identifier(session: Session, name: str) -> bytes:
    return identifier_of(session.group.identities()[name])
