"""What two lists of the same things in another order tell about who ordered them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Literal

Ordering = Literal["collation", "one-sorted", "unsorted"]
"""``collation``: each side is sorted, by another rule.  ``one-sorted``: one side is."""

TOKEN = re.compile(r"[^\s,;:{}()\[\]'\"=<>]+")
SOURCE = re.compile(r"(?!crtstuff\.c)[\w./+-]+\.(?:c|cc|cpp|cxx|s|S|o|rs|go)")
MAX_TOKENS = 100_000


def common_ends(one: Sequence[object], two: Sequence[object]) -> tuple[int, int]:
    """Return how many items are the same in front, and how many of the rest at the end."""
    shorter = min(len(one), len(two))
    start = 0
    while start < shorter and one[start] == two[start]:
        start += 1
    cut = 0
    while cut < shorter - start and one[-1 - cut] == two[-1 - cut]:
        cut += 1
    return start, cut


def ordering(one: Sequence[str], two: Sequence[str]) -> Ordering:
    """Say what is known of the order of the stretch that differs."""
    left, right = _stretch(one, two)
    rules = (_rules(left), _rules(right))
    if not rules[0] & rules[1] and all(rules):
        return "collation"
    return "one-sorted" if any(rules) else "unsorted"


def same_tokens(one: str, two: str) -> bool:
    """Say whether two different lines hold the same words, in another order."""
    left, right = (_tokens(line) for line in (one, two))
    return len(left) > 1 and left != right and sorted(left) == sorted(right)


def _tokens(line: str) -> list[str]:
    return [found.group() for found in islice(TOKEN.finditer(line), MAX_TOKENS)]


def moved_sources(one: Sequence[str], two: Sequence[str]) -> bool:
    """Say whether names of source files changed places among themselves."""
    left, right = ([item for item in side if SOURCE.fullmatch(item)] for side in (one, two))
    return left != right


def _stretch(one: Sequence[str], two: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    start, cut = common_ends(one, two)
    return one[start : len(one) - cut], two[start : len(two) - cut]


def _rules(items: Sequence[str]) -> frozenset[str]:
    """Return the rules by which `items` are sorted: bytes, or as people's languages do."""
    keys = {
        "bytes": [(item, "") for item in items],
        "language": [(_folded(item), item.swapcase()) for item in items],
        "language, marks first": [(item.casefold(), item.swapcase()) for item in items],
    }
    return frozenset(name for name, key in keys.items() if key == sorted(key))


def _folded(item: str) -> str:
    # Collation of most languages looks at letters and digits first, then at the rest.
    return "".join(character for character in item.casefold() if character.isalnum())
