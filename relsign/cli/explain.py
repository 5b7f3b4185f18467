"""`relsign verify --explain`: the lines for a shell, row by row."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from tempfile import gettempdir
from typing import TYPE_CHECKING

import click

from relsign.cli.show import GLYPHS
from relsign.cli.talk import say
from relsign.trust.explain import Places, explain

if TYPE_CHECKING:
    from relsign.trust.explain import Step
    from relsign.verify.decision import Decision


def show_explanation(
    decision: Decision, pinned: bytes, *, file: Path, bundle: Path | None, root: Path, now: datetime
) -> None:
    """Print each row of a decision with commands of stock tools that look at the same."""
    whole = file.parent if (file.parent / "in-toto" / "release.layout").is_file() else None
    places = Places(
        os.fspath(file),
        os.fspath(bundle or "no-bundle"),
        os.fspath(root),
        f"{gettempdir()}/relsign-by-hand.{token_hex(8)}",
        None if whole is None else os.fspath(whole),
    )
    outcomes = {row.number: GLYPHS[row.outcome] for row in decision.verdict.rows}
    for step in explain(decision, pinned, file.name, places, now):
        _show(step, outcomes.get(step.number, " "))


def _show(step: Step, glyph: str) -> None:
    # Comments for a shell, so that the whole text can be piped into one.
    say(f"# {glyph} {step.number} {step.name}: {step.promise}")
    for command in step.commands:
        say(command)
    click.echo()
