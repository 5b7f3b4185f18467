"""A build that never ends, for tests that kill the process which runs it.

endless_build.py IMAGE CACHE OUTPUT, with DOCKER_HOST set.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from relsign.build.engine.connection import connect
from relsign.build.profile import load_profile
from relsign.build.run import BuildRequest, run_build
from relsign.formats.recipe import Artifact, Target


def main(image: str, cache: str, output: str) -> None:
    request = BuildRequest(
        target=Target(
            name="t",
            builder="b",
            source_date_epoch="unset",
            commands=("echo it runs; sleep 600",),
            artifact=(Artifact(path="a"),),
        ),
        sources=(),
        directory="",
        output=Path(output),
        cache=Path(cache),
        on_log=lambda chunk: os.write(1, chunk),
        on_event=lambda _: None,
    )
    with connect(os.environ) as engine:
        run_build(engine, image, load_profile(), request)


if __name__ == "__main__":
    main(*sys.argv[1:])
