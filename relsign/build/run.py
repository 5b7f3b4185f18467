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
import signal
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import BinaryIO, Literal, NoReturn

from relsign.build.collect import BuiltFile, collect_file
from relsign.build.engine.connection import Engine, EngineInfo
from relsign.build.engine.bound import BoundPath
from relsign.build.engine.container import Container, HostSettings, open_container
from relsign.build.engine.leftovers import remove_leftovers
from relsign.build.pack import pack_command
from relsign.build.profile import Profile
from relsign.errors import HostError, InputError
from relsign.formats.canonical import shorten
from relsign.formats.recipe import Target
from relsign.system.files import make_folder

TAIL_LINES = 20
TAIL_BYTES = 16 << 10
SHOWN_COLUMNS = 200
MAX_LOG_BYTES = 1 << 30
"""A log longer than this is a fault of the recipe; it would fill the disk it is kept on."""

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
    are files shown besides the profile's.
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

    @property
    def epoch(self) -> int | None:
        """SOURCE_DATE_EPOCH in Unix seconds, None where the recipe leaves it unset."""
        stated = self.target.source_date_epoch
        return None if stated == "unset" else stated


@dataclass(frozen=True, slots=True)
class BuildOutput:
    """A finished build: its files, in the recipe's order, and what ran it."""

    files: tuple[BuiltFile, ...]
    engine: EngineInfo


class BuildLog:
    """Passes a log on as it comes, bounds it, and remembers how it ends."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        """Pass everything on to `write`."""
        self._write = write
        self._end = bytearray()
        self._room = MAX_LOG_BYTES

    def begin(self) -> None:
        """Forget the end of the previous command's log."""
        self._end.clear()

    def write(self, chunk: bytes) -> None:
        """Take the next bytes; raise InputError when a build prints without end."""
        self._room -= len(chunk)
        if self._room < 0:
            raise InputError("the build prints too much", expected=f"{MAX_LOG_BYTES} bytes at most")
        self._write(chunk)
        self._end.extend(chunk)
        del self._end[:-TAIL_BYTES]

    def lines(self) -> list[str]:
        """Return the last lines, escaped so that they cannot steer a terminal."""
        text = bytes(self._end).decode("utf-8", "replace")
        return [shorten(line, SHOWN_COLUMNS) for line in text.splitlines()[-TAIL_LINES:]]


def run_build(engine: Engine, image: str, profile: Profile, request: BuildRequest) -> BuildOutput:
    """Build `request` in a fresh container of `image` under `profile`.

    On any failure, and on SIGINT or SIGTERM, the container, its volume and every
    artifact written so far are removed.  What builds of dead processes left in
    the engine is removed first.

    Raises InputError if the recipe is at fault (a command fails, memory or space
    runs out, an artifact is missing, not a regular file or too large), HostError
    if the engine or the disk is.
    """
    make_folder(request.output)
    variables = profile.variables(request.target.environment, request.epoch)
    settings = HostSettings(request.cache, variables, request.cpus, request.binds)
    with _ending_on_signals(), _removing_on_failure(request):
        info = engine.describe()
        remove_leftovers(engine)
        request.on_event(BuildEvent("start"))
        with open_container(engine, image, profile, settings) as container:
            _fill(container, profile, request)
            log = BuildLog(request.on_log)
            _run_commands(container, profile, request, log)
            _pack(container, profile, request, log)
            files = _collect(container, profile, request)
        request.on_event(BuildEvent("done"))
        return BuildOutput(files, info)


def _fill(container: Container, profile: Profile, request: BuildRequest) -> None:
    home = profile.environment["HOME"].removeprefix(f"{profile.build_folder}/")
    container.put(profile.build_folder, _folder_tar(home, profile))
    for number, source in enumerate(request.sources, 1):
        request.on_event(BuildEvent("sources", number, len(request.sources)))
        source.seek(0)
        container.put(profile.build_folder, source)


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


def _folder(profile: Profile, request: BuildRequest) -> str:
    return f"{profile.build_folder}/{request.directory}".rstrip("/")


def _run_commands(
    container: Container, profile: Profile, request: BuildRequest, log: BuildLog
) -> None:
    commands = request.target.commands
    folder = _folder(profile, request)
    for number, command in enumerate(commands, 1):
        request.on_event(BuildEvent("command", number, len(commands), command))
        log.begin()
        code = container.execute((*profile.wrapper, folder, command), log.write)
        if code != 0:
            where = f"{request.target.name}: command {number} of {len(commands)}"
            raise _explain(container, profile, where, code, log)


def _pack(container: Container, profile: Profile, request: BuildRequest, log: BuildLog) -> None:
    steps = request.target.pack
    for number, step in enumerate(steps, 1):
        request.on_event(BuildEvent("pack", number, len(steps), step.name))
        log.begin()
        scratch = f"{profile.build_folder}/{SCRATCH}-{number}"
        command = pack_command(profile, step, _folder(profile, request), scratch, request.epoch)
        code = container.execute(command, log.write)
        if code != 0:
            where = f"{request.target.name}: pack {step.name}"
            raise _explain(container, profile, where, code, log)


def _collect(
    container: Container, profile: Profile, request: BuildRequest
) -> tuple[BuiltFile, ...]:
    target = request.target
    folder = _folder(profile, request)
    places = [(a.name, f"{folder}/{a.path}") for a in target.artifact]
    places += [
        (step.name, f"{profile.build_folder}/{SCRATCH}-{number}/{step.name}")
        for number, step in enumerate(target.pack, 1)
    ]
    files: list[BuiltFile] = []
    room = profile.build_bytes
    for number, (name, inside) in enumerate(places, 1):
        request.on_event(BuildEvent("collect", number, len(places), name))
        files.append(collect_file(container, inside, request.output / name, room))
        room -= files[-1].size
    return tuple(files)


def _explain(
    container: Container, profile: Profile, where: str, code: int, log: BuildLog
) -> InputError | HostError:
    """Return the error for a failed command: memory, space, a dead container, or itself."""
    lines = log.lines()
    shown = "\n".join(["the log ends:", *(f"  {line}" for line in lines)]) if lines else ""
    if not container.is_running():
        return HostError("the build's container was stopped", where=where, hint=shown)
    if _was_out_of_memory(container):
        return InputError(
            "the build ran out of memory",
            where=where,
            expected=f"at most {profile.memory_bytes >> 20} MiB, files in /build included",
            got=f"exit code {code}",
            hint=shown,
        )
    full = any("no space left on device" in line.lower() for line in lines)
    return InputError(
        "the build folder is full" if full else "command failed",
        where=where,
        expected=f"at most {profile.build_bytes >> 20} MiB" if full else "exit code 0",
        got=f"exit code {code}" + (f", signal {code - 128}" if code > 128 else ""),  # noqa: PLR2004  shells add 128
        hint=shown,
    )


def _was_out_of_memory(container: Container) -> bool:
    """Ask the container's own control group: make, for one, hides that a child was killed."""
    said = bytearray()
    files = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
    container.execute(("cat", *files), said.extend)
    counts = _numbers(said.decode("utf-8", "replace"))
    return counts.get("oom_kill", 0) > 0


def _numbers(text: str) -> Mapping[str, int]:
    pairs = (line.split() for line in text.splitlines())
    return {p[0]: int(p[1]) for p in pairs if len(p) == 2 and p[1].isdigit()}  # noqa: PLR2004  name, number


@contextlib.contextmanager
def _removing_on_failure(request: BuildRequest) -> Iterator[None]:
    """Leave no half result: remove this build's artifacts when it fails."""
    names = request.target.artifact_names
    for name in names:
        if os.path.lexists(request.output / name):
            raise InputError("already there", where=str(request.output / name))
    try:
        yield
    except BaseException:
        for name in names:
            (request.output / name).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP unwind like Ctrl-C does, so that everything is removed."""
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may handle signals; another one's owner ends it its way.
        yield
        return

    def end(number: int, frame: FrameType | None) -> NoReturn:
        del frame
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
