"""One step of a ceremony: what a participant says next, given all that was heard.

A ceremony is a script that runs from its beginning each time, on everything heard so
far (`keygen`, `reshare`, `repair`).  It stops at the first round in which a message is
missing, or where somebody said what does not fit; there it names who is awaited, or who
is to blame.  So nothing is kept between two runs, and the order in which messages came
in cannot matter.

    table = Table(agreed, listen(agreed, received), Person("ana", seed))
    dealings = gather(table, Dealing, check, say)      # raises AwaitedError, CulpritError
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from relsign.crypto.frost.signing import SecretShare
from relsign.errors import CulpritError, InputError, NotEnoughError, VerificationError
from relsign.formats.canonical import shorten
from relsign.formats.ceremony import (
    CEREMONY_PAYLOAD,
    Acceptance,
    CeremonyMessage,
    Complaint,
    Contribution,
    Dealing,
    Proposal,
    Shares,
    parse_message,
)
from relsign.formats.charter import Charter, Group
from relsign.formats.names import Digest
from relsign.sign.ceremony.charter import Agreed
from relsign.sign.ceremony.group import group_digest
from relsign.sign.ceremony.hearing import Heard, Place, digest_of, hear

BEGIN_ANEW = "begin a new ceremony without them, and ask them in person what happened"

M = TypeVar("M", Dealing, Shares, Contribution, Acceptance)


@dataclass(frozen=True, slots=True)
class Person:
    """Who is asking, with the secrets of this ceremony."""

    name: str
    seed: bytes = field(repr=False)
    """32 random bytes, kept until the ceremony is over and then destroyed."""
    share: SecretShare | None = field(default=None, repr=False)
    """Of the previous group; only a dealer needs it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a ceremony ends in, once everybody who must has accepted it."""

    group: Group
    share: SecretShare | None
    """The new share; none for who holds none, or keeps the one he has (repair)."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Why a ceremony cannot end well, and whose doing that is."""

    reason: str
    culprits: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """What to do now."""

    step: str
    """The round under way: dealing, shares, contribution, acceptance; or done, stopped."""
    to_send: tuple[CeremonyMessage, ...] = ()
    """To be sent now, also where the ceremony is stopped: then complaints."""
    awaiting: tuple[str, ...] = ()
    """Whose message of this round is missing; one's own only until it is heard."""
    done: Outcome | None = None
    stopped: Stopped | None = None
    lines: tuple[str, ...] = ()
    """What does not count of what was received, and why."""


@dataclass(frozen=True, slots=True)
class Table:
    """What one person sees of a ceremony; without `me`, what anybody sees."""

    agreed: Agreed
    heard: Heard[CeremonyMessage]
    me: Person | None


Script = Callable[[Table], Outcome]
"""Runs a ceremony as far as it goes; raises AwaitedError or CulpritError there."""


class AwaitedError(NotEnoughError):
    """A round is not complete."""

    def __init__(
        self, step: str, names: Iterable[str], to_send: tuple[CeremonyMessage, ...]
    ) -> None:
        """Keep the round, who is missing in it, and what to send meanwhile."""
        self.step, self.names, self.to_send = step, tuple(names), to_send
        super().__init__(
            "messages are missing",
            where=f"ceremony: {step}",
            got=f"nothing from {', '.join(self.names)}",
            hint="wait for them, or begin a new ceremony without them",
        )


class AccusedError(CulpritError):
    """Numbers in sealed boxes do not fit, or somebody said so and it is not true."""

    def __init__(
        self, what: str, culprits: tuple[str, ...], to_send: tuple[Complaint, ...]
    ) -> None:
        """Keep the complaints that are still to be sent."""
        self.to_send = to_send
        super().__init__(what, culprits=culprits, where="ceremony", hint=BEGIN_ANEW)


# --- who says what -----------------------------------------------------------------------------


def receivers(charter: Charter) -> tuple[str, ...]:
    """Return to whom numbers are sealed: new holders; at repair the helpers and the loser."""
    if charter.lost is not None:
        return tuple(sorted((*charter.dealers, charter.lost)))
    return tuple(p.name for p in charter.participants)


def sealers(charter: Charter, receiver: str) -> tuple[str, ...]:
    """Return who seals a number to `receiver`: each needs a key of its own."""
    if receiver not in receivers(charter):
        return ()
    return tuple(name for name in charter.dealers if name != receiver)


def senders(charter: Charter, kind: type[CeremonyMessage]) -> tuple[str, ...]:
    """Return who owes a message of a kind."""
    if kind is Dealing:
        return tuple(sorted({*charter.dealers, *receivers(charter)}))
    if kind is Shares:
        return charter.dealers
    if kind is Contribution:
        return charter.dealers if charter.lost is not None else ()
    if kind is Acceptance and charter.lost is not None:
        return (charter.lost,)
    return receivers(charter)


def listen(agreed: Agreed, received: Iterable[bytes]) -> Heard[CeremonyMessage]:
    """Return what counts of the received envelopes in this ceremony; raises nothing."""

    def parse(payload: bytes) -> CeremonyMessage:
        message = parse_message(payload)
        named = message.charter if isinstance(message, Proposal) else agreed.charter
        if message.ceremony != agreed.ceremony or named != agreed.charter:
            raise InputError("of another ceremony", got=message.ceremony[:8])
        owed = isinstance(message, Proposal) or message.sender in senders(
            agreed.charter, type(message)
        )
        if message.sender in agreed.identities and not owed:
            raise InputError("not what its sender has to say here", got=message.sender)
        return message

    return hear(received, CEREMONY_PAYLOAD, parse, agreed.identities, _place)


def _place(message: CeremonyMessage) -> Place:
    about = message.accused if isinstance(message, Complaint) else ""
    return (type(message).__name__, about)


# --- one round ---------------------------------------------------------------------------------


def gather(
    table: Table, kind: type[M], check: Callable[[M], None], say: Callable[[Person], M]
) -> dict[str, M]:
    """Return the message of everybody who owes one of a kind, sorted by name.

    `check` raises VerificationError for a message that does not fit; `say` makes one's
    own.  Raises CulpritError naming all whose messages do not fit, AwaitedError where
    one is missing, with one's own to be sent.
    """
    owed = senders(table.agreed.charter, kind)
    said = {m.sender: m for m in table.heard.messages if isinstance(m, kind)}
    mine: tuple[M, ...] = ()
    if table.me is not None and table.me.name in owed:
        mine = (say(table.me),)
        _check_own(said, mine[0])
    _check_all(said, check)
    if missing := [name for name in owed if name not in said]:
        unsent = tuple(m for m in mine if m.sender not in said)
        raise AwaitedError(_word(kind), missing, unsent)
    return {name: said[name] for name in owed}


def accept(table: Table, group: Group, before: Digest) -> None:
    """Return once everybody who must has accepted `group`, having heard the same.

    `before` is the digest of all that was said.  Raises CulpritError naming who accepted
    another group or heard other things, AwaitedError where an acceptance is missing.
    """
    digest = group_digest(group)

    def check(message: Acceptance) -> None:
        check_heard(message.heard, before)
        if message.group != digest:
            raise VerificationError("accepted another group", got=message.group[:8])

    def say(me: Person) -> Acceptance:
        return Acceptance(
            ceremony=table.agreed.ceremony, sender=me.name, heard=before, group=digest
        )

    gather(table, Acceptance, check, say)


def check_heard(got: str, expected: str) -> None:
    """Raise VerificationError if somebody heard other messages than these."""
    if got != expected:
        raise VerificationError("heard other messages", expected=expected[:8], got=got[:8])


def is_accepted(table: Table) -> bool:
    """Say whether everybody who must has accepted something."""
    said = {m.sender for m in table.heard.messages if isinstance(m, Acceptance)}
    return said >= set(senders(table.agreed.charter, Acceptance))


def everything(*rounds: Mapping[str, CeremonyMessage]) -> Digest:
    """Return the digest of all messages of some rounds."""
    return digest_of(message for said in rounds for message in said.values())


def _check_own(said: Mapping[str, M], mine: M) -> None:
    if said.get(mine.sender, mine) != mine:
        raise CulpritError(
            f"another {_word(type(mine))} message in your name is there",
            culprits=(mine.sender,),
            where="ceremony",
            hint="another machine has your key, or other messages were shown to you before: "
            "find out which, then begin a new ceremony",
        )


def _check_all(said: Mapping[str, M], check: Callable[[M], None]) -> None:
    faults: dict[str, str] = {}
    for name in sorted(said):
        try:
            check(said[name])
        except VerificationError as error:
            faults[name] = f"{name}: {error.what}"
    if faults:
        raise CulpritError(
            "; ".join(faults.values()),
            culprits=tuple(faults),
            where="ceremony",
            hint=BEGIN_ANEW,
        )


def _word(kind: type[CeremonyMessage]) -> str:
    return kind.__name__.lower()


# --- one run -----------------------------------------------------------------------------------


def play(script: Script, table: Table) -> Step:
    """Return what `table.me` is to do next; raises InputError for a wrong seed or share."""
    lines = table.heard.ignored
    try:
        refuse_two_tongues(table)
        outcome = script(table)
    except AwaitedError as pause:
        return Step(pause.step, to_send=pause.to_send, awaiting=pause.names, lines=lines)
    except AccusedError as fault:
        stopped = Stopped(fault.what, fault.culprits)
        return Step("stopped", to_send=fault.to_send, stopped=stopped, lines=lines)
    except CulpritError as fault:
        return Step("stopped", stopped=Stopped(fault.what, fault.culprits), lines=lines)
    except VerificationError as fault:
        return Step("stopped", stopped=Stopped(fault.what, ()), lines=lines)
    return Step("done", done=outcome, lines=lines)


def refuse_two_tongues(table: Table) -> None:
    """Raise CulpritError if somebody signed two messages where one was due."""
    if table.heard.two_tongued:
        names = table.heard.two_tongued
        raise CulpritError(
            f"two different messages where one was due: {shorten(', '.join(names))}",
            culprits=names,
            where="ceremony",
            hint=BEGIN_ANEW,
        )
