"""Who builds: the builder's open key, and commitments where the policy wants them first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from relsign.build.profile import Profile
from relsign.cli.building.place import compare_with_others, show_result
from relsign.cli.options import show_path
from relsign.cli.talk import talk
from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Party, check_members, parties_of
from relsign.crypto.raw_signing import Sign
from relsign.errors import InputError
from relsign.formats.fingerprint import Fingerprint, ProfileDigest
from relsign.sign.evidence.commit import (
    BuiltRelease,
    Held,
    commit_build,
    find_held,
    is_shown,
    new_salt,
    publish_commitment,
    refuse_second,
    require_committed,
    require_unchanged,
    reveal_build,
    shown_fingerprints,
)
from relsign.sign.keys.keystore import KeyStore
from relsign.system.clock import now_utc
from relsign.system.workspace import ReleaseFolder, Workspace


@dataclass(frozen=True, slots=True)
class Signing:
    """A builder whose key is open, and the builders it works with."""

    party: Party
    sign: Sign
    builders: tuple[Party, ...]
    commits: bool
    """Whether the policy wants a commitment before any result is shown."""


def require_committed_to(workspace: Workspace, release: ReleaseFolder, name: str | None) -> None:
    """Refuse to reveal what nobody committed to, before a passphrase is asked for."""
    if name is None or not workspace.policy().commit:
        raise InputError(
            "there is no commitment to reveal",
            hint="name the builder with --as, in a project whose policy says commit = true",
        )
    party, _builders = builder_named(workspace, name)
    if find_held(release, party) is None and not is_shown(release, party):
        refuse_second(release, party)
        raise InputError("nothing was committed to yet", hint="run it without --reveal")


def open_signing(workspace: Workspace, name: str, keys: Path, descriptor: int | None) -> Signing:
    """Open the builder's key before the build, so that nobody waits for a passphrase after it."""
    party, builders = builder_named(workspace, name)
    signer = KeyStore(keys).open_for(party, descriptor)
    return Signing(party, signer.sign, builders, workspace.policy().commit)


def builder_named(workspace: Workspace, name: str) -> tuple[Party, tuple[Party, ...]]:
    """Return a builder of the roster, and all of them; raise InputError for anybody else."""
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


def go_on(
    workspace: Workspace, release: ReleaseFolder, signing: Signing | None, profile: Profile
) -> bool:
    """Show the build that was committed to, if there is one; say whether that was all to do.

    Raises NotEnoughError while builders are awaited, InputError where the inputs
    changed since.
    """
    if signing is None or not signing.commits:
        return False
    party = signing.party
    held = find_held(release, party)
    if held is not None:
        _require_same_inputs(workspace, held.fingerprints, profile)
        _reveal(workspace, release, signing, held)
        return True
    if is_shown(release, party):
        targets = tuple(target.name for target in workspace.recipe().target)
        _require_same_inputs(workspace, shown_fingerprints(release, party, targets), profile)
        talk(f"this build is shown already: {show_path(release.build_of(party.name))}")
        return True
    refuse_second(release, party)
    return False


def _require_same_inputs(
    workspace: Workspace, fingerprints: tuple[Fingerprint, ...], profile: Profile
) -> None:
    digest = ProfileDigest(name=profile.name, sha256=profile.sha256)
    require_unchanged(workspace, digest, fingerprints)


def _reveal(workspace: Workspace, release: ReleaseFolder, signing: Signing, held: Held) -> None:
    party = signing.party
    publish_commitment(release, party)
    heard = require_committed(
        release, party, signing.builders, workspace.policy().thresholds, now_utc()
    )
    for line in heard.ignored:
        talk(f"  ignored: {line}")
    folder = reveal_build(workspace, held, heard, party, signing.sign)
    talk(f"  heard {len(heard.standing)} commitments: {', '.join(heard.standing)}")
    show_result(held.fingerprints, folder)
    compare_with_others(release, party.name, held.fingerprints)


def commit_only(
    release: ReleaseFolder, staged: Path, built: BuiltRelease, signing: Signing
) -> None:
    """Publish a commitment; nothing said here, maybe in a public log, tells the result."""
    path = commit_build(release, staged, built, signing.party, signing.sign, new_salt())
    click.echo(f"{sha256_hex(path.read_bytes())}  {path.name}")
    talk(f"committed {show_path(path)}; the build is held back")
    talk("next: send that folder to the other builders, take theirs over with")
    talk("`relsign collect`, then run the same command again to show the build")
