"""The verdict: one word and one row per step of the decision.

VERIFIED needs every step; one contradiction makes it REFUSED; missing evidence
makes it NOT ENOUGH.  The two never mix: waiting cannot mend a REFUSED.
"""

from __future__ import annotations

from enum import Enum

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
