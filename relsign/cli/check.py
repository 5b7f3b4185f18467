"""`relsign check`: build again with everything else changed, and name what shows."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.options import PATH, json_option, profile_option, project_option, store_option
from relsign.cli.talk import talk
from relsign.errors import InputError
from relsign.system.workspace import Workspace

if TYPE_CHECKING:
    from relsign.build.profile import Profile
    from relsign.build.target import Bench
    from relsign.build.twin.project import CheckPlan
    from relsign.build.twin.series import CheckEvent
    from relsign.build.twin.verdict import Checked
    from relsign.formats.recipe import Target

SHOWN_KNOBS = 3
"""More knobs than these are counted in a line of progress."""


@click.command(short_help="Build again with everything varied; name what shows.")
@click.argument("names", nargs=-1, metavar="[TARGET]...")
@click.option("--knob", "knobs", multiple=True, metavar="NAME",
              help="Turn this knob only; may be given several times.")  # fmt: skip
@click.option("--without", "without", multiple=True, metavar="NAME",
              help="Leave this knob alone; may be given several times.")  # fmt: skip
@click.option("--keep", type=PATH, metavar="FOLDER",
              help="Leave the builds' files in this new folder.")  # fmt: skip
@click.option("--offline", is_flag=True, help="Fetch nothing; everything must be in the store.")
@click.option("-v", "--verbose", is_flag=True, help="Show every build's log as it runs.")
@profile_option
@json_option
@project_option
@store_option
def check(
    names: tuple[str, ...], knobs: tuple[str, ...], without: tuple[str, ...], keep: Path | None,
    workspace: Workspace, store: Path, profile: str | None, *, offline: bool, verbose: bool,
    as_json: bool,
) -> int:  # fmt: skip
    """Build targets again with every condition changed at once.

    Clock, host and user name, folders, time zone, locale, umask, CPUs, order of files,
    variables, engine ... must not show in the bytes. If they do, further builds find
    the guilty knobs; place, known cause and fix are printed for each.

    Nothing is signed or left behind. Exit code 0 if all targets come out identical, 1 if
    one does not.
    """
    from relsign.build.profile import choose_profile
    from relsign.build.store import Store
    from relsign.cli.building.ending import cleaning_up
    from relsign.cli.checking import check_json, check_lines
    from relsign.cli.inputs import fetch_inputs
    from relsign.cli.talk import say

    left_out = _left_out(knobs, without)
    chosen = choose_profile(workspace.recipe(), profile)
    targets = _targets(workspace, names)
    if not offline:
        fetch_inputs(workspace, Store(store))
    with cleaning_up(os.environ):
        results = check_targets(workspace, targets, store, left_out, keep, chosen, verbose=verbose)
    if as_json:
        click.echo(json.dumps(check_json(results), indent=2))
    else:
        for line in check_lines(results):
            say(line)
    return 0 if all(result.verdict == "identical" for result in results) else 1


def _left_out(knobs: tuple[str, ...], without: tuple[str, ...]) -> dict[str, str]:
    """Return knob -> why it stays, from the two options; raise InputError for another name."""
    from relsign.build.twin.knobs import KNOB_NAMES

    for option, given in (("--knob", knobs), ("--without", without)):
        for name in given:
            if name not in KNOB_NAMES:
                raise InputError(
                    "no such knob", where=option, got=name, expected=", ".join(KNOB_NAMES),
                    hint="take a name from that list",
                )  # fmt: skip
    unasked = {name: "not named by --knob" for name in KNOB_NAMES if knobs and name not in knobs}
    return {**unasked, **dict.fromkeys(without, "left out by --without")}


def _targets(workspace: Workspace, names: tuple[str, ...]) -> tuple[Target, ...]:
    targets = {target.name: target for target in workspace.recipe().target}
    for name in names:
        if name not in targets:
            raise InputError(
                "no such target", where="relsign.toml", got=name, expected=", ".join(targets),
                hint="name a target of the recipe, or none for all",
            )  # fmt: skip
    return tuple(targets[name] for name in dict.fromkeys(names)) or tuple(targets.values())


def check_targets(
    workspace: Workspace,
    targets: tuple[Target, ...],
    store: Path,
    left_out: dict[str, str],
    keep: Path | None,
    profile: Profile,
    *,
    verbose: bool,
) -> tuple[Checked, ...]:
    """Check the targets one after another; `keep` is where their builds' files stay, if given."""
    from relsign.build.engine.connection import connect, other_engine
    from relsign.build.store import Store
    from relsign.build.target import Bench, allowed_cpus
    from relsign.build.twin.project import CheckPlan
    from relsign.system.clock import now_utc

    cpus = allowed_cpus()
    with contextlib.ExitStack() as stack:
        engine = stack.enter_context(connect(os.environ))
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="relsign-check-")))
        folder = temporary / "built" if keep is None else _new_folder(keep)
        other = None if "engine" in left_out else other_engine(os.environ, engine)
        if other is not None:
            stack.enter_context(other)
        bench = Bench(engine, Store(store), store / "bound", cpus[0])
        plan = CheckPlan(
            profile,
            cpus,
            folder,
            temporary / "bound",
            other,
            left_out,
            now_utc(),
        )
        return tuple(
            _check_one(bench, workspace, target, plan, verbose=verbose) for target in targets
        )


def _new_folder(keep: Path) -> Path:
    """Return a folder that was not there, for builds that are to be looked at afterwards."""
    from relsign.system.files import make_folder

    if os.path.lexists(keep):
        raise InputError(
            "the folder is there already", where=os.fspath(keep), hint="name a new one for --keep"
        )
    make_folder(keep)
    return keep.absolute()


def _check_one(
    bench: Bench, workspace: Workspace, target: Target, plan: CheckPlan, *, verbose: bool
) -> Checked:
    from relsign.build.twin.project import check_target
    from relsign.cli.progress import BuildTalk

    def tell(event: CheckEvent) -> None:
        count = len(event.knobs)
        which = " ".join(event.knobs) if count <= SHOWN_KNOBS else f"{count} knobs"
        talk(f"  ● {target.name}  build {event.number}: {event.words}{which and f': {which}'}")

    with Path(os.devnull).open("wb") as nowhere:
        listener = BuildTalk(target.name, nowhere, verbose).listener()
        quiet = replace(listener, on_event=lambda _event: None)
        return check_target(bench, workspace, target, plan, quiet, tell)
