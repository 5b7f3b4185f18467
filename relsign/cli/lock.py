"""`relsign lock`: from the packages wanted to every byte of the environment."""

from __future__ import annotations

from pathlib import Path

import click

from relsign.cli.options import project_option, show_path, store_option
from relsign.cli.show import human_size, short_digest
from relsign.cli.talk import talk
from relsign.errors import NotEnoughError
from relsign.formats.lock import MAX_LOCK_BYTES
from relsign.system.files import read_bounded, write_whole
from relsign.system.workspace import Workspace


@click.command(short_help="Resolve an environment into builder.lock.")
@click.argument("name")
@click.option(
    "--mirror", "mirrors", multiple=True, metavar="URL",
    help="Debian archive to use instead of this machine's own; may be repeated.",
)  # fmt: skip
@project_option
@store_option
def lock(name: str, mirrors: tuple[str, ...], workspace: Workspace, store: Path) -> None:
    """Resolve builders/NAME/builder.toml into builders/NAME/builder.lock.

    The lock names every package with version, size and digest, and the digest of the
    root file system they become. Review it and commit it like source code.
    """
    from relsign.build.inputs.lock import resolve_lock
    from relsign.build.store import Store
    from relsign.cli.progress import fetching

    definition = workspace.definition(name)
    data = workspace.definition_bytes(name)
    with fetching(f"environment {name}") as progress:
        resolved = resolve_lock(definition, data, Store(store), mirrors, progress)
    path = workspace.builder_folder(name) / "builder.lock"
    if _present(path) == resolved.to_bytes():
        talk(f"unchanged  {show_path(path)}")
        return
    write_whole(path, resolved.to_bytes())
    talk(
        f"wrote {show_path(path)}: {len(resolved.packages)} packages, "
        f"{len(resolved.wheels)} wheels, root file system "
        f"{human_size(resolved.rootfs.size)} {short_digest(resolved.rootfs.sha256)}"
    )


def _present(path: Path) -> bytes | None:
    try:
        return read_bounded(path, MAX_LOCK_BYTES)
    except NotEnoughError:
        return None
