"""`relsign status`: the agreement matrix, who signed, and what is next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from relsign.cli.options import json_option, project_option
from relsign.cli.talk import say
from relsign.system.clock import now_utc
from relsign.system.workspace import ReleaseFolder, Workspace

if TYPE_CHECKING:
    from datetime import datetime

    from relsign.sign.rules.expiry import Expiring
    from relsign.sign.status import Status
    from relsign.verify.matrix import Matrix, MatrixRow

MAX_ROWS = 40


@click.command(short_help="Who built, who signed, what is next.")
@project_option
@json_option
def status(workspace: Workspace, *, as_json: bool) -> int:
    """Show the agreement matrix of this release, who signed, and what is next.

    Builders stand across and files down: the same block means the same bytes, X
    means the builder lacks the file.

    Exit code 0 when the release can be published, 1 when builders contradict each
    other, 3 when evidence is still missing.
    """
    from relsign.sign.rules.expiry import find_expiring
    from relsign.sign.rules.root import current_root
    from relsign.sign.status import layout_expiry, release_status

    now = now_utc()
    release = workspace.release()
    root = current_root(workspace, now)
    state = release_status(release, root, now, checked=bool(workspace.recipe().check))
    expiring = find_expiring(root, layout_expiry(release), now)
    problems = [stage.problem for stage in state.stages if stage.problem]
    code = 1 if problems else 0 if all(stage.is_met for stage in state.stages) else 3
    if as_json:
        click.echo(json.dumps(_document(release, state, expiring, now), indent=2))
    else:
        _show(release, state)
        for each in expiring:
            say(f"WARNING: {each.words(now)}: {each.hint}")
    return code


def _document(
    release: ReleaseFolder, state: Status, expiring: tuple[Expiring, ...], now: datetime
) -> dict[str, object]:
    return {
        "schema": "relsign/status/1",
        "project": release.project,
        "version": release.version,
        "builders": list(state.matrix.builders),
        "products": {row.product: list(row.cells) for row in state.matrix.rows},
        "silent": list(state.silent),
        "ignored": list(state.ignored),
        "stages": [
            {"name": s.name, "have": list(s.have), "need": s.need, "problem": s.problem}
            for s in state.stages
        ],
        "statement_sha256": state.statement_sha256,
        "expiring": [
            {
                "what": each.what,
                "name": each.name,
                "expires": each.expires_at.isoformat() if each.expires_at else None,
                "over": each.is_over(now),
                "hint": each.hint,
            }
            for each in expiring
        ],
        "next": state.next_command,
    }


def _show(release: ReleaseFolder, state: Status) -> None:
    say(f"{release.project} {release.version}")
    if state.matrix.builders:
        say("  builders: " + ", ".join(state.matrix.builders))
    rows = sorted(state.matrix.rows, key=lambda row: row.agrees)
    for row in rows[:MAX_ROWS]:
        say(f"  {' '.join(row.cells)}  {row.product}  {_agreement(state.matrix, row)}")
    if len(rows) > MAX_ROWS:
        say(f"  … {len(rows) - MAX_ROWS} more files, see --json")
    if state.silent:
        say("  not heard of: " + ", ".join(state.silent))
    for line in state.ignored:
        say(f"  ignored: {line}")
    for stage in state.stages:
        mark = "✗" if stage.problem else "✓" if stage.is_met else "…"
        said = "; ".join(filter(None, (", ".join(stage.have), stage.problem or stage.missing)))
        people = f"{len(stage.have)} (need {stage.need})  {said}"
        say(f"  {mark} {stage.name:<9} {people}".rstrip())
    if state.statement_sha256:
        say(f"  statement sha256 {state.statement_sha256}")
    say(f"Next: {state.next_command}")


def _agreement(matrix: Matrix, row: MatrixRow) -> str:
    from relsign.sign.status import differing

    if row.agrees:
        return "same bytes"
    others = differing(matrix, row)
    if others:
        return f"DIFFERENT BYTES: {', '.join(others)}"
    return "missing at some builders"
