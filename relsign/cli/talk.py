"""Words for people, on stderr; what others wrote is shown, never obeyed by the terminal."""

from __future__ import annotations

import sys


def talk(text: str) -> None:
    """Print one line for people."""
    sys.stderr.write(f"{printable(text)}\n")
    sys.stderr.flush()


def say(text: str) -> None:
    """Print one line of data, on stdout."""
    sys.stdout.write(f"{printable(text)}\n")
    # Two streams into one file keep their order, and a full disk is seen at once.
    sys.stdout.flush()


def printable(text: str) -> str:
    """Return `text` with every character escaped that could steer a terminal or deceive.

    Control characters, line ends among them, format characters (right-to-left marks)
    and undecodable ones become escapes: nobody's file name makes a line of its own.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
