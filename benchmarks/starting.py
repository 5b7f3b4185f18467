"""How long the program takes to start."""

from __future__ import annotations

import sys
from pathlib import Path

from measure import RELSIGN, compare, pairs

BARE = """
import click
@click.group()
@click.version_option("1")
def main(): "A program."
@main.command(short_help="Do something.")
@click.argument("file")
@click.option("--root", help="A root.")
def do(file, root): "Do something."
main()
"""
RUNS = 21


def measure(scratch: Path) -> None:
    """Print the rows of this subject."""
    compare(
        "relsign --version / python -c pass, CPU",
        pairs([RELSIGN, "--version"], [sys.executable, "-c", "pass"], scratch, RUNS),
        1.6,
    )
    compare(
        "relsign --help / a bare click program, CPU",
        pairs([RELSIGN, "--help"], [sys.executable, "-c", BARE, "--help"], scratch, RUNS),
        1.3,
    )
