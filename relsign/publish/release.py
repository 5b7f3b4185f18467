"""Collect one release's files from its folder: evidence, artifacts, signatures.

Nothing collected here is believed yet; the gate decides on the result.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError, NotEnoughError
from relsign.formats.bundle import (
    LAYOUT_FILE,
    MAX_BUNDLE_BYTES,
    STATEMENT_FILE,
    bundle_file_name,
    make_bundle,
)
from relsign.formats.envelope import parse_envelope
from relsign.formats.manifest import encode_manifest
from relsign.formats.statement import Statement, parse_statement
from relsign.system.files import read_bounded
from relsign.system.workspace import ReleaseFolder

MAX_SIGNATURE_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Candidate:
    """A release ready to be judged: small files by name, artifacts by path."""

    project: str
    version: str
    root: bytes
    bundle: bytes
    files: Mapping[str, bytes]
    """Path below the version's folder -> bytes, the bundle among them."""
    artifacts: Mapping[str, Path]
    """Artifact name -> a file that had the stated digest when it was found."""


def collect_candidate(release: ReleaseFolder, root: bytes) -> Candidate:
    """Return the candidate in a release folder.

    Raises NotEnoughError for a layout, statement, fingerprint or artifact that is
    not there yet, InputError for one that is malformed.
    """
    layout = _need(release.layout_file, "run `relsign policy compile` and `policy sign`")
    envelope = _need(release.statement_file, "run `relsign sign --as NAME`")
    payload = parse_envelope(envelope, STATEMENT_FILE).payload
    statement = parse_statement(payload, STATEMENT_FILE)
    evidence = {LAYOUT_FILE: layout, STATEMENT_FILE: envelope} | _evidence(release, statement)
    bundle = make_bundle(release.project, release.version, evidence).to_bytes()
    files = {f"in-toto/{name}": data for name, data in evidence.items()}
    for fingerprint in statement.predicate.fingerprints:
        name = f"{fingerprint.target}.fingerprint.json"
        files[name] = files.pop(f"in-toto/{name}")
    files["SHA256SUMS"] = encode_manifest(statement.digests())
    files[bundle_file_name(release.project, release.version)] = bundle
    return Candidate(
        project=release.project,
        version=release.version,
        root=root,
        bundle=bundle,
        files=files,
        artifacts={
            name: release.find_artifact(name, digest)[0]
            for name, digest in statement.digests().items()
        },
    )


def _evidence(release: ReleaseFolder, statement: Statement) -> dict[str, bytes]:
    """Return links and provenance of all builders, and the fingerprints the statement names."""
    wanted = {f.sha256: f"{f.target}.fingerprint.json" for f in statement.predicate.fingerprints}
    found: dict[str, bytes] = {}
    for build in release.build_folders():
        evidence = release.evidence_of(build).items()
        kept = {
            n: d for n, d in evidence if not _is_fingerprint(n) or wanted.get(sha256_hex(d)) == n
        }
        for name in kept.keys() & found.keys():
            if found[name] != kept[name]:
                raise InputError(
                    "two build folders hold different files of one name",
                    where=f"builds/{build.name}/{name}",
                    hint="a builder's links belong into one folder, named after the builder",
                )
        found |= kept
    for name in wanted.values():
        if name not in found:
            raise NotEnoughError(
                "the fingerprint the signers named is in no build folder", where=name
            )
    return found


def _is_fingerprint(name: str) -> bool:
    return name.endswith(".fingerprint.json")


def _need(path: Path, hint: str) -> bytes:
    try:
        return read_bounded(path, MAX_BUNDLE_BYTES)
    except NotEnoughError as error:
        raise NotEnoughError("not there yet", where=path.name, hint=hint) from error
