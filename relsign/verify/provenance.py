"""Provenance beside the links: it has no vote, and must not say otherwise than they do.

A file is `BUILDER.intoto.jsonl`, one DSSE envelope a line (SLSA v1 provenance).  What
does not hold is named as ignored; it can never make a release good or bad.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import UNSET

from relsign.crypto.signatures import verify_envelope
from relsign.errors import InputError, VerificationError
from relsign.formats.envelope import parse_envelope
from relsign.formats.provenance import PROVENANCE_ENDING, parse_provenance
from relsign.verify.agreement import Report, Reports

MAX_LINES = 100


def ignored_provenance(
    files: Mapping[str, bytes], reports: Reports, now: datetime
) -> tuple[str, ...]:
    """Return a line for each provenance file that does not hold; raises nothing."""
    builds = {r.builder.name: r for r in reports.standing if r.link.name == "build"}
    ignored: list[str] = []
    for name in sorted(files):
        if name.endswith(PROVENANCE_ENDING):
            report = builds.get(name.removesuffix(PROVENANCE_ENDING))
            try:
                check_provenance(name, files[name], report, now)
            except (InputError, VerificationError) as error:
                ignored.append(f"{name}: {error.what}")
    return tuple(ignored)


def check_provenance(name: str, data: bytes, report: Report | None, now: datetime) -> None:
    """Check one builder's provenance file against its own `build` link.

    (1) the builder has a link; (2) each line is an envelope with its signature;
    (3) each names that builder; (4) an input that goes by a material's name is that
    material; (5) together the subjects are the link's artifacts.
    Raises InputError or VerificationError.
    """
    if report is None:  # (1)
        raise VerificationError("provenance of nobody whose link stands", where=name)
    lines = data.removesuffix(b"\n").split(b"\n")
    if len(lines) > MAX_LINES:
        raise InputError("too many lines", where=name, expected=f"at most {MAX_LINES}")
    subjects: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        where = f"{name}:{number}"
        envelope = parse_envelope(line, where)
        if not verify_envelope(envelope, (report.builder,), now).valid:  # (2)
            raise VerificationError("not signed by its builder", where=where)
        provenance = parse_provenance(envelope.payload, where)
        builder = provenance.predicate.runDetails.builder.id
        if builder != f"urn:relsign:builder:{report.builder.name}":  # (3)
            raise VerificationError("names another builder", where=where, got=builder)
        for item in provenance.predicate.buildDefinition.resolvedDependencies:
            if item.name is UNSET:
                continue  # a package the lock names; the lock is a material
            if report.link.materials.get(item.name) != item.digest:
                raise VerificationError(  # (4)
                    "names other inputs than its builder's link", where=where, got=item.name
                )
        subjects |= {subject.name: subject.digest.sha256 for subject in provenance.subject}
    products = report.says.products
    artifacts = {n: d for n, d in products.items() if not n.endswith(".fingerprint.json")}
    if subjects != artifacts:  # (5)
        raise VerificationError("names other files than its builder's link", where=name)
