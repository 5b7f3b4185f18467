"""One signing session: who signs together, with which shares, and what comes of it.

Nobody leads.  Each participant who takes part publishes commitments.  The first who sees
enough of them chooses the set, by answering it; the others of the set follow.  Where the
answers of one attempt went to sets that can no longer be completed, or somebody's do not
hold, or somebody waited long enough, a new attempt begins with new commitments.

All of it follows from the messages that were heard, and from nothing else, so that people
who heard the same do the same.  FROST has no defence against a participant who commits
and then leaves; what it has is that such a one, or a liar, is seen and named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from relsign.crypto.digest import sha256_hex
from relsign.crypto.frost.group import identifier_of, parse_point
from relsign.crypto.frost.signing import Commitment, GroupShares, aggregate
from relsign.errors import CulpritError, VerificationError
from relsign.formats.charter import Group
from relsign.formats.names import Digest
from relsign.formats.signing import Commitments, SignatureShares, SigningRequest
from relsign.sign.ceremony.group import as_shares
from relsign.sign.ceremony.hearing import Heard
from relsign.sign.ceremony.outputs import Output, finish, plan, rounds

FIRST_ROUND, LAST_ROUND = 2, 3
MAX_TARDY = 3
"""In so many attempts one may be waited for in vain; after that one begins none alone."""
Signers = tuple[tuple[str, str], ...]
"""A set that signs together: names with the digests of their commitments, sorted."""


@dataclass(frozen=True, slots=True)
class Session:
    """What is to be signed, by whom."""

    request: SigningRequest
    outputs: tuple[Output, ...]
    group: Group

    @property
    def session_id(self) -> Digest:
        """Digest of the request, which names the session."""
        return sha256_hex(self.request.to_bytes())

    @property
    def shares(self) -> GroupShares:
        """The group as the arithmetic knows it."""
        return as_shares(self.group)

    def place(self, message: Commitments | SignatureShares) -> tuple[object, ...] | None:
        """Say where a message belongs (`hearing.hear`); None if to another session."""
        if message.session != self.session_id:
            return None
        if isinstance(message, Commitments):
            return ("commitments", message.attempt)
        return ("shares", message.attempt, message.round)


@dataclass(frozen=True, slots=True)
class Package:
    """One set of one attempt, and how far it came."""

    attempt: int
    signers: Signers
    answered: Mapping[int, tuple[str, ...]]
    """Round -> who answered."""
    made: Mapping[str, bytes]
    """Slot -> signature, each of which holds under the group's key."""
    culprits: tuple[str, ...] = ()
    """Whose shares do not hold."""
    dead: bool = False
    """Whether it can no longer be completed."""

    @property
    def names(self) -> tuple[str, ...]:
        """Who signs."""
        return tuple(name for name, _digest in self.signers)

    def digest(self, round_number: int, messages: Mapping[str, bytes]) -> Digest:
        """Return what one round of nonces is burned for: this set and these bytes."""
        parts = [f"{self.attempt}/{round_number}", *(f"{n}={d}" for n, d in self.signers)]
        parts += [f"{slot}:{sha256_hex(messages[slot])}" for slot in sorted(messages)]
        return sha256_hex("\n".join(parts).encode())


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a session stands, as far as was heard."""

    attempt: int
    committed: Mapping[str, Commitments]
    """Who committed in this attempt and may sign."""
    packages: tuple[Package, ...]
    """The sets of this attempt, best first."""
    finished: Package | None
    culprits: tuple[str, ...]
    """Whose shares did not hold, or who signed two messages where one was due."""
    answered: frozenset[str] = frozenset()
    """Who has used the nonces of this attempt."""
    ahead: frozenset[str] = frozenset()
    """Who committed to the next attempt, which has not begun."""
    tardy: Mapping[str, int] = field(default_factory=dict)
    """In how many earlier attempts somebody was waited for, in vain."""
    lines: tuple[str, ...] = ()
    """What was ignored."""


def standing(session: Session, heard: Heard[Commitments | SignatureShares]) -> Standing:
    """Return where a session stands; raises nothing for what others sent."""
    slots = set(session.request.slots)
    commitments, answers = _by_attempt(session, heard)
    unfit = _unfit(commitments)
    culprits = set(heard.two_tongued) | unfit
    finished: Package | None = None
    attempt = 1
    packages: tuple[Package, ...] = ()
    tardy: Counter[str] = Counter()
    while True:
        packages = _packages(
            session,
            attempt,
            {n: m for n, m in commitments.get(attempt, {}).items() if n not in unfit},
            answers.get(attempt, []),
        )
        culprits |= {name for package in packages for name in package.culprits}
        complete = [p for p in packages if slots <= set(p.made)]
        finished = finished or next(iter(complete), None)
        begun = _begun(session, commitments.get(attempt + 1, {}), answers.get(attempt), tardy)
        if not begun:
            break
        said = {answer.sender for answer in answers.get(attempt, [])}
        tardy.update({n for p in packages for n in p.names} - said)
        attempt += 1
    return Standing(
        attempt=attempt,
        committed={
            name: message
            for name, message in sorted(commitments.get(attempt, {}).items())
            if name not in culprits
        },
        packages=tuple(p for p in packages if not culprits & set(p.names)),
        finished=finished,
        culprits=tuple(sorted(culprits)),
        answered=frozenset(answer.sender for answer in answers.get(attempt, [])),
        ahead=frozenset(commitments.get(attempt + 1, {})),
        tardy=tardy,
        lines=heard.ignored,
    )


def _by_attempt(
    session: Session, heard: Heard[Commitments | SignatureShares]
) -> tuple[dict[int, dict[str, Commitments]], dict[int, list[SignatureShares]]]:
    """Return who committed in each attempt, and what was answered in it."""
    commitments: dict[int, dict[str, Commitments]] = {}
    answers: dict[int, list[SignatureShares]] = {}
    for message in heard.messages:
        if isinstance(message, SignatureShares):
            answers.setdefault(message.attempt, []).append(message)
        elif set(message.nonces) == set(session.request.slots):
            commitments.setdefault(message.attempt, {})[message.sender] = message
    return commitments, answers


def outputs_of(session: Session, package: Package) -> dict[str, bytes]:
    """Return what a finished package made, by the outputs' names."""
    return finish(session.outputs, package.made)


def _unfit(commitments: Mapping[int, Mapping[str, Commitments]]) -> set[str]:
    """Return who committed to something that is no point of the group."""
    unfit = set()
    for messages in commitments.values():
        for name, message in messages.items():
            try:
                for pair in message.nonces.values():
                    parse_point(bytes.fromhex(pair.hiding), name)
                    parse_point(bytes.fromhex(pair.binding), name)
            except VerificationError:
                unfit.add(name)
    return unfit


def _packages(
    session: Session,
    attempt: int,
    committed: Mapping[str, Commitments],
    answers: list[SignatureShares],
) -> tuple[Package, ...]:
    """Return the sets that were answered in an attempt, those that can complete first."""
    sets: dict[Signers, list[SignatureShares]] = {}
    digests = {name: sha256_hex(message.to_bytes()) for name, message in committed.items()}
    for answer in answers:
        signers = tuple(sorted(answer.signers.items()))
        known = all(digests.get(name) == digest for name, digest in signers)
        if known and len(signers) == session.group.threshold and answer.sender in answer.signers:
            sets.setdefault(signers, []).append(answer)
    first = {
        (answer.sender): signers
        for signers, group in sets.items()
        for answer in group
        if answer.round == FIRST_ROUND
    }
    packages = [
        _package(session, attempt, signers, group, committed, first)
        for signers, group in sets.items()
    ]
    packages.sort(key=lambda p: (p.dead, -len(p.answered.get(FIRST_ROUND, ())), p.signers))
    return tuple(packages)


def _package(
    session: Session,
    attempt: int,
    signers: Signers,
    answers: list[SignatureShares],
    committed: Mapping[str, Commitments],
    first: Mapping[str, Signers],
) -> Package:
    names = [name for name, _digest in signers]
    answered = {
        number: tuple(sorted(a.sender for a in answers if a.round == number))
        for number in rounds(session.outputs)
    }
    made: dict[str, bytes] = {}
    culprits: set[str] = set()
    failed = False
    for number, slots in sorted(rounds(session.outputs).items()):
        by_name = {a.sender: a for a in answers if a.round == number}
        for name, answer in by_name.items():
            if set(answer.shares) != set(slots):
                culprits.add(name)
        if culprits or len(by_name) < len(names):
            break
        wanted = plan(session.outputs, made)
        for slot in slots:
            try:
                made[slot] = _aggregated(session, committed, by_name, slot, wanted[slot])
            except CulpritError as error:
                culprits |= set(error.culprits)
            except VerificationError:
                # Commitments that cancel out: nobody's share is wrong, and no signature comes.
                failed = True
        if culprits or failed:
            break
    return Package(
        attempt=attempt,
        signers=signers,
        answered=answered,
        made=made,
        culprits=tuple(sorted(culprits)),
        dead=bool(culprits) or failed or any(first.get(name, signers) != signers for name in names),
    )


def _aggregated(
    session: Session,
    committed: Mapping[str, Commitments],
    answers: Mapping[str, SignatureShares],
    slot: str,
    message: bytes,
) -> bytes:
    """Return one signature; raise CulpritError, with names, for shares that do not hold."""
    names = tuple(sorted(answers))
    identifiers = _identifiers(session.group)
    try:
        return aggregate(
            session.shares,
            message,
            commitments_of(session, committed, names, slot),
            {identifiers[name]: bytes.fromhex(answers[name].shares[slot]) for name in names},
        )
    except CulpritError as error:
        by_identifier = {identifiers[name].hex(): name for name in names}
        liars = tuple(by_identifier[culprit] for culprit in error.culprits)
        raise CulpritError(error.what, culprits=liars) from error


def commitments_of(
    session: Session, committed: Mapping[str, Commitments], names: tuple[str, ...], slot: str
) -> tuple[Commitment, ...]:
    """Return the commitments of a set for one slot, as the arithmetic knows them."""
    identifiers = _identifiers(session.group)
    return tuple(
        Commitment(
            identifiers[name],
            bytes.fromhex(committed[name].nonces[slot].hiding),
            bytes.fromhex(committed[name].nonces[slot].binding),
        )
        for name in names
    )


def _identifiers(group: Group) -> dict[str, bytes]:
    return {h.name: identifier_of(bytes.fromhex(h.identity)) for h in group.holders}


def late(tardy: Mapping[str, int]) -> set[str]:
    """Return who was waited for in vain too often."""
    return {name for name, times in tardy.items() if times >= MAX_TARDY}


def _begun(
    session: Session,
    next_ones: Mapping[str, Commitments],
    answers: list[SignatureShares] | None,
    tardy: Mapping[str, int],
) -> bool:
    """Say whether the next attempt begins: nobody alone can use all attempts up.

    It takes an answer in the present one and somebody who is not always waited for in
    vain, or as many commitments as it takes to sign.
    """
    counted = set(next_ones) - late(tardy)
    return len(counted) >= (1 if answers else session.group.threshold)
