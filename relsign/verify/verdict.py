"""The verdict: one word and one row per step of the decision.

VERIFIED needs every step; one contradiction makes it REFUSED; missing evidence
makes it NOT ENOUGH.  The two never mix: waiting cannot mend a REFUSED.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from relsign.errors import NotEnoughError, VerificationError
from relsign.formats.canonical import Value


class Outcome(Enum):
    """What one step of the decision came to."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    REFUSED = "refused"
    MISSING = "missing"
    NOT_REQUIRED = "not required"
    NOT_REACHED = "not reached"


class Word(Enum):
    """The verdict's word; its exit code is the command's."""

    VERIFIED = "VERIFIED"
    REFUSED = "REFUSED"
    NOT_ENOUGH = "NOT ENOUGH"

    @property
    def exit_code(self) -> int:
        """0 verified, 1 refused, 3 not enough."""
        return {"VERIFIED": 0, "REFUSED": 1, "NOT ENOUGH": 3}[self.value]


class Row(Value, frozen=True):
    """One numbered step: what it found, in one line, and the evidence behind it."""

    number: int
    name: str
    outcome: Outcome
    text: str
    hint: str = ""
    evidence: tuple[str, ...] = ()


STEPS = (
    "root",
    "bytes",
    "signers",
    "layout",
    "builders",
    "fingerprint",
    "revocation",
    "log",
    "fresh",
)
"""Names of the nine steps, in the order of docs/design.md."""


class Verdict(Value, frozen=True):
    """All nine rows, in order."""

    rows: tuple[Row, ...]

    @property
    def word(self) -> Word:
        """REFUSED if any row is, VERIFIED only if every row passed or is not required."""
        outcomes = {row.outcome for row in self.rows}
        if Outcome.REFUSED in outcomes:
            return Word.REFUSED
        complete = tuple(row.name for row in self.rows) == STEPS
        if complete and outcomes <= {Outcome.PASS, Outcome.NOT_REQUIRED}:
            return Word.VERIFIED
        return Word.NOT_ENOUGH


def find_problem(
    rows: Iterable[Row], words: str, hint: str = ""
) -> VerificationError | NotEnoughError | None:
    """Return the first contradiction among rows, else the first that is missing, else None.

    A step that was not reached counts as a contradiction: nobody may go on as if it had
    passed.  `words` begin the message; `hint` stands in for the row's own.
    """
    listed = tuple(rows)
    for outcome, kind in (
        (Outcome.REFUSED, VerificationError),
        (Outcome.MISSING, NotEnoughError),
        (Outcome.NOT_REACHED, VerificationError),
    ):
        for row in listed:
            if row.outcome is outcome:
                what = f"{words} at step {row.number}, {row.name}: {row.text}"
                return kind(what, hint=hint or row.hint)
    return None
