"""One row per step: what a check found, or why it did not hold, in the words people read."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from relsign.errors import InputError, NotEnoughError, RelsignError, VerificationError
from relsign.verify.builders import BuildersAgreed
from relsign.verify.day import Day
from relsign.verify.demands import Demands
from relsign.verify.layout import TrustedLayout
from relsign.verify.release import Signed
from relsign.verify.root import TrustedRoot
from relsign.verify.verdict import STEPS, Outcome, Row

T = TypeVar("T")

_HINTS = {
    Outcome.REFUSED: "do not use it; get it again, and tell the project if it stays like this",
    Outcome.MISSING: "get the newest bundle of this release, or ask the project for the rest",
}
"""What to do next where an error does not say it better."""


class Rows:
    """Collects one row per step; a check that fails keeps its row."""

    def __init__(self) -> None:
        """Start with nothing decided."""
        self._rows: dict[int, Row] = {}

    def step(
        self, number: int, check: Callable[[], T], say: Callable[[T], str | Row] | None = None
    ) -> T | None:
        """Run one check; return its result, or None with the row that says why not."""
        try:
            result = check()
        except (NotEnoughError, VerificationError, InputError) as error:
            self.fail(number, error)
            return None
        if say is not None and number not in self._rows:
            said = say(result)
            self._rows[number] = (
                said
                if isinstance(said, Row)
                else Row(number, STEPS[number - 1], Outcome.PASS, said)
            )
        return result

    def fail(self, number: int, error: RelsignError) -> None:
        """Record why a step fails; a contradiction is not hidden behind what is missing."""
        outcome = Outcome.MISSING if isinstance(error, NotEnoughError) else Outcome.REFUSED
        there = self._rows.get(number)
        if there is None or there.outcome is not Outcome.REFUSED:
            hint = error.hint or _HINTS[outcome]
            self._rows[number] = Row(number, STEPS[number - 1], outcome, str(error), hint)

    def not_required(self, number: int, text: str) -> None:
        """Record a step that nobody asks for."""
        self._rows.setdefault(number, Row(number, STEPS[number - 1], Outcome.NOT_REQUIRED, text))

    def complete(self) -> tuple[Row, ...]:
        """Return all nine rows; a step without one was not reached."""
        return tuple(
            self._rows.get(number)
            or Row(number, name, Outcome.NOT_REACHED, "not reached: an earlier step failed")
            for number, name in enumerate(STEPS, 1)
        )


def say_root(root: TrustedRoot, day: Day | None = None) -> str:
    """Return the words of step 1."""
    until = root.root.expires.date().isoformat()
    text = f"{root.root.project}, version {root.root.version}, valid until {until}"
    return f"{text}; {day.words}" if day is not None and day.words else text


def say_signers(root: TrustedRoot, need: int, signed: Signed) -> str:
    """Return the words of step 3."""
    names = " ".join(party.name for party in signed.signers)
    count = f"{len(signed.signers)} of {len(root.having('signer'))} signed (need {need})"
    if signed.release_key is not None:
        return f"{count}, and the release key: {names} {signed.release_key.name}"
    return f"{count}: {names}"


def say_layout(layout: TrustedLayout) -> str:
    """Return the words of step 4."""
    names = " ".join(party.name for party in layout.owners)
    until = layout.layout.expires.date().isoformat()
    return f"{len(layout.owners)} owners signed, valid until {until}: {names}"


def say_builders(root: TrustedRoot, demands: Demands, agreed: BuildersAgreed) -> Row:
    """Return the row of step 5, dissent and ignored evidence behind it."""
    thresholds = root.root.thresholds
    builders = max(thresholds.builders, demands.builders)
    organisations = max(thresholds.organisations, demands.organisations)
    counted = agreed.build.builders
    names = " ".join(party.name for party in counted)
    did = "built and checked" if agreed.checked else "built"
    text = (
        f"{len(counted)} of {len(root.having('builder'))} {did} the same bytes "
        f"(need {builders}, {organisations} organisations): {names}"
    )
    if agreed.dissent:
        text += f"; {len(agreed.dissent)} dissent"
    return Row(5, STEPS[4], Outcome.PASS, text, evidence=agreed.dissent + agreed.ignored)
