"""Builds that differ in their knobs alone, each made once and counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from relsign.build.twin.knobs import Machine, Setup, derive
from relsign.build.twin.workshop import Made, Workshop

KnobSet = frozenset[str]
NOTHING: KnobSet = frozenset()
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

    def next(self, words: str, knobs: KnobSet) -> str:
        """Tell that a build begins and return a name for its folder."""
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
        self.made[knobs] = made
        return made
