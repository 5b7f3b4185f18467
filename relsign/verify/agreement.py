"""Step 5, agreement: the product digests that enough distinct builders report.

Each link is opened by itself: one that is malformed, unsigned, or bound to
another release is named and counts for nobody.  Links that stand are grouped by
what they say; a group meets the quorum with k operators of g organisations.
Dissent is recorded and shown; whether it also refuses is the caller's policy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from relsign.crypto.keys import Party
from relsign.crypto.signatures import verify_envelope
from relsign.crypto.threshold import distinct_operators, distinct_organisations
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.envelope import parse_envelope
from relsign.formats.link import Artifacts, Link, ReleaseBinding, link_file_name, parse_link
from relsign.verify.rules import StepArtifacts

_LINK_NAME = re.compile(r"(source|build)\.(?P<keyid>[0-9a-f]{8})\.link")


@dataclass(frozen=True, slots=True)
class Report:
    """One builder's link for one step, signature and binding checked."""

    builder: Party
    link: Link

    @property
    def says(self) -> StepArtifacts:
        """Paths and digests of both sides."""
        return StepArtifacts(_plain(self.link.materials), _plain(self.link.products))


@dataclass(frozen=True, slots=True)
class Reports:
    """All links that stand, and a line for each file that does not."""

    standing: tuple[Report, ...]
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OwnEvidence:
    """Evidence that lies where it belongs: by name, and a line for what does not."""

    files: dict[str, bytes]
    ignored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """The quorum of one step, and who said otherwise."""

    step: str
    builders: tuple[Party, ...]
    organisations: tuple[str, ...]
    says: StepArtifacts
    dissent: tuple[Report, ...]


def own_evidence(
    evidence: Mapping[str, Mapping[str, bytes]], builders: tuple[Party, ...]
) -> OwnEvidence:
    """Return the links and provenance that lie in their own builder's folder.

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
            own = {link_file_name(step, party.keyid) for step in ("source", "build")}
            own.add(f"{party.name}.intoto.jsonl")
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
            standing.append(read_report(name, files[name], builders, binding, now))
        except (InputError, VerificationError) as error:
            ignored.append(f"{name}: {error.what}")
    return Reports(tuple(standing), tuple(ignored))


def read_report(
    name: str,
    data: bytes,
    builders: tuple[Party, ...],
    binding: ReleaseBinding,
    now: datetime,
) -> Report:
    """Return one link, checked; raise InputError or VerificationError if it cannot count.

    (1) its name is a link's, with the keyid of a builder; (2) it has one signature,
    that builder's; (3) it is a link, for the step its file name says; (4) it is
    bound to this release.
    """
    match = _LINK_NAME.fullmatch(name)  # (1)
    named = tuple(p for p in builders if match is not None and p.keyid[:8] == match["keyid"])
    if not named:
        raise InputError("not the name of a known builder's link", where=name)
    envelope = parse_envelope(data, name)
    valid = verify_envelope(envelope, named, now).valid  # (2)
    if len(envelope.signatures) != 1 or not valid:
        raise VerificationError("not signed by the builder it is named after", where=name)
    link = parse_link(envelope.payload, name)  # (3)
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


def find_agreement(step: str, reports: Reports, threshold: int, organisations: int) -> Agreement:
    """Return the quorum of `step`.

    Raises VerificationError when builders contradict each other and no group, or
    more than one, has the quorum; NotEnoughError when too few have reported.
    """
    mine = sorted(
        (report for report in reports.standing if report.link.name == step),
        key=lambda report: report.builder.name,
    )
    groups: dict[tuple[tuple[tuple[str, str], ...], ...], list[Report]] = {}
    for report in mine:
        says = report.says
        key = (tuple(sorted(says.materials.items())), tuple(sorted(says.products.items())))
        groups.setdefault(key, []).append(report)
    quorate = [g for g in groups.values() if _is_quorum(g, threshold, organisations)]
    need = f"(need {threshold} from {organisations} organisations)"
    if len(quorate) > 1:
        raise VerificationError(f"two quorums contradict each other at step {step}")
    if quorate:
        builders = distinct_operators(tuple(r.builder for r in quorate[0]))
        return Agreement(
            step=step,
            builders=builders,
            organisations=distinct_organisations(builders),
            says=quorate[0][0].says,
            dissent=tuple(r for r in mine if r not in quorate[0]),
        )
    if len(groups) > 1:
        names = ", ".join(sorted(r.builder.name for r in mine))
        raise VerificationError(
            f"builders disagree at step {step}: {names} {need}",
            hint="`relsign status` shows which files differ",
        )
    ignored = f"; {reports.ignored[0]}" if reports.ignored else ""
    raise NotEnoughError(
        f"{len(mine)} builders reported step {step} {need}{ignored}",
        hint="wait for more builders, or build it yourself",
    )


def _is_quorum(group: list[Report], threshold: int, organisations: int) -> bool:
    builders = distinct_operators(tuple(report.builder for report in group))
    return len(builders) >= threshold and len(distinct_organisations(builders)) >= organisations


def _plain(artifacts: Artifacts) -> dict[str, str]:
    return {path: digests.sha256 for path, digests in artifacts.items()}
