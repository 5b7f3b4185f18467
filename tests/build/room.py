"""Builds for tests: small recipes, small sources, and what a build said."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from relsign.build.engine.connection import Engine
from relsign.build.log import MAX_LOG_BYTES
from relsign.build.profile import Profile, load_profile
from relsign.build.run import BuildEvent, BuildOutput, BuildRequest, run_build
from relsign.formats.recipe import Artifact, Pack, Target


def make_target(
    *commands: str, artifacts: tuple[str, ...] = (), packs: tuple[str, ...] = ()
) -> Target:
    return Target(
        name="t",
        builder="b",
        source_date_epoch=1_700_000_000,
        commands=commands,
        artifact=tuple(Artifact(path=path) for path in artifacts),
        pack=tuple(
            Pack(directory=path, name=f"{path.rpartition('/')[2]}.tar.gz") for path in packs
        ),
    )


def make_source(files: dict[str, bytes]) -> io.BytesIO:
    """Return a source tar: a folder ``src`` with these files, owned by the build's user."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, data in {"src": None, **{f"src/{n}": d for n, d in files.items()}}.items():
            member = tarfile.TarInfo(name)
            member.uid = member.gid = 1000
            member.mode = 0o755
            if data is None:
                member.type = tarfile.DIRTYPE
            member.size = len(data or b"")
            tar.addfile(member, io.BytesIO(data or b""))
    return stream


@dataclass
class Room:
    """Runs builds and remembers what they said."""

    engine: Engine
    image: str
    cache: Path
    folder: Path
    log: bytearray = field(default_factory=bytearray)
    events: list[BuildEvent] = field(default_factory=list)
    profile: Profile = field(default_factory=load_profile)
    runs: int = 0
    max_log_bytes: int = MAX_LOG_BYTES

    @property
    def output(self) -> Path:
        return self.folder / str(self.runs)

    def build(
        self, target: Target, files: dict[str, bytes] | None = None, cpu: int = 0
    ) -> BuildOutput:
        self.runs += 1
        self.log.clear()
        request = BuildRequest(
            target=target,
            sources=[make_source(files or {})],
            directory="src",
            output=self.output,
            cache=self.cache,
            on_log=self.log.extend,
            on_event=self.events.append,
            cpus=(cpu,),
            max_log_bytes=self.max_log_bytes,
        )
        return run_build(self.engine, self.image, self.profile, request)

    def say(self, *commands: str) -> str:
        """Run commands and return what they printed."""
        self.build(make_target(*commands, "touch done", artifacts=("done",)))
        return self.log.decode()
