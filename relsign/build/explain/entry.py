"""What every opened container gives: entries with their bytes and the facts about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from relsign.build.explain.difference import Kind
from relsign.build.explain.layers import Coding
from relsign.build.explain.piece import Piece

Facts = Mapping[str, tuple[Kind, str]]
"""Field, as the recognisers know it -> its kind and how its value is shown."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One member, section or stream; `packed` are its bytes as they lie in the file."""

    name: str
    packed: Piece
    facts: Facts
    coding: Coding = "stored"
    header_bytes: int = 0
    """How much of `packed` the facts already tell: a compressed file's header."""
    is_code: bool = False
    """Machine code: what looks like text in it is none."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A container's entries in the file's own order."""

    format: str
    entries: tuple[Entry, ...]
    facts: Facts
    is_ordered: bool = True
    """Whether the order of entries is worth telling."""
