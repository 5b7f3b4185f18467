"""`relsign root show` and `relsign root analyse`: what a root says, and what it withstands."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.options import EXISTING, json_option, project_option, show_path
from relsign.cli.root_lines import root_document, root_lines
from relsign.cli.talk import say
from relsign.errors import InputError
from relsign.formats.canonical import encode_canonical
from relsign.formats.roster import FrostKey
from relsign.system.clock import now_utc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from relsign.formats.root import Root, RootFile
    from relsign.system.workspace import Workspace
    from relsign.verify.analysis import Analysis
    from relsign.verify.tolerance import Tolerance


@click.command()
@click.argument("file", type=EXISTING, required=False)
@project_option
@json_option
def show(file: Path | None, workspace: Workspace, *, as_json: bool) -> None:
    """Show a root: people, thresholds, what was taken back, who signed, what changed.

    FILE is any root.json; by default the project's own, with every version before it.
    """
    given, earlier = _read(file, workspace)
    if as_json:
        say(encode_canonical(root_document(given, earlier)).decode())
        return
    for line in root_lines(given, earlier):
        say(line)


@click.command()
@click.argument("file", type=EXISTING, required=False)
@project_option
@json_option
def analyse(file: Path | None, workspace: Workspace, *, as_json: bool) -> None:
    """Say how many losses and thefts a root withstands, and name what alone breaks it.

    FILE is any root.json; by default the project's own, signed or not. Where it lies in
    a publication, the expiry of the listing beside it is looked at too. It is advice:
    the exit code is 0 whatever is found.
    """
    from relsign.verify.analysis import analyse as analyse_root

    given, _earlier = _read(file, workspace)
    result = analyse_root(given.signed, now_utc(), _listing_expires(given.signed, file))
    if as_json:
        say(encode_canonical(_analysis_document(result)).decode())
        return
    for line in _analysis_lines(result, given.signed):
        say(line)


def _read(file: Path | None, workspace: Workspace) -> tuple[RootFile, tuple[Root, ...]]:
    """Return the root asked for, and the versions before it where they are known."""
    from relsign.formats.root import MAX_ROOT_BYTES, parse_root
    from relsign.sign.rules.root import earlier_roots, present_root
    from relsign.system.files import read_bounded

    if file is not None:
        return parse_root(read_bounded(file, MAX_ROOT_BYTES), show_path(file)), ()
    present = present_root(workspace)
    if present is None:
        raise InputError(
            "there is no root yet",
            where=show_path(workspace.root_file),
            hint="run `relsign root new`, or name a file",
        )
    return present, tuple(parse_root(data).signed for data in earlier_roots(workspace))


def _listing_expires(root: Root, file: Path | None) -> datetime | None:
    """Return when the listing in the publication that a root lies in expires, if there is one.

    Raises VerificationError where no publisher of this root signed it.
    """
    from relsign.crypto.keys import parties_of
    from relsign.formats.listing import parse_timestamp
    from relsign.publish.index import read_index
    from relsign.verify.freshness import verify_listing
    from relsign.verify.root import check_root

    files = None if file is None else read_index(file.absolute().parent / "metadata").files
    if files is None:
        return None
    # As of the day it was signed: one that has expired since still says when it did.
    day = parse_timestamp(files.timestamp).signed.stamp.signed_at
    return verify_listing(parties_of(check_root(root), "publisher"), files, day).expires


def _analysis_lines(result: Analysis, root: Root) -> Iterator[str]:
    searched = _searched(root)
    yield f"Root of {result.project}, version {result.version}"
    yield ""
    yield "role        keys  people  organisations  needed  may be lost  forged by"
    for role in result.roles:
        forged_by = _forged_by(role, searched=role.role in searched)
        yield (
            f"{role.role:<10} {role.keys:>5} {role.people:>7} {role.organisations:>14} "
            f"{role.need:>7} {role.may_be_lost:>12}  {forged_by}"
        )
    word = None
    for number, finding in enumerate(result.findings, 1):
        if finding.gravity is not word:
            word = finding.gravity
            yield ""
            yield word.name
        yield f"{number:>3}  {finding.what}"
        yield f"     -> {finding.todo}"


def _searched(root: Root) -> set[str]:
    """Return the roles whose organisations are tried out, and only so far: see `tolerance`."""
    shared = {role for m in root.members if isinstance(m.key, FrostKey) for role in m.roles}
    return {"witness", *shared}


def _forged_by(role: Tolerance, *, searched: bool) -> str:
    from relsign.verify.tolerance import MANY_ORGANISATIONS

    many = searched and role.organisations_to_forge == MANY_ORGANISATIONS
    number = role.organisations_to_forge
    word = "organisation" if number == 1 and not many else "organisations"
    places = f"{number}{' or more' if many else ''} {word}"
    keys = "1 key" if role.stolen_to_forge == 1 else f"{role.stolen_to_forge} keys"
    return f"{keys}, {places}"


def _analysis_document(result: Analysis) -> dict[str, object]:
    return {
        "project": result.project,
        "version": result.version,
        "roles": [asdict(role) for role in result.roles],
        "findings": [
            {**asdict(finding), "gravity": finding.gravity.name.lower()}
            for finding in result.findings
        ],
    }
