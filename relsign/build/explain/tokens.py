"""What changed inside two excerpts of a text: pairs of dates, paths, numbers, words.

A line is cut into tokens that mean something by themselves, longest first; what is
the same at both ends is put aside, and the rest is paired token by token.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from relsign.build.explain.order import common_ends

Shape = Literal["date", "uuid", "address", "path", "hex", "number", "word", "mark"]

MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6}"
CLOCK = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?[AP]M)?"
ZONE = r"(?: ?(?:[+-]\d\d:?\d\d|Z|UTC|GMT|[A-Z]{3,4}T)\b)?"
ISO = rf"\d{{4}}-\d\d-\d\d(?:[T _-]{CLOCK}{ZONE})?|\b(?:19|20)\d{{6}}(?:T?\d{{4,6}}Z?)?\b"
DATES = (
    rf"(?:{DAY},? +)?{MONTH} +\d{{1,2}},?(?: +{CLOCK}{ZONE})?(?: +\d{{4}})?",
    rf"(?:{DAY},? +)?\d{{1,2}}[ -]{MONTH}[ -]\d{{2,4}}(?: +{CLOCK}{ZONE})?",
    ISO,
    r"\d{1,2}[/.]\d{1,2}[/.]\d{4}",
    rf"{CLOCK}{ZONE}",
)
TOKEN = re.compile(
    "|".join(
        (
            r"(?P<uuid>\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b)",
            rf"(?P<date>(?<![\w.]){'|(?<![0-9A-Za-z.])'.join(DATES)})",
            r"(?P<address>\b0x[0-9a-fA-F]+\b)",
            r"(?P<path>(?:(?<![\w.])|(?<=-I)|(?<=-L))/[\w.+@%~-]+(?:/[\w.+@%~:-]*)*)",
            r"(?P<hex>(?<![0-9A-Za-z])(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{7,}(?![0-9A-Za-z]))",
            r"(?P<version>(?<![\w.])v?\d+(?:\.\d+)+[-+~]\w[\w.+~-]*)",
            r"(?P<number>(?<![\w.])[-+]?\d+(?:[.,]\d+)*(?:[eE][-+]?\d+)?(?![\w]))",
            r"(?P<word>\w+(?:[.+-]\w+)*)",
            r"(?P<mark>\s+|.)",
        )
    ),
    re.DOTALL,
)
MAX_TOKENS = 400
MAX_CHANGES = 16
"""Changes of one line that are looked at: more are another line."""


@dataclass(frozen=True, slots=True)
class Token:
    """One piece of a line."""

    shape: Shape
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """Tokens that stand in place of each other, and the text in front of them."""

    one: str
    two: str
    shapes: tuple[str, str]
    before: str
    after: str


def changes(one: str, two: str) -> tuple[Change, ...]:
    """Return what changed from one excerpt to the other."""
    left, right = tokens(one), tokens(two)
    start, cut = common_ends(left, right)
    middle = left[start : len(left) - cut], right[start : len(right) - cut]
    before = "".join(token.text for token in left[:start])
    after = "".join(token.text for token in left[len(left) - cut :])
    if len(middle[0]) != len(middle[1]):
        return (_change(*middle, before, after),)
    found: list[Change] = []
    for first, second in zip(*middle, strict=True):
        if first != second:
            found.append(_change([first], [second], before, after))
        before += first.text
        if len(found) == MAX_CHANGES:
            break
    return tuple(found)


def tokens(text: str) -> list[Token]:
    """Cut a text into tokens."""
    found: list[Token] = []
    for match in TOKEN.finditer(text):
        shape = match.lastgroup
        if shape is None or len(found) >= MAX_TOKENS:
            break
        found.append(Token(_SHAPES[shape], match.group()))
    return found


_SHAPES: dict[str, Shape] = {
    "date": "date",
    "uuid": "uuid",
    "address": "address",
    "path": "path",
    "hex": "hex",
    "number": "number",
    "version": "word",
    "word": "word",
    "mark": "mark",
}


def _change(one: list[Token], two: list[Token], before: str, after: str) -> Change:
    return Change(
        "".join(token.text for token in one),
        "".join(token.text for token in two),
        (_shape(one), _shape(two)),
        before,
        after,
    )


def _shape(found: list[Token]) -> str:
    shapes = {token.shape for token in found if token.text.strip()}
    return shapes.pop() if len(shapes) == 1 else "mixed" if shapes else ""
