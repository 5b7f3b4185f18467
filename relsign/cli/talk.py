"""Words for people, on stderr; what others wrote is shown, never obeyed by the terminal."""

from __future__ import annotations

import click


def talk(text: str) -> None:
    """Print one line for people."""
    click.echo(printable(text), err=True)


def say(text: str) -> None:
    """Print one line of data, on stdout."""
    click.echo(printable(text))


def printable(text: str) -> str:
    """Return `text` with every character escaped that could steer a terminal or deceive.

    Control characters, line ends among them, format characters (right-to-left marks)
    and undecodable ones become escapes: nobody's file name makes a line of its own.
    """
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
