"""What a builder's provenance says in full, from the documents a build was made from."""

from __future__ import annotations

from pathlib import Path

from relsign.crypto.digest import sha256_hex
from relsign.errors import NotEnoughError
from relsign.formats.fingerprint import Fingerprint
from relsign.formats.recipe import sbom_file
from relsign.sign.evidence.links import Papers
from relsign.system.files import read_bounded
from relsign.system.workspace import Workspace

MAX_SBOM_BYTES = 64 << 20


def find_papers(workspace: Workspace, fingerprint: Fingerprint, folder: Path) -> Papers:
    """Return the papers of a target that was built into `folder` from this very workspace.

    Raises InputError where recipe, lock or bill of materials cannot be read.
    """
    sources = workspace.recipe().source
    lock = workspace.lock(fingerprint.environment.builder)
    try:
        sbom = read_bounded(folder / sbom_file(fingerprint.target), MAX_SBOM_BYTES)
    except NotEnoughError:
        # Builds held back by an earlier version have none.
        return Papers(sources, lock)
    return Papers(sources, lock, sha256_hex(sbom))
