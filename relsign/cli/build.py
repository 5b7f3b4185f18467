"""`relsign build`: build in a locked container, and sign what came out.

Where the policy says `commit`, the first run publishes a commitment and the next one,
or `--reveal`, shows the links, once enough builders have committed.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
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
from relsign.system.clock import now_utc
from relsign.system.files import exchange_folders, make_folder, sync_folder, write_whole
from relsign.system.workspace import ReleaseFolder, Workspace

if TYPE_CHECKING:
    from relsign.build.engine.connection import Engine
    from relsign.build.target import Bench, BuiltTarget
    from relsign.crypto.keys import Party
    from relsign.crypto.raw_signing import Sign
    from relsign.formats.fingerprint import Fingerprint
    from relsign.sign.commit import BuiltRelease, Held

UNSIGNED = "unsigned"


@dataclass(frozen=True, slots=True)
class _Signing:
    """A builder whose key is open, and the builders it works with."""

    party: Party
    sign: Sign
    builders: tuple[Party, ...]
    commits: bool
    """Whether the policy wants a commitment before any result is shown."""


@click.command(short_help="Build in a locked container; sign the links.")
@click.option("--as", "name", metavar="NAME",
              help="Sign as this builder.  Without it nothing is signed.")  # fmt: skip
@click.option("--cpu", type=click.IntRange(min=0), metavar="N",
              help="Which of this machine's CPUs the build may use.")  # fmt: skip
@click.option("--offline", is_flag=True, help="Fetch nothing; everything must be in the store.")
@click.option("--reveal", is_flag=True,
              help="Build nothing; show the build that was committed to.")  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Show the build's log as it runs.")
@project_option
@store_option
@keys_option
@passphrase_option
def build(
    name: str | None, cpu: int | None, workspace: Workspace, store: Path, keys: Path,
    descriptor: int | None, *, offline: bool, reveal: bool, verbose: bool,
) -> None:  # fmt: skip
    """Build every target of the recipe and record what came out.

    The container has no network, a read-only root and nothing of this machine in it.
    Artifacts, fingerprints, signed links and provenance go to
    release/PROJECT-VERSION/builds/NAME/, whole or not at all. If others built this
    release too, the result is compared with theirs.

    Where the policy says `commit = true`, only a commitment is published at first. Run
    again, or with --reveal, the command shows the build once enough builders have
    committed; until then it exits with 3 and says who is awaited.
    """
    from relsign.build.engine.connection import connect
    from relsign.build.store import Store
    from relsign.build.target import Bench, allowed_cpus
    from relsign.cli.inputs import fetch_inputs

    release = workspace.release()
    check_release_folder(release)
    if reveal:
        _require_committed_to(workspace, release, name)
    signing = _open_signing(workspace, name, keys, descriptor) if name else None
    if _go_on(workspace, release, signing):
        return
    kept = Store(store)
    if not offline:
        fetch_inputs(workspace, kept)
    cpus = allowed_cpus()
    with connect(os.environ) as engine:
        bench = Bench(engine, kept, store / "bound", cpus[0] if cpu is None else cpu)
        staged = _staging_folder(release, name, signing)
        shutil.rmtree(staged, ignore_errors=True)
        try:
            built = _describe(engine, _build_all(bench, workspace, staged, verbose=verbose))
            if signing is not None and signing.commits:
                _commit(release, staged, built, signing)
                return
            _write_evidence(staged, built, signing)
            folder = _move_into_place(staged, release, name)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    _show_result(built.fingerprints, folder)
    if name:
        _compare(release, name, built.fingerprints)


def _require_committed_to(workspace: Workspace, release: ReleaseFolder, name: str | None) -> None:
    """Refuse to reveal what nobody committed to, before a passphrase is asked for."""
    from relsign.sign.commit import find_held, is_shown, refuse_second

    if name is None or not workspace.policy().commit:
        raise InputError(
            "there is no commitment to reveal",
            hint="name the builder with --as, in a project whose policy says commit = true",
        )
    party, _builders = _builder_named(workspace, name)
    if find_held(release, party) is None and not is_shown(release, party):
        refuse_second(release, party)
        raise InputError("nothing was committed to yet", hint="run it without --reveal")


def _open_signing(workspace: Workspace, name: str, keys: Path, descriptor: int | None) -> _Signing:
    """Open the builder's key before the build, so that nobody waits for a passphrase after it."""
    from relsign.sign.keystore import KeyStore

    party, builders = _builder_named(workspace, name)
    signer = KeyStore(keys).open_for(party, descriptor)
    return _Signing(party, signer.sign, builders, workspace.policy().commit)


def _builder_named(workspace: Workspace, name: str) -> tuple[Party, tuple[Party, ...]]:
    """Return a builder of the roster, and all of them; raise InputError for anybody else."""
    from relsign.crypto.keys import check_members, parties_of

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
    return party, builders


def _go_on(workspace: Workspace, release: ReleaseFolder, signing: _Signing | None) -> bool:
    """Show the build that was committed to, if there is one; say whether that was all to do.

    Raises NotEnoughError while builders are awaited, InputError where the inputs
    changed since.
    """
    from relsign.sign.commit import find_held, is_shown, refuse_second, shown_fingerprints

    if signing is None or not signing.commits:
        return False
    party = signing.party
    held = find_held(release, party)
    if held is not None:
        _require_unchanged(workspace, held.fingerprints)
        _reveal(workspace, release, signing, held)
        return True
    if is_shown(release, party):
        targets = tuple(target.name for target in workspace.recipe().target)
        _require_unchanged(workspace, shown_fingerprints(release, party, targets))
        talk(f"this build is shown already: {show_path(release.build_of(party.name))}")
        return True
    refuse_second(release, party)
    return False


def _require_unchanged(workspace: Workspace, fingerprints: tuple[Fingerprint, ...]) -> None:
    from relsign.build.profile import load_profile
    from relsign.formats.fingerprint import ProfileDigest
    from relsign.sign.commit import require_unchanged

    profile = load_profile()
    digest = ProfileDigest(name=profile.name, sha256=profile.sha256)
    require_unchanged(workspace, digest, fingerprints)


def _reveal(workspace: Workspace, release: ReleaseFolder, signing: _Signing, held: Held) -> None:
    from relsign.sign.commit import publish_commitment, require_committed, reveal_build

    party = signing.party
    publish_commitment(release, party)
    heard = require_committed(
        release, party, signing.builders, workspace.policy().thresholds, now_utc()
    )
    for line in heard.ignored:
        talk(f"  ignored: {line}")
    folder = reveal_build(release, held, heard, party, signing.sign)
    talk(f"  heard {len(heard.standing)} commitments: {', '.join(heard.standing)}")
    _show_result(held.fingerprints, folder)
    _compare(release, party.name, held.fingerprints)


def _staging_folder(release: ReleaseFolder, name: str | None, signing: _Signing | None) -> Path:
    """Return where to build: out of everybody's sight if the result is to be held back."""
    from relsign.sign.commit import make_held_folder

    hidden = signing is not None and signing.commits
    parent = make_held_folder(release) if hidden else release.builds
    return parent / f".{name or UNSIGNED}.{os.getpid()}.tmp"


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


def _describe(engine: Engine, built: tuple[BuiltTarget, ...]) -> BuiltRelease:
    """Return what came out, and on what kind of machine."""
    from relsign.sign.commit import BuiltRelease
    from relsign.sign.links import BuildTimes, describe_host
    from relsign.system.machine import machine_platform, operating_system

    info = engine.describe()
    return BuiltRelease(
        fingerprints=tuple(b.fingerprint for b in built),
        times={b.fingerprint.target: BuildTimes(b.started_at, b.finished_at) for b in built},
        host=describe_host(info.name, info.version, machine_platform(), operating_system()),
    )


def _commit(release: ReleaseFolder, staged: Path, built: BuiltRelease, signing: _Signing) -> None:
    """Publish a commitment; nothing said here, maybe in a public log, tells the result."""
    from relsign.sign.commit import commit_build, new_salt

    path = commit_build(release, staged, built, signing.party, signing.sign, new_salt())
    click.echo(f"{sha256_hex(path.read_bytes())}  {path.name}")
    talk(f"committed {show_path(path)}; the build is held back")
    talk("next: send that folder to the other builders, take theirs over with")
    talk("`relsign collect`, then run the same command again to show the build")


def _write_evidence(staged: Path, built: BuiltRelease, signing: _Signing | None) -> None:
    from relsign.formats.link import Byproducts
    from relsign.sign.links import make_links, sign_evidence

    for fingerprint in built.fingerprints:
        write_whole(staged / fingerprint.file, fingerprint.to_bytes())
    byproducts = Byproducts(host=built.host)
    if signing is None:
        for link in make_links(built.fingerprints, byproducts):
            write_whole(staged / f"{link.name}.link.unsigned", link.to_bytes())
        return
    evidence = sign_evidence(
        built.fingerprints, built.times, signing.party, signing.sign, byproducts
    )
    for name, data in evidence.items():
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


def _show_result(fingerprints: tuple[Fingerprint, ...], folder: Path) -> None:
    from relsign.crypto.words import digest_words

    for fingerprint in fingerprints:
        identity = sha256_hex(fingerprint.to_bytes())
        for artifact in fingerprint.artifacts:
            talk(f"  {short_digest(artifact.sha256)}  {artifact.name}")
        talk(f"  fingerprint  {digest_words(identity)}")
        click.echo(f"{identity}  {fingerprint.file}")
    talk(f"built {show_path(folder)}")


def _compare(release: ReleaseFolder, name: str, fingerprints: tuple[Fingerprint, ...]) -> None:
    """Say whether the builders who are here already got the same fingerprints."""
    mine = {fingerprint.file: fingerprint.to_bytes() for fingerprint in fingerprints}
    for builder, theirs in release.all_evidence()[0].items():
        if builder != name and any(file in theirs for file in mine):
            same = all(theirs.get(file) == data for file, data in mine.items())
            word = "SAME BYTES as" if same else "DIFFERENT BYTES from"
            talk(f"  {word} {builder}'s build; see `relsign status`")
