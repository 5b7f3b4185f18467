"""Fetching with progress, for the two commands that fetch."""

from __future__ import annotations

from relsign.build.inputs.environment import fetch_environment, missing_files
from relsign.build.inputs.sources import FetchedSource, SourceContext, fetch_sources
from relsign.build.moved import check_lock_is_current
from relsign.build.store import Store
from relsign.cli.progress import fetching
from relsign.cli.talk import talk
from relsign.system.workspace import Workspace


def fetch_inputs(
    workspace: Workspace,
    store: Store,
    mirrors: tuple[str, ...] = (),
    registry: str | None = None,
) -> tuple[FetchedSource, ...]:
    """Bring sources and locked packages of the recipe into the store, each verified.

    `mirrors` are Debian archives and `registry` an image registry to ask instead of this
    machine's own.
    """
    recipe = workspace.recipe()
    for name in recipe.builders:
        lock = workspace.lock(name)
        check_lock_is_current(workspace, name, lock)
        missing = missing_files(lock, store)
        if missing:
            talk(f"  fetching {len(missing)} files of environment {name}")
        with fetching(f"environment {name}") as progress:
            fetch_environment(lock, store, mirrors, progress, registry)
    context = SourceContext(workspace.folder, mirrors=mirrors)
    with fetching("sources") as progress:
        return fetch_sources(recipe, store, context, progress)
