"""One build container: made from a profile, used by commands, always removed.

Nothing is taken from the caller but what is written here: the document sent to
the engine is spelled out in full, so no client default and no variable of the
caller's environment can enter.

    with open_container(engine, image, profile, settings) as box:
        box.put("/build", tar)
        exit_code = box.execute(("make",), log.write)
"""

from __future__ import annotations

import base64
import contextlib
import resource
import secrets
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from relsign.build.ending import undisturbed
from relsign.build.engine.bound import BoundPath, bound_paths, system_calls_file
from relsign.build.engine.connection import AGAIN_HINT, Engine, NotThereError, Reply
from relsign.build.engine.leftovers import BUILD_LABEL, OWNER_LABEL, remove_container, remove_volume
from relsign.build.engine.podman import CREATE_PATH, podman_document
from relsign.build.profile import Profile
from relsign.errors import HostError
from relsign.system.owner import this_process

FRAME_HEADER = struct.Struct(">BxxxL")
MAX_FRAME_BYTES = 16 << 20
STAT_HEADER = "X-Docker-Container-Path-Stat"
MODE_LINK = 1 << 27
"""The bit for a symbolic link among Go's file modes, which engines send."""
TMP_OPTIONS = "rw,exec,nosuid,nodev,mode=1777"

Write = Callable[[bytes], object]


@dataclass(frozen=True, slots=True)
class HostSettings:
    """What differs between machines and must not change a build's outcome."""

    cache: Path
    """Folder of this machine for the files a profile binds."""
    variables: Mapping[str, str]
    """Every variable the processes get."""
    cpus: tuple[int, ...] = (0,)
    """Numbers of the physical CPUs that run the build: as many as the profile shows."""
    binds: tuple[BoundPath, ...] = ()
    """Further files shown read-only, where a build is varied; none for one that counts."""


class _Created(msgspec.Struct):
    identity: str = msgspec.field(name="Id")


class _Ended(msgspec.Struct, rename="pascal"):
    running: bool
    exit_code: int | None = None


class _Described(msgspec.Struct):
    mode: int


class ContainerState(msgspec.Struct, frozen=True):
    """Whether its first process runs, and whether memory ended one of its processes."""

    running: bool = msgspec.field(name="Running", default=False)
    out_of_memory: bool = msgspec.field(name="OOMKilled", default=False)


class _Seen(msgspec.Struct):
    state: ContainerState = msgspec.field(name="State")


class ContainerMemory(msgspec.Struct, frozen=True):
    """How many bytes a container uses and may use, as the engine counts; 0 where it does not."""

    used: int = msgspec.field(name="usage", default=0)
    limit: int = 0


class _Counted(msgspec.Struct):
    memory: ContainerMemory = msgspec.field(name="memory_stats", default=ContainerMemory())


class Container:
    """A running container."""

    def __init__(self, engine: Engine, identity: str, variables: Mapping[str, str]) -> None:
        """Name a container that has been started, and every variable its programs get."""
        self.engine = engine
        self.identity = identity
        # Engines keep variables in an order of their own, Podman in a new one each
        # time, and a program that lists them shows it: ours are set once more, sorted.
        pairs = (f"{name}={value}" for name, value in sorted(variables.items()))
        self._environment = ("env", "-i", *pairs)

    def put(self, folder: str, tar: BinaryIO) -> None:
        """Unpack a tar stream, with the owners it states, into an existing folder."""
        with self.engine.stream(
            "PUT", f"/containers/{self.identity}/archive", parameters={"path": folder}, body=tar
        ) as reply:
            reply.read()

    def take(self, path: str) -> Reply:
        """Return a tar stream of what is at `path`; raise NotThereError if nothing is."""
        return self.engine.stream(
            "GET", f"/containers/{self.identity}/archive", parameters={"path": path}
        )

    def execute(self, argv: Sequence[str], log: Write) -> int:
        """Run a program to its end, passing its output on as it comes; return its exit code.

        A process it leaves behind that still holds its output does not keep this
        waiting.  Raises HostError if the engine or the container ends first.
        """
        request = {"AttachStdout": True, "AttachStderr": True, "Cmd": [*self._environment, *argv]}
        job = self.engine.post(f"/containers/{self.identity}/exec", _Created, request)
        with self.engine.stream(
            "POST",
            f"/exec/{job.identity}/start",
            document={"Detach": False, "Tty": False},
            answer_seconds=None,
        ) as output:
            for chunk in _frames(output):
                log(chunk)
        ended = self.engine.get(f"/exec/{job.identity}/json", _Ended)
        # The output also ends when an engine is stopped: then nothing is known.
        if ended.running or ended.exit_code is None:
            raise HostError("the container engine gave up a running command", hint=AGAIN_HINT)
        return ended.exit_code

    def ask(self, argv: Sequence[str], max_bytes: int) -> tuple[int, bytes]:
        """Run a program as `execute` does; return its exit code and its first `max_bytes`."""
        said = bytearray()

        def hear(chunk: bytes) -> None:
            said.extend(chunk[: max_bytes - len(said)])

        return self.execute(argv, hear), bytes(said)

    def kill(self) -> None:
        """End all its processes at once; raise HostError if the engine does not."""
        self.engine.tell("POST", f"/containers/{self.identity}/kill", {"signal": "SIGKILL"})

    def state(self) -> ContainerState:
        """Ask how the container is."""
        return self.engine.get(f"/containers/{self.identity}/json", _Seen).state

    def memory(self) -> ContainerMemory:
        """Ask how full its memory is; runs nothing inside, where nothing may run any more."""
        once = {"stream": "false", "one-shot": "true"}
        return self.engine.get(f"/containers/{self.identity}/stats", _Counted, once).memory


def is_link(taken: Reply) -> bool:
    """Say whether what was asked for is a symbolic link; raise HostError if it is not said.

    Docker sends the link itself, Podman the file it points to; both describe the
    link in a header, each in an alphabet of its own (RFC 4648, sections 4 and 5).
    """
    try:
        encoded = taken.header(STAT_HEADER).replace("-", "+").replace("_", "/")
        described = base64.b64decode(encoded, validate=True)
        mode = msgspec.json.decode(described, type=_Described).mode
    except (ValueError, msgspec.MsgspecError) as error:
        raise HostError("the container engine does not describe what it sends") from error
    return bool(mode & MODE_LINK)


def _frames(output: Reply) -> Iterator[bytes]:
    """Split the engine's framing: one byte of stream number, three of padding, four of size."""
    while header := output.read(FRAME_HEADER.size):
        if len(header) < FRAME_HEADER.size:
            raise HostError("the container engine broke off a command's output", hint=AGAIN_HINT)
        _, size = FRAME_HEADER.unpack(header)
        if size > MAX_FRAME_BYTES:
            raise HostError("the container engine sent an unreadable output")
        yield output.read(size)


@contextlib.contextmanager
def open_container(
    engine: Engine, image: str, profile: Profile, settings: HostSettings
) -> Iterator[Container]:
    """Start an idle container of `image` as `profile` says; remove it and its volume on leaving.

    Raises HostError if the engine refuses.
    """
    name = f"relsign-{secrets.token_hex(8)}"
    labels = {BUILD_LABEL: name, OWNER_LABEL: this_process().to_label()}
    path, document = _creation(engine, profile, settings, name)
    # The same two words for both, but for Docker's capitals.
    own = {"image": image, "labels": labels}
    if engine.kind == "docker":
        own = {word.capitalize(): value for word, value in own.items()}
    try:
        # A request that is broken off goes on in the engine: it would make the container after
        # it was removed, and for it a volume that carries no labels.
        with undisturbed():
            engine.post("/volumes/create", msgspec.Raw, _volume_document(profile, name, labels))
            created = _create(engine, path, {**document, **own})
            engine.tell("POST", f"/containers/{created.identity}/start")
        yield Container(engine, created.identity, settings.variables)
    except BaseException:
        # What is being raised says more than a failure to clean up after it;
        # the next build removes what is left.
        with contextlib.suppress(HostError), undisturbed():
            _discard(engine, name)
        raise
    with undisturbed():
        _discard(engine, name)


def _create(engine: Engine, path: str, document: Mapping[str, object]) -> _Created:
    try:
        return engine.post(path, _Created, document)
    except HostError as error:
        # Docker answers 404, Podman 500 and words.
        if not isinstance(error, NotThereError) and "image not known" not in error.got:
            raise
        raise HostError(
            "the environment's image is gone from the engine",
            got=error.got,
            hint="something removed it just now; run the same command again",
        ) from error


def _creation(
    engine: Engine, profile: Profile, settings: HostSettings, name: str
) -> tuple[str, dict[str, object]]:
    """Return where to send what, so that this kind of engine makes the container."""
    bound = (*bound_paths(profile, settings.cache), *settings.binds)
    if engine.kind == "docker":
        return f"/containers/create?name={name}", container_document(profile, settings, bound, name)
    document = podman_document(
        profile,
        settings.variables,
        settings.cpus,
        bound,
        name,
        system_calls_file(profile, settings.cache),
    )
    return CREATE_PATH, {**document, "name": name}


def _discard(engine: Engine, name: str) -> None:
    remove_container(engine, name)
    remove_volume(engine, name)


def _volume_document(profile: Profile, name: str, labels: Mapping[str, str]) -> dict[str, object]:
    # Counted in pages, since Podman takes `size` for a disk quota and refuses it.
    pages = profile.build_bytes // resource.getpagesize()
    options = f"nr_blocks={pages},uid={profile.user},gid={profile.group},mode=0755"
    return {
        "Name": name,
        "Driver": "local",
        "DriverOpts": {"type": "tmpfs", "device": "tmpfs", "o": f"{options},nosuid,nodev"},
        "Labels": dict(labels),
    }


def container_document(
    profile: Profile, settings: HostSettings, bound: Sequence[BoundPath], volume: str
) -> dict[str, object]:
    """Return the container's whole configuration in the engine's words, without its image."""
    return {
        "Hostname": profile.hostname,
        "User": f"{profile.user}:{profile.group}",
        "Env": [f"{name}={value}" for name, value in sorted(settings.variables.items())],
        "Entrypoint": [],
        "Cmd": list(profile.idle),
        "WorkingDir": profile.build_folder,
        "NetworkDisabled": True,
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGKILL",
        "Tty": False,
        "OpenStdin": False,
        "HostConfig": {
            **_rights(profile),
            **_resources(profile, settings.cpus),
            **_view(profile, bound, volume),
        },
    }


def _rights(profile: Profile) -> dict[str, object]:
    """Return what the container may do."""
    system_calls = msgspec.json.encode(profile.seccomp).decode()
    return {
        "NetworkMode": "none",
        "Privileged": False,
        "ReadonlyRootfs": True,
        "CapAdd": [],
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges", f"seccomp={system_calls}"],
        "CgroupnsMode": "private",
        "IpcMode": "private",
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {"Type": "none"},
        "AutoRemove": False,
        "Init": True,
    }


def _resources(profile: Profile, cpus: tuple[int, ...]) -> dict[str, object]:
    """Return how much the container may use."""
    return {
        "CpusetCpus": ",".join(map(str, cpus)),
        "Memory": profile.memory_bytes,
        "MemorySwap": profile.memory_bytes,
        "PidsLimit": profile.pids,
        "ShmSize": profile.shm_bytes,
        "Ulimits": [
            {"Name": name, "Soft": soft, "Hard": hard}
            for name, (soft, hard) in sorted(profile.ulimits.items())
        ],
    }


def _view(profile: Profile, bound: Sequence[BoundPath], volume: str) -> dict[str, object]:
    """Return what the container sees of the machine."""
    tmp = f"{TMP_OPTIONS},size={profile.tmp_bytes}"
    build = {
        "Type": "volume",
        "Source": volume,
        "Target": profile.build_folder,
        "VolumeOptions": {"NoCopy": True},
    }
    files = [
        {"Type": "bind", "Source": str(path.source), "Target": path.target, "ReadOnly": True}
        for path in bound
    ]
    return {
        "Sysctls": {"kernel.domainname": profile.domainname},
        "MaskedPaths": list(profile.masked_paths),
        "ReadonlyPaths": list(profile.readonly_paths),
        "Tmpfs": {"/tmp": tmp, "/var/tmp": tmp},  # noqa: S108  paths in the container
        "Mounts": [build, *files],
    }
