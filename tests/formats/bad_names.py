"""Names that no document may hold."""

from __future__ import annotations

BAD_NAMES = (
    "",
    ".",
    "..",
    "../x",
    "/x",
    "a/../b",
    "a//b",
    "a\\b",
    "-x",
    ".hidden",
    "a b",
    "a\nb",
    "a\n",
    "a\x00",
    "a\x1b[31m",
    "a\u202eb",
    "a\u200bb",
    "gzi\u0440",  # the last letter is Cyrillic
    "gz\u0131p",  # the third letter has no dot
    "\uff47zip",  # the first letter is full-width
    "$(id)",
    "x" * 201,
)
