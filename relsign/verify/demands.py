"""What the person who verifies asks for: a level, and nothing looser than the root.

A person's own demands and the project's root are combined by taking the stricter of
each, so no demand can weaken what the owners decided.  Only the level `basic` asks
fewer questions, and its verdict says which were not asked.
"""

from __future__ import annotations

from enum import IntEnum

from relsign.formats.canonical import Value


class Level(IntEnum):
    """How much is asked; a higher one asks all that a lower one does."""

    BASIC = 1
    """Root, bytes, signers, revocation."""
    STANDARD = 2
    """Builders, layout, fingerprint, and log and freshness where the root asks for them."""
    PARANOID = 3
    """Log and freshness whatever the root says, and an own rebuild."""


class Demands(Value, frozen=True):
    """A person's demands; zero, None and False leave the matter to the root."""

    level: Level = Level.STANDARD
    signers: int = 0
    builders: int = 0
    organisations: int = 0
    refuse_dissent: bool = False
    freshness_days: int | None = None
    """How old the publisher's timestamp may be."""
    log: bool = False
    """Whether inclusion in a witnessed log is asked for."""

    def stricter(self, other: Demands) -> Demands:
        """Return the demands that ask for everything both ask for."""
        ages = [d for d in (self.freshness_days, other.freshness_days) if d is not None]
        return Demands(
            level=max(self.level, other.level),
            signers=max(self.signers, other.signers),
            builders=max(self.builders, other.builders),
            organisations=max(self.organisations, other.organisations),
            refuse_dissent=self.refuse_dissent or other.refuse_dissent,
            freshness_days=min(ages, default=None),
            log=self.log or other.log,
        )
