r"""Untrusted text in a message: short, and no character that could steer a terminal.

>>> shorten("a\x1b[2J")
'a\\x1b[2J'
"""

from __future__ import annotations


def shorten(text: str, limit: int = 120) -> str:
    """Return untrusted `text` escaped to printable ASCII and cut to `limit` characters."""
    safe = text[: limit + 1].encode("unicode_escape").decode("ascii")
    return safe if len(safe) <= limit else f"{safe[: limit - 3]}..."
