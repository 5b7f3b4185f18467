"""Containers and volumes of builds whose process is gone.

Each carries two labels: which build made it, and which process owned that
build.  A later build removes what belongs to processes of this machine that no
longer run (`relsign.system.owner`).
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from relsign.build.engine.connection import Engine, NotThereError
from relsign.errors import HostError
from relsign.system.owner import is_gone, parse_owner

BUILD_LABEL = "relsign.build"
OWNER_LABEL = "relsign.owner"

Labels = dict[str, str]


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
