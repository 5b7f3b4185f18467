"""`relsign fetch`: everything that needs the network, before a build has none."""

from __future__ import annotations

import os
from pathlib import Path

import click

from relsign.cli.options import project_option, registry_option, store_option
from relsign.cli.show import human_size
from relsign.cli.talk import talk
from relsign.system.workspace import Workspace


@click.command(short_help="Fetch and verify sources and environments.")
@click.option("--mirror", "mirrors", multiple=True, metavar="URL",
              help="Debian archive to try before this machine's own; may be repeated.")  # fmt: skip
@registry_option
@click.option("--image/--no-image", default=True, show_default=True,
              help="Also bootstrap the environment's image in the container engine.")  # fmt: skip
@project_option
@store_option
def fetch(
    mirrors: tuple[str, ...],
    registry: str | None,
    workspace: Workspace,
    store: Path,
    *,
    image: bool,
) -> None:
    """Fetch what the recipe names, once, and check every digest and signature.

    Sources come from where their kind says; packages from the hosts this machine
    is configured for, images from a registry. After it, `relsign build` needs no network.
    """
    from relsign.build.engine.connection import connect
    from relsign.build.store import Store
    from relsign.build.target import Bench, prepare_image
    from relsign.cli.inputs import fetch_inputs
    from relsign.cli.progress import BuildTalk

    kept = Store(store)
    for source in fetch_inputs(workspace, kept, mirrors, registry):
        signed = ""
        if source.signed is not None:
            signed = f"  upstream signature good: {source.signed.fingerprint}"
        talk(f"  ✓ {source.file}  {human_size(source.size)}{signed}")
    if image:
        with connect(os.environ) as engine, Path(os.devnull).open("wb") as log:
            bench = Bench(engine, kept, store / "bound", 0)
            for name in workspace.recipe().builders:
                listener = BuildTalk(name, log, show_log=False).listener()
                prepare_image(bench, workspace.lock(name), listener)
                talk(f"  ✓ environment {name} is in the engine")
    talk("Next: relsign build")
