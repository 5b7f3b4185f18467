"""`relsign build`: build in a locked container, and sign what came out."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.options import (
    keys_option,
    passphrase_option,
    project_option,
    show_path,
    store_option,
)
from relsign.cli.show import short_digest
from relsign.cli.talk import talk
from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError
from relsign.sign.places import check_release_folder, is_real_folder
from relsign.system.files import exchange_folders, make_folder, sync_folder, write_whole
from relsign.system.workspace import ReleaseFolder, Workspace

if TYPE_CHECKING:
    from collections.abc import Callable

    from relsign.build.target import Bench, BuiltTarget
    from relsign.crypto.keys import Party

UNSIGNED = "unsigned"


@click.command(short_help="Build in a locked container; sign the links.")
@click.option("--as", "name", metavar="NAME",
              help="Sign as this builder.  Without it nothing is signed.")  # fmt: skip
@click.option("--cpu", type=click.IntRange(min=0), metavar="N",
              help="Which of this machine's CPUs the build may use.")  # fmt: skip
@click.option("--offline", is_flag=True, help="Fetch nothing; everything must be in the store.")
@click.option("-v", "--verbose", is_flag=True, help="Show the build's log as it runs.")
@project_option
@store_option
@keys_option
@passphrase_option
def build(
    name: str | None, cpu: int | None, workspace: Workspace, store: Path, keys: Path,
    descriptor: int | None, *, offline: bool, verbose: bool,
) -> None:  # fmt: skip
    """Build every target of the recipe and record what came out.

    The container has no network, a read-only root and nothing of this machine in it.
    Artifacts, fingerprints, signed links and provenance go to
    release/PROJECT-VERSION/builds/NAME/, whole or not at all. If others built this
    release too, the result is compared with theirs.
    """
    from relsign.build.engine import connect
    from relsign.build.store import Store
    from relsign.build.target import Bench, allowed_cpus
    from relsign.cli.inputs import fetch_inputs

    signing = _open_signing(workspace, name, keys, descriptor) if name else None
    kept = Store(store)
    if not offline:
        fetch_inputs(workspace, kept)
    release = workspace.release()
    check_release_folder(release)
    cpus = allowed_cpus()
    with connect(os.environ) as engine:
        bench = Bench(engine, kept, store / "bound", cpus[0] if cpu is None else cpu)
        staged = release.builds / f".{name or UNSIGNED}.{os.getpid()}.tmp"
        shutil.rmtree(staged, ignore_errors=True)
        try:
            built = _build_all(bench, workspace, staged, verbose=verbose)
            _write_evidence(staged, built, signing)
            folder = _move_into_place(staged, release, name)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    _show_result(built, folder)
    if name:
        _compare(release, name, built)


def _open_signing(
    workspace: Workspace, name: str, keys: Path, descriptor: int | None
) -> tuple[Party, Callable[[bytes], bytes]]:
    """Open the builder's key before the build, so that nobody waits for a passphrase after it."""
    from relsign.crypto.keys import check_members, parties_of
    from relsign.sign.keystore import KeyStore
    from relsign.sign.passphrase import read_passphrase

    members = workspace.roster().member
    parties = check_members(members, "keys/roster.toml", share_roles=True)
    builders = parties_of(parties, "builder")
    party = next((p for p in builders if p.name == name), None)
    if party is None:
        raise InputError(
            "no builder of that name in the roster",
            where="keys/roster.toml",
            expected=", ".join(p.name for p in builders),
            got=name,
            hint="make a key with `relsign key new` and add it with `relsign key add`",
        )
    passphrase = read_passphrase(f"Passphrase for {name}", descriptor=descriptor)
    signer = KeyStore(keys).open(name, passphrase)
    if signer.public.data not in party.key.materials:
        raise InputError("your key is not the one in the roster", got=name)
    return party, signer.sign


def _build_all(
    bench: Bench, workspace: Workspace, staged: Path, *, verbose: bool
) -> tuple[BuiltTarget, ...]:
    from relsign.build.profile import load_profile
    from relsign.build.target import build_target
    from relsign.cli.progress import BuildTalk

    profile = load_profile()
    make_folder(staged / "logs")
    built: list[BuiltTarget] = []
    for target in workspace.recipe().target:
        with (staged / "logs" / f"{target.name}.log").open("wb") as log:
            listener = BuildTalk(target.name, log, verbose).listener()
            output = staged / "artifacts"
            built.append(build_target(bench, workspace, target, profile, output, listener))
    return tuple(built)


def _write_evidence(
    staged: Path,
    built: tuple[BuiltTarget, ...],
    signing: tuple[Party, Callable[[bytes], bytes]] | None,
) -> None:
    from relsign.sign.links import BuildTimes, make_links, sign_evidence

    fingerprints = tuple(b.fingerprint for b in built)
    for fingerprint in fingerprints:
        write_whole(staged / fingerprint.file, fingerprint.to_bytes())
    if signing is None:
        for link in make_links(fingerprints):
            write_whole(staged / f"{link.name}.link.unsigned", link.to_bytes())
        return
    times = {b.fingerprint.target: BuildTimes(b.started_at, b.finished_at) for b in built}
    party, sign = signing
    for name, data in sign_evidence(fingerprints, times, party, sign).items():
        write_whole(staged / name, data)


def _move_into_place(staged: Path, release: ReleaseFolder, name: str | None) -> Path:
    """Swap the finished build in; the one before stays until the new one is complete.

    Raises InputError where a link stands in the way: it could lead anywhere.
    """
    final = release.build_of(name) if name else release.folder / UNSIGNED
    check_release_folder(release)
    sync_folder(staged)
    if is_real_folder(final):
        # What was there is now `staged`, which the caller removes.
        exchange_folders(staged, final)
    else:
        staged.rename(final)
    sync_folder(final.parent)
    return final


def _show_result(built: tuple[BuiltTarget, ...], folder: Path) -> None:
    from relsign.crypto.words import digest_words

    for one in built:
        identity = sha256_hex(one.fingerprint.to_bytes())
        for artifact in one.fingerprint.artifacts:
            talk(f"  {short_digest(artifact.sha256)}  {artifact.name}")
        talk(f"  fingerprint  {digest_words(identity)}")
        click.echo(f"{identity}  {one.fingerprint.file}")
    talk(f"built {show_path(folder)}")


def _compare(release: ReleaseFolder, name: str, built: tuple[BuiltTarget, ...]) -> None:
    """Say whether the builders who are here already got the same fingerprints."""
    mine = {b.fingerprint.file: b.fingerprint.to_bytes() for b in built}
    for builder, theirs in release.all_evidence()[0].items():
        if builder != name:
            same = all(theirs.get(file) == data for file, data in mine.items())
            word = "SAME BYTES as" if same else "DIFFERENT BYTES from"
            talk(f"  {word} {builder}'s build; see `relsign status`")
