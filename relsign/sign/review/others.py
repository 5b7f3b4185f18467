"""The project's other releases, as the folders beside this one tell.

    release/demo-1.0/release.statement      signed before
    release/demo-1.1/                       in the making: follows 1.0

Anybody may have put a folder there, so only a statement counts that a signer of the
root signed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from relsign.crypto.signatures import verify_envelope
from relsign.errors import InputError, RelsignError
from relsign.formats.bundle import MAX_BUNDLE_BYTES, STATEMENT_FILE, bundle_file_name
from relsign.formats.envelope import parse_envelope
from relsign.formats.statement import ReleasePredicate, parse_statement
from relsign.sign.places import is_real_folder
from relsign.system.files import host_error, read_bounded
from relsign.system.workspace import Workspace
from relsign.verify.root import TrustedRoot


@dataclass(frozen=True, slots=True)
class Other:
    """Another release of the project, signed by a signer of the root."""

    folder: Path
    version: str
    released_at: datetime


def release_versions(workspace: Workspace) -> tuple[str, ...]:
    """Return the versions that have a release folder, sorted; raise HostError if unreadable."""
    start = f"{workspace.recipe().project.name}-"
    folder = workspace.release().folder.parent
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise host_error(error, folder) from error
    return tuple(name.removeprefix(start) for name in names if name.startswith(start))


def require_followed(
    workspace: Workspace, root: TrustedRoot, predicate: ReleasePredicate, now: datetime
) -> None:
    """Refuse a first release where an earlier one of the project was signed.

    Two first releases have one number, so that whoever saw one is refused the other.
    Raises InputError naming the earlier one.
    """
    if predicate.previous is not None:
        return
    earlier = [
        other
        for other in _signed_releases(workspace, root, now)
        if other.version != predicate.version and other.released_at <= predicate.released_at
    ]
    if not earlier:
        return
    last = max(earlier, key=lambda other: other.released_at)
    bundle = bundle_file_name(predicate.project, last.version)
    raise InputError(
        f"would be another first release: {last.version} was signed before",
        where=os.fspath(last.folder / STATEMENT_FILE),
        hint=f"name the bundle it was published as: --previous "
        f"SITE/{predicate.project}/{last.version}/{bundle}; if it never was, remove its folder",
    )


def _signed_releases(workspace: Workspace, root: TrustedRoot, now: datetime) -> list[Other]:
    release = workspace.release()
    found: list[Other] = []
    for version in release_versions(workspace):
        folder = release.folder.parent / f"{release.project}-{version}"
        try:
            is_real_folder(folder)
            data = read_bounded(folder / STATEMENT_FILE, MAX_BUNDLE_BYTES)
            envelope = parse_envelope(data, STATEMENT_FILE)
            predicate = parse_statement(envelope.payload, STATEMENT_FILE).predicate
            signed = verify_envelope(envelope, root.statement_signers, now).valid
        except RelsignError:
            # Not signed yet, or not a statement: nothing that could have been published.
            continue
        if signed and predicate.project == release.project:
            found.append(Other(folder, predicate.version, predicate.released_at))
    return found
