"""The gate: nothing is published that a stranger would not verify.

Judged on the staged copies, the very bytes that will be public: our own decision
on every artifact, dissent as the policy says, then the reference verifier.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from relsign.crypto.keys import Ed25519Public
from relsign.errors import VerificationError
from relsign.formats.bundle import bundle_file_name
from relsign.publish.reference import require_reference
from relsign.publish.release import Candidate
from relsign.publish.signatures import ed25519_pem
from relsign.system.files import write_whole
from relsign.trust.outside import Context, verify_files
from relsign.verify.decision import VerifiedRelease
from relsign.verify.demands import Demands
from relsign.verify.freshness import ListingFiles
from relsign.verify.layout import verify_layout
from relsign.verify.root import TrustedRoot, verify_root
from relsign.verify.verdict import find_problem


def pass_gate(
    candidate: Candidate, staged: Path, listing: ListingFiles | None, now: datetime
) -> VerifiedRelease:
    """Return the release staged in a folder, verified from outside.

    `listing` is what will name it once it is public.  It need not be the newest:
    evidence of an older version may be renewed.
    Raises NotEnoughError or VerificationError with the row that failed.
    """
    root = verify_root(candidate.root, now)
    decision = verify_files(
        candidate.root,
        [staged / name for name in candidate.artifacts],
        staged / bundle_file_name(candidate.project, candidate.version),
        now,
        Context(
            demands=Demands(refuse_dissent=root.root.policy.dissent == "refuse"),
            listing=listing,
            wanted=candidate.version,
        ),
    )
    problem = find_problem(decision.verdict.rows, decision.verdict.word.value)
    if problem is not None:
        raise problem
    if decision.release is None:
        # Only a level below standard decides without one, and the gate asks for standard.
        raise VerificationError(
            "the release was not decided in full", hint="this is a bug in relsign; please report it"
        )
    _ask_reference(root, decision.release, staged, now)
    return decision.release


def _ask_reference(
    root: TrustedRoot, release: VerifiedRelease, staged: Path, now: datetime
) -> None:
    owners = verify_layout(root, release.evidence, now).owners
    # Beside the staged files, so that what a crash leaves is removed with them.
    with TemporaryDirectory(prefix="owner-keys-", dir=staged.parent) as name:
        keys = []
        for owner in owners:
            if isinstance(owner.key, Ed25519Public):
                path = Path(name) / f"{owner.name}.pem"
                write_whole(path, ed25519_pem(owner.key.raw))
                keys.append(path)
        require_reference(staged, keys)
