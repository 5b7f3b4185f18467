"""Releases that are public already: whether each would still verify under a new root.

A new trust root must not silently take old releases away from the people who have
them.  One that the new root revokes is meant to fall; any other that would no longer
verify stops the new root from being published.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.bundle import LAYOUT_FILE, MAX_BUNDLE_BYTES, bundle_file_name
from relsign.formats.envelope import parse_envelope
from relsign.formats.layout import parse_layout
from relsign.formats.root import parse_root
from relsign.publish.index import METADATA
from relsign.system.files import read_bounded
from relsign.trust.outside import verify_files
from relsign.verify.release import Evidence, open_evidence, revokes
from relsign.verify.verdict import Outcome, Verdict, Word

KEYS = "keys"
ROOT = "root.json"


@dataclass(frozen=True, slots=True)
class Standing:
    """One published version under a root: the verdict, or that the root revokes it."""

    verdict: Verdict
    is_revoked: bool
    layout_expired: bool

    @property
    def problem(self) -> str:
        """Return the row that fails, or nothing where the release stands or is meant to fall.

        Step 9 is no part of it: a listing is signed only when everything stands.
        """
        if self.is_revoked or self.verdict.word is Word.VERIFIED:
            return ""
        bad = {Outcome.REFUSED, Outcome.MISSING}
        failed = [row for row in self.verdict.rows if row.outcome in bad and row.name != "fresh"]
        if not failed:
            return ""
        row = failed[0]
        return f"{self.verdict.word.value} at step {row.number}, {row.name}: {row.text}"


def refuse_name(version: str) -> None:
    """Raise InputError for a version that cannot be a folder beside root and keys."""
    if version.startswith(".") or version.casefold() in {KEYS, ROOT, METADATA}:
        raise InputError(
            "a version of this name cannot be published",
            where="relsign.toml: project.version",
            got=version,
            hint="the publication needs the name itself: choose another",
        )


def published_versions(project: Path) -> tuple[Path, ...]:
    """Return the folders of the versions published, sorted; links to them are passed over."""
    if not project.is_dir():
        return ()
    return tuple(
        entry
        for entry in sorted(project.iterdir())
        if entry.is_dir()
        and not entry.is_symlink()
        and entry.name not in {KEYS, METADATA}
        and not entry.name.startswith(".")
    )


def judge_published(folder: Path, root: bytes, now: datetime) -> Standing:
    """Judge one published version, all its artifacts, under a root.

    A layout expires by itself and no root can help that: such a version is judged as
    on its layout's last day.  Raises InputError or NotEnoughError for files that
    are malformed or gone.
    """
    trusted = parse_root(root).signed
    bundle = folder / bundle_file_name(trusted.project, folder.name)
    evidence = open_evidence(read_bounded(bundle, MAX_BUNDLE_BYTES))
    last = _last_moment(evidence, now)
    artifacts = [folder / name for name in evidence.statement.digests()]
    return Standing(
        verdict=verify_files(root, artifacts, bundle, min(now, last)).verdict,
        is_revoked=any(
            revokes(r, evidence.statement.predicate.version, evidence.statement_digest)
            for r in trusted.policy.revoked
        ),
        layout_expired=last < now,
    )


def require_all_stand(
    project: Path, root: bytes, now: datetime, besides: str = ""
) -> tuple[str, ...]:
    """Judge every published version under a new root; return a note for each that is unusual.

    `besides` names a version that is judged elsewhere.  Raises VerificationError with
    the version's row for one that would no longer verify and is not revoked.
    """
    notes: list[str] = []
    for folder in published_versions(project):
        if folder.name == besides:
            continue
        try:
            standing = judge_published(folder, root, now)
            problem = standing.problem
        except (InputError, NotEnoughError) as error:
            raise _falls(folder, str(error)) from error
        if problem:
            raise _falls(folder, problem)
        if standing.is_revoked:
            notes.append(f"{folder.name}: revoked by this root")
        elif standing.layout_expired:
            notes.append(f"{folder.name}: its layout has expired; publish it with a renewed one")
    return tuple(notes)


def _falls(folder: Path, problem: str) -> VerificationError:
    return VerificationError(
        f"version {folder.name} would not verify under the new root",
        where=os.fspath(folder),
        got=problem,
        hint=f"revoke {folder.name}, vouch for it with `relsign root vouch`, or renew its layout "
        "and signatures and publish it; no new root was published",
    )


def _last_moment(evidence: Evidence, now: datetime) -> datetime:
    """Return the layout's last second, or `now` where there is no layout to ask."""
    try:
        payload = parse_envelope(evidence.files[LAYOUT_FILE], LAYOUT_FILE).payload
        return parse_layout(payload, LAYOUT_FILE).expires - timedelta(seconds=1)
    except (KeyError, InputError, OverflowError):
        # Nothing lies before the first second there is; such a layout has expired anyway.
        return now
