"""`relsign build`: build in a locked container, and sign what came out.

Where the policy says `commit`, the first run publishes a commitment and the next one,
or `--reveal`, shows the links, once enough builders have committed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.options import (
    keys_option,
    passphrase_option,
    profile_option,
    project_option,
    store_option,
)
from relsign.cli.talk import talk
from relsign.system.workspace import ReleaseFolder, Workspace

if TYPE_CHECKING:
    from relsign.build.engine.connection import Engine
    from relsign.build.profile import Profile
    from relsign.cli.building.signing import Signing
    from relsign.cli.building.targets import Plan


@click.command(short_help="Build in a locked container; sign the links.")
@click.option("--as", "name", metavar="NAME",
              help="Sign as this builder.  Without it nothing is signed.")  # fmt: skip
@click.option("--cpu", type=click.IntRange(min=0), metavar="N",
              help="Which of this machine's CPUs the build may use.")  # fmt: skip
@click.option("-j", "--jobs", type=click.IntRange(min=1), metavar="N", default=1, show_default=True,
              help="Targets to build at once, each on a CPU of its own.")  # fmt: skip
@profile_option
@click.option("--force", is_flag=True, help="Build also what is built already.")
@click.option("--check", "twins", is_flag=True,
              help="Build again under other conditions too, as `relsign check` does, and say in "
              "the link what came out.")  # fmt: skip
@click.option("--offline", is_flag=True, help="Fetch nothing; everything must be in the store.")
@click.option("--reveal", is_flag=True,
              help="Build nothing; show the build that was committed to.")  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Show the build's log as it runs.")
@project_option
@store_option
@keys_option
@passphrase_option
def build(
    name: str | None, cpu: int | None, jobs: int, profile: str | None, workspace: Workspace,
    store: Path, keys: Path, descriptor: int | None, *, force: bool, twins: bool, offline: bool,
    reveal: bool, verbose: bool,
) -> None:  # fmt: skip
    """Build every target of the recipe, run its checks and record what came out.

    The container has no network, a read-only root and nothing of this machine in it.
    Artifacts, fingerprints, signed links and provenance go to
    release/PROJECT-VERSION/builds/NAME/, whole or not at all. If others built this
    release too, the result is compared with theirs. What is built already, from these
    very inputs, is not built again without --force or --check.

    Where the policy says `commit = true`, only a commitment is published at first. Run
    again, or with --reveal, the command shows the build once enough builders have
    committed; until then it exits with 3 and says who is awaited.
    """
    from relsign.build.engine.connection import connect
    from relsign.build.profile import choose_profile
    from relsign.build.store import Store
    from relsign.cli.building.ending import cleaning_up
    from relsign.cli.building.signing import go_on, open_signing, require_committed_to
    from relsign.cli.building.unchanged import is_built
    from relsign.cli.inputs import fetch_inputs
    from relsign.sign.places import check_release_folder

    if cpu is not None and jobs > 1:
        raise click.UsageError("--cpu names one CPU, and --jobs takes one for each target")
    release = workspace.release()
    check_release_folder(release)
    chosen = choose_profile(workspace.recipe(), profile)
    if reveal:
        require_committed_to(workspace, release, name)
    if not (force or reveal or twins) and is_built(workspace, release, name, chosen, store, keys):
        return
    signing = open_signing(workspace, name, keys, descriptor) if name else None
    if go_on(workspace, release, signing, chosen):
        return
    if not offline:
        fetch_inputs(workspace, Store(store))
    with connect(os.environ) as engine, cleaning_up(os.environ):
        plan = _plan(engine, store, chosen, cpu, jobs, twins=twins, verbose=verbose)
        _build_and_record(plan, workspace, release, name, signing)


def _plan(
    engine: Engine,
    store: Path,
    profile: Profile,
    cpu: int | None,
    jobs: int,
    *,
    twins: bool,
    verbose: bool,
) -> Plan:
    from relsign.build.store import Store
    from relsign.build.target import Bench, allowed_cpus
    from relsign.cli.building.targets import Plan

    cpus = allowed_cpus() if cpu is None else (cpu,)
    if len(cpus) < jobs:
        talk(f"  {len(cpus)} at once and not {jobs}: this process may use no more CPUs")
    bench = Bench(engine, Store(store), store / "bound", cpus[0])
    return Plan(bench, profile, dict(os.environ), cpus[:jobs], verbose, twins)


def _build_and_record(
    plan: Plan,
    workspace: Workspace,
    release: ReleaseFolder,
    name: str | None,
    signing: Signing | None,
) -> None:
    """Build to one side, then show all of it, or a commitment to it, or leave nothing."""
    from relsign.cli.building.place import (
        compare_with_others,
        move_into_place,
        show_result,
        staging_folder,
        write_links,
    )
    from relsign.cli.building.signing import commit_only
    from relsign.cli.building.targets import build_release
    from relsign.cli.building.unchanged import record_built

    commits = signing is not None and signing.commits
    staged = staging_folder(release, name, hidden=commits)
    try:
        built = build_release(plan, workspace, staged)
        if signing is not None and signing.commits:
            commit_only(release, staged, built, signing)
            return
        write_links(staged, built, signing)
        record_built(plan.bench.store.root, built)
        folder = move_into_place(staged, release, name)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    show_result(built.fingerprints, folder)
    if name:
        compare_with_others(release, name, built.fingerprints)
