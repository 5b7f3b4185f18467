"""Make a release statement from what builders agreed on and owners signed.

Each signer makes it again from the documents on its own disk and refuses to sign
if the bytes differ: nobody signs bytes somebody else chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from relsign.crypto.digest import sha256_hex
from relsign.errors import NotEnoughError, VerificationError
from relsign.formats.fingerprint import Fingerprint, parse_fingerprint
from relsign.formats.link import ReleaseBinding, Sha256
from relsign.formats.names import Digest
from relsign.formats.statement import (
    FingerprintId,
    PreviousRelease,
    ReleasePredicate,
    Statement,
    Subject,
)
from relsign.verify.agreement import (
    Agreement,
    Reports,
    find_agreement,
    own_evidence,
    read_reports,
)
from relsign.verify.checks import count_checked
from relsign.verify.commitments import count_committed
from relsign.verify.diversity import require_diversity
from relsign.verify.fingerprint import products_of
from relsign.verify.root import TrustedRoot


@dataclass(frozen=True, slots=True)
class AgreedBuild:
    """What the quorum of builders made, with the fingerprints that list it."""

    agreement: Agreement
    reports: Reports
    fingerprints: tuple[Fingerprint, ...]
    checked_in: dict[str, str]
    """Path -> SHA-256 of the environments the checks ran in; nothing where none had to."""
    artifacts: dict[str, str]
    files: dict[str, bytes]
    """Links, provenance and agreed fingerprints, by the names a bundle has for them."""


def agreed_build(
    root: TrustedRoot,
    project: str,
    version: str,
    evidence: Mapping[str, Mapping[str, bytes]],
    now: datetime,
    *,
    checked: bool,
) -> AgreedBuild:
    """Return the builders' agreement on a release.

    `evidence` maps each build folder to its files; `checked` says whether the recipe has
    checks, so that only who ran them counts.  Raises NotEnoughError when too few builders
    reported, VerificationError when they contradict each other, or by the root's policy
    when one dissents.
    """
    own = own_evidence(evidence, root.having("builder")).files
    binding = ReleaseBinding(project=project, version=version)
    reports = read_reports(own, root.having("builder"), binding, now)
    quorum = (root.root.thresholds.builders, root.root.thresholds.organisations)
    agreement = find_agreement("build", reports, *quorum)
    _refuse_dissent(root, agreement, "built other bytes")
    environments: dict[str, str] = {}
    if checked:
        check = find_agreement("check", reports, *quorum)
        _refuse_dissent(root, check, "checked other files")
        products = agreement.says.products
        environments = {p: d for p, d in check.says.materials.items() if p not in products}
        agreement = count_checked(agreement, check, *quorum)
    if root.root.policy.commit:
        agreement = count_committed(agreement, own, binding, *quorum, now)
    require_diversity(agreement, root.root.policy.diversity)
    fingerprints = _fingerprints(agreement, evidence)
    return AgreedBuild(
        agreement=agreement,
        reports=reports,
        fingerprints=fingerprints,
        checked_in=environments,
        artifacts=products_of(fingerprints),
        files={**own, **{f.file: f.to_bytes() for f in fingerprints}},
    )


def _refuse_dissent(root: TrustedRoot, agreement: Agreement, what: str) -> None:
    if agreement.dissent and root.root.policy.dissent == "refuse":
        names = ", ".join(report.builder.name for report in agreement.dissent)
        raise VerificationError(
            f"{names} {what}", hint="`relsign status` shows which files; nothing was signed"
        )


def silent_builders(root: TrustedRoot, reports: Reports) -> tuple[str, ...]:
    """Return the names of the root's builders who have not reported a build."""
    heard = {report.builder.name for report in reports.standing if report.link.name == "build"}
    return tuple(party.name for party in root.having("builder") if party.name not in heard)


def _fingerprints(
    agreement: Agreement, evidence: Mapping[str, Mapping[str, bytes]]
) -> tuple[Fingerprint, ...]:
    """Return the fingerprints among the agreed products, found by digest."""
    by_digest: dict[Digest, bytes] = {
        sha256_hex(data): data
        for files in evidence.values()
        for name, data in files.items()
        if name.endswith(".fingerprint.json")
    }
    found: list[Fingerprint] = []
    for name, digest in sorted(agreement.says.products.items()):
        if name.endswith(".fingerprint.json"):
            if Digest(digest) not in by_digest:
                raise NotEnoughError("the agreed fingerprint is in no build folder", where=name)
            fingerprint = parse_fingerprint(by_digest[Digest(digest)], name)
            if fingerprint.file != name:
                raise VerificationError(
                    "the agreed fingerprint is of another target",
                    where=name,
                    got=fingerprint.target,
                )
            found.append(fingerprint)
    if not found:
        raise VerificationError("the builders agree on no fingerprint")
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Succession:
    """Where a release stands in its project's row of releases, and since when."""

    sequence: int
    previous: PreviousRelease | None
    released_at: datetime


def make_statement(
    project: str,
    version: str,
    build: AgreedBuild,
    layout_payload: bytes,
    succession: Succession,
) -> Statement:
    """Return the statement of a release; raise VerificationError if none can be made of it."""
    fingerprints = tuple(
        FingerprintId(target=f.target, sha256=sha256_hex(f.to_bytes()))
        for f in sorted(build.fingerprints, key=lambda f: f.target)
    )
    try:
        return Statement(
            subject=tuple(
                Subject(name=name, digest=Sha256(sha256=Digest(digest)))
                for name, digest in sorted(build.artifacts.items())
            ),
            predicate=ReleasePredicate(
                project=project,
                version=version,
                fingerprints=fingerprints,
                layout_sha256=sha256_hex(layout_payload),
                sequence=succession.sequence,
                previous=succession.previous,
                released_at=succession.released_at,
            ),
        )
    except ValueError as error:
        raise VerificationError(
            "what the builders agree on is no release", got=str(error)
        ) from error


def require_same(rebuilt: Statement, received: bytes) -> None:
    """Refuse a statement that is not what this machine's own documents give.

    Raises VerificationError naming the first part that differs.
    """
    if rebuilt.to_bytes() == received:
        return
    raise VerificationError(
        "the statement is not what this machine's own documents give",
        where="release.statement",
        expected=sha256_hex(rebuilt.to_bytes()),
        got=sha256_hex(received),
        hint="compare builds, layout and previous release with whoever made it; do not sign",
    )
