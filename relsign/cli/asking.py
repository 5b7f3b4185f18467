"""Asking a person, or refusing where nobody is there to be asked."""

from __future__ import annotations

import sys

import click

from relsign.errors import InputError


def ask(question: str, shown: str, *, yes: bool) -> None:
    """Ask a yes-or-no question about what was `shown` above; go on if `yes` was said before.

    Raises InputError for a no, and where there is no terminal.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError("no terminal to ask on", hint=f"read {shown} above, then use --yes")
    if not click.confirm(question, err=True):
        raise InputError("you said no: nothing was done", hint="run it again to be asked again")
