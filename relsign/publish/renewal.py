"""What may change in a published version: its evidence, never its files.

Artifacts, `SHA256SUMS` and fingerprints stay byte for byte, for ever.  Evidence
(bundle, stock signatures, `in-toto/`) may be renewed: a third signature, a layout with
a later expiry.  A published folder that is not what its own bundle says was
changed by somebody, and is reported instead of being tidied away.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from relsign.build.hasher import hash_tree
from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.bundle import (
    LAYOUT_FILE,
    MAX_BUNDLE_BYTES,
    STATEMENT_FILE,
    bundle_file_name,
    parse_bundle,
)
from relsign.formats.envelope import Envelope, parse_envelope
from relsign.formats.layout import parse_layout
from relsign.formats.manifest import encode_manifest
from relsign.formats.statement import parse_statement
from relsign.publish.places import DISSENT, EVIDENCE, published_places
from relsign.publish.release import Candidate
from relsign.system.files import read_bounded

FOLDER = "a folder"
LINK = "a link"
STOCK = ("SHA256SUMS.asc", "SHA256SUMS.minisig")
_CHANGED = "compare it with a copy you trust; somebody or something changed what was published"

Tree = Mapping[str, str]
"""Path below a folder -> SHA-256 of a file, or that it is a link or a folder."""


def read_tree(folder: Path) -> dict[str, str]:
    """Return everything below a folder.

    Raises VerificationError for what nobody can have published: a fifo, a device, a
    link out of the folder, names that collide.
    """
    try:
        tree = hash_tree(folder)
    except InputError as error:
        raise VerificationError(
            error.what, where=error.where, got=error.got, hint=_CHANGED
        ) from error
    files = {file.path: file.sha256 for file in tree.files}
    links = {link.path: LINK for link in tree.links}
    return files | links | dict.fromkeys(tree.folders, FOLDER)


def find_changes(final: Path, staged: Path, candidate: Candidate) -> tuple[str, ...]:
    """Return the paths that a renewal of a published version changes; none if it is the same.

    (1) What never changes is the same in both; (2) the published folder is exactly
    what its own bundle says; (3) the evidence staged is no older than the one
    published.  Raises VerificationError where one does not hold.
    """
    there, here = read_tree(final), read_tree(staged)
    for name in sorted(n for n in here.keys() | there.keys() if _is_permanent(n, candidate)):
        if name not in there:
            raise VerificationError(
                "missing from the published version", where=os.fspath(final / name), hint=_CHANGED
            )
        if there[name] != here.get(name):  # (1)
            raise VerificationError(
                "this version is published already, with other bytes",
                where=os.fspath(final / name),
                hint="a published version never changes: release a new version",
            )
    if there == here:
        return ()
    contents = _published_contents(final, candidate)
    _require_whole(final, there, contents, candidate)  # (2)
    _require_newer(contents, candidate, final)  # (3)
    return tuple(sorted(n for n in here.keys() | there.keys() if there.get(n) != here.get(n)))


def _is_permanent(name: str, candidate: Candidate) -> bool:
    is_fingerprint = "/" not in name and name.endswith(".fingerprint.json")
    return name in candidate.artifacts or name == "SHA256SUMS" or is_fingerprint


def _published_contents(final: Path, candidate: Candidate) -> dict[str, bytes]:
    path = final / bundle_file_name(candidate.project, candidate.version)
    try:
        return parse_bundle(read_bounded(path, MAX_BUNDLE_BYTES), path.name).contents(path.name)
    except (InputError, NotEnoughError) as error:
        raise VerificationError(
            f"the published bundle: {error.what}", where=os.fspath(path), hint=_CHANGED
        ) from error


def _require_whole(
    final: Path, there: Tree, contents: Mapping[str, bytes], candidate: Candidate
) -> None:
    places = published_places(contents, there)
    expected: dict[str, str] = {EVIDENCE: FOLDER, **candidate.digests, **places}
    if any(place.startswith(f"{DISSENT}/") for place in places):
        expected[DISSENT] = FOLDER
    expected["SHA256SUMS"] = sha256_hex(encode_manifest(dict(candidate.digests)))
    bundle = bundle_file_name(candidate.project, candidate.version)
    for name in (bundle, *STOCK):
        if there.get(name, LINK) not in {FOLDER, LINK}:
            expected[name] = there[name]
    for name in sorted(there.keys() | expected.keys()):
        if there.get(name) == expected.get(name):
            continue
        what = "is not what the published bundle says"
        if name not in expected:
            what = "is no part of the published version"
        elif name not in there:
            what = "missing from the published version"
        raise VerificationError(what, where=os.fspath(final / name), hint=_CHANGED)


def _require_newer(contents: Mapping[str, bytes], candidate: Candidate, final: Path) -> None:
    """Refuse evidence that says less than what is published: an old copy of the project's."""
    for name in (LAYOUT_FILE, STATEMENT_FILE):
        try:
            old = parse_envelope(contents.get(name, b""), name)
            new = parse_envelope(candidate.files[f"in-toto/{name}"], name)
            lost = _is_older(name, old, new)
        except InputError as error:
            raise VerificationError(
                f"published: {error.what}", where=os.fspath(final / "in-toto" / name), hint=_CHANGED
            ) from error
        if lost:
            raise VerificationError(
                "the published evidence is newer",
                where=os.fspath(final / "in-toto" / name),
                got=lost,
                hint="run `relsign collect` on the folder of whoever published it",
            )


def _is_older(name: str, old: Envelope, new: Envelope) -> str:
    """Say in what the new envelope falls behind the old one, or nothing."""
    if old.payload == new.payload:
        gone = {s.keyid for s in old.signatures} - {s.keyid for s in new.signatures}
        return f"without the signature of key {min(gone)[:8]}" if gone else ""
    if name == LAYOUT_FILE:
        before, after = (parse_layout(e.payload, name).expires for e in (old, new))
    else:
        before, after = (parse_statement(e.payload, name).predicate.released_at for e in (old, new))
    return f"{after.isoformat()}, before {before.isoformat()}" if after < before else ""
