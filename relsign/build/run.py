"""One build: sources in, commands run, artifacts out, nothing left behind.

    with connect(os.environ) as engine:
        image = ensure_image(engine, lock.rootfs_sha256, make_rootfs)
        built = run_build(engine, image, load_profile(), request)

Decides nothing about identity: the same request gives the same bytes on any
machine, and if it does not, that is what comparing builders is for.  A build is
hostile once its recipe is; it gets a container, never this machine.
"""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from relsign.build.collect import BuiltFile, collect_file
from relsign.build.ending import ending_on_signals
from relsign.build.engine.bound import BoundPath
from relsign.build.engine.connection import Engine, EngineInfo
from relsign.build.engine.container import Container, HostSettings, open_container
from relsign.build.engine.leftovers import remove_leftovers
from relsign.build.failure import explain_failure
from relsign.build.limit import TimeLimit
from relsign.build.log import MAX_LOG_BYTES, BuildLog
from relsign.build.pack import pack_command
from relsign.build.profile import Profile
from relsign.build.sandbox.view import missing_knobs
from relsign.errors import InputError, RelsignError
from relsign.formats.recipe import Target
from relsign.system.files import make_folder

SCRATCH = ".relsign"
"""Folder in the build folder where packs are made, outside every source."""

Stage = Literal["start", "sources", "command", "pack", "collect", "done"]


@dataclass(frozen=True, slots=True)
class BuildEvent:
    """One step of a build has begun: the `number`-th `of` its stage, and what it does."""

    stage: Stage
    number: int = 1
    of: int = 1
    words: str = ""


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What to build and where to leave it.

    `sources` are tar streams unpacked below the build folder in this order; their
    members must belong to the profile's user and group.  `directory`, relative to
    the build folder, is where commands start and from where the target's artifact
    and pack paths count.  `output` gets the artifacts, under their names.
    `cache` is a folder of this machine, `cpus` the numbers of its CPUs to use, and `binds`
    are files shown besides the profile's.  `max_log_bytes` bounds what all commands
    together may print.
    """

    target: Target
    sources: Sequence[BinaryIO]
    directory: str
    output: Path
    cache: Path
    on_log: Callable[[bytes], object]
    on_event: Callable[[BuildEvent], object]
    cpus: tuple[int, ...] = (0,)
    binds: tuple[BoundPath, ...] = ()
    max_log_bytes: int = MAX_LOG_BYTES

    @property
    def epoch(self) -> int | None:
        """SOURCE_DATE_EPOCH in Unix seconds, None where the recipe leaves it unset."""
        stated = self.target.source_date_epoch
        return None if stated == "unset" else stated


@dataclass(frozen=True, slots=True)
class BuildOutput:
    """A finished build: its files, in the recipe's order, and what ran it.

    `without` names what the profile fixes and this engine could not, sorted.
    """

    files: tuple[BuiltFile, ...]
    engine: EngineInfo
    without: tuple[str, ...] = ()


def run_build(engine: Engine, image: str, profile: Profile, request: BuildRequest) -> BuildOutput:
    """Build `request` in a fresh container of `image` under `profile`.

    On any failure, and on SIGINT or SIGTERM, the container, its volume and every
    artifact written so far are removed.  What builds of dead processes left in
    the engine is removed first.

    Raises InputError if the recipe is at fault (a command fails, memory, space or
    the target's time runs out, an artifact is missing, not a regular file or too
    large), or if `output` has one of its artifacts already; HostError if the engine or the
    disk is at fault.
    """
    make_folder(request.output)
    variables = profile.variables(request.target.environment, request.epoch)
    settings = HostSettings(request.cache, variables, request.cpus, request.binds)
    with ending_on_signals(), _removing_on_failure(request):
        remove_leftovers(engine)
        request.on_event(BuildEvent("start"))
        with open_container(engine, image, profile, settings) as container:
            without = missing_knobs(container, profile)
            build = _Build(container, profile, request)
            files = build.run_in_time()
        request.on_event(BuildEvent("done"))
        return BuildOutput(files, engine.describe(), without)


class _Build:
    """The steps of one build in its container."""

    def __init__(self, container: Container, profile: Profile, request: BuildRequest) -> None:
        self._container = container
        self._profile = profile
        self._request = request
        self._log = BuildLog(request.on_log, request.max_log_bytes)
        self._where = request.target.name

    def run_in_time(self) -> tuple[BuiltFile, ...]:
        """Run all steps; raise InputError, naming the step, when the target's time is up."""
        minutes = self._request.target.time_limit_minutes
        with TimeLimit(self._container, minutes * 60) as limit:
            try:
                self._fill()
                self._run_commands()
                self._pack()
                return self._collect()
            except RelsignError as error:
                # A killed container shows in many ways; the limit is what to tell.
                if not limit.is_over:
                    raise
                raise InputError(
                    "the build takes too long",
                    where=self._where,
                    expected=f"{minutes} minutes at most",
                    hint="set time_limit_minutes in the target, or see in the log what hangs",
                ) from error

    def _begin(self, stage: Stage, number: int, of: int, words: str = "") -> None:
        # A command is told by its number: its words may fill a screen.
        place = f"command {number} of {of}" if stage == "command" else f"{stage} {words}".rstrip()
        self._where = f"{self._request.target.name}: {place}"
        self._request.on_event(BuildEvent(stage, number, of, words))

    def _fill(self) -> None:
        folder = self._profile.build_folder
        self._container.put(folder, _folder_tar(self._profile.home, self._profile))
        sources = self._request.sources
        for number, source in enumerate(sources, 1):
            self._begin("sources", number, len(sources))
            source.seek(0)
            self._container.put(folder, source)

    def _run_commands(self) -> None:
        commands = self._request.target.commands
        for number, command in enumerate(commands, 1):
            self._begin("command", number, len(commands), command)
            self._execute((*self._profile.wrapper, self._folder, command))

    def _pack(self) -> None:
        steps = self._request.target.pack
        for number, step in enumerate(steps, 1):
            self._begin("pack", number, len(steps), step.name)
            scratch, epoch = self._scratch(number), self._request.epoch
            self._execute(pack_command(self._profile, step, self._folder, scratch, epoch))

    def _execute(self, argv: Sequence[str]) -> None:
        self._log.begin()
        code = self._container.execute(argv, self._log.write)
        if code != 0:
            raise explain_failure(self._container, self._profile, self._where, code, self._log)

    def _collect(self) -> tuple[BuiltFile, ...]:
        request = self._request
        places = [(a.name, f"{self._folder}/{a.path}") for a in request.target.artifact]
        places += [
            (step.name, f"{self._scratch(number)}/{step.name}")
            for number, step in enumerate(request.target.pack, 1)
        ]
        files: list[BuiltFile] = []
        room = self._profile.build_bytes
        for number, (name, inside) in enumerate(places, 1):
            self._begin("collect", number, len(places), name)
            files.append(collect_file(self._container, inside, request.output / name, room))
            room -= files[-1].size
        return tuple(files)

    @property
    def _folder(self) -> str:
        return f"{self._profile.build_folder}/{self._request.directory}".rstrip("/")

    def _scratch(self, number: int) -> str:
        return f"{self._profile.build_folder}/{SCRATCH}-{number}"


def _folder_tar(name: str, profile: Profile) -> BinaryIO:
    member = tarfile.TarInfo(name)
    member.type = tarfile.DIRTYPE
    member.mode = 0o755
    member.uid, member.gid = profile.user, profile.group
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(member)
    stream.seek(0)
    return stream


@contextlib.contextmanager
def _removing_on_failure(request: BuildRequest) -> Iterator[None]:
    """Leave no half result: remove this build's artifacts when it fails."""
    names = request.target.artifact_names
    for name in names:
        if os.path.lexists(request.output / name):
            raise InputError(
                "already there",
                where=str(request.output / name),
                hint="remove it, or build into another folder",
            )
    try:
        yield
    except BaseException:
        for name in names:
            (request.output / name).unlink(missing_ok=True)
        raise
