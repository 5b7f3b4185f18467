"""What a root withstands: how many losses, how many thefts, and where one is too many.

Decides nothing: a root that `check_root` accepts is valid, however frail.  The owners
read this before they sign one, and whoever pins it may.

    analysis = analyse(root, now)
    for finding in analysis.findings:
        print(finding.gravity.name, finding.what)
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from relsign.formats.root import Root
from relsign.verify import findings
from relsign.verify.findings import Finding
from relsign.verify.root import check_root
from relsign.verify.tolerance import Tolerance, duties, tolerance


@dataclass(frozen=True, slots=True)
class Analysis:
    """The numbers of each role, and every single point of failure, the gravest first."""

    project: str
    version: int
    roles: tuple[Tolerance, ...]
    findings: tuple[Finding, ...]


def analyse(root: Root, now: datetime, listing_expires: datetime | None = None) -> Analysis:
    """Return what a root withstands at `now` (aware UTC), signed or not.

    `listing_expires` is when what the publishers signed last expires, where that is
    known.  Raises InputError for a root that cannot stand (`check_root`).
    """
    parties = check_root(root)
    found = duties(root.policy, parties)
    said: list[Finding] = []
    for duty in found:
        said += findings.of_duty(duty)
    said += findings.of_release(root, found)
    said += findings.of_release_key(root, found)
    said += findings.of_people(parties)
    said += findings.of_publishers(root, found)
    said += findings.of_log(root, parties)
    said += findings.of_dates(root, parties, listing_expires, now)
    said += findings.of_builders(root)
    # Sorted by gravity alone: within one, the order of the roles is the order to read in.
    said.sort(key=lambda finding: finding.gravity)
    return Analysis(
        project=root.project,
        version=root.version,
        roles=tuple(tolerance(duty) for duty in found),
        findings=tuple(said),
    )
