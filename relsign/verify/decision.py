"""The trust decision, in nine numbered steps.

    1 root         pinned, keys acceptable, each version signed by enough owners of the
                   one before and of its own, unexpired
    2 bytes        the files in hand are artifacts the statement names
    3 signers      t of m, distinct keys and operators
    4 layout       m of n owners, unexpired, the one the signers named
    5 builders     k of n links agree, bound to this release, in g organisations, as
                   unlike as the root asks, and keep the layout's rules
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

from collections.abc import Mapping
from datetime import datetime

import msgspec

from relsign.crypto.keys import Party
from relsign.errors import NotEnoughError, VerificationError
from relsign.formats.canonical import Value, shorten
from relsign.formats.link import ReleaseBinding
from relsign.formats.memory import Seen
from relsign.verify.agreement import Agreement, Reports, find_agreement, read_reports
from relsign.verify.commitments import count_committed
from relsign.verify.day import Day, find_day
from relsign.verify.demands import Demands, Level
from relsign.verify.diversity import require_diversity
from relsign.verify.fingerprint import verify_fingerprints
from relsign.verify.freshness import (
    FreshnessDemand,
    ListingFiles,
    ReleaseInHand,
    VerifiedListing,
    verify_freshness,
    verify_listing,
)
from relsign.verify.history import Presented, check_history
from relsign.verify.inclusion import PROOF_FILE, Inclusion, log_entry, verify_inclusion
from relsign.verify.layout import TrustedLayout, verify_layout, verify_steps
from relsign.verify.provenance import ignored_provenance
from relsign.verify.rebuilt import require_rebuilt
from relsign.verify.release import (
    Evidence,
    open_evidence,
    verify_bytes,
    verify_signers,
    verify_standing,
)
from relsign.verify.root import TrustedRoot, open_root, require_unexpired, walk_roots
from relsign.verify.rows import Rows, say_builders, say_layout, say_root, say_signers
from relsign.verify.verdict import STEPS, Outcome, Row, Verdict, Word


class Question(Value, frozen=True):
    """What is to be decided, and on what."""

    root: bytes
    """The newest `root.json` the person trusts."""
    bundle: bytes | None
    """The release's bundle, or None where there is none."""
    artifacts: Mapping[str, str]
    """Name -> SHA-256 of the files in hand."""
    now: datetime
    """Aware UTC; fixed once, before the first step."""
    demands: Demands = msgspec.field(default_factory=Demands)
    newer_roots: tuple[bytes, ...] = ()
    """Later versions of the root, in order; believed only as they extend it."""
    seen: tuple[Seen, ...] | None = None
    """Releases of this project that this person saw before; None where none are kept."""
    listing: ListingFiles | None = None
    """What a publisher signed last, as far as this person knows."""
    wanted: str | None = None
    """The version the person asked for by name; then an older one is no rollback."""
    rebuilt: Mapping[str, bytes] = msgspec.field(default_factory=dict)
    """Target -> fingerprint of the person's own rebuild."""


class VerifiedRelease(Value, frozen=True):
    """A release that passed all nine steps; made by `decide` and by nothing else."""

    evidence: Evidence
    signers: tuple[Party, ...]
    builders: tuple[Party, ...]
    dissenters: tuple[Party, ...]


class Decision(Value, frozen=True):
    """The verdict, and the release if it is VERIFIED at level standard or above."""

    verdict: Verdict
    release: VerifiedRelease | None
    evidence: Evidence | None = None
    """What was judged, as far as it could be read; believed only if VERIFIED."""
    root: TrustedRoot | None = None
    """The newest root that holds, whatever the verdict."""


class _Case(Value, frozen=True):
    """A question whose root holds and whose bundle could be read."""

    question: Question
    root: TrustedRoot
    day: Day
    evidence: Evidence

    def need(self, role: str) -> int:
        """Return the threshold of a role: the root's of its day, or the person's if higher."""
        thresholds, demands = self.day.root.root.thresholds, self.question.demands
        return max(int(getattr(thresholds, role)), int(getattr(demands, role)))


def decide(question: Question) -> Decision:
    """Take the trust decision; raises nothing: whatever is wrong becomes a row."""
    rows = Rows()
    release, root = None, rows.step(1, lambda: _pinned(question))
    evidence = rows.step(2, lambda: _open(question.bundle))
    if root is not None:
        root = _newest_root(question, root, evidence, rows)
    if root is not None and evidence is not None:
        trusted, opened = root, evidence
        day = rows.step(
            1, lambda: find_day(trusted, opened, question.now), lambda d: say_root(trusted, d)
        )
        if day is not None:
            release = _judge(_Case(question, trusted, day, opened), rows)
    verdict = Verdict(rows.complete())
    if verdict.word is not Word.VERIFIED:
        release = None
    return Decision(verdict, release, evidence, root)


def _pinned(question: Question) -> TrustedRoot:
    return walk_roots(open_root(question.root), question.newer_roots)


def _open(bundle: bytes | None) -> Evidence:
    if bundle is None:
        raise NotEnoughError(
            "no bundle was found beside the file",
            hint="download PROJECT-VERSION.relsign beside it, or name it with --bundle",
        )
    return open_evidence(bundle)


def _newest_root(
    question: Question, root: TrustedRoot, evidence: Evidence | None, rows: Rows
) -> TrustedRoot | None:
    """Walk on through the roots in the bundle; expiry is asked of the last one only."""
    newest = root
    if evidence is not None:
        walked = rows.step(1, lambda: walk_roots(root, evidence.roots))
        if walked is None:
            return None
        newest = walked
    if rows.step(1, lambda: require_unexpired(newest, question.now)) is None:
        return None
    if evidence is None:
        rows.step(1, lambda: newest, say_root)
    return newest


def _judge(case: _Case, rows: Rows) -> VerifiedRelease | None:
    question, day, evidence = case.question, case.day, case.evidence
    rows.step(2, lambda: verify_bytes(case.root, evidence, question.artifacts), str)
    need = case.need("signers")
    signers = rows.step(
        3,
        lambda: verify_signers(day.root, evidence, day.at, need),
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
        lambda: _agree(case, layout),
        lambda a: say_builders(day.root, question.demands, a.build, a.ignored),
    )
    if agreed is None:
        return None
    rows.step(6, lambda: _fingerprints(case, agreed.build, layout), str)
    dissenters = tuple(report.builder for report in agreed.build.dissent)
    return VerifiedRelease(evidence, signers or (), agreed.build.builders, dissenters)


def _standing(case: _Case) -> str:
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


def _ask_log(case: _Case, rows: Rows) -> None:
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
    # The log goes on after the day of a release, and its proof may be renewed.
    now = case.question.now
    rows.step(
        8,
        lambda: _witnessed(
            verify_inclusion(policy, case.day.root.parties, _need_proof(proof), entry, now),
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


def _ask_freshness(case: _Case, rows: Rows) -> None:
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


def _listing(case: _Case) -> VerifiedListing | None:
    files = case.question.listing
    if files is None:
        return None
    return verify_listing(case.root.having("publisher"), files, case.question.now)


class _Agreed(Value, frozen=True):
    build: Agreement
    ignored: tuple[str, ...]


def _agree(case: _Case, layout: TrustedLayout) -> _Agreed:
    """Step 5: the quorum of each step, its rules, and what was left out."""
    files, day = case.evidence.files, case.day
    predicate, policy = case.evidence.statement.predicate, day.root.root.policy
    binding = ReleaseBinding(project=predicate.project, version=predicate.version)
    reports = read_reports(files, layout.builders, binding, day.at)
    agreements: dict[str, Agreement] = {
        step.name: find_agreement(
            step.name,
            reports,
            max(step.threshold, case.need("builders")),
            case.need("organisations"),
        )
        for step in layout.layout.steps
    }
    _refuse_dissent(case, agreements)
    _require_commands(layout, reports, agreements)
    verify_steps(layout.layout, agreements)
    build = agreements["build"]
    if policy.commit:
        build = count_committed(
            build, files, binding, case.need("builders"), case.need("organisations"), day.at
        )
    require_diversity(build, policy.diversity)
    ignored = reports.ignored + build.notes + ignored_provenance(files, reports, day.at)
    return _Agreed(build, ignored)


def _refuse_dissent(case: _Case, agreements: Mapping[str, Agreement]) -> None:
    dissent = {r.builder.name for agreement in agreements.values() for r in agreement.dissent}
    if case.question.demands.refuse_dissent and dissent:
        raise VerificationError(
            f"dissent: {shorten(', '.join(sorted(dissent)))} got other bytes",
            hint='find out why, or set dissent = "record" in the policy',
        )


def _require_commands(
    layout: TrustedLayout, reports: Reports, agreements: Mapping[str, Agreement]
) -> None:
    dissent = [report for agreement in agreements.values() for report in agreement.dissent]
    for report in reports.standing:
        expected = layout.layout.step(report.link.name).expected_command
        if report not in dissent and report.link.command != expected:
            raise VerificationError(
                f"{report.builder.name} ran another command",
                expected=" ".join(expected),
                got=shorten(" ".join(report.link.command)),
            )


def _fingerprints(case: _Case, build: Agreement, layout: TrustedLayout) -> str:
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
