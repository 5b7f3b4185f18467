"""Whether what would be built is there already: whole, of these inputs, and untouched.

Whatever is missing, other or damaged only means that there is something to build.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from relsign.build.profile import load_profile
from relsign.cli.building.place import final_folder, remove_abandoned, show_unchanged
from relsign.cli.building.signing import builder_named
from relsign.crypto.keys import Party
from relsign.errors import HostError, RelsignError
from relsign.formats.envelope import parse_envelope
from relsign.formats.fingerprint import Fingerprint, ProfileDigest
from relsign.formats.link import MAX_LINK_BYTES, ReleaseBinding, link_file_name, parse_link
from relsign.formats.provenance import parse_provenance, provenance_file_name
from relsign.formats.recipe import sbom_file
from relsign.sign.evidence.checks import check_environments
from relsign.sign.evidence.finished import find_finished, is_signed
from relsign.sign.evidence.links import make_links
from relsign.sign.evidence.papers import MAX_SBOM_BYTES
from relsign.sign.places import is_real_folder
from relsign.system.clock import now_utc
from relsign.system.files import hash_file, read_bounded
from relsign.system.workspace import ReleaseFolder, Workspace
from relsign.verify.agreement import read_report
from relsign.verify.provenance import check_provenance


def is_built(workspace: Workspace, release: ReleaseFolder, name: str | None) -> bool:
    """Say so if what would be built is there; builds that were committed to say it themselves.

    Raises InputError where a link stands in the folder's place, for a builder the roster does
    not have, and for a recipe that cannot be read.
    """
    folder = final_folder(release, name)
    if not is_real_folder(folder) or (name is not None and workspace.policy().commit):
        return False
    profile = load_profile()
    found = find_finished(
        workspace, folder, ProfileDigest(name=profile.name, sha256=profile.sha256)
    )
    if found is None:
        return False
    if name is None:
        if not _has_own_papers(workspace, folder, found):
            return False
    else:
        party, _others = builder_named(workspace, name)
        if not is_signed(workspace, folder, party, found, now_utc()):
            return False
        if not _has_signed_papers(release, folder, party):
            return False
    if remove_abandoned(release.builds):
        _remove_from_engine()
    show_unchanged(found, folder)
    return True


def _remove_from_engine() -> None:
    """Remove what a killed build left there too; it may be running still.

    Nothing is to be built, so an engine that does not answer is no reason to refuse.
    """
    # The client takes long to load, and mostly nothing was left.
    from relsign.build.engine.connection import connect
    from relsign.build.engine.leftovers import remove_leftovers

    with contextlib.suppress(HostError), connect(os.environ) as engine:
        remove_leftovers(engine)


def _has_own_papers(
    workspace: Workspace, folder: Path, fingerprints: tuple[Fingerprint, ...]
) -> bool:
    """Say whether the unsigned links and bills of materials are those of this build."""
    # It loads a library that a signed build's papers need not.
    from relsign.build.sbom import make_sbom

    recipe = workspace.recipe()
    targets = {target.name: target for target in recipe.target}
    try:
        links = make_links(fingerprints, checked=check_environments(workspace, recipe))
        for link in links:
            path = folder / f"{link.name}.link.unsigned"
            found = parse_link(read_bounded(path, MAX_LINK_BYTES), path.name)
            if (found.materials, found.products) != (link.materials, link.products):
                return False
        for each in fingerprints:
            lock = workspace.lock(each.environment.builder)
            sbom = make_sbom(recipe, targets[each.target], lock, each)
            if read_bounded(folder / sbom_file(each.target), MAX_SBOM_BYTES) != sbom:
                return False
    except RelsignError:
        return False
    return True


def _has_signed_papers(release: ReleaseFolder, folder: Path, party: Party) -> bool:
    """Say whether the provenance is the builder's own, and the bills of materials those it names.

    Only after `is_signed`, which looked at the links.
    """
    binding = ReleaseBinding(project=release.project, version=release.version)
    name, link = provenance_file_name(party.name), link_file_name("build", party.keyid)
    now = now_utc()
    try:
        evidence = release.evidence_of(folder)
        report = read_report(link, evidence[link], (party,), binding, now)
        check_provenance(name, evidence[name], report, now)
        for line in evidence[name].splitlines():
            provenance = parse_provenance(parse_envelope(line, name).payload, name)
            for item in provenance.predicate.runDetails.byproducts or ():
                if hash_file(folder / item.name).sha256 != item.digest.sha256:
                    return False
    except RelsignError:
        return False
    return True
