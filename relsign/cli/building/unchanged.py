"""Whether what would be built is there already: whole, of these inputs, and built here.

Whatever is missing, other or damaged only means that there is something to build.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from relsign.build.profile import Profile
from relsign.cli.building.place import final_folder, remove_abandoned, show_unchanged
from relsign.cli.building.signing import builder_named
from relsign.cli.options import show_path
from relsign.cli.talk import talk
from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Party, parse_member
from relsign.errors import HostError, InputError, RelsignError
from relsign.formats.envelope import parse_envelope
from relsign.formats.fingerprint import EnvironmentDigest, Fingerprint, ProfileDigest
from relsign.formats.link import MAX_LINK_BYTES, ReleaseBinding, link_file_name, parse_link
from relsign.formats.provenance import parse_provenance, provenance_file_name
from relsign.formats.recipe import sbom_file
from relsign.sign.evidence.checks import check_environments
from relsign.sign.evidence.commit import BuiltRelease
from relsign.sign.evidence.finished import find_finished, is_signed
from relsign.sign.evidence.links import make_links
from relsign.sign.evidence.papers import MAX_SBOM_BYTES
from relsign.sign.keys.keystore import KeyStore
from relsign.sign.places import is_real_folder
from relsign.system.clock import now_utc
from relsign.system.files import hash_file, read_bounded, write_whole
from relsign.system.workspace import ReleaseFolder, Workspace
from relsign.verify.agreement import read_report
from relsign.verify.provenance import check_provenance


def record_built(store: Path, built: BuiltRelease) -> None:
    """Note in the store that this machine built it: only then is it called unchanged later.

    To be called before the result is shown.  Raises HostError if the disk refuses.
    """
    write_whole(_stamp(store, built.fingerprints, built.checked), b"")


def _stamp(
    store: Path, fingerprints: tuple[Fingerprint, ...], checked: tuple[EnvironmentDigest, ...]
) -> Path:
    """Return where a build is noted, by all that went in and came out, its checks included."""
    links = make_links(fingerprints, checked=checked)
    return store / "built" / sha256_hex(b"".join(link.to_bytes() for link in links))


def is_built(
    workspace: Workspace,
    release: ReleaseFolder,
    name: str | None,
    profile: Profile,
    store: Path,
    keys: Path,
) -> bool:
    """Say so if what would be built is there; builds that were committed to say it themselves.

    The release folder travels, so what lies in it is believed only if this machine noted that
    it built it (`record_built`) and, for a builder, if the builder's key is here too.
    Raises InputError where a link stands in the folder's place, for a builder the roster does
    not have, and for a recipe that cannot be read.
    """
    folder = final_folder(release, name)
    if not is_real_folder(folder) or (name is not None and workspace.policy().commit):
        return False
    party = None if name is None else builder_named(workspace, name)[0]
    if party is not None and not _has_key(keys, party):
        return False
    found = find_finished(
        workspace, folder, ProfileDigest(name=profile.name, sha256=profile.sha256)
    )
    if found is None or not _has_papers(workspace, folder, party, found):
        return False
    checked = check_environments(workspace, workspace.recipe())
    if not _stamp(store, found, checked).is_file():
        talk(f"not built on this machine, by its store's notes: {show_path(folder)}; building it")
        return False
    if remove_abandoned(release.builds):
        _remove_from_engine()
    show_unchanged(found, folder)
    return True


def _has_key(keys: Path, party: Party) -> bool:
    """Say whether the builder's key is this machine's; opening it says what is wrong."""
    try:
        return parse_member(KeyStore(keys).member(party.name), party.name).key == party.key
    except InputError:
        return False


def _remove_from_engine() -> None:
    """Remove what a killed build left there too; it may be running still.

    Nothing is to be built, so an engine that does not answer is no reason to refuse.
    """
    # The client takes long to load, and mostly nothing was left.
    from relsign.build.engine.connection import connect
    from relsign.build.engine.leftovers import remove_leftovers

    with contextlib.suppress(HostError), connect(os.environ) as engine:
        remove_leftovers(engine)


def _has_papers(
    workspace: Workspace, folder: Path, party: Party | None, found: tuple[Fingerprint, ...]
) -> bool:
    if party is None:
        return _has_own_papers(workspace, folder, found)
    is_own = is_signed(workspace, folder, party, found, now_utc())
    return is_own and _has_signed_papers(workspace.release(), folder, party)


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
