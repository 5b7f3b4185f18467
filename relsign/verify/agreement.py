"""Step 5, agreement: the product digests that enough distinct builders report.

Each link is opened by itself: one that is malformed, unsigned, or bound to
another release is named and counts for nobody.  Links that stand are grouped by
what they say; a group meets the quorum with k operators of g organisations.
Dissent is recorded and shown; whether it also refuses is the caller's policy.

One builder, one voice: whoever signed two different links for a step, or operates
two builders that differ, counts for nobody and is named.

Missing evidence is NOT ENOUGH, contradiction is REFUSED:

    one group, too few operators or organisations        NotEnoughError
    several groups, one of them with the quorum          that group, the rest dissents
    several groups, none with the quorum                 VerificationError
    several groups, two of them with the quorum          VerificationError

Builders who contradict each other refuse even where one more report could still
settle it: somebody has other bytes, and people should look before anybody trusts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime

from relsign.crypto.keys import Party
from relsign.crypto.signatures import verify_envelope
from relsign.crypto.threshold import distinct_operators, distinct_organisations
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.canonical import Value
from relsign.formats.commitment import commitment_file_name
from relsign.formats.envelope import parse_envelope
from relsign.formats.link import (
    STEP_NAMES,
    Artifacts,
    Link,
    ReleaseBinding,
    StepName,
    link_file_name,
    parse_link,
)
from relsign.formats.provenance import provenance_file_name
from relsign.verify.rules import StepArtifacts

_LINK_NAME = re.compile(rf"(?:{'|'.join(STEP_NAMES)})\.(?P<keyid>[0-9a-f]{{8}})\.link")


class Report(Value, frozen=True):
    """One builder's link for one step, signature and binding checked."""

    builder: Party
    link: Link

    @property
    def says(self) -> StepArtifacts:
        """Paths and digests of both sides."""
        return StepArtifacts(_plain(self.link.materials), _plain(self.link.products))

    def agrees(self, other: Report) -> bool:
        """Say whether another link names the same paths and digests, on both sides."""
        # As tuples, so that what two links share is not compared entry by entry.
        mine = (self.link.materials, self.link.products)
        return mine == (other.link.materials, other.link.products)


class Reports(Value, frozen=True):
    """All links that stand, and a line for each file that does not."""

    standing: tuple[Report, ...]
    ignored: tuple[str, ...]


class OwnEvidence(Value, frozen=True):
    """Evidence that lies where it belongs: by name, and a line for what does not."""

    files: dict[str, bytes]
    ignored: tuple[str, ...]


class Agreement(Value, frozen=True):
    """The quorum of one step, and who said otherwise."""

    step: str
    builders: tuple[Party, ...]
    organisations: tuple[str, ...]
    says: StepArtifacts
    dissent: tuple[Report, ...]
    reports: tuple[Report, ...] = ()
    """Every link that says so, by name of its builder; maybe several of one operator."""
    notes: tuple[str, ...] = ()
    """A line for each builder that spoke and counts for nobody."""

    @property
    def counted(self) -> tuple[Report, ...]:
        """The links of `builders`: one of each operator."""
        names = {party.name for party in self.builders}
        return tuple(report for report in self.reports if report.builder.name in names)


def own_evidence(
    evidence: Mapping[str, Mapping[str, bytes]], builders: tuple[Party, ...]
) -> OwnEvidence:
    """Return the links, commitments and provenance that lie in their own builder's folder.

    `evidence` maps build folders to their files.  A link counts only in the folder
    of the builder whose keyid it is named after, so that nobody's file can stand in
    another's place.  Fingerprints are left out: they are found by digest.
    """
    by_name = {party.name: party for party in builders}
    files: dict[str, bytes] = {}
    ignored: list[str] = []
    for folder in sorted(evidence):
        party = by_name.get(folder)
        own: set[str] = set()
        if party is not None:
            own = {link_file_name(step, party.keyid) for step in STEP_NAMES}
            own |= {provenance_file_name(party.name), commitment_file_name(party.keyid)}
        for name in sorted(evidence[folder]):
            if name in own:
                files[name] = evidence[folder][name]
            elif not name.endswith(".fingerprint.json"):
                ignored.append(f"builds/{folder}/{name}: not a file of this builder")
    return OwnEvidence(files, tuple(ignored))


def read_reports(
    files: Mapping[str, bytes],
    builders: tuple[Party, ...],
    binding: ReleaseBinding,
    now: datetime,
) -> Reports:
    """Return the links among `files` that a builder signed for this very release."""
    standing: list[Report] = []
    ignored: list[str] = []
    for name in sorted(files):
        if not name.endswith(".link"):
            continue
        try:
            before = standing[-1].link if standing else None
            standing.append(read_report(name, files[name], builders, binding, now, before))
        except (InputError, VerificationError) as error:
            ignored.append(f"{name}: {error.what}")
    return Reports(tuple(standing), tuple(ignored))


def read_report(
    name: str,
    data: bytes,
    builders: tuple[Party, ...],
    binding: ReleaseBinding,
    now: datetime,
    before: Link | None = None,
) -> Report:
    """Return one link, checked; raise InputError or VerificationError if it cannot count.

    (1) its name is a link's, with the keyid of a builder; (2) it has one signature,
    that builder's; (3) it is a link, for the step its file name says; (4) it is
    bound to this release.  What it says may be shared with the link read `before`.
    """
    match = _LINK_NAME.fullmatch(name)  # (1)
    named = tuple(p for p in builders if match is not None and p.keyid[:8] == match["keyid"])
    if not named:
        raise InputError("not the name of a known builder's link", where=name)
    envelope = parse_envelope(data, name)
    valid = verify_envelope(envelope, named, now).valid  # (2)
    if len(envelope.signatures) != 1 or not valid:
        raise VerificationError("not signed by the builder it is named after", where=name)
    link = parse_link(envelope.payload, name, before)  # (3)
    if name != link_file_name(link.name, valid[0].keyid):
        raise VerificationError("filed under another step", where=name)
    if link.environment != binding:  # (4)
        raise VerificationError(
            "belongs to another release",
            where=name,
            expected=f"{binding.project} {binding.version}",
            got=f"{link.environment.project} {link.environment.version}",
        )
    return Report(valid[0], link)


def find_agreement(
    step: StepName, reports: Reports, threshold: int, organisations: int
) -> Agreement:
    """Return the quorum of `step`: `threshold` operators of so many organisations.

    Raises VerificationError when builders contradict each other and no group, or
    more than one, has the quorum; NotEnoughError when too few have reported.
    """
    spoken = sorted(
        (report for report in reports.standing if report.link.name == step),
        key=lambda report: report.builder.name,
    )
    single, notes = _single_voices(step, spoken)
    groups = _grouped(single)
    divided = _divided_operators(groups)
    notes += tuple(
        f"{name}: its builders contradict each other at step {step}: counts for nobody"
        for name in divided
    )
    quorate = [g for g in groups if is_quorum(_counting(g, divided), threshold, organisations)]
    if len(quorate) > 1:
        raise VerificationError(
            f"two quorums contradict each other at step {step}",
            got="; ".join(_names(group) for group in quorate),
            hint=_COMPARE,
        )
    if quorate:
        agreeing = tuple(r for r in quorate[0] if r.builder.operator not in divided)
        builders = distinct_operators(tuple(r.builder for r in agreeing))
        return Agreement(
            step=step,
            builders=builders,
            organisations=distinct_organisations(builders),
            says=agreeing[0].says,
            dissent=tuple(r for r in spoken if not r.agrees(agreeing[0])),
            reports=agreeing,
            notes=notes,
        )
    need = f"(need {threshold} from {organisations} organisations)"
    if len(groups) > 1:
        raise _disagreement(step, groups, need)
    ignored = "".join(f"; {line}" for line in (*notes, *reports.ignored)[:1])
    heard = distinct_operators(tuple(r.builder for r in single))
    raise NotEnoughError(
        f"{len(heard)} builders reported step {step} {need}{ignored}",
        hint=_WAIT_CHECK if step == "check" else "wait for more builders, or build it yourself",
    )


_COMPARE = "`relsign status` shows which files differ"
_WAIT_CHECK = (
    "the recipe has checks, which `relsign build` runs: ask the builders for the check link "
    "beside their build's, or build it yourself"
)
_Group = tuple[Report, ...]


def is_quorum(builders: tuple[Party, ...], threshold: int, organisations: int) -> bool:
    """Say whether `builders` are `threshold` operators of so many organisations."""
    distinct = distinct_operators(builders)
    return len(distinct) >= threshold and len(distinct_organisations(distinct)) >= organisations


def _single_voices(step: str, spoken: Iterable[Report]) -> tuple[_Group, tuple[str, ...]]:
    """Return one report of each builder, without those who signed two different links."""
    said: dict[str, list[Report]] = {}
    for report in spoken:
        said.setdefault(report.builder.name, []).append(report)
    double = {name for name, each in said.items() if any(r.link != each[0].link for r in each[1:])}
    single = tuple(each[0] for name, each in said.items() if name not in double)
    return single, tuple(
        f"{name}: signed two different links for step {step}: counts for nobody"
        for name in sorted(double)
    )


def _grouped(reports: _Group) -> list[_Group]:
    """Return the reports in groups that say the same, in the order they came."""
    groups: list[list[Report]] = []
    for report in reports:
        own = next((group for group in groups if report.agrees(group[0])), None)
        if own is None:
            groups.append([report])
        else:
            own.append(report)
    return [tuple(group) for group in groups]


def _divided_operators(groups: list[_Group]) -> tuple[str, ...]:
    """Return the operators whose builders stand in more than one group, sorted."""
    operators = [{report.builder.operator for report in group} for group in groups]
    return tuple(
        sorted(name for name in set().union(*operators) if sum(name in o for o in operators) > 1)
    )


def _counting(group: _Group, divided: tuple[str, ...]) -> tuple[Party, ...]:
    return tuple(r.builder for r in group if r.builder.operator not in divided)


def _disagreement(step: str, groups: list[_Group], need: str) -> VerificationError:
    """Return the error for builders of whom too few say the same."""
    names = _names(tuple(report for group in groups for report in group))
    products = [group[0].link.products for group in groups]
    same = all(each == products[0] for each in products)
    verb = "checked" if step == "check" else "built from"
    what = f" on what they {verb}" if same else ""
    return VerificationError(
        f"builders disagree{what} at step {step}: {names} {need}", hint=_COMPARE
    )


def _names(group: _Group) -> str:
    return ", ".join(sorted(report.builder.name for report in group))


def _plain(artifacts: Artifacts) -> dict[str, str]:
    return {path: digests.sha256 for path, digests in artifacts.items()}
