"""`relsign inputs`: all that a project's builds read, in one file."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.options import (
    EXISTING,
    PATH,
    json_option,
    profile_option,
    project_option,
    show_path,
    store_option,
)
from relsign.cli.show import human_size
from relsign.cli.talk import say, talk
from relsign.errors import InputError
from relsign.system.workspace import Workspace

if TYPE_CHECKING:
    from relsign.formats.inputs import Inputs


@click.group(short_help="Keep all inputs of a project's builds in one file.")
def inputs() -> None:
    """Keep everything the builds of a project read in one file.

    With it a release can be rebuilt years later, with no network and an empty store.
    """


@inputs.command("export", short_help="Write all inputs into one file.")
@click.argument("file", type=PATH)
@click.option("--rootfs", is_flag=True,
              help="Also each environment's finished root file system: larger, but no longer "
              "in need of the programs that make it.")  # fmt: skip
@profile_option
@json_option
@project_option
@store_option
def export(
    file: Path, workspace: Workspace, store: Path, profile: str | None, *, rootfs: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Write the recipe, its environments' locks and every file they name into FILE.

    Everything must be in the store: run `relsign fetch` first. The same inputs give the
    same bytes, so two people can compare the digest that is printed.
    """
    from relsign.build.inputs.bundle import export_inputs
    from relsign.build.store import Store
    from relsign.cli.progress import fetching
    from relsign.system.files import hash_file

    if os.path.lexists(file):
        raise InputError(
            "already there", where=show_path(file), hint="name a new file, or remove that one"
        )
    with fetching(f"writing {file.name}") as progress:
        made = export_inputs(
            workspace, Store(store), file, profile=profile, with_rootfs=rootfs, progress=progress
        )
    found = hash_file(file)
    _show(made, as_json=as_json, more={"sha256": found.sha256, "size": found.size})
    if not as_json:
        say(f"{found.sha256}  {show_path(file)}")


@inputs.command("import", short_help="Read all inputs from one file.")
@click.argument("file", type=EXISTING)
@click.option("--into", type=PATH, metavar="FOLDER",
              help="Also write the project's own files into a new folder.")  # fmt: skip
@json_option
@store_option
def import_(file: Path, into: Path | None, store: Path, *, as_json: bool) -> None:
    """Read FILE, made by `relsign inputs export`, into the store.

    Every file is compared with its digest before it enters. Nothing is believed for it:
    what a build reads is what the project's own recipe and locks name.
    """
    from relsign.build.inputs.bundle import import_inputs
    from relsign.build.store import Store
    from relsign.cli.progress import fetching

    with fetching(f"reading {file.name}") as progress:
        came = import_inputs(file, Store(store), into=into, progress=progress)
    _show(came, as_json=as_json, more={"into": str(into) if into else None})
    if into is not None:
        talk(f"wrote {show_path(into)}; build it only if you trust whoever locked its packages:")
        talk("Debian packages run scripts of their own, outside the container, when an environment "
             "is made of them")  # fmt: skip
        more = _profile_words(into, came)
        talk(f"next: relsign build --offline --project {show_path(into)}{more}")


def _profile_words(project: Path, came: Inputs) -> str:
    """Return the option that builds in the bundle's sandbox profile, where that is needed."""
    from relsign.build.profile import choose_profile, load_profile, profile_names

    wanted = came.profile
    if wanted.name not in profile_names() or load_profile(wanted.name).sha256 != wanted.sha256:
        talk(f"its sandbox profile {wanted.name} is not the one this version of relsign has: "
             "a rebuild will have another fingerprint id")  # fmt: skip
        return ""
    recipe = Workspace(project.absolute()).recipe()
    return "" if choose_profile(recipe).name == wanted.name else f" --profile {wanted.name}"


def _show(made: Inputs, *, as_json: bool, more: dict[str, object]) -> None:
    counts = Counter(content.kind for content in made.contents)
    if as_json:
        document = {
            "schema": "relsign/inputs-shown/1",
            "project": made.project,
            "version": made.version,
            "profile": made.profile.name,
            "files": len(made.files),
            "bytes": made.size_bytes,
            "contents": dict(sorted(counts.items())),
            "project_files": [file.path for file in made.project_files],
            **more,
        }
        click.echo(json.dumps(document, ensure_ascii=True, indent=2))
        return
    talk(f"{made.project} {made.version}: {len(made.files)} files, {human_size(made.size_bytes)}")
    for kind, count in sorted(counts.items()):
        talk(f"  {count:>5} {kind}")
    talk(f"  {len(made.project_files):>5} of the project itself")
