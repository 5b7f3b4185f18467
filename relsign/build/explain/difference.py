"""One difference between two files that should have been the same.

Everything in it may be shown: places and excerpts are printable ASCII and short,
whatever stood in the files.

    >>> Difference("a.tar > b.txt > line 3", "text", "built on x", "built on y").kind
    'text'
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os.path import commonprefix
from typing import Literal

from relsign.formats.canonical import shorten

Kind = Literal[
    "bytes", "text", "mtime", "mode", "owner", "order", "name", "missing", "header", "type"
]
MAX_EXCERPT = 240
CONTEXT = 80
"""Characters shown in front of the first one that differs."""
MAX_PLACE = 160
HEX_BYTES = 24
SHOWN_IN_ORDER = 5
INSIDE = " > "


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two files differ, and how both sides look there."""

    place: str
    kind: Kind
    one: str
    two: str
    what: str = ""
    """Which field or section, as a word the recognisers know: ``tar.mtime``, ``elf:.comment``."""


def join_place(place: str, part: str) -> str:
    """Return the place of an untrusted `part` inside `place`."""
    return f"{place}{INSIDE}{shorten(part, MAX_PLACE)}" if place else shorten(part, MAX_PLACE)


def text_excerpts(one: str, two: str) -> tuple[str, str]:
    """Return both texts, cut to a window around the first character that differs."""
    same = len(commonprefix((one, two)))  # noqa: RUF071 - characters are meant
    start = max(0, same - CONTEXT)
    return shorten(one[start:], MAX_EXCERPT), shorten(two[start:], MAX_EXCERPT)


def order_excerpts(one: Sequence[str], two: Sequence[str], at: int) -> tuple[str, str]:
    """Return the first items of both orders from `at` on."""
    left, right = (
        shorten(" | ".join(side[at : at + SHOWN_IN_ORDER]), MAX_EXCERPT) for side in (one, two)
    )
    return left, right


def hexadecimal(data: bytes) -> str:
    """Return the first bytes in hexadecimal, or words that there are none."""
    return data[:HEX_BYTES].hex(" ") or "(ends here)"
