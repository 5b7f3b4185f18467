"""Asking a person, or refusing where nobody is there to be asked."""

from __future__ import annotations

import sys

import click

from relsign.errors import InputError


def ask(question: str, shown: str, *, yes: bool) -> None:
    """Ask a yes-or-no question about what was `shown` above; go on if `yes` was said before.

    Raises click's Abort for a no, InputError where there is no terminal.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError("no terminal to ask on", hint=f"read {shown} above, then use --yes")
    click.confirm(question, abort=True, err=True)
