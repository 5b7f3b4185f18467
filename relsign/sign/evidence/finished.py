"""A build that is there already: complete, of these very inputs, and untouched.

    if find_finished(workspace, folder, profile) is not None:
        ...  # nothing to do

Whatever is missing, other or damaged only means that there is something to build.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Party
from relsign.errors import RelsignError
from relsign.formats.fingerprint import (
    MAX_FINGERPRINT_BYTES,
    Fingerprint,
    ProfileDigest,
    parse_fingerprint,
)
from relsign.formats.link import ReleaseBinding
from relsign.formats.provenance import provenance_file_name
from relsign.sign.evidence.checks import check_environments
from relsign.sign.evidence.links import make_links
from relsign.sign.evidence.materials import require_own_materials
from relsign.system.files import host_error, read_bounded
from relsign.system.hashing import hash_files
from relsign.system.workspace import Workspace
from relsign.verify.agreement import read_report


def find_finished(
    workspace: Workspace, folder: Path, profile: ProfileDigest
) -> tuple[Fingerprint, ...] | None:
    """Return the fingerprints of the build in `folder` if building again could change nothing.

    They are of every target, made from the inputs this workspace has, and all their
    artifacts lie beside them with the bytes and modes they state.  None otherwise.
    Raises InputError for a recipe that cannot be read.
    """
    recipe = workspace.recipe()
    try:
        fingerprints = tuple(
            parse_fingerprint(
                read_bounded(folder / f"{target.name}.fingerprint.json", MAX_FINGERPRINT_BYTES)
            )
            for target in recipe.target
        )
        approved = sha256_hex(workspace.recipe_bytes())
        require_own_materials(workspace, profile, approved, fingerprints)
        return fingerprints if _are_intact(folder / "artifacts", fingerprints) else None
    except RelsignError:
        return None


def _are_intact(folder: Path, fingerprints: tuple[Fingerprint, ...]) -> bool:
    artifacts = [artifact for f in fingerprints for artifact in f.artifacts]
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise host_error(error, folder) from error
    if names != sorted(artifact.name for artifact in artifacts):
        return False
    hashed = hash_files([folder / artifact.name for artifact in artifacts])
    return all(
        (found.sha256, found.mode & 0o777) == (artifact.sha256, int(artifact.mode, 8))
        for found, artifact in zip(hashed, artifacts, strict=True)
    )


def is_signed(
    workspace: Workspace,
    folder: Path,
    party: Party,
    fingerprints: tuple[Fingerprint, ...],
    now: datetime,
) -> bool:
    """Say whether `folder` holds the builder's own evidence of these very fingerprints.

    A link of each step, with the materials and products that building and checking would
    give it now, and the provenance.  Raises InputError for a recipe that cannot be read.
    """
    release = workspace.release()
    binding = ReleaseBinding(project=release.project, version=release.version)
    found: dict[str, tuple[object, object]] = {}
    try:
        evidence = release.evidence_of(folder)
        for name, data in evidence.items():
            if name.endswith(".link"):
                link = read_report(name, data, (party,), binding, now).link
                found[link.name] = (link.materials, link.products)
        checked = check_environments(workspace, workspace.recipe())
        links = make_links(fingerprints, checked=checked)
    except RelsignError:
        return False
    wanted = {link.name: (link.materials, link.products) for link in links}
    return found == wanted and provenance_file_name(party.name) in evidence
