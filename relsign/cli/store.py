"""`relsign store`: what this machine keeps of inputs and environments, and how much of it."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict
from pathlib import Path

import click

from relsign.cli.options import json_option, project_option, store_option
from relsign.cli.show import human_size
from relsign.cli.talk import say, talk
from relsign.system.workspace import Workspace

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Bytes(click.ParamType[int]):
    """A size such as ``20G``: a whole number and a binary unit."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Return the size in bytes; fail as click does for anything else."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([0-9]{1,12})([KMGT]?)(?:i?B)?", str(value))
        if found is None:
            self.fail(f"{value!r} is no size such as 20G or 500M", param, ctx)
        return int(found[1]) * UNITS[found[2]]


@click.group(short_help="What this machine keeps of inputs and environments.")
def store() -> None:
    """Look after the files and images that builds have left on this machine."""


@store.command(short_help="Remove what was not used for longest.")
@click.option("--max-size", "max_bytes", type=Bytes(), default="20G", show_default=True,
              metavar="SIZE", help="How much the stored files may take.")  # fmt: skip
@click.option("--max-images", type=click.IntRange(min=0), default=8, show_default=True,
              metavar="N", help="How many environments stay in the container engine.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
@json_option
@project_option
@store_option
def gc(
    max_bytes: int, max_images: int, workspace: Workspace, store: Path,
    *, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Bound the store: the files and images unused for longest go first.

    What the project in the current folder needs stays. Everything else can be fetched
    and bootstrapped again, as long as its servers have it: keep releases whose inputs
    vanish with `relsign inputs export`.
    """
    from relsign.build.engine.connection import connect
    from relsign.build.gc import Limits, Needed, needed_by, sweep
    from relsign.build.store import Store
    from relsign.errors import HostError

    needed = Needed(frozenset(), frozenset())
    if workspace.recipe_file.exists():
        needed = needed_by(workspace)
    limits, kept = Limits(max_bytes, max_images), Store(store)
    try:
        with connect(os.environ) as engine:
            swept = sweep(kept, engine, limits, needed, dry=dry_run)
    except HostError as error:
        talk(f"  images were not looked at: {error}")
        swept = sweep(kept, None, limits, needed, dry=dry_run)
    if as_json:
        say(json.dumps({"schema": "relsign/store-gc/1", **asdict(swept)}))
        return
    verb = "would remove" if dry_run else "removed"
    say(f"{verb} {swept.files} files ({human_size(swept.bytes)}) and {swept.images} images")
    say(f"left: {human_size(swept.left_bytes)} and {swept.left_images} images")
