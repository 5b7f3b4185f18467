"""A known cause of different bytes, and where it was recognised."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cause:
    """What makes two builds differ, in one sentence, and what to change."""

    name: str
    """Of a-z, 0-9 and hyphen, as a twin's verdict lists it."""
    sentence: str
    fix: str
    knobs: frozenset[str] = frozenset()
    """Variations of a twin that bring it out."""
    is_weak: bool = False
    """Whether it explains something only where no stronger cause does."""


@dataclass(frozen=True, slots=True)
class Found:
    """A cause and the places that show it, in the order they were found."""

    cause: Cause
    places: tuple[str, ...]
