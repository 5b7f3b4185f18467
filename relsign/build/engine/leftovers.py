"""Containers and volumes of builds whose process is gone.

Each carries two labels: which build made it, and which process owned that
build.  A later build removes what belongs to processes of this machine that no
longer run: after a crash, a power cut, a ``kill -9``.  What another machine or
another process namespace made is left alone, since nobody here can see whether
its owner still runs.
"""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import msgspec

from relsign.build.engine.connection import Engine, NotThereError
from relsign.errors import HostError

BUILD_LABEL = "relsign.build"
OWNER_LABEL = "relsign.owner"

Labels = dict[str, str]

START_TIME_FIELD = 19
"""`starttime` among the fields of /proc/PID/stat after the process name; proc_pid_stat(5)."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, named so that no other process, boot or machine has the same name."""

    machine: str
    boot: str
    namespace: str
    pid: str
    started: str

    def to_label(self) -> str:
        """Return the value of the owner label."""
        return f"{self.machine}/{self.boot}/{self.namespace}/{self.pid}/{self.started}"


def this_process() -> Owner:
    """Return the owner that this process is."""
    pid = str(os.getpid())
    return Owner(_machine(), _boot(), _namespace(), pid, _start_time(pid))


def parse_owner(label: str) -> Owner | None:
    """Return the owner a label names, None if it is not one we wrote; raises nothing."""
    parts = label.split("/")
    if len(parts) != len(Owner.__slots__) or not parts[3].isdigit():
        return None
    return Owner(*parts)


def is_gone(owner: Owner) -> bool:
    """Say whether the owner certainly no longer runs."""
    if owner.machine != _machine():
        return False
    if owner.boot != _boot():
        return True
    return owner.namespace == _namespace() and _start_time(owner.pid) != owner.started


class LeftContainer(msgspec.Struct, frozen=True):
    """A container that a build made."""

    identity: str = msgspec.field(name="Id")
    labels: Labels | None = msgspec.field(name="Labels", default=None)


class LeftVolume(msgspec.Struct, frozen=True):
    """A volume that a build made."""

    name: str = msgspec.field(name="Name")
    labels: Labels | None = msgspec.field(name="Labels", default=None)


class _VolumeList(msgspec.Struct):
    volumes: list[LeftVolume] | None = msgspec.field(name="Volumes", default=None)


def remove_leftovers(engine: Engine) -> int:
    """Remove what crashed builds left in the engine; return how many objects went."""
    removed = 0
    for container in list_containers(engine):
        if _is_stale(container.labels):
            removed += remove_container(engine, container.identity)
    for volume in list_volumes(engine):
        if _is_stale(volume.labels):
            removed += remove_volume(engine, volume.name)
    return removed


def list_containers(engine: Engine) -> list[LeftContainer]:
    """Return all containers that builds made, running or not."""
    query = {"all": "1", "filters": _FILTER}
    return engine.get("/containers/json", list[LeftContainer], query)


def list_volumes(engine: Engine) -> list[LeftVolume]:
    """Return all volumes that builds made."""
    return engine.get("/volumes", _VolumeList, {"filters": _FILTER}).volumes or []


def remove_container(engine: Engine, identity: str) -> bool:
    """Kill and remove a container; return False if it is gone already."""
    return _remove(engine, f"/containers/{quote(identity)}")


def remove_volume(engine: Engine, name: str) -> bool:
    """Remove a volume; return False if it is gone already."""
    return _remove(engine, f"/volumes/{quote(name)}")


def _remove(engine: Engine, path: str) -> bool:
    try:
        engine.tell("DELETE", path, {"force": "1"})
    except NotThereError:
        return False
    except HostError as error:
        # Another build is removing the same leftover: one of the two is enough.
        if any(words in error.got for words in ("already in progress", "in use")):
            return False
        raise
    return True


_FILTER = msgspec.json.encode({"label": [OWNER_LABEL]}).decode()


def _is_stale(labels: Labels | None) -> bool:
    owner = parse_owner((labels or {}).get(OWNER_LABEL, ""))
    return owner is not None and is_gone(owner)


def _machine() -> str:
    """Return a short name of this machine that tells nobody its host name."""
    identity = f"{_text(Path('/etc/machine-id'))} {platform.node()}"
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def _boot() -> str:
    return _text(Path("/proc/sys/kernel/random/boot_id"))


def _namespace() -> str:
    try:
        return Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
    except OSError:
        return "0"


def _start_time(pid: str) -> str:
    """Return when a process started, in clock ticks since boot; empty if there is none."""
    # The name in parentheses may hold spaces; the fields after it do not.
    fields = _text(Path("/proc") / pid / "stat").rpartition(")")[2].split()
    return fields[START_TIME_FIELD] if len(fields) > START_TIME_FIELD else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
