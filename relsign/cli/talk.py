"""Words for people, on stderr; what others wrote is shown, never obeyed by the terminal."""

from __future__ import annotations

import click


def talk(text: str) -> None:
    """Print a line for people."""
    click.echo(printable(text), err=True)


def printable(text: str) -> str:
    """Return `text` with every character escaped that could steer a terminal or deceive.

    Line ends stay; control, format (right-to-left marks among them) and undecodable
    characters become escapes.
    """
    return "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
