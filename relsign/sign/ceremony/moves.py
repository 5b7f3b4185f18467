"""What one participant of a signing session does next, and the messages by which it does.

    commit    publish commitments, in this attempt or a new one
    answer    publish signature shares, for a set one is in
    wait      others are next
    done, excluded

It follows from where the session stands (`relsign.sign.ceremony.session`) and from which
nonces this machine has burned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from relsign.crypto.digest import sha256_hex
from relsign.crypto.frost.signing import Nonces, SecretShare, commit, sign_share
from relsign.errors import VerificationError
from relsign.formats.names import Digest
from relsign.formats.signing import Commitments, NoncePair, SignatureShares
from relsign.sign.ceremony.outputs import plan, rounds
from relsign.sign.ceremony.session import (
    FIRST_ROUND,
    LAST_ROUND,
    Package,
    Session,
    Standing,
    commitments_of,
    late,
)


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
                    commitments_of(session, stands.committed, package.names, slot),
                ).hex()
            )
            for slot, message in sorted(move.messages.items())
        },
        sealed={},
    )


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
    fit = {h.name for h in session.group.holders} - set(stands.culprits) - late(stands.tardy) | {me}
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


def _after_answer(session: Session, package: Package, me: str) -> Move:
    """Go on to round 3 once all of round 2 is there, or say who is awaited."""
    first_slots = rounds(session.outputs)[FIRST_ROUND]
    done_first = set(first_slots) <= set(package.made)
    if done_first and me not in package.answered.get(LAST_ROUND, ()):
        return _answer(session, package, LAST_ROUND)
    return Move("wait", package=package, awaiting=_missing(session, package))


def _others(session: Session, stands: Standing, me: str) -> tuple[str, ...]:
    out = {me, *stands.culprits}
    return tuple(h.name for h in session.group.holders if h.name not in out)


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
