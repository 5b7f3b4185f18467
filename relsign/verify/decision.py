"""The trust decision, in nine numbered steps.

    1 root         pinned, keys acceptable, each version signed by enough owners of the
                   one before and of its own, unexpired
    2 bytes        the files in hand are artifacts the statement names
    3 signers      t of m, distinct keys and operators, and the release key where the root
                   has one
    4 layout       m of n owners, unexpired, the one the signers named
    5 builders     k of n links agree, bound to this release, in g organisations, as
                   unlike as the root asks, keep the layout's rules, and ran the checks
                   where it has some
    6 fingerprint  binds sources, environment, recipe, profile, artifacts; equals an own
                   rebuild where there is one
    7 revocation   not revoked, not from the future, not older than what was seen
    8 log          inclusion and witnesses, where root or person ask for it
    9 fresh        listed by a publisher lately, and the newest, where they ask for it

Everything is an argument: no file, clock, network or process is reachable from
here, and nothing in the evidence is ever run.  `VerifiedRelease` can be had only
from here, and publication accepts nothing else.
"""

from __future__ import annotations

import msgspec

from relsign.crypto.keys import Party
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.bundle import Bundle
from relsign.formats.canonical import Value
from relsign.verify.agreement import Agreement
from relsign.verify.builders import find_builders
from relsign.verify.day import find_day
from relsign.verify.demands import Level
from relsign.verify.fingerprint import verify_fingerprints
from relsign.verify.freshness import (
    FreshnessDemand,
    ReleaseInHand,
    VerifiedListing,
    verify_freshness,
    verify_listing,
)
from relsign.verify.history import Presented, check_history
from relsign.verify.inclusion import PROOF_FILE, Inclusion, log_entry, verify_inclusion
from relsign.verify.layout import TrustedLayout, verify_layout
from relsign.verify.question import Case, Question
from relsign.verify.rebuilt import require_rebuilt
from relsign.verify.release import (
    Evidence,
    open_evidence,
    revokes,
    verify_bytes,
    verify_signers,
    verify_standing,
)
from relsign.verify.root import TrustedRoot, follow_roots, open_root, require_unexpired
from relsign.verify.rows import Rows, say_builders, say_layout, say_root, say_signers
from relsign.verify.verdict import STEPS, Outcome, Row, Verdict, Word

__all__ = ["Decision", "Question", "VerifiedRelease", "decide"]


class VerifiedRelease(Value, frozen=True):
    """A release that passed all nine steps; made by `decide` and by nothing else."""

    evidence: Evidence
    signers: tuple[Party, ...]
    builders: tuple[Party, ...]
    dissenters: tuple[Party, ...]
    release_key: Party | None = None
    """The root's release key, if it has one and it signed."""


class Decision(Value, frozen=True):
    """The verdict, and the release if it is VERIFIED at level standard or above."""

    verdict: Verdict
    release: VerifiedRelease | None
    evidence: Evidence | None = None
    """What was judged, as far as it could be read; believed only if VERIFIED."""
    root: TrustedRoot | None = None
    """The newest root that holds, whatever the verdict."""


def decide(question: Question) -> Decision:
    """Take the trust decision; raises nothing: whatever is wrong becomes a row."""
    rows = Rows()
    release = None
    evidence = rows.step(2, lambda: _open(question.bundle))
    newest, holds = _newest_root(question, evidence, rows)
    if newest is not None and holds and evidence is not None:
        trusted, opened = newest, evidence
        day = rows.step(
            1, lambda: find_day(trusted, opened, question.now), lambda d: say_root(trusted, d)
        )
        if day is not None:
            release = _judge(Case(question, trusted, day, opened), rows)
    verdict = Verdict(rows.complete())
    if verdict.word is not Word.VERIFIED:
        release = None
    return Decision(verdict, release, evidence, newest)


def _open(bundle: bytes | Bundle | None) -> Evidence:
    if bundle is None:
        raise NotEnoughError(
            "no bundle was found beside the file",
            hint="download PROJECT-VERSION.relsign beside it, or name it with --bundle",
        )
    return open_evidence(bundle)


def _newest_root(
    question: Question, evidence: Evidence | None, rows: Rows
) -> tuple[TrustedRoot | None, bool]:
    """Return the newest root that follows from the pinned one, and whether step 1 stands.

    It is followed through what the person knows and what the bundle brings; expiry is
    asked of the last one only.
    """
    pinned = rows.step(1, lambda: open_root(question.root))
    if pinned is None:
        return None, False
    newer = (*question.newer_roots, *(evidence.roots if evidence is not None else ()))
    newest, problem = follow_roots(pinned, newer)
    if problem is not None:
        rows.fail(1, problem)
        return newest, False
    if rows.step(1, lambda: require_unexpired(newest, question.now)) is None:
        return newest, False
    if evidence is None:
        rows.step(1, lambda: newest, say_root)
    return newest, True


def _judge(case: Case, rows: Rows) -> VerifiedRelease | None:
    question, day, evidence = case.question, case.day, case.evidence
    rows.step(2, lambda: verify_bytes(case.root, evidence, question.artifacts), str)
    need = case.need("signers")
    signed = rows.step(
        3,
        lambda: verify_signers(day.root, evidence, question.now, need, as_made=day.is_past),
        lambda s: say_signers(day.root, need, s),
    )
    rows.step(7, lambda: _standing(case), str)
    if question.demands.level < Level.STANDARD:
        for number in (4, 5, 6, 8, 9):
            rows.not_required(number, "not asked at level basic")
        return None
    _ask_log(case, rows)
    _ask_freshness(case, rows)
    layout = rows.step(4, lambda: verify_layout(day.root, evidence, day.at), say_layout)
    if layout is None:
        return None
    agreed = rows.step(
        5,
        lambda: find_builders(case, layout),
        lambda agreed: say_builders(day.root, question.demands, agreed),
    )
    if agreed is None:
        return None
    rows.step(6, lambda: _fingerprints(case, agreed.build, layout), str)
    if signed is None:
        return None
    return VerifiedRelease(
        evidence, signed.signers, agreed.build.builders, agreed.dissenters, signed.release_key
    )


def _standing(case: Case) -> str:
    """Step 7: what the owners took back, then what this person saw before."""
    predicate, digest = case.evidence.statement.predicate, case.evidence.statement_digest
    stands = verify_standing(case.root, case.evidence, case.question.now)
    history = check_history(
        case.question.seen or (),
        Presented(predicate.sequence, predicate.version, digest),
        revoked=case.root.root.policy.revoked,
        wanted=case.question.wanted,
    )
    # Without a memory there is nothing to say; asking for a version is checked all the same.
    return stands if case.question.seen is None else f"{stands}; {history}"


def _ask_log(case: Case, rows: Rows) -> None:
    """Step 8: in the log, and its witnesses saw it."""
    policy, demands = case.day.root.root.policy.log, case.question.demands
    asked = demands.log or demands.level is Level.PARANOID
    if policy is None:
        if not asked:
            rows.not_required(8, "the root asks for no transparency log")
            return
        rows.step(8, _no_log)
        return
    predicate, digest = case.evidence.statement.predicate, case.evidence.statement_digest
    entry = log_entry(predicate.project, predicate.version, digest)
    proof = case.evidence.files.get(PROOF_FILE)
    if case.day.is_past:
        # Nobody renews the proof of a release that is long past: its owners vouch for it.
        policy = msgspec.structs.replace(policy, max_age_days=None)
    log = policy
    now = case.question.now
    rows.step(
        8,
        lambda: _witnessed(
            verify_inclusion(log, case.day.root.parties, _need_proof(proof), entry, now),
            required=asked,
        ),
        lambda inclusion: inclusion.words,
    )


def _witnessed(inclusion: Inclusion, *, required: bool) -> Inclusion:
    """Demand a witness for who asks for a log: a log alone may show two histories."""
    if required and not inclusion.witnesses:
        raise NotEnoughError(
            "no witness has seen the log, and you ask for witnesses",
            hint="ask the project for a log with witnesses, or verify at level standard",
        )
    return inclusion


def _no_log() -> None:
    raise NotEnoughError(
        "the root names no transparency log, and you ask for one",
        hint="ask the project for a log, or verify at level standard",
    )


def _need_proof(proof: bytes | None) -> bytes:
    if proof is None:
        raise NotEnoughError(
            "the bundle holds no proof that the log has this release",
            where=PROOF_FILE,
            hint="download the bundle again, or ask the project to log the release",
        )
    return proof


def _ask_freshness(case: Case, rows: Rows) -> None:
    """Step 9: listed by a publisher lately, and nothing newer is."""
    question, policy = case.question, case.root.root.policy
    demands = question.demands
    required = (
        policy.freshness.required
        or demands.freshness_days is not None
        or demands.level is Level.PARANOID
    )
    if question.listing is None and not required:
        rows.not_required(9, "the root asks for no freshness proof")
        return
    predicate = case.evidence.statement.predicate
    release = ReleaseInHand(
        project=predicate.project,
        version=predicate.version,
        sequence=predicate.sequence,
        statement_sha256=case.evidence.statement_digest,
        revoked=any(
            revokes(r, predicate.version, case.evidence.statement_digest) for r in policy.revoked
        ),
    )
    demand = FreshnessDemand(wanted=question.wanted, max_age_days=demands.freshness_days)

    def ask() -> str | Row:
        try:
            return verify_freshness(_listing(case), release, demand, question.now)
        except NotEnoughError as error:
            if required:
                raise
            # What nobody asks for may be missing; what contradicts is refused all the same.
            return Row(9, STEPS[8], Outcome.NOT_REQUIRED, f"not asked for; {error}")

    rows.step(9, ask, lambda said: said)


def _listing(case: Case) -> VerifiedListing | None:
    """Return the listing at hand, if it is one of this project's publishers.

    Anything else is no evidence: a cache that a rotation or a crash left behind must not
    speak against a release, and what a stranger signed must not either.
    """
    files, project = case.question.listing, case.root.root.project
    if files is None:
        return None
    try:
        listing = verify_listing(case.root.having("publisher"), files, case.question.now)
    except (VerificationError, InputError) as error:
        raise NotEnoughError(
            f"the listing at hand does not hold: {error.what}",
            where=error.where,
            hint=f"get a new one: relsign trust refresh {project}",
        ) from error
    if listing.project != project:
        raise NotEnoughError(
            f"the listing at hand is of {listing.project}",
            hint=f"get a new one: relsign trust refresh {project}",
        )
    return listing


def _fingerprints(case: Case, build: Agreement, layout: TrustedLayout) -> str:
    """Step 6: what the fingerprints bind, and an own rebuild where there is one."""
    question = case.question
    bound = verify_fingerprints(case.evidence, build, layout.recipe_sha256)
    same = require_rebuilt(
        question.rebuilt,
        bound,
        tuple(question.artifacts),
        required=question.demands.level is Level.PARANOID,
    )
    return f"{len(bound)} bound{same}"
