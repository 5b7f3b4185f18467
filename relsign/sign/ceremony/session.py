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
from relsign.crypto.frost.signing import (
    Commitment,
    GroupShares,
    Nonces,
    SecretShare,
    aggregate,
    commit,
    sign_share,
)
from relsign.errors import CulpritError, VerificationError
from relsign.formats.charter import Group
from relsign.formats.names import Digest
from relsign.formats.signing import Commitments, NoncePair, SignatureShares, SigningRequest
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


@dataclass(frozen=True, slots=True)
class Move:
    """What one participant does next."""

    kind: str
    """``commit``, ``answer``, ``wait``, ``done``, or ``excluded``: named as a culprit."""
    attempt: int = 0
    round: int = 0
    package: Package | None = None
    messages: Mapping[str, bytes] = field(default_factory=dict)
    """Slot -> the bytes to sign."""
    awaiting: tuple[str, ...] = ()
    """Names of whom it waits for; any of them, where `any_of` is not 0."""
    any_of: int = 0
    """How many more of `awaiting` must commit before anybody can sign."""


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


def next_move(
    session: Session, stands: Standing, me: str, spent: Mapping[int, int], *, again: bool = False
) -> Move:
    """Say what `me` does next.

    `spent` are the attempts in which this machine burned nonces, with the last round of
    it; one whose answer was not heard is lost.  `again` begins a new attempt though the
    present one could still be completed: somebody of it is gone.
    """
    if stands.finished is not None or me in stands.culprits:
        kind = "excluded" if stands.finished is None else "done"
        return Move(kind, attempt=stands.attempt, package=stands.finished)
    own = next((p for p in stands.packages if me in p.answered.get(FIRST_ROUND, ())), None)
    # There is no attempt to give up where nobody began one with this participant.
    again = again and (own is not None or me in stands.committed or bool(stands.packages))
    if me not in stands.ahead and (again or _is_lost(own, me, spent.get(stands.attempt, 0))):
        return Move("commit", attempt=stands.attempt + 1)
    if own is None and spent.get(stands.attempt, 0):
        return Move("wait", awaiting=_others(session, stands, me), any_of=1)
    if own is not None and not own.dead:
        return _after_answer(session, own, me)
    alive = [p for p in stands.packages if not p.dead]
    if alive:
        return _follow(session, stands, alive, me)
    begins = own is not None or me not in stands.committed
    commit = Move("commit", attempt=stands.attempt + (own is not None))
    return commit if begins else _choose(session, stands, me)


def make_commitments(
    session: Session, attempt: int, me: str, share: SecretShare, nonces: Mapping[str, Nonces]
) -> Commitments:
    """Return the message of round 1; `nonces` holds a pair for every slot."""
    pairs = {slot: commit(share, pair) for slot, pair in nonces.items()}
    return Commitments(
        session=session.session_id,
        attempt=attempt,
        sender=me,
        nonces={
            slot: NoncePair(hiding=Digest(pair.hiding.hex()), binding=Digest(pair.binding.hex()))
            for slot, pair in sorted(pairs.items())
        },
    )


def make_shares(
    session: Session,
    stands: Standing,
    move: Move,
    me: str,
    share: SecretShare,
    nonces: Mapping[str, Nonces],
) -> SignatureShares:
    """Return the message of round 2 or 3 for the set and the bytes of `move`.

    Raises VerificationError, before a nonce is used, where the set is not as heard.
    """
    package = _need(move.package)
    return SignatureShares(
        session=session.session_id,
        attempt=package.attempt,
        sender=me,
        round=move.round,
        signers=dict(package.signers),  # type: ignore[arg-type]  # digests, as text
        shares={
            slot: Digest(
                sign_share(
                    share,
                    session.shares,
                    nonces[slot],
                    message,
                    _commitments_of(session, stands.committed, package.names, slot),
                ).hex()
            )
            for slot, message in sorted(move.messages.items())
        },
        sealed={},
    )


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
            _commitments_of(session, committed, names, slot),
            {identifiers[name]: bytes.fromhex(answers[name].shares[slot]) for name in names},
        )
    except CulpritError as error:
        by_identifier = {identifiers[name].hex(): name for name in names}
        liars = tuple(by_identifier[culprit] for culprit in error.culprits)
        raise CulpritError(error.what, culprits=liars) from error


def _commitments_of(
    session: Session, committed: Mapping[str, Commitments], names: tuple[str, ...], slot: str
) -> tuple[Commitment, ...]:
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


def _is_lost(own: Package | None, me: str, burned: int) -> bool:
    """Say whether this machine burned nonces for an answer that nobody heard."""
    if own is None:
        return burned > 0
    return burned == LAST_ROUND and me not in own.answered.get(LAST_ROUND, ())


def _follow(session: Session, stands: Standing, alive: list[Package], me: str) -> Move:
    """Answer the best set that one is in, or wait for one that does without."""
    free = me in stands.committed and me not in stands.answered
    ready = next((package for package in alive if free and me in package.names), None)
    if ready is not None:
        return _answer(session, ready, FIRST_ROUND)
    return Move("wait", package=alive[0], awaiting=_missing(session, alive[0]))


def _choose(session: Session, stands: Standing, me: str) -> Move:
    """Choose the set: oneself and the first of the others, by name."""
    need = session.group.threshold
    fit = {h.name for h in session.group.holders} - set(stands.culprits) - _late(stands.tardy) | {
        me
    }
    others = [n for n in stands.committed if n != me and n not in stands.answered]
    if len(fit) >= need:
        # Who lets others wait in vain again and again may still choose, and is not chosen.
        others = [name for name in others if name in fit]
    if len(others) + 1 < need:
        free = tuple(n for n in _others(session, stands, me) if n not in stands.committed)
        return Move("wait", awaiting=free, any_of=need - len(others) - 1)
    names = sorted((me, *others[: need - 1]))
    signers = tuple((name, sha256_hex(stands.committed[name].to_bytes())) for name in names)
    package = Package(attempt=stands.attempt, signers=signers, answered={}, made={})
    return _answer(session, package, FIRST_ROUND)


def _answer(session: Session, package: Package, number: int) -> Move:
    return Move(
        "answer",
        attempt=package.attempt,
        round=number,
        package=package,
        messages=plan(session.outputs, package.made),
    )


def _others(session: Session, stands: Standing, me: str) -> tuple[str, ...]:
    out = {me, *stands.culprits}
    return tuple(h.name for h in session.group.holders if h.name not in out)


def _late(tardy: Mapping[str, int]) -> set[str]:
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
    counted = set(next_ones) - _late(tardy)
    return len(counted) >= (1 if answers else session.group.threshold)


def _after_answer(session: Session, package: Package, me: str) -> Move:
    """Go on to round 3 once all of round 2 is there, or say who is awaited."""
    first_slots = rounds(session.outputs)[FIRST_ROUND]
    done_first = set(first_slots) <= set(package.made)
    if done_first and me not in package.answered.get(LAST_ROUND, ()):
        return _answer(session, package, LAST_ROUND)
    return Move("wait", package=package, awaiting=_missing(session, package))


def _missing(session: Session, package: Package) -> tuple[str, ...]:
    for number in sorted(rounds(session.outputs)):
        missing = tuple(n for n in package.names if n not in package.answered.get(number, ()))
        if missing:
            return missing
    return ()


def _need(package: Package | None) -> Package:
    if package is None:
        raise VerificationError("no set of signers was chosen")
    return package
