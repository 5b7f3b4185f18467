"""What builds left in an engine, and whose it is."""

from __future__ import annotations

from relsign.build.engine.connection import Engine
from relsign.build.engine.leftovers import OWNER_LABEL, list_containers, list_volumes
from relsign.system.owner import Owner, parse_owner, this_process


def left_behind(engine: Engine) -> int:
    """Count what this process's builds left in the engine."""
    return owners(engine).count(this_process())


def objects_of(engine: Engine, pid: int) -> int:
    """Count what builds of a process left in the engine."""
    return sum(owner is not None and owner.pid == str(pid) for owner in owners(engine))


def owners(engine: Engine) -> list[Owner | None]:
    """Return whose each container and volume is."""
    labels = [container.labels for container in list_containers(engine)]
    labels += [volume.labels for volume in list_volumes(engine)]
    return [parse_owner((label or {}).get(OWNER_LABEL, "")) for label in labels]
