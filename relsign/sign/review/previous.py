"""The release before this one, verified as the project's own before anything of it is shown.

A path says nothing: a bundle could hold another project's release, one that nobody
signed, or a second statement under the version that was published.  So the whole
decision is taken again on it, by the rules of its own day, under a version of the
project's own root.  Log and listing are left out: nobody renews an old release's proof,
and a release that was taken back is followed all the same, by the one that mends it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from relsign.crypto.digest import sha256_hex
from relsign.crypto.signatures import verify_envelope
from relsign.errors import InputError, NotEnoughError, RelsignError, VerificationError
from relsign.formats.bundle import (
    LAYOUT_FILE,
    MAX_BUNDLE_BYTES,
    STATEMENT_FILE,
)
from relsign.formats.canonical import shorten
from relsign.formats.envelope import parse_envelope
from relsign.formats.fingerprint import Fingerprint, parse_fingerprint
from relsign.formats.layout import parse_layout
from relsign.formats.link import ReleaseBinding
from relsign.formats.root import parse_root
from relsign.formats.statement import PreviousRelease, parse_statement
from relsign.sign.release import Previous
from relsign.sign.review.vouching import complete_roots
from relsign.system.files import read_bounded
from relsign.system.workspace import ReleaseFolder, Workspace
from relsign.verify.agreement import find_agreement, read_reports
from relsign.verify.checks import count_checked
from relsign.verify.decision import Question, decide
from relsign.verify.demands import Demands
from relsign.verify.release import CLOCK_SKEW, Evidence, open_evidence, verify_standing
from relsign.verify.root import TrustedRoot
from relsign.verify.verdict import find_problem

_NOT_ASKED = frozenset({7, 8, 9})
"""Revocation, log and listing; whether it was taken back is told beside it."""
_HINT = "name the bundle of the release before with --previous"


@dataclass(frozen=True, slots=True)
class Earlier:
    """A verified release of this project: its place in the row, and what it says."""

    place: Previous
    fingerprints: tuple[Fingerprint, ...]
    builders: tuple[str, ...]
    owners: tuple[str, ...]
    root: TrustedRoot
    """The version of the project's root by which it holds."""
    notes: tuple[str, ...]
    """What a signer should know about it."""


def read_previous(workspace: Workspace, bundle: Path | None, now: datetime) -> Earlier | None:
    """Return the release in `bundle`, to be followed by the one in the making; None for no path.

    (1) it is of this project, and another version; (2) it holds by a version of the
    project's root, on the day it was released, which is not ahead of `now` (aware UTC);
    (3) the release folder of its version, where there is one, holds the same statement.
    Raises InputError for (1), else VerificationError or NotEnoughError with the reason.
    """
    if bundle is None:
        return None
    where = os.fspath(bundle)
    data = read_bounded(bundle, MAX_BUNDLE_BYTES)
    try:
        evidence = open_evidence(data)
    except NotEnoughError as error:
        raise InputError(error.what, where=where, hint=_HINT) from error
    release = workspace.release()
    _require_other_version(evidence, release, where)  # (1)
    roots = complete_roots(workspace)
    root = _holding_root(roots, evidence, data, now, where)  # (2)
    _refuse_second_statement(release, evidence, roots, now, where)  # (3)
    at = min(now, evidence.statement.predicate.released_at)
    layout = parse_envelope(evidence.files[LAYOUT_FILE], LAYOUT_FILE)
    return Earlier(
        place=_place(evidence),
        fingerprints=_fingerprints(evidence),
        builders=_builders(root, evidence, at),
        owners=tuple(p.name for p in verify_envelope(layout, root.having("owner"), at).valid),
        root=root,
        notes=_notes(roots[-1], root, evidence, data, now),
    )


def _require_other_version(evidence: Evidence, release: ReleaseFolder, where: str) -> None:
    predicate = evidence.statement.predicate
    if predicate.project != release.project or predicate.version == release.version:
        raise InputError(
            "not a release this one can follow",
            where=where,
            expected=f"another version of {release.project} than {release.version}",
            got=f"{predicate.project} {predicate.version}",
            hint=_HINT,
        )


def _holding_root(
    roots: tuple[TrustedRoot, ...], evidence: Evidence, data: bytes, now: datetime, where: str
) -> TrustedRoot:
    """Return the version of the root by which a release holds: the one it was made under.

    Where the bundle names none of ours, the newest by which it holds.  Raises the problem
    of the newest version tried.
    """
    released_at = evidence.statement.predicate.released_at
    if released_at > now + CLOCK_SKEW:
        raise VerificationError(
            "the release before is dated in the future",
            where=where,
            got=released_at.isoformat(),
            hint="check this machine's clock",
        )
    problem: VerificationError | NotEnoughError | None = None
    for root in _candidates(roots, evidence):
        found = _problem(root, evidence, data, now)
        if found is None:
            return root
        problem = problem or found
    if problem is None:
        raise InputError("no version of the root to judge it by", where=where)
    raise type(problem)(problem.what, where=where, hint=f"do not follow it; {_HINT}")


def _candidates(roots: tuple[TrustedRoot, ...], evidence: Evidence) -> tuple[TrustedRoot, ...]:
    brought = {sha256_hex(parse_root(each).signed.to_bytes()) for each in evidence.roots}
    own = [root for root in roots if root.digest in brought]
    return (own[-1],) if own else tuple(reversed(roots))


def _problem(
    root: TrustedRoot, evidence: Evidence, data: bytes, now: datetime
) -> VerificationError | NotEnoughError | None:
    """Return why a release did not hold on its day, or None."""
    question = Question(
        root=root.data,
        bundle=data,
        artifacts=evidence.statement.digests(),
        now=min(now, evidence.statement.predicate.released_at),
        demands=Demands(refuse_dissent=root.root.policy.dissent == "refuse"),
    )
    rows = [row for row in decide(question).verdict.rows if row.number not in _NOT_ASKED]
    return find_problem(rows, "the release before does not hold,")


def _refuse_second_statement(
    release: ReleaseFolder,
    evidence: Evidence,
    roots: tuple[TrustedRoot, ...],
    now: datetime,
    where: str,
) -> None:
    """Refuse a bundle where this machine holds another signed statement of its version."""
    version = evidence.statement.predicate.version
    folder = release.folder.parent / f"{release.project}-{version}"
    try:
        data = read_bounded(folder / STATEMENT_FILE, MAX_BUNDLE_BYTES)
        envelope = parse_envelope(data, STATEMENT_FILE)
        parse_statement(envelope.payload, STATEMENT_FILE)
    except RelsignError:
        # No folder, or nothing a signer could have signed.
        return
    signed = any(verify_envelope(envelope, root.statement_signers, now).valid for root in roots)
    if signed and sha256_hex(envelope.payload) != evidence.statement_digest:
        raise VerificationError(
            f"is another statement of {version} than the one signed here",
            where=where,
            expected=sha256_hex(envelope.payload),
            got=evidence.statement_digest,
            hint=f"find out which one was published; the other is in {folder}",
        )


def _place(evidence: Evidence) -> Previous:
    predicate = evidence.statement.predicate
    reference = PreviousRelease(
        version=predicate.version, statement_sha256=evidence.statement_digest
    )
    return Previous(reference, predicate.sequence, predicate.released_at)


def _fingerprints(evidence: Evidence) -> tuple[Fingerprint, ...]:
    """Return the fingerprints the signers named; the decision found each under its digest."""
    names = [f"{f.target}.fingerprint.json" for f in evidence.statement.predicate.fingerprints]
    return tuple(parse_fingerprint(evidence.files[name], name) for name in names)


def _builders(root: TrustedRoot, evidence: Evidence, at: datetime) -> tuple[str, ...]:
    predicate, needs = evidence.statement.predicate, root.root.thresholds
    binding = ReleaseBinding(project=predicate.project, version=predicate.version)
    reports = read_reports(evidence.files, root.having("builder"), binding, at)
    agreed = find_agreement("build", reports, needs.builders, needs.organisations)
    layout = parse_layout(parse_envelope(evidence.files[LAYOUT_FILE], LAYOUT_FILE).payload)
    if layout.has_checks:
        check = find_agreement("check", reports, needs.builders, needs.organisations)
        agreed = count_checked(agreed, check, needs.builders, needs.organisations)
    return tuple(party.name for party in agreed.builders)


def _notes(
    newest: TrustedRoot, root: TrustedRoot, evidence: Evidence, data: bytes, now: datetime
) -> tuple[str, ...]:
    notes = []
    if root.digest != newest.digest and _problem(newest, evidence, data, now) is not None:
        notes.append(
            f"judged by version {root.root.version} of the root: "
            f"it does not hold by version {newest.root.version}"
        )
    try:
        verify_standing(newest, evidence, now)
    except VerificationError as error:
        notes.append(shorten(error.what))
    return tuple(notes)
