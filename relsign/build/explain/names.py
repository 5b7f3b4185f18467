"""Pair the entries of two archives: by name, else by a name of the same shape."""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Sequence

Key = tuple[str, int]
"""A name, and how often it stood before."""
CHANGING = re.compile(r"[0-9A-Fa-f]{2,}|[0-9]+")
RANDOM = re.compile(r"(?<=tmp)[0-9A-Za-z_]{4,}|(?<=/cc)[0-9A-Za-z]{6}(?=\.)")
MAX_SHAPE = 400


def paired_names(
    one: Sequence[Key], two: Sequence[Key]
) -> tuple[list[tuple[Key, Key]], list[Key], list[Key]]:
    """Return pairs in `one`'s order, and what stands alone on either side.

    Names that one side lacks are paired when only digits, hexadecimal or temporary
    parts of them differ: a date or a random number in a name.
    """
    there = set(two)
    mine = set(one)
    lone: dict[str, deque[Key]] = defaultdict(deque)
    for key in two:
        if key not in mine:
            lone[_shape(key[0])].append(key)
    pairs: list[tuple[Key, Key]] = []
    only_one: list[Key] = []
    for key in one:
        if key in there:
            pairs.append((key, key))
        elif alike := lone.get(_shape(key[0])):
            pairs.append((key, alike.popleft()))
        else:
            only_one.append(key)
    return pairs, only_one, [key for queue in lone.values() for key in queue]


def _shape(name: str) -> str:
    return CHANGING.sub("0", RANDOM.sub("0", name[:MAX_SHAPE]))
