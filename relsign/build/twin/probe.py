"""Looks from inside whether a knob that was turned can be seen at all.

A library that does not fit the environment, an engine that drops a setting: a twin
that was not varied proves nothing, so both set-ups are looked at before the builds.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from relsign.build.engine.connection import Engine
from relsign.build.engine.container import HostSettings, open_container
from relsign.build.limit import looking
from relsign.build.twin.arrange import arranged
from relsign.build.twin.knobs import Setup
from relsign.errors import HostError

LISTED = "listed"
MAX_ANSWER_BYTES = 1 << 16
UNKNOWN = "?"
SCRIPT = """
say() {
    name=$1; shift
    value=$("$@" 2>/dev/null | tr '\\n' ' ') || value=
    echo "$name=${value:-?}"
}
shown() { eval "echo \"\\${$1-}\""; }
flag() { read -r word </proc/self/personality && echo "$((0x$word & $1))"; }
language() { printf 't\\nz\\n' | sort && echo "$LC_ALL"; }
days() { echo "$(($(date +%s) / 86400))"; }
say time days
say host-name uname -n
say user id -u
say folder pwd
say home shown HOME
say time-zone date +%z
say locale language
say umask umask
say cpu-count nproc
say file-order ls -U listed
say personality uname -r
say addresses flag 0x40000
say hash-seeds shown PYTHONHASHSEED
say environment shown A_VARIABLE_MORE
"""


def observe(engine: Engine, image: str, setup: Setup, cache: Path) -> dict[str, str] | None:
    """Return knob -> what a program sees of it, None if commands do not run under `setup`.

    Raises HostError if the engine fails, or if they do not end.
    """
    profile = setup.profile
    variables = profile.variables({}, None)
    settings = HostSettings(cache, variables, setup.cpus, setup.binds)
    with open_container(engine, image, profile, settings) as container, looking(container):
        with arranged(_listed_tar(), setup) as tar:
            container.put(profile.build_folder, tar)
        command = (*profile.wrapper, profile.build_folder, SCRIPT)
        try:
            ended, said = container.ask(command, MAX_ANSWER_BYTES)
        except HostError:
            # A library that lacks another one keeps even the first process from starting.
            if container.state().running:
                raise
            return None
    if ended != 0:
        return None
    lines = (line.partition("=") for line in said.decode("utf-8", "replace").splitlines())
    return {name: value.strip() for name, _, value in lines}


def unseen(before: Mapping[str, str], after: Mapping[str, str]) -> frozenset[str]:
    """Return the knobs that look the same in both; what cannot be seen is believed."""
    return frozenset(
        name
        for name, value in before.items()
        if value != UNKNOWN and after.get(name, UNKNOWN) == value
    )


def _listed_tar() -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        folder = tarfile.TarInfo(LISTED)
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(folder)
        for name in ("a", "b", "c", "d"):
            tar.addfile(tarfile.TarInfo(f"{LISTED}/{name}"))
    return stream
