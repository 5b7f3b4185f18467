"""Every target of a recipe built, one after another or several at once, and checked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from relsign.build.checks import Finished, run_checks
from relsign.build.engine.connection import connect
from relsign.build.jobs import run_jobs, stop_own_containers
from relsign.build.moved import check_lock_is_current
from relsign.build.profile import Profile
from relsign.build.sbom import make_sbom
from relsign.build.target import Bench, BuiltTarget, Listener, build_target, prepare_image
from relsign.build.twin.verdict import beside_release, twin_of
from relsign.cli.building.table import LiveTable
from relsign.cli.check import check_targets
from relsign.cli.checking import check_lines
from relsign.cli.progress import BuildTalk
from relsign.cli.talk import talk
from relsign.formats.fingerprint import Fingerprint
from relsign.formats.recipe import Check, Target, sbom_file
from relsign.formats.twin import Twin
from relsign.sign.evidence.commit import BuiltRelease
from relsign.sign.evidence.links import BuildTimes, Papers, describe_host
from relsign.sign.evidence.papers import find_papers
from relsign.system.files import make_folder, write_whole
from relsign.system.machine import machine_platform, operating_system
from relsign.system.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Plan:
    """How a release is built on this machine; none of it may change the bytes."""

    bench: Bench
    profile: Profile
    environment: dict[str, str]
    """The caller's variables, of which those that name the engine are read."""
    cpus: tuple[int, ...]
    """One for each target that may be built at the same time."""
    verbose: bool
    twins: bool
    """Whether to build again under other conditions, and say in the link what came out."""


def build_release(plan: Plan, workspace: Workspace, staged: Path) -> BuiltRelease:
    """Build and check every target below `staged`, and write down all but the links.

    Raises what a build or a check raises; `staged` is then the caller's to remove.
    """
    make_folder(staged / "logs")
    built = _build_all(plan, workspace, staged)
    for target in built:
        write_whole(staged / target.fingerprint.file, target.fingerprint.to_bytes())
    fingerprints = tuple(target.fingerprint for target in built)
    _say_missing(fingerprints[0].profile.without or ())
    checked = run_checks(
        plan.bench,
        workspace,
        plan.profile,
        Finished(fingerprints, staged / "artifacts"),
        lambda check: _check_listener(check, staged, plan),
    )
    twins = _build_twins(plan, workspace, fingerprints)
    info = plan.bench.engine.describe()
    return BuiltRelease(
        fingerprints=fingerprints,
        times={
            b.fingerprint.target: BuildTimes(
                b.started_at,
                # A clock may be set back while a build runs; no provenance may say so.
                max(b.started_at, b.finished_at),
                _write_papers(workspace, b.fingerprint, staged),
            )
            for b in built
        },
        host=describe_host(info.name, info.version, machine_platform(), operating_system()),
        checked=checked,
        twins=twins,
    )


def _build_twins(
    plan: Plan, workspace: Workspace, fingerprints: tuple[Fingerprint, ...]
) -> tuple[Twin, ...]:
    """Build again under other conditions; verdicts are of the artifacts in `fingerprints`."""
    if not plan.twins:
        return ()
    built = {f.target: {a.name: (a.sha256, a.mode) for a in f.artifacts} for f in fingerprints}
    targets = workspace.recipe().target
    results = check_targets(
        workspace, targets, plan.bench.store.root, {}, None, plan.profile, verbose=plan.verbose
    )
    results = tuple(beside_release(result, built[result.target]) for result in results)
    for line in check_lines(results):
        talk(line)
    return tuple(sorted((twin_of(result) for result in results), key=lambda twin: twin.target))


def _write_papers(workspace: Workspace, fingerprint: Fingerprint, staged: Path) -> Papers:
    """Write the bill of materials, and return what provenance says in full."""
    recipe = workspace.recipe()
    target = next(t for t in recipe.target if t.name == fingerprint.target)
    sbom = make_sbom(recipe, target, workspace.lock(target.builder), fingerprint)
    write_whole(staged / sbom_file(target.name), sbom)
    return find_papers(workspace, fingerprint, staged)


def _say_missing(knobs: tuple[str, ...]) -> None:
    if knobs:
        talk(f"  this engine cannot fix: {', '.join(knobs)}; the fingerprints say so")


def _build_all(plan: Plan, workspace: Workspace, staged: Path) -> tuple[BuiltTarget, ...]:
    targets = workspace.recipe().target
    if len(plan.cpus) == 1:
        return tuple(_build_one(plan, workspace, target, staged, plan.bench) for target in targets)
    # An environment is bootstrapped once, whoever needs it first.
    for name in sorted({target.builder for target in targets}):
        lock = workspace.lock(name)
        check_lock_is_current(workspace, name, lock)
        with _log(staged / "logs" / f"{name}.environment.log", name, plan) as listener:
            prepare_image(plan.bench, lock, listener)
    with LiveTable(tuple(target.name for target in targets)) as table:

        def run(target: Target, cpu: int) -> BuiltTarget:
            # A connection carries one request at a time.
            with connect(plan.environment) as engine:
                bench = replace(plan.bench, engine=engine, cpu=cpu)
                return _build_one(plan, workspace, target, staged, bench, table)

        return run_jobs(targets, plan.cpus, run, lambda: _stop(plan.environment))


def _stop(environment: dict[str, str]) -> None:
    with connect(environment) as engine:
        stop_own_containers(engine)


def _build_one(
    plan: Plan,
    workspace: Workspace,
    target: Target,
    staged: Path,
    bench: Bench,
    table: LiveTable | None = None,
) -> BuiltTarget:
    with _log(staged / "logs" / f"{target.name}.log", target.name, plan, table) as listener:
        return build_target(bench, workspace, target, plan.profile, staged / "artifacts", listener)


@contextlib.contextmanager
def _check_listener(check: Check, staged: Path, plan: Plan) -> Iterator[Listener]:
    with _log(staged / "logs" / f"{check.name}.check.log", f"check {check.name}", plan) as listener:
        yield listener


@contextlib.contextmanager
def _log(path: Path, name: str, plan: Plan, table: LiveTable | None = None) -> Iterator[Listener]:
    with path.open("wb") as log:
        told = BuildTalk(name, log, plan.verbose).listener()
        yield told if table is None else table.listener(name, told)
