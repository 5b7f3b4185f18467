"""What may change in a published version: its evidence, never its files.

Artifacts, `SHA256SUMS` and fingerprints stay byte for byte, for ever.  Evidence
(bundle, stock signatures, `in-toto/`) may be renewed: a third signature, a layout with
a later expiry.  A published folder that is not what its own bundle says was
changed by somebody, and is reported instead of being tidied away.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from relsign.build.hasher import hash_tree
from relsign.crypto.digest import sha256_hex
from relsign.crypto.stock import STOCK
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.bundle import MAX_BUNDLE_BYTES, bundle_file_name, parse_bundle
from relsign.formats.manifest import encode_manifest
from relsign.publish.forward import require_newer, require_nothing_lost
from relsign.publish.places import DISSENT, EVIDENCE, published_places
from relsign.publish.release import Candidate
from relsign.system.files import read_bounded
from relsign.verify.root import verify_root

FOLDER = "a folder"
LINK = "a link"
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


def find_changes(final: Path, staged: Path, candidate: Candidate, now: datetime) -> tuple[str, ...]:
    """Return the paths that a renewal of a published version changes; none if it is the same.

    (1) What never changes is the same in both; (2) the published folder is exactly
    what its own bundle says; (3) the evidence staged is no older than the one
    published and leaves none of it out.  Raises VerificationError where one does not hold.
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
    root = verify_root(candidate.root, now)
    require_newer(contents, candidate, root, final, now)  # (3)
    require_nothing_lost(there, here, candidate, root, final, now)
    return tuple(sorted(n for n in here.keys() | there.keys() if there.get(n) != here.get(n)))


def _is_permanent(name: str, candidate: Candidate) -> bool:
    is_fingerprint = "/" not in name and name.endswith(".fingerprint.json")
    return name in candidate.artifacts or name == "SHA256SUMS" or is_fingerprint


def _published_contents(final: Path, candidate: Candidate) -> dict[str, bytes]:
    path = final / bundle_file_name(candidate.project, candidate.version)
    try:
        return parse_bundle(read_bounded(path, MAX_BUNDLE_BYTES), path.name).files
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
