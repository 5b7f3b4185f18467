"""The trust decision, in nine numbered steps.

    1 root         pinned, keys acceptable, unexpired
    2 bytes        the files in hand are artifacts the statement names
    3 signers      t of m, distinct keys and operators
    4 layout       m of n owners, unexpired, the one the signers named
    5 builders     k of n links agree, bound to this release, in g organisations,
                   and keep the layout's rules
    6 fingerprint  binds sources, environment, recipe, profile, artifacts
    7 revocation   not revoked, not from the future
    8 log          inclusion and witnesses, where the root asks for it
    9 fresh        where the root asks for it

Everything is an argument: no file, clock, network or process is reachable from
here, and nothing in the evidence is ever run.  `VerifiedRelease` can be had only
from here, and publication accepts nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from relsign.crypto.keys import Party
from relsign.errors import InputError, NotEnoughError, RelsignError, VerificationError
from relsign.formats.canonical import shorten
from relsign.formats.link import ReleaseBinding
from relsign.verify.agreement import Agreement, find_agreement, read_reports
from relsign.verify.fingerprint import verify_fingerprints
from relsign.verify.layout import TrustedLayout, verify_layout, verify_steps
from relsign.verify.provenance import ignored_provenance
from relsign.verify.release import (
    Evidence,
    open_evidence,
    verify_bytes,
    verify_signers,
    verify_standing,
)
from relsign.verify.root import TrustedRoot, verify_root
from relsign.verify.verdict import STEPS, Outcome, Row, Verdict, Word

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be decided, and on what."""

    root: bytes
    """The pinned `root.json`."""
    bundle: bytes | None
    """The release's bundle, or None where there is none."""
    artifacts: Mapping[str, str]
    """Name -> SHA-256 of the files in hand."""
    now: datetime
    """Aware UTC; fixed once, before the first step."""
    refuse_dissent: bool = False
    """Whether one builder's other bytes refuse a release that has its quorum."""


@dataclass(frozen=True, slots=True)
class VerifiedRelease:
    """A release that passed all nine steps; made by `decide` and by nothing else."""

    evidence: Evidence
    signers: tuple[Party, ...]
    builders: tuple[Party, ...]
    dissenters: tuple[Party, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict, and the release if it is VERIFIED."""

    verdict: Verdict
    release: VerifiedRelease | None


def decide(question: Question) -> Decision:
    """Take the trust decision; raises nothing: whatever is wrong becomes a row."""
    rows = _Rows()
    release = _decide(question, rows)
    verdict = Verdict(rows.complete())
    if verdict.word is not Word.VERIFIED:
        return Decision(verdict, None)
    return Decision(verdict, release)


def _decide(question: Question, rows: _Rows) -> VerifiedRelease | None:
    now = question.now
    root = rows.step(1, lambda: verify_root(question.root, now), _say_root)
    if root is None:
        return None
    evidence = rows.step(2, lambda: _open(question.bundle))
    if evidence is None:
        return None
    rows.step(2, lambda: verify_bytes(root, evidence, question.artifacts), str)
    signers = rows.step(
        3, lambda: verify_signers(root, evidence, now), lambda s: _say_signers(root, s)
    )
    layout = rows.step(4, lambda: verify_layout(root, evidence, now), _say_layout)
    rows.step(7, lambda: verify_standing(root, evidence, now), str)
    rows.not_required(8, "the root asks for no transparency log")
    rows.not_required(9, "the root asks for no freshness proof")
    if layout is None:
        return None
    agreed = rows.step(
        5, lambda: _agree(question, root, evidence, layout), lambda a: _say_builders(root, a)
    )
    if agreed is None:
        return None
    build, recipe = agreed.build, layout.recipe_sha256
    rows.step(6, lambda: verify_fingerprints(evidence, build, recipe), lambda f: f"{len(f)} bound")
    dissenters = tuple(report.builder for report in build.dissent)
    return VerifiedRelease(evidence, signers or (), build.builders, dissenters)


@dataclass(frozen=True, slots=True)
class _Agreed:
    build: Agreement
    ignored: tuple[str, ...]


def _open(bundle: bytes | None) -> Evidence:
    if bundle is None:
        raise NotEnoughError(
            "no bundle was found beside the file",
            hint="download PROJECT-VERSION.relsign beside it, or name it with --bundle",
        )
    return open_evidence(bundle)


def _agree(
    question: Question, root: TrustedRoot, evidence: Evidence, layout: TrustedLayout
) -> _Agreed:
    predicate = evidence.statement.predicate
    binding = ReleaseBinding(project=predicate.project, version=predicate.version)
    reports = read_reports(evidence.files, layout.builders, binding, question.now)
    agreements: dict[str, Agreement] = {
        step.name: find_agreement(
            step.name, reports, step.threshold, root.root.thresholds.organisations
        )
        for step in layout.layout.steps
    }
    dissent = [report for agreement in agreements.values() for report in agreement.dissent]
    if question.refuse_dissent and dissent:
        names = ", ".join(sorted({report.builder.name for report in dissent}))
        raise VerificationError(
            f"dissent: {shorten(names)} got other bytes",
            hint='find out why, or set dissent = "record" in the policy',
        )
    for report in reports.standing:
        if report in dissent:
            continue
        expected = layout.layout.step(report.link.name).expected_command
        if report.link.command != expected:
            raise VerificationError(
                f"{report.builder.name} ran another command",
                expected=" ".join(expected),
                got=shorten(" ".join(report.link.command)),
            )
    verify_steps(layout.layout, agreements)
    notes = reports.ignored + ignored_provenance(evidence.files, reports, question.now)
    return _Agreed(agreements["build"], notes)


class _Rows:
    """Collects one row per step; the worse of two outcomes of a step stays."""

    def __init__(self) -> None:
        self._rows: dict[int, Row] = {}

    def step(
        self, number: int, check: Callable[[], T], say: Callable[[T], str | Row] | None = None
    ) -> T | None:
        """Run one check; its result, or None with the row that says why not."""
        name = STEPS[number - 1]
        try:
            result = check()
        except NotEnoughError as error:
            self._rows[number] = _row(number, Outcome.MISSING, error)
        except (VerificationError, InputError) as error:
            self._rows[number] = _row(number, Outcome.REFUSED, error)
        else:
            if say is not None:
                said = say(result)
                self._rows[number] = (
                    said if isinstance(said, Row) else Row(number, name, Outcome.PASS, said)
                )
            return result
        return None

    def not_required(self, number: int, text: str) -> None:
        """Record a step the root does not ask for."""
        self._rows[number] = Row(number, STEPS[number - 1], Outcome.NOT_REQUIRED, text)

    def complete(self) -> tuple[Row, ...]:
        """Return all nine rows; a step without one was not reached."""
        return tuple(
            self._rows.get(number)
            or Row(number, name, Outcome.NOT_REACHED, "not reached: an earlier step failed")
            for number, name in enumerate(STEPS, 1)
        )


def _row(number: int, outcome: Outcome, error: RelsignError) -> Row:
    return Row(number, STEPS[number - 1], outcome, str(error), error.hint)


def _say_root(root: TrustedRoot) -> str:
    until = root.root.expires.date().isoformat()
    return f"{root.root.project}, version {root.root.version}, valid until {until}"


def _say_signers(root: TrustedRoot, signers: tuple[Party, ...]) -> str:
    names = " ".join(party.name for party in signers)
    of = len(root.having("signer"))
    need = root.root.thresholds.signers
    return f"{len(signers)} of {of} signed (need {need}): {names}"


def _say_layout(layout: TrustedLayout) -> str:
    names = " ".join(party.name for party in layout.owners)
    until = layout.layout.expires.date().isoformat()
    return f"{len(layout.owners)} owners signed, valid until {until}: {names}"


def _say_builders(root: TrustedRoot, agreed: _Agreed) -> Row:
    build = agreed.build
    of = len(root.having("builder"))
    need = (
        f"need {root.root.thresholds.builders}, {root.root.thresholds.organisations} organisations"
    )
    names = " ".join(party.name for party in build.builders)
    text = f"{len(build.builders)} of {of} built the same bytes ({need}): {names}"
    dissent = tuple(f"dissent: {report.builder.name} got other bytes" for report in build.dissent)
    if dissent:
        text += f"; {len(dissent)} dissent"
    return Row(5, STEPS[4], Outcome.PASS, text, evidence=dissent + agreed.ignored)
