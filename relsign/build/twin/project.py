"""A check of a project's target: from recipe and lock to what `check_subject` takes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from relsign.build.engine.connection import Engine
from relsign.build.inputs.streams import source_streams
from relsign.build.moved import check_lock_is_current
from relsign.build.profile import Profile
from relsign.build.target import (
    Bench,
    Listener,
    prepare_image,
)
from relsign.build.twin.check import check_subject
from relsign.build.twin.machine import look_at_machine
from relsign.build.twin.series import CheckEvent
from relsign.build.twin.verdict import Checked
from relsign.build.twin.workshop import Subject, Workshop, setup_for
from relsign.formats.recipe import Target
from relsign.system.workspace import Workspace


@dataclass(frozen=True, slots=True)
class CheckPlan:
    """How to check.

    `folder` gets every build's files, in folders of their own; `bound` what is shown to
    containers.  Both are new, and the caller's to remove.
    """

    profile: Profile
    cpus: tuple[int, ...]
    """Numbers of the CPUs that builds may use; two show whether a build counts them."""
    folder: Path
    bound: Path
    other: Engine | None
    """An engine of another kind, if one runs here."""
    left_out: Mapping[str, str]
    """Knob -> why it is not to be turned."""
    now: datetime
    """What the held clock starts from."""


def check_target(
    bench: Bench,
    workspace: Workspace,
    target: Target,
    plan: CheckPlan,
    listener: Listener,
    on_build: Callable[[CheckEvent], object],
) -> Checked:
    """Build a target again and again until it is known which knobs show in its bytes.

    Raises InputError where recipe or lock are at fault or the build fails already as it
    is, NotEnoughError for inputs that were not fetched, HostError for the machine.
    """
    recipe, lock = workspace.recipe(), workspace.lock(target.builder)
    check_lock_is_current(workspace, target.builder, lock)

    @functools.cache
    def room(other_engine: bool) -> tuple[Engine, str]:  # noqa: FBT001  as `Subject` calls it
        engine = plan.other if other_engine and plan.other is not None else bench.engine
        return engine, prepare_image(replace(bench, engine=engine), lock, listener)

    machine = look_at_machine(
        plan.bound, plan.cpus, plan.now, has_other_engine=plan.other is not None
    )
    with source_streams(bench.store, recipe.source, plan.profile.build_bytes) as sources:
        first = recipe.source[0].name
        subject = Subject(target, target.directory or first, tuple(sources), room)
        workshop = Workshop(subject, plan.folder / target.name, plan.bound, listener)
        setup = setup_for(target, plan.profile, (bench.cpu,))
        return check_subject(workshop, setup, machine, plan.left_out, on_build)
