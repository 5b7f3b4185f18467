"""Collect one release's files from its folder: evidence, artifacts, signatures.

What is no builder's own, or does not hold, is left out and named; nothing collected
here is believed yet: the gate decides on the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Party
from relsign.crypto.signatures import verify_envelope
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.bundle import (
    LAYOUT_FILE,
    MAX_BUNDLE_BYTES,
    STATEMENT_FILE,
    bundle_file_name,
    make_bundle,
)
from relsign.formats.commitment import COMMITMENT_ENDING
from relsign.formats.envelope import parse_envelope
from relsign.formats.layout import parse_layout
from relsign.formats.link import ReleaseBinding
from relsign.formats.manifest import encode_manifest
from relsign.formats.provenance import PROVENANCE_ENDING
from relsign.formats.root import root_file_name
from relsign.formats.statement import Statement, parse_statement
from relsign.publish.places import dissenting_links, evidence_place
from relsign.system.files import read_bounded
from relsign.system.workspace import ReleaseFolder
from relsign.verify.agreement import Reports, own_evidence, read_report, read_reports
from relsign.verify.commitments import read_commitment
from relsign.verify.inclusion import PROOF_FILE
from relsign.verify.provenance import check_provenance
from relsign.verify.root import TrustedRoot

Folders = Mapping[str, Mapping[str, bytes]]
"""Build folder -> file name -> bytes."""


_ENDINGS = (".link", ".fingerprint.json", PROVENANCE_ENDING, COMMITMENT_ENDING)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A release ready to be judged: small files by name, artifacts by path."""

    project: str
    version: str
    root: bytes
    earlier_roots: tuple[bytes, ...]
    """The versions of the root before it, by number."""
    bundle: bytes
    files: Mapping[str, bytes]
    """Path below the version's folder -> bytes, the bundle among them."""
    artifacts: Mapping[str, Path]
    """Artifact name -> a file that had the stated digest when it was found."""
    digests: Mapping[str, str]
    """Artifact name -> SHA-256 the signers stated."""
    sequence: int
    statement_sha256: str
    notes: tuple[str, ...] = ()
    """A line for each file that was left out or is missing."""


def collect_candidate(
    release: ReleaseFolder, root: TrustedRoot, earlier_roots: tuple[bytes, ...], now: datetime
) -> Candidate:
    """Return the candidate in a release folder.

    The bundle carries every version of the root, so that who pinned an early one can
    walk on, and the owners of a later one can vouch for this release as of its day.
    Raises NotEnoughError for a layout, statement, fingerprint or artifact that is
    not there yet, InputError for one that is malformed and for a builder whose
    signed links contradict each other.
    """
    layout = _need(release.layout_file, "run `relsign policy compile` and `policy sign`")
    envelope = _need(release.statement_file, "run `relsign sign --as NAME`")
    layout, strange = _clean(layout, LAYOUT_FILE, root.having("owner"), now)
    envelope, stranger = _clean(envelope, STATEMENT_FILE, root.statement_signers, now)
    payload = parse_envelope(envelope, STATEMENT_FILE).payload
    statement = parse_statement(payload, STATEMENT_FILE)
    folders, unread = _read_folders(release)
    links, ignored = _builders_evidence(folders, root, statement, now)
    fingerprints = _fingerprints(folders, statement)
    evidence = {LAYOUT_FILE: layout, STATEMENT_FILE: envelope} | links | fingerprints
    evidence |= _roots((*earlier_roots, root.data)) | _proof(release)
    bundle = make_bundle(release.project, release.version, evidence).to_bytes()
    dissenting = _dissenting(links, layout, statement, root, now)
    files = {evidence_place(name, dissenting): data for name, data in evidence.items()}
    found = release.find_artifacts(statement.digests())
    files["SHA256SUMS"] = encode_manifest(statement.digests())
    files[bundle_file_name(release.project, release.version)] = bundle
    return Candidate(
        project=release.project,
        version=release.version,
        root=root.data,
        earlier_roots=earlier_roots,
        bundle=bundle,
        files=files,
        artifacts={name: found[name][0] for name in found},
        digests=statement.digests(),
        sequence=statement.predicate.sequence,
        statement_sha256=sha256_hex(payload),
        notes=strange + stranger + unread + ignored,
    )


def _roots(chain: tuple[bytes, ...]) -> dict[str, bytes]:
    return {root_file_name(number): data for number, data in enumerate(chain, 1)}


def _proof(release: ReleaseFolder) -> dict[str, bytes]:
    """Return the proof that the log has the release, if somebody put it there."""
    try:
        return {PROOF_FILE: read_bounded(release.folder / PROOF_FILE, MAX_BUNDLE_BYTES)}
    except NotEnoughError:
        return {}


def _clean(
    data: bytes, name: str, parties: tuple[Party, ...], now: datetime
) -> tuple[bytes, tuple[str, ...]]:
    """Return an envelope with only the signatures of `parties` that hold, and what went.

    One without any is left as it is: the gate refuses it and says what is wrong.
    """
    envelope = parse_envelope(data, name)
    kept = tuple(
        signature
        for signature in envelope.signatures
        if verify_envelope(
            msgspec.structs.replace(envelope, signatures=(signature,)), parties, now
        ).valid
    )
    gone = len(envelope.signatures) - len(kept)
    if not kept or not gone:
        return data, ()
    cleaned = msgspec.structs.replace(envelope, signatures=kept)
    what = "1 signature that does" if gone == 1 else f"{gone} signatures that do"
    return cleaned.to_bytes(), (f"{name}: left out: {what} not hold",)


def _read_folders(release: ReleaseFolder) -> tuple[dict[str, dict[str, bytes]], tuple[str, ...]]:
    """Return what lies in the build folders; one that cannot be read is named instead."""
    folders: dict[str, dict[str, bytes]] = {}
    unread: list[str] = []
    for build in release.build_folders():
        try:
            folders[build.name] = release.evidence_of(build)
        except InputError as error:
            unread.append(f"builds/{build.name}: left out: {error}")
            continue
        unread += [
            f"builds/{build.name}/{path.name}: not a file of this builder"
            for path in sorted(build.iterdir())
            if path.name.endswith(_ENDINGS) and path.name not in folders[build.name]
        ]
    return folders, tuple(unread)


def _builders_evidence(
    folders: Folders, root: TrustedRoot, statement: Statement, now: datetime
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """Return links, commitments and provenance that hold, and a line for each that does not."""
    builders = root.having("builder")
    predicate = statement.predicate
    binding = ReleaseBinding(project=predicate.project, version=predicate.version)
    own = own_evidence(folders, builders)
    reports = read_reports(own.files, builders, binding, now)
    _refuse_two_tongues(folders, reports, builders, binding, now)
    builds = {r.builder.name: r for r in reports.standing if r.link.name == "build"}
    kept: dict[str, bytes] = {}
    ignored: list[str] = []
    for name, data in own.files.items():
        try:
            if name.endswith(COMMITMENT_ENDING):
                read_commitment(name, data, builders, binding, now)
            elif name.endswith(PROVENANCE_ENDING):
                check_provenance(name, data, builds.get(name.removesuffix(PROVENANCE_ENDING)), now)
            else:
                read_report(name, data, builders, binding, now)
        except (InputError, VerificationError) as error:
            ignored.append(f"{name}: left out: {error.what}")
        else:
            kept[name] = data
    return kept, own.ignored + tuple(ignored)


def _dissenting(
    links: Mapping[str, bytes],
    layout: bytes,
    statement: Statement,
    root: TrustedRoot,
    now: datetime,
) -> frozenset[str]:
    """Return the names of the links that the quorum contradicts."""
    predicate = statement.predicate
    binding = ReleaseBinding(project=predicate.project, version=predicate.version)
    return dissenting_links(
        parse_layout(parse_envelope(layout, LAYOUT_FILE).payload, LAYOUT_FILE),
        read_reports(links, root.having("builder"), binding, now),
        root.root.thresholds.organisations,
    )


def _refuse_two_tongues(
    folders: Folders,
    reports: Reports,
    builders: tuple[Party, ...],
    binding: ReleaseBinding,
    now: datetime,
) -> None:
    """Refuse a release of which one builder signed two different links for one step.

    A copy of a builder's link in another folder is junk; another link with its good
    signature is a contradiction that nobody but that builder can have made.
    """
    said = {(r.builder.name, r.link.name): r for r in reports.standing}
    for folder, files in folders.items():
        for name in sorted(n for n in files if n.endswith(".link")):
            try:
                report = read_report(name, files[name], builders, binding, now)
            except (InputError, VerificationError):
                continue
            first = said.setdefault((report.builder.name, report.link.name), report)
            if first.link != report.link:
                raise InputError(
                    f"{report.builder.name} signed two different links for one step",
                    where=f"builds/{folder}/{name}",
                    hint="ask the builder which one counts, and remove the other",
                )


def _fingerprints(folders: Folders, statement: Statement) -> dict[str, bytes]:
    """Return the fingerprints the statement names, by digest, from whatever folder."""
    wanted = {f"{f.target}.fingerprint.json": f.sha256 for f in statement.predicate.fingerprints}
    found = {
        name: data
        for files in folders.values()
        for name, data in files.items()
        if wanted.get(name) == sha256_hex(data)
    }
    for name in wanted.keys() - found.keys():
        raise NotEnoughError("the fingerprint the signers named is in no build folder", where=name)
    return found


def _need(path: Path, hint: str) -> bytes:
    try:
        return read_bounded(path, MAX_BUNDLE_BYTES)
    except NotEnoughError as error:
        raise NotEnoughError("not there yet", where=path.name, hint=hint) from error
