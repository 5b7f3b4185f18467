"""Where a release stands: who built, who signed, what is next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from relsign.crypto.digest import sha256_hex
from relsign.crypto.signatures import verify_envelope
from relsign.crypto.threshold import distinct_operators
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.bundle import LAYOUT_FILE, MAX_BUNDLE_BYTES, STATEMENT_FILE
from relsign.formats.envelope import Envelope, parse_envelope
from relsign.formats.layout import parse_layout
from relsign.formats.link import ReleaseBinding
from relsign.formats.statement import parse_statement
from relsign.sign.release import read_statement
from relsign.sign.statement import agreed_build, silent_builders
from relsign.system.files import read_bounded
from relsign.system.workspace import ReleaseFolder
from relsign.verify.agreement import own_evidence, read_reports
from relsign.verify.matrix import MISSING, SYMBOLS, Matrix, MatrixRow, agreement_matrix
from relsign.verify.root import TrustedRoot


@dataclass(frozen=True, slots=True)
class Stage:
    """One decision: how many of how many, who, and whether it is met."""

    name: str
    have: tuple[str, ...]
    need: int
    problem: str = ""
    missing: str = ""
    """Why enough people are still not enough: organisations, commitments, diversity."""

    @property
    def is_met(self) -> bool:
        """Say whether enough people took part and nothing contradicts."""
        return not self.problem and not self.missing and len(self.have) >= self.need


@dataclass(frozen=True, slots=True)
class Status:
    """The whole picture of a release in the making."""

    matrix: Matrix
    ignored: tuple[str, ...]
    stages: tuple[Stage, ...]
    silent: tuple[str, ...]
    """Builders of the root who have not reported."""
    has_publishers: bool
    """Whether the root names publishers, one of whom must sign what is published."""
    statement_sha256: str = ""
    """What a revocation of this release names; empty while there is no statement."""

    @property
    def differing(self) -> tuple[str, ...]:
        """Builders who got other bytes than most; all of one file where none has most."""
        names: dict[str, None] = {}
        for row in self.matrix.rows:
            names |= dict.fromkeys(differing(self.matrix, row))
        return tuple(names)

    @property
    def next_command(self) -> str:
        """Return the command that brings the release on, or what to find out first."""
        if self.stages[0].problem and self.differing:
            others = ", ".join(self.differing)
            return f"find out why {others} got other bytes, see docs/runbook.md; nothing is signed"
        if self.stages[0].problem:
            return "find out why the builders contradict each other, see docs/runbook.md"
        commands = ("relsign build --as NAME", "relsign policy sign --as NAME",
                    "relsign sign --as NAME")  # fmt: skip
        # A group's members sign with the same command, as often as it takes.
        for stage, command in zip(self.stages, (*commands, commands[-1]), strict=False):
            if not stage.is_met:
                return command
        return "relsign publish --to DIR" + (" --as NAME" if self.has_publishers else "")


def differing(matrix: Matrix, row: MatrixRow) -> tuple[str, ...]:
    """Return the builders whose bytes of a file are not those of most; all if none are."""
    found = [cell for cell in row.cells if cell != MISSING]
    counts = sorted((found.count(cell) for cell in set(found)), reverse=True)
    tie = len(counts) > 1 and counts[0] == counts[1]
    usual = "" if tie else SYMBOLS[0]
    pairs = zip(matrix.builders, row.cells, strict=True)
    return tuple(name for name, cell in pairs if cell not in {MISSING, usual})


def release_status(
    release: ReleaseFolder, root: TrustedRoot, now: datetime, *, checked: bool = False
) -> Status:
    """Return where a release stands; what is malformed is reported, never raised.

    `checked` says whether the recipe has checks: then only builders who ran them count.
    """
    evidence, strange = release.all_evidence()
    own = own_evidence(evidence, root.having("builder"))
    binding = ReleaseBinding(project=release.project, version=release.version)
    reports = read_reports(own.files, root.having("builder"), binding, now)
    matrix = agreement_matrix(reports)
    thresholds = root.root.thresholds
    builders, problem, missing = matrix.builders, "", ""
    try:
        agreed = agreed_build(
            root, release.project, release.version, evidence, now, checked=checked
        )
        builders = tuple(party.name for party in agreed.agreement.builders)
    except NotEnoughError as error:
        missing = error.what if len(builders) >= thresholds.builders else ""
    except (VerificationError, InputError) as error:
        problem = error.what
    return Status(
        matrix=matrix,
        ignored=strange + own.ignored + reports.ignored,
        stages=(
            Stage("builders", builders, thresholds.builders, problem, missing),
            _owners(release, root, now),
            _signers(release, root, now),
            *_release_key(release, root, now),
        ),
        silent=silent_builders(root, reports),
        has_publishers=bool(root.having("publisher")),
        statement_sha256=_statement_digest(release),
    )


def _statement_digest(release: ReleaseFolder) -> str:
    try:
        envelope = read_statement(release)
    except InputError:
        return ""
    return "" if envelope is None else sha256_hex(envelope.payload)


def _owners(release: ReleaseFolder, root: TrustedRoot, now: datetime) -> Stage:
    need = root.root.thresholds.owners
    try:
        envelope = parse_envelope(read_bounded(release.layout_file, MAX_BUNDLE_BYTES), LAYOUT_FILE)
    except NotEnoughError:
        return Stage("owners", (), need)
    except InputError as error:
        return Stage("owners", (), need, str(error))
    report = verify_envelope(envelope, root.having("owner"), now)
    have = tuple(party.name for party in distinct_operators(report.valid))
    return Stage("owners", have, need, "; ".join(report.bad))


def layout_expiry(release: ReleaseFolder) -> datetime | None:
    """Return when the layout in a release folder ends; None where there is none to be read."""
    try:
        envelope = parse_envelope(read_bounded(release.layout_file, MAX_BUNDLE_BYTES), LAYOUT_FILE)
        return parse_layout(envelope.payload, LAYOUT_FILE).expires
    except (NotEnoughError, InputError):
        return None


def _signers(release: ReleaseFolder, root: TrustedRoot, now: datetime) -> Stage:
    need = root.root.thresholds.signers
    try:
        envelope = read_statement(release)
    except InputError as error:
        return Stage("signers", (), need, str(error))
    if envelope is None:
        return Stage("signers", (), need)
    report = verify_envelope(envelope, root.having("signer"), now)
    # As the verifier counts: one operator's second key is nobody new.
    have = tuple(party.name for party in distinct_operators(report.valid))
    problem = "; ".join(report.bad) or _staleness(release, envelope)
    return Stage("signers", have, need, problem)


def _release_key(release: ReleaseFolder, root: TrustedRoot, now: datetime) -> tuple[Stage, ...]:
    """Return whether the release key signed, where the root has one and asks for it."""
    holders = root.having("release")
    if not holders or root.root.policy.release_key == "optional":
        return ()
    try:
        envelope = read_statement(release)
    except InputError as error:
        return (Stage("release key", (), 1, str(error)),)
    if envelope is None:
        return (Stage("release key", (), 1),)
    report = verify_envelope(envelope, holders, now)
    have = tuple(party.name for party in report.valid)
    return (Stage("release key", have, 1, "; ".join(report.bad)),)


def _staleness(release: ReleaseFolder, statement: Envelope) -> str:
    """Say so if the layout was changed after the statement was made."""
    try:
        layout = read_bounded(release.layout_file, MAX_BUNDLE_BYTES)
        named = parse_statement(statement.payload, STATEMENT_FILE).predicate.layout_sha256
        current = sha256_hex(parse_envelope(layout, LAYOUT_FILE).payload)
    except (NotEnoughError, InputError) as error:
        return str(error)
    if named == current:
        return ""
    return f"{STATEMENT_FILE} names an older layout: delete it and sign again"
