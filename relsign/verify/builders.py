"""Step 5, the builders: a quorum of each step, as unlike and as committed as the root asks.

A quorum of the step `build` where the layout has checks is one of builders who ran them.
"""

from __future__ import annotations

import msgspec

from relsign.crypto.keys import Party
from relsign.errors import NotEnoughError, VerificationError
from relsign.formats.canonical import Value, shorten
from relsign.formats.layout import Step
from relsign.formats.link import ReleaseBinding, link_file_name
from relsign.verify.agreement import (
    Agreement,
    Report,
    Reports,
    find_agreement,
    read_reports,
)
from relsign.verify.checks import count_checked
from relsign.verify.commitments import count_committed
from relsign.verify.diversity import require_diversity
from relsign.verify.layout import TrustedLayout, verify_steps
from relsign.verify.provenance import ignored_provenance
from relsign.verify.question import Case


class BuildersAgreed(Value, frozen=True):
    """The quorum of the step `build`, and who is not part of it."""

    build: Agreement
    """Where the layout has checks, only of builders who ran them too."""
    checked: bool
    """Whether the layout has checks."""
    dissent: tuple[str, ...]
    """A line for each builder and step that says otherwise."""
    dissenters: tuple[Party, ...]
    ignored: tuple[str, ...]


def find_builders(case: Case, layout: TrustedLayout) -> BuildersAgreed:
    """Return the quorum of a release's builders, every step's rules kept.

    (1) Reports by another command than the layout's count for nobody; (2) each step has
    its quorum; (3) dissent, where the person refuses it; (4) the layout's rules; (5) who
    ran the checks too, where the layout has them; (6) who had committed, where the root
    asks for it; (7) how unlike they are.  Raises VerificationError or NotEnoughError.
    """
    files, day = case.evidence.files, case.day
    predicate, policy = case.evidence.statement.predicate, day.root.root.policy
    binding = ReleaseBinding(project=predicate.project, version=predicate.version)
    reports = read_reports(files, layout.builders, binding, day.at)
    reports = _of_steps(layout, reports)
    kept, strange = _keeping_commands(layout, reports)
    agreements: dict[str, Agreement] = {
        step.name: _find_agreement(case, step, kept, strange) for step in layout.layout.steps
    }
    dissent = tuple(r for agreement in agreements.values() for r in agreement.dissent) + strange
    _refuse_dissent(case, dissent)
    verify_steps(layout.layout, agreements)
    build, quorum = agreements["build"], (case.need("builders"), case.need("organisations"))
    if layout.layout.has_checks:
        build = count_checked(build, agreements["check"], *quorum)
    if policy.commit:
        build = count_committed(build, files, binding, *quorum, day.at)
    require_diversity(build, policy.diversity)
    ignored = reports.ignored + build.notes + ignored_provenance(files, reports, day.at)
    lines = tuple(_say_dissent(report, strange) for report in dissent)
    return BuildersAgreed(build, layout.layout.has_checks, lines, _each_once(dissent), ignored)


def _say_dissent(report: Report, strange: tuple[Report, ...]) -> str:
    other = "checked other files" if report.link.name == "check" else "got other bytes"
    what = "ran another command" if report in strange else other
    return f"dissent: {report.builder.name} {what} at step {report.link.name}"


def _each_once(dissent: tuple[Report, ...]) -> tuple[Party, ...]:
    return tuple({report.builder.name: report.builder for report in dissent}.values())


def _of_steps(layout: TrustedLayout, reports: Reports) -> Reports:
    """Return the reports without those of steps that the layout does not have."""
    names = {step.name for step in layout.layout.steps}
    return Reports(
        tuple(r for r in reports.standing if r.link.name in names),
        reports.ignored
        + tuple(
            f"{link_file_name(r.link.name, r.builder.keyid)}: the layout has no such step"
            for r in reports.standing
            if r.link.name not in names
        ),
    )


def _keeping_commands(
    layout: TrustedLayout, reports: Reports
) -> tuple[Reports, tuple[Report, ...]]:
    """Return the reports by the layout's commands, and those by others, which count for nobody."""
    kept: list[Report] = []
    strange: list[Report] = []
    for report in reports.standing:
        expected = layout.layout.step(report.link.name).expected_command
        (kept if report.link.command == expected else strange).append(report)
    return msgspec.structs.replace(reports, standing=tuple(kept)), tuple(strange)


def _find_agreement(
    case: Case, step: Step, reports: Reports, strange: tuple[Report, ...]
) -> Agreement:
    """Return a step's quorum; where another command keeps it from being met, refuse."""
    threshold = max(step.threshold, case.need("builders"))
    try:
        return find_agreement(step.name, reports, threshold, case.need("organisations"))
    except NotEnoughError as error:
        others = [report for report in strange if report.link.name == step.name]
        if not others:
            raise
        raise VerificationError(
            f"{others[0].builder.name} ran another command",
            expected=" ".join(step.expected_command),
            got=shorten(" ".join(others[0].link.command)),
        ) from error


def _refuse_dissent(case: Case, dissent: tuple[Report, ...]) -> None:
    names = sorted({report.builder.name for report in dissent})
    if case.question.demands.refuse_dissent and names:
        raise VerificationError(
            f"dissent: {shorten(', '.join(names))} got other bytes or ran another command",
            hint='find out why, or set dissent = "record" in the policy',
        )
