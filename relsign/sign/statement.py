"""Make a release statement from what builders agreed on and owners signed.

Each signer makes it again from the documents on its own disk and refuses to sign
if the bytes differ: nobody signs bytes somebody else chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError, NotEnoughError, VerificationError
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
from relsign.verify.fingerprint import products_of
from relsign.verify.root import TrustedRoot


@dataclass(frozen=True, slots=True)
class AgreedBuild:
    """What the quorum of builders made, with the fingerprints that list it."""

    agreement: Agreement
    reports: Reports
    fingerprints: tuple[Fingerprint, ...]
    artifacts: dict[str, str]


def agreed_build(
    root: TrustedRoot,
    project: str,
    version: str,
    evidence: Mapping[str, Mapping[str, bytes]],
    now: datetime,
) -> AgreedBuild:
    """Return the builders' agreement on a release.

    `evidence` maps each build folder to its files.  Raises NotEnoughError when
    too few builders reported, VerificationError when they contradict each other,
    or by the root's policy when one dissents.
    """
    links = own_evidence(evidence, root.having("builder")).files
    binding = ReleaseBinding(project=project, version=version)
    reports = read_reports(links, root.having("builder"), binding, now)
    thresholds = root.root.thresholds
    agreement = find_agreement("build", reports, thresholds.builders, thresholds.organisations)
    if agreement.dissent and root.root.dissent == "refuse":
        names = ", ".join(report.builder.name for report in agreement.dissent)
        raise VerificationError(
            f"{names} built other bytes",
            hint="`relsign status` shows which files; nothing was signed",
        )
    fingerprints = _fingerprints(agreement, evidence)
    return AgreedBuild(
        agreement=agreement,
        reports=reports,
        fingerprints=fingerprints,
        artifacts=products_of(fingerprints),
    )


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
            found.append(parse_fingerprint(by_digest[Digest(digest)], name))
    return tuple(found)


def make_statement(
    project: str,
    version: str,
    build: AgreedBuild,
    layout_payload: bytes,
    previous: PreviousRelease | None,
    released_at: datetime,
) -> Statement:
    """Return the statement of a release."""
    return Statement(
        subject=tuple(
            Subject(name=name, digest=Sha256(sha256=Digest(digest)))
            for name, digest in sorted(build.artifacts.items())
        ),
        predicate=ReleasePredicate(
            project=project,
            version=version,
            fingerprints=tuple(
                FingerprintId(target=f.target, sha256=sha256_hex(f.to_bytes()))
                for f in sorted(build.fingerprints, key=lambda f: f.target)
            ),
            layout_sha256=sha256_hex(layout_payload),
            previous=previous,
            released_at=released_at,
        ),
    )


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


def require_layout(payload: bytes | None) -> bytes:
    """Return the layout's payload; raise InputError when it was not compiled yet."""
    if payload is None:
        raise InputError(
            "there is no layout for this release yet",
            where="release.layout",
            hint="run `relsign policy compile`, then `relsign policy sign` as owners",
        )
    return payload
