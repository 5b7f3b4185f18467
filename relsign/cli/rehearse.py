"""`relsign rehearse`: a whole release for practice, with everything going wrong."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.options import PATH, project_option, show_path
from relsign.cli.talk import talk
from relsign.errors import InputError, VerificationError
from relsign.system.clock import now_utc
from relsign.system.workspace import Workspace

if TYPE_CHECKING:
    from relsign.cli.rehearsal.report import Report
    from relsign.cli.rehearsal.shape import Shape
    from relsign.formats.roster import Role


@click.command(short_help="Practise a whole release, losses and attacks included.")
@click.option("--to", type=PATH, metavar="FOLDER", help="[default: rehearsal-DATE-TIME]")
@click.option("--keep", is_flag=True, help="Keep project, site and keys in FOLDER/work.")
@project_option
def rehearse(to: Path | None, workspace: Workspace, *, keep: bool) -> None:
    """Practise a whole release in a new folder, with throw-away keys.

    In a project it has the project's people, roles and thresholds, by name only: each
    gets a key for the day, and the project's own files are not touched. Elsewhere people
    are invented. Builders only pretend to build; all else is the real commands: a
    release key made and used, a release published and verified. Then a share and an
    owner's key are lost, a builder and a participant cheat, a share is stolen.

    Needs no network and no engine. Everything it makes ends within days. FOLDER gets
    report.md and report.json. Exit code 0 only if every step went as it should.
    """
    from relsign.cli.rehearsal.shape import invented_shape, is_project, shape_of

    started_at = now_utc()
    folder = (to or Path(f"rehearsal-{started_at:%Y%m%d-%H%M%S}")).absolute()
    shape = shape_of(workspace) if is_project(workspace) else invented_shape()
    _make_new(folder)
    show_shape(shape)
    report = _play(shape, folder, keep=keep)
    path = _write(report, folder)
    click.echo(show_path(path))
    if not report.went_well:
        raise VerificationError(
            "the rehearsal did not go as it should",
            where=show_path(path),
            got=next((s.trouble for s in report.steps if s.trouble), ""),
            hint="the report says which command ended otherwise; run it again with --keep to look",
        )
    talk(f"every step went as it should ({report.milliseconds / 1000:.0f} s)")


def show_shape(shape: Shape) -> None:
    """Say who takes part."""
    talk(f"Rehearsal of {shape.project}, with throw-away keys")
    needed: tuple[tuple[Role, int], ...] = (
        ("owner", shape.thresholds.owners),
        ("signer", shape.thresholds.signers),
        ("builder", shape.thresholds.builders),
    )
    for role, need in needed:
        names = ", ".join(person.name for person in shape.having(role))
        talk(f"  {role}s, {need} needed: {names}")
    talk(f"  release key, {shape.threshold} needed: {', '.join(shape.participants)}")
    for note in shape.notes:
        talk(f"  note: {note}")


def _play(shape: Shape, folder: Path, *, keep: bool) -> Report:
    from relsign.cli.rehearsal.play import ACTS, play
    from relsign.cli.rehearsal.report import Report
    from relsign.cli.rehearsal.stage import Stage

    started_at, work = now_utc(), folder / "work"
    steps = []
    try:
        for step in play(Stage(work, shape)):
            talk(f"{'FAILED' if step.trouble else '✓'} {step.title} ({step.milliseconds} ms)")
            if step.trouble:
                talk(f"  {step.trouble}")
            steps.append(step)
    finally:
        if not keep:
            shutil.rmtree(work, ignore_errors=True)
    return Report(shape, started_at, tuple(steps), len(ACTS))


def _make_new(folder: Path) -> None:
    from relsign.system.files import make_folder

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            "the folder is not empty",
            where=os.fspath(folder),
            hint="name a new one with --to: a rehearsal never touches what is there",
        )
    make_folder(folder, 0o700)


def _write(report: Report, folder: Path) -> Path:
    from relsign.system.files import write_whole

    write_whole(folder / "report.json", report.to_json())
    path = folder / "report.md"
    write_whole(path, report.to_markdown().encode())
    return path
