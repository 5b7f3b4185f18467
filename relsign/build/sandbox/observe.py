"""One look from inside: start a container, ask its knobs, run the probe, remove it.

Also a small program, because the second look comes from another process with
another environment, folder, umask and limits (`relsign.build.sandbox.twice`):

    python -m relsign.build.sandbox.observe REQUEST

where REQUEST is the JSON of an `Order`; it prints the JSON of an `Observation`.
"""

from __future__ import annotations

import io
import os
import sys
import tarfile
from importlib import resources
from pathlib import Path
from typing import BinaryIO

import msgspec

from relsign.build.engine.connection import Engine, connect
from relsign.build.engine.container import Container, HostSettings, open_container
from relsign.build.limit import looking
from relsign.build.profile import Profile, load_profile
from relsign.build.sandbox.view import missing_knobs
from relsign.errors import HostError, InputError, RelsignError
from relsign.formats.canonical import shorten
from relsign.system.files import read_bounded

MAX_PROGRAM_BYTES = 8 << 20
MAX_ANSWER_BYTES = 1 << 20
NOT_FOUND = 127
"""What a shell says of a program that is not there."""
COMPILE = "cc -O0 -o probe probe.c -lm"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to look at, and from where."""

    image: str
    profile: str
    cache: str
    """Folder of this machine for what the profile binds."""
    cpu: int
    program: str = ""
    """File of a compiled probe; the source, compiled inside, if empty."""


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What a container said of itself."""

    missing: tuple[str, ...]
    said: bytes


def observe(engine: Engine, order: Order) -> Observation:
    """Start a container as `order` says and return what its view and its probe print.

    Raises InputError if the environment has no C compiler and no compiled probe is
    given, HostError if the engine fails or the probe does, or does not end.
    """
    profile = load_profile(order.profile)
    settings = HostSettings(Path(order.cache), profile.variables({}, 0), (order.cpu,))
    with open_container(engine, order.image, profile, settings) as container:
        missing = missing_knobs(container, profile)
        with looking(container):
            _fill(container, profile, order)
            said = _run(container, profile, "./probe")
        return Observation(missing=missing, said=said)


def _fill(container: Container, profile: Profile, order: Order) -> None:
    if order.program:
        data, name = read_bounded(Path(order.program), MAX_PROGRAM_BYTES), "probe"
    else:
        source = resources.files("relsign.build.sandbox") / "probe.c"
        data, name = source.read_bytes(), "probe.c"
    container.put(profile.build_folder, _tar(profile, profile.home, name, data))
    if not order.program:
        _run(container, profile, COMPILE)


def _tar(profile: Profile, home: str, name: str, data: bytes) -> BinaryIO:
    folder, file = tarfile.TarInfo(home), tarfile.TarInfo(name)
    folder.type, file.size = tarfile.DIRTYPE, len(data)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for member in (folder, file):
            member.mode = 0o755
            member.uid, member.gid = profile.user, profile.group
            tar.addfile(member, io.BytesIO(data) if member is file else None)
    stream.seek(0)
    return stream


def _run(container: Container, profile: Profile, command: str) -> bytes:
    argv = (*profile.wrapper, profile.build_folder, command)
    code, said = container.ask(argv, MAX_ANSWER_BYTES)
    if code == NOT_FOUND and command == COMPILE:
        raise InputError(
            "the environment has no C compiler, which the probe needs",
            hint="name a builder whose packages hold gcc and libc6-dev with --builder",
        )
    if code != 0:
        words = shorten(said.decode("utf-8", "replace"), 400)
        raise HostError("the probe failed", where=command, got=f"exit code {code}: {words}")
    return said


def main(words: list[str]) -> int:
    """Observe as the one argument says; print the observation, or the error on stderr."""
    try:
        order = msgspec.json.decode(words[0], type=Order)
        with connect(os.environ) as engine:
            sys.stdout.write(msgspec.json.encode(observe(engine, order)).decode())
    except RelsignError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
