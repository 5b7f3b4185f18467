"""What is to be decided: a question, and the case it becomes once its root holds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from relsign.formats.bundle import Bundle
from relsign.formats.canonical import Value
from relsign.formats.memory import Seen
from relsign.verify.day import Day
from relsign.verify.demands import Demands
from relsign.verify.freshness import ListingFiles
from relsign.verify.release import Evidence
from relsign.verify.root import TrustedRoot


class Question(Value, frozen=True):
    """What is to be decided, and on what."""

    root: bytes
    """The newest `root.json` the person trusts."""
    bundle: bytes | Bundle | None
    """The release's bundle, read already or not, or None where there is none."""
    artifacts: Mapping[str, str]
    """Name -> SHA-256 of the files in hand."""
    now: datetime
    """Aware UTC; fixed once, before the first step."""
    demands: Demands = msgspec.field(default_factory=Demands)
    newer_roots: tuple[bytes, ...] = ()
    """Later versions of the root, in order; believed only as they extend it."""
    seen: tuple[Seen, ...] | None = None
    """Releases of this project that this person saw before; None where none are kept."""
    listing: ListingFiles | None = None
    """What a publisher signed last, as far as this person knows."""
    wanted: str | None = None
    """The version the person asked for by name; then an older one is no rollback."""
    rebuilt: Mapping[str, bytes] = msgspec.field(default_factory=dict)
    """Target -> fingerprint of the person's own rebuild."""


class Case(Value, frozen=True):
    """A question whose root holds and whose bundle could be read."""

    question: Question
    root: TrustedRoot
    day: Day
    evidence: Evidence

    def need(self, role: str) -> int:
        """Return the threshold of a role: the root's of its day, or the person's if higher."""
        thresholds, demands = self.day.root.root.thresholds, self.question.demands
        return max(int(getattr(thresholds, role)), int(getattr(demands, role)))
