"""One subject, built under one set-up after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from relsign.build.engine.connection import Engine
from relsign.build.normalise.artifacts import normalise_artifacts
from relsign.build.profile import Profile
from relsign.build.run import BuildRequest, run_build
from relsign.build.target import Listener
from relsign.build.twin.arrange import arranged
from relsign.build.twin.knobs import Setup
from relsign.errors import InputError
from relsign.formats.names import Digest
from relsign.formats.recipe import Target

Look = tuple[Digest, str]
"""What others see of an artifact: its digest and its permission bits."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is built again and again."""

    target: Target
    directory: str
    """Where commands start, below the build folder."""
    sources: tuple[BinaryIO, ...]
    """The tars a build unpacks."""
    room: Callable[[bool], tuple[Engine, str]]
    """Returns engine and image; the other engine's where asked for it."""


@dataclass(frozen=True, slots=True)
class Made:
    """What a build made; `failed` says why it made nothing."""

    folder: Path
    looks: Mapping[str, Look]
    failed: str = ""

    def differing(self, other: Made) -> frozenset[str]:
        """Return the artifacts that `other` made otherwise, all if one of the two failed."""
        names = self.looks.keys() | other.looks.keys()
        return frozenset(n for n in names if self.looks.get(n) != other.looks.get(n))


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where twins are built, and who hears of it."""

    subject: Subject
    folder: Path
    """Gets a folder per build."""
    cache: Path
    """Gets the files that are bound into containers."""
    listener: Listener

    def build(self, setup: Setup, name: str) -> Made:
        """Build under `setup` into the folder `name`, new or empty.

        A build that fails through its own fault, which under other conditions it may,
        is an outcome too.  Raises HostError for the machine.
        """
        target = self.subject.target
        engine, image = self.subject.room(setup.other_engine)
        output = self.folder / name
        with ExitStack() as stack:
            request = BuildRequest(
                target=target,
                sources=[stack.enter_context(arranged(s, setup)) for s in self.subject.sources],
                directory=self.subject.directory,
                output=output,
                cache=self.cache,
                on_log=self.listener.on_log,
                on_event=self.listener.on_event,
                cpus=setup.cpus,
                binds=setup.binds,
            )
            try:
                files = run_build(engine, image, setup.profile, request).files
                files = normalise_artifacts(target, files)
            except InputError as error:
                return Made(output, {}, str(error))
        return Made(output, {file.name: (file.sha256, file.mode) for file in files})


def keep_only(made: Made, names: frozenset[str]) -> None:
    """Remove the artifacts of a build but `names`: what is the same needs no second copy."""
    for name in made.looks:
        if name not in names:
            (made.folder / name).unlink(missing_ok=True)
    if not names and made.folder.is_dir():
        made.folder.rmdir()


def setup_for(target: Target, profile: Profile, cpus: tuple[int, ...]) -> Setup:
    """Return the conditions under which `target` is built always."""
    epoch = target.source_date_epoch
    return Setup(profile, cpus, target.environment, None if epoch == "unset" else epoch)
