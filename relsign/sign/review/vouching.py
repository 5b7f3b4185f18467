"""Releases the owners are about to vouch for, verified by the rules of their own day.

A root that takes signers or builders away would take the releases they made with them.
Before that, the owners name each release whose rules they want to keep: its very
statement, and the root it was made under (`relsign.verify.day`).  A release that the
present root no longer verifies is not vouched for here: nobody could tell it from one
that the removed people made up since.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError, NotEnoughError, RelsignError, VerificationError
from relsign.formats.canonical import shorten
from relsign.formats.root import parse_root
from relsign.sign.rules.root import earlier_roots, present_root
from relsign.system.workspace import Workspace
from relsign.verify.decision import Question, decide
from relsign.verify.demands import Demands
from relsign.verify.inclusion import PROOF_FILE, log_entry, verify_inclusion
from relsign.verify.release import Evidence, open_evidence, verify_standing
from relsign.verify.root import TrustedRoot, extend_root, open_root, require_unexpired
from relsign.verify.verdict import Row, find_problem

_LOG = 8
_EARLY = "vouch before the rotation that takes people away: docs/how-to/rotate-the-root.md"


@dataclass(frozen=True, slots=True)
class Vouching:
    """A release that holds, and the root it was made under."""

    version: str
    statement_sha256: str
    released_at: datetime
    root: TrustedRoot


def complete_roots(workspace: Workspace) -> tuple[TrustedRoot, ...]:
    """Return the versions of the root that enough owners signed, the newest last.

    A newer version in the making is passed over.  Raises InputError where not even
    the first one is complete, VerificationError or NotEnoughError for a false history.
    """
    earlier = earlier_roots(workspace)
    complete = [open_root(earlier[0])] if earlier else []
    for data in earlier[1:]:
        complete.append(extend_root(complete[-1], data))
    present = present_root(workspace)
    if present is not None:
        try:
            data = present.to_bytes()
            complete.append(extend_root(complete[-1], data) if complete else open_root(data))
        except RelsignError:
            # Not signed by enough owners yet, so what it says does not count yet.
            return _require_some(complete)
    return _require_some(complete)


def verify_for_vouching(roots: tuple[TrustedRoot, ...], bundle: bytes, now: datetime) -> Vouching:
    """Return what to vouch for in a bundle, having verified it as of its own day.

    `roots` are the project's own complete versions, the newest last.  It must hold under
    the newest of them and under the one it was made under.  Everything is asked but for
    the files and the listing; the log is asked as of `now` (aware UTC), since its proof
    may be renewed.  Raises VerificationError or NotEnoughError with the row that failed.
    """
    present = require_unexpired(roots[-1], now)
    evidence = open_evidence(bundle)
    old = _root_of(roots, evidence)
    verify_standing(present, evidence, now)
    predicate = evidence.statement.predicate
    day = min(now, predicate.released_at)
    for root in (present,) if old.digest == present.digest else (present, old):
        rows = [row for row in _rows(root, evidence, bundle, day) if row.number < _LOG]
        problem = find_problem(rows, "does not hold,", _EARLY)
        if problem is not None:
            raise problem
        _require_logged(root, evidence, now)
    return Vouching(predicate.version, evidence.statement_digest, predicate.released_at, old)


def _require_some(complete: list[TrustedRoot]) -> tuple[TrustedRoot, ...]:
    if not complete:
        raise InputError(
            "no version of the root is signed by enough owners yet",
            where="policies/root.json",
            hint="owners sign it with `relsign root sign --as NAME`",
        )
    return tuple(complete)


def _rows(root: TrustedRoot, evidence: Evidence, bundle: bytes, at: datetime) -> tuple[Row, ...]:
    question = Question(
        root=root.data,
        bundle=bundle,
        artifacts=evidence.statement.digests(),
        now=at,
        demands=Demands(refuse_dissent=root.root.policy.dissent == "refuse"),
    )
    return decide(question).verdict.rows


def _require_logged(root: TrustedRoot, evidence: Evidence, now: datetime) -> None:
    """Demand today's proof: the log goes on after the day of a release, and after its root."""
    policy, predicate = root.root.policy.log, evidence.statement.predicate
    if policy is None:
        return
    proof = evidence.files.get(PROOF_FILE)
    if proof is None:
        raise NotEnoughError(
            "the bundle holds no proof that the log has this release",
            where=PROOF_FILE,
            hint="log the release, and vouch for the bundle with the proof in it",
        )
    entry = log_entry(predicate.project, predicate.version, evidence.statement_digest)
    verify_inclusion(policy, root.parties, proof, entry, now)


def _root_of(roots: tuple[TrustedRoot, ...], evidence: Evidence) -> TrustedRoot:
    """Return the newest of our versions that stands in the bundle."""
    ours = {root.digest: root for root in roots}
    for data in reversed(evidence.roots):
        found = ours.get(sha256_hex(parse_root(data).signed.to_bytes()))
        if found is not None:
            return found
    raise VerificationError(
        "the bundle holds no version of this project's root",
        got=shorten(f"a bundle of {evidence.bundle.project} {evidence.bundle.version}"),
        hint="vouch for bundles as they were published: `relsign publish` puts the root in",
    )
