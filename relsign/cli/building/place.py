"""What a build leaves in the release folder, whole or not at all, and the words about it."""

from __future__ import annotations

import errno
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.options import show_path
from relsign.cli.show import short_digest
from relsign.cli.talk import talk
from relsign.crypto.digest import sha256_hex
from relsign.crypto.words import digest_words
from relsign.formats.fingerprint import Fingerprint
from relsign.sign.evidence.commit import BuiltRelease, make_held_folder
from relsign.sign.evidence.links import make_links, sign_evidence
from relsign.sign.places import check_release_folder, is_real_folder
from relsign.system.files import (
    exchange_folders,
    host_error,
    make_folder,
    sync_folder,
    write_whole,
)
from relsign.system.owner import is_abandoned, temporary_ending
from relsign.system.workspace import ReleaseFolder

if TYPE_CHECKING:
    from relsign.cli.building.signing import Signing

UNSIGNED = "unsigned"


def final_folder(release: ReleaseFolder, name: str | None) -> Path:
    """Return where a build by that builder, or by nobody, ends up."""
    return release.build_of(name) if name else release.folder / UNSIGNED


def staging_folder(release: ReleaseFolder, name: str | None, *, hidden: bool) -> Path:
    """Make a folder to build in: out of everybody's sight if the result is to be held back.

    Nobody knows its name before, so that nothing can lie in wait there.  Raises InputError
    where a link stands in the way of the result, HostError if the disk refuses.
    """
    is_real_folder(final_folder(release, name))
    parent = make_held_folder(release) if hidden else release.builds
    make_folder(parent)
    remove_abandoned(parent)
    staged = parent / f".{name or UNSIGNED}.{secrets.token_hex(8)}{temporary_ending()}"
    try:
        staged.mkdir()
    except OSError as error:
        raise host_error(error, staged) from error
    return staged


def move_into_place(staged: Path, release: ReleaseFolder, name: str | None) -> Path:
    """Swap the finished build in; the one before stays until the new one is complete.

    Raises InputError where a link stands in the way: it could lead anywhere.
    """
    final = final_folder(release, name)
    check_release_folder(release)
    sync_folder(staged)
    if is_real_folder(final) or not _is_renamed(staged, final):
        # What was there is now `staged`, which the caller removes.
        exchange_folders(staged, final)
    sync_folder(final.parent)
    return final


def _is_renamed(staged: Path, final: Path) -> bool:
    """Rename unless another build got there in this moment; raise HostError if that fails."""
    try:
        staged.rename(final)
    except OSError as error:
        if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
            return False
        raise host_error(error, final) from error
    return True


def remove_abandoned(parent: Path) -> bool:
    """Remove what builds that were killed left behind: their process is gone; say if there was any.

    What another machine or a container makes in the same folder is left to it.  `parent` must
    be a real folder, or none.
    """
    found = False
    for path in parent.glob(".*.tmp"):
        if is_abandoned(path.name):
            found = True
            shutil.rmtree(path, ignore_errors=True)
    return found


def write_links(staged: Path, built: BuiltRelease, signing: Signing | None) -> None:
    """Write the builder's evidence beside the artifacts; unsigned links where nobody signs."""
    if signing is None:
        for link in make_links(built.fingerprints, built.byproducts, built.checked):
            write_whole(staged / f"{link.name}.link.unsigned", link.to_bytes())
        return
    evidence = sign_evidence(
        built.fingerprints,
        built.times,
        signing.party,
        signing.sign,
        built.byproducts,
        built.checked,
    )
    for name, data in evidence.items():
        write_whole(staged / name, data)


def show_unchanged(fingerprints: tuple[Fingerprint, ...], folder: Path) -> None:
    """Print the ids of a build that is there already."""
    for fingerprint in fingerprints:
        click.echo(f"{sha256_hex(fingerprint.to_bytes())}  {fingerprint.file}")
    talk(f"unchanged since it was built: {show_path(folder)}; --force builds it again")


def show_result(fingerprints: tuple[Fingerprint, ...], folder: Path) -> None:
    """Print each fingerprint's id, on stdout, and what lies where."""
    for fingerprint in fingerprints:
        identity = sha256_hex(fingerprint.to_bytes())
        for artifact in fingerprint.artifacts:
            talk(f"  {short_digest(artifact.sha256)}  {artifact.name}")
        talk(f"  fingerprint  {digest_words(identity)}")
        click.echo(f"{identity}  {fingerprint.file}")
    talk(f"built {show_path(folder)}")


def compare_with_others(
    release: ReleaseFolder, name: str, fingerprints: tuple[Fingerprint, ...]
) -> None:
    """Say whether the builders who are here already got the same fingerprints."""
    mine = {fingerprint.file: fingerprint.to_bytes() for fingerprint in fingerprints}
    for builder, theirs in release.all_evidence()[0].items():
        if builder != name and any(file in theirs for file in mine):
            same = all(theirs.get(file) == data for file, data in mine.items())
            word = "SAME BYTES as" if same else "DIFFERENT BYTES from"
            talk(f"  {word} {builder}'s build; see `relsign status`")
