"""`relsign collect`: bring other people's evidence into this release folder."""

from __future__ import annotations

import os
from pathlib import Path

import click

from relsign.cli.options import EXISTING, project_option
from relsign.cli.talk import talk
from relsign.system.clock import now_utc
from relsign.system.workspace import ReleaseFolder, Workspace


@click.command(short_help="Bring other people's builds and signatures here.")
@click.argument("folder", type=EXISTING)
@project_option
def collect(folder: Path, workspace: Workspace) -> int:
    """Take over builds and signatures from FOLDER, another copy of this project.

    FOLDER is a project folder, as it arrives by git, USB stick or shared disk. What
    does not verify against this project's roster is named and left behind.
    """
    from relsign.sign.evidence.exchange import collect_release
    from relsign.sign.rules.root import current_root

    now = now_utc()
    mine = workspace.release()
    theirs = folder / "release" / mine.folder.name
    other = ReleaseFolder(theirs, mine.project, mine.version)
    collected = collect_release(mine, other, current_root(workspace, now), now)
    for line in collected.taken:
        talk(f"  ✓ {line}")
    for line in collected.refused:
        talk(f"  ✗ left behind: {line}")
    if not collected.taken and not collected.refused:
        talk(f"  nothing new in {os.fspath(folder)}")
    return 1 if collected.refused else 0
