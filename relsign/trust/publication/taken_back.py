"""Releases the owners took back, for who asks for a release that is listed no more.

Publishers list no revoked release, so a list alone would let the news vanish: the one
before would look like the newest.  The newest accepted root says what happened.
"""

from __future__ import annotations

from collections.abc import Iterable

from relsign.errors import VerificationError
from relsign.formats.canonical import Value, shorten
from relsign.formats.listing import ListedRelease
from relsign.formats.memory import Seen
from relsign.formats.policy import Revocation
from relsign.verify.release import revokes

MAX_NOTES = 3
"""Revocations told of at once, the last of the root's list."""


class TakenBack(Value, frozen=True):
    """One revocation, with what this person's memory adds."""

    revocation: Revocation
    version: str
    """Empty where the root names only a statement, and it was never seen here."""
    sequence: int | None
    """None where it was never seen here."""

    @property
    def words(self) -> str:
        """What was taken back, and why."""
        label = self.version or f"statement {self.revocation.statement_sha256}"
        return f"{shorten(label)} was taken back: {shorten(self.revocation.reason)}"


def find_taken_back(revoked: Iterable[Revocation], seen: Iterable[Seen]) -> tuple[TakenBack, ...]:
    """Return a root's revocations in their order; raises nothing."""
    known = tuple(seen)
    found = []
    for revocation in revoked:
        mine = [s for s in known if revokes(revocation, s.version, s.statement_sha256)]
        newest = max(mine, key=lambda entry: entry.sequence, default=None)
        version = revocation.version or (newest.version if newest else "")
        found.append(TakenBack(revocation, version, newest.sequence if newest else None))
    return tuple(found)


def refuse_version(taken: Iterable[TakenBack], version: str) -> None:
    """Raise VerificationError if this version was taken back."""
    for one in taken:
        if one.version == version:
            raise _refusal(one)


def refuse_last(taken: tuple[TakenBack, ...]) -> None:
    """Raise VerificationError if the reason that nothing is listed may be a revocation."""
    if taken:
        raise _refusal(taken[-1])


def notes_on(
    taken: Iterable[TakenBack], listed: Iterable[ListedRelease], chosen: ListedRelease
) -> tuple[str, ...]:
    """Return a line for each revocation that who gets `chosen` as the newest must know of.

    Nothing is said of one that was older than `chosen`, or whose replacement is
    `chosen` or older: who gets it is past that.
    """
    numbers = {release.version: release.sequence for release in listed}
    notes = []
    for one in taken:
        instead = one.revocation.replacement
        reached = [one.sequence, numbers.get(instead) if instead else None]
        if any(number is not None and number <= chosen.sequence for number in reached):
            continue
        notes.append(f"{one.words}; use {instead}" if instead else one.words)
    return tuple(notes[-MAX_NOTES:])


def _refusal(one: TakenBack) -> VerificationError:
    instead = one.revocation.replacement
    return VerificationError(
        one.words,
        hint=f"use {instead} instead" if instead else "do not use it; wait for the next release",
    )
