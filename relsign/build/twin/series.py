"""Builds that differ in their knobs alone, each made once and counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from relsign.build.twin.knobs import Machine, Setup, derive
from relsign.build.twin.workshop import Made, Workshop

KnobSet = frozenset[str]
NOTHING: KnobSet = frozenset()
APART_SECONDS = 2.1
"""Between two builds.  File times are the real clock's, whatever a program is told: in one
build as in another they must differ, even where two seconds count as one (zip)."""
NAMED_KNOBS = 3
"""More knobs than these are counted in the name of a build's folder."""


@dataclass(frozen=True, slots=True)
class CheckEvent:
    """The `number`-th build of one target's check begins; `words` says what it is for."""

    number: int
    words: str
    knobs: tuple[str, ...] = ()


@dataclass(slots=True)
class Counter:
    """How many builds there were, and who is told of each."""

    on_build: Callable[[CheckEvent], object]
    builds: int = 0
    ended: float | None = None
    """When the last build ended, of a clock that only goes forward."""

    def next(self, words: str, knobs: KnobSet) -> str:
        """Tell that a build begins, once it is time, and return a name for its folder."""
        if self.ended is not None:
            time.sleep(max(0.0, self.ended + APART_SECONDS - time.monotonic()))
        self.builds += 1
        self.on_build(CheckEvent(self.builds, words, tuple(sorted(knobs))))
        names = "+".join(sorted(knobs)) if len(knobs) <= NAMED_KNOBS else f"{len(knobs)}-knobs"
        return f"{self.builds:02}-{names or 'no-knob'}"


@dataclass(slots=True)
class Series:
    """Builds under one set-up, with some of its knobs turned."""

    workshop: Workshop
    machine: Machine
    setup: Setup
    counter: Counter
    made: dict[KnobSet, Made] = field(default_factory=dict)

    def build(self, knobs: KnobSet, words: str) -> Made:
        """Build with `knobs` turned; the last build of a set of knobs is kept in `made`."""
        name = self.counter.next(words, knobs)
        made = self.workshop.build(derive(self.setup, knobs, self.machine), name)
        self.counter.ended = time.monotonic()
        self.made[knobs] = made
        return made
