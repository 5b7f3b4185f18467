"""Build the targets of a recipe and say what came out: one fingerprint each.

The same recipe, lock and profile give the same fingerprint id on any builder;
where they do not, comparing builders shows it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from msgspec import UNSET

from relsign.build.collect import BuiltFile
from relsign.build.engine.connection import Engine
from relsign.build.gc import stamp_image
from relsign.build.inputs.streams import source_streams
from relsign.build.moved import check_lock_is_current
from relsign.build.normalise.artifacts import normalise_artifacts
from relsign.build.profile import Profile
from relsign.build.rootfs import environment_image
from relsign.build.run import BuildEvent, BuildRequest, run_build
from relsign.build.store import Store
from relsign.crypto.digest import sha256_hex
from relsign.errors import VerificationError
from relsign.formats.fingerprint import (
    BuiltArtifact,
    EnvironmentDigest,
    Fingerprint,
    ProfileDigest,
    SourceDigest,
)
from relsign.formats.lock import BuilderLock
from relsign.formats.recipe import Target
from relsign.system.clock import now_utc
from relsign.system.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears of a build while it runs."""

    on_event: Callable[[BuildEvent], object]
    on_log: Callable[[bytes], object]
    on_bootstrap: Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Bench:
    """What a build needs from this machine; none of it may change the bytes."""

    engine: Engine
    store: Store
    cache: Path
    """A folder for the files that are bound into containers."""
    cpu: int
    """The number of the CPU the build may use."""


@dataclass(frozen=True, slots=True)
class BuiltTarget:
    """One target's outcome and when it was made."""

    fingerprint: Fingerprint
    started_at: datetime
    finished_at: datetime


def prepare_image(bench: Bench, lock: BuilderLock, listener: Listener) -> str:
    """Return the engine's id of the lock's environment, bootstrapped if it is not there.

    Raises NotEnoughError for a locked file that was not fetched, VerificationError
    if the root file system is not the lock's, HostError for the machine.
    """
    image = environment_image(bench.engine, lock, bench.store, listener.on_bootstrap)
    stamp_image(bench.store, lock.rootfs.sha256)
    return image


def build_target(
    bench: Bench,
    workspace: Workspace,
    target: Target,
    profile: Profile,
    output: Path,
    listener: Listener,
) -> BuiltTarget:
    """Build one target into `output` and return its fingerprint.

    Raises InputError where the recipe or its build is at fault, VerificationError
    where an artifact is not the one the recipe expects, HostError for the machine.
    On any of them `output` holds none of the target's artifacts.
    """
    recipe, lock = workspace.recipe(), workspace.lock(target.builder)
    check_lock_is_current(workspace, target.builder, lock)
    image = prepare_image(bench, lock, listener)
    started_at = now_utc()
    with source_streams(bench.store, recipe.source, profile.build_bytes) as sources:
        request = BuildRequest(
            target=target,
            sources=sources,
            directory=target.directory or recipe.source[0].name,
            output=output,
            cache=bench.cache,
            on_log=listener.on_log,
            on_event=listener.on_event,
            cpus=(bench.cpu,),
        )
        built = run_build(bench.engine, image, profile, request)
    files = normalise_artifacts(target, built.files)
    _check_expected(target, files)
    fingerprint = _fingerprint(workspace, target, profile, files, built.without)
    return BuiltTarget(fingerprint, started_at, now_utc())


def _check_expected(target: Target, files: tuple[BuiltFile, ...]) -> None:
    """Compare with digests others published; on a difference no artifact stays."""
    expected = {artifact.name: artifact.expect_sha256 for artifact in target.artifact}
    expected |= {step.name: step.expect_sha256 for step in target.pack}
    for file in files:
        wanted = expected[file.name]
        if wanted is not None and wanted != file.sha256:
            for made in files:
                made.path.unlink(missing_ok=True)
            raise VerificationError(
                "the artifact is not the one the recipe expects",
                where=f"relsign.toml: target {target.name}: {file.name}",
                expected=wanted,
                got=file.sha256,
                hint="compare environment, SOURCE_DATE_EPOCH and back end with the publisher's",
            )


def _fingerprint(
    workspace: Workspace,
    target: Target,
    profile: Profile,
    files: tuple[BuiltFile, ...],
    without: tuple[str, ...],
) -> Fingerprint:
    recipe, lock = workspace.recipe(), workspace.lock(target.builder)
    epoch = target.source_date_epoch
    normalised = {artifact.name: artifact.normalise for artifact in target.artifact}
    return Fingerprint(
        project=recipe.project.name,
        version=recipe.project.version,
        target=target.name,
        recipe_sha256=sha256_hex(workspace.recipe_bytes()),
        sources=tuple(
            SourceDigest(name=source.name, sha256=source.sha256)
            for source in sorted(recipe.source, key=lambda source: source.name)
        ),
        environment=EnvironmentDigest(
            builder=target.builder,
            lock_sha256=sha256_hex(workspace.lock_bytes(target.builder)),
            rootfs_sha256=lock.rootfs.sha256,
        ),
        profile=ProfileDigest(name=profile.name, sha256=profile.sha256, without=without or UNSET),
        source_date_epoch=None if epoch == "unset" else epoch,
        artifacts=tuple(
            BuiltArtifact(
                name=f.name,
                sha256=f.sha256,
                size=f.size,
                mode=f.mode,
                normalised=normalised.get(f.name) or UNSET,
            )
            for f in sorted(files, key=lambda f: f.name)
        ),
    )


def allowed_cpus() -> tuple[int, ...]:
    """Return the numbers of the CPUs this process may use."""
    return tuple(sorted(os.sched_getaffinity(0)))
