"""`relsign root`: the keys and thresholds people pin, version by version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.options import (
    EXISTING,
    as_option,
    keys_option,
    passphrase_option,
    project_option,
    show_path,
)
from relsign.cli.talk import talk
from relsign.errors import InputError
from relsign.system.clock import now_utc
from relsign.system.workspace import Workspace

if TYPE_CHECKING:
    from relsign.formats.root import Root, RootFile
    from relsign.sign.root import StagedRoot


@click.group(short_help="Make, change, sign and examine the trust root.")
def root() -> None:
    """Make, change, sign and examine the trust root, policies/root.json.

    It follows from policies/release.toml and keys/roster.toml. A version counts when
    enough of its own owners signed it, and takes the place of the one before when
    enough of that one's owners did. People pin one version and follow from there.
    """


@root.command()
@project_option
def new(workspace: Workspace) -> None:
    """Write the first version of the root; owners then sign it.

    \b
    Example
      relsign key add olga/member.toml oona/member.toml ...
      relsign root new
      relsign root sign --as olga
    """
    from relsign.sign.root import present_root, stage_root

    if present_root(workspace) is not None:
        raise InputError(
            "there is a root already",
            where=show_path(workspace.root_file),
            hint="change it with `relsign root rotate`",
        )
    show_staged(workspace, stage_root(workspace, now_utc()))


@root.command()
@click.option("--renew", is_flag=True, help="Start its validity anew even if nothing changed.")
@project_option
def rotate(workspace: Workspace, *, renew: bool) -> None:
    """Make the next version of the root from policy and roster.

    The present version, once complete, is kept under its number in policies/roots/.
    Nothing is written where nothing changed, unless --renew.
    """
    from relsign.sign.root import stage_root

    show_staged(workspace, stage_root(workspace, now_utc(), renew=renew))


@root.command()
@as_option
@project_option
@keys_option
@passphrase_option
def sign(name: str, workspace: Workspace, keys: Path, descriptor: int | None) -> None:
    """Sign the root as an owner of it, or of the version before.

    It is made again from your own policy and roster; one that differs is not signed.
    What changes is shown before you are asked for the passphrase.
    """
    from relsign.sign.keystore import KeyStore
    from relsign.sign.passphrase import read_passphrase
    from relsign.sign.root import owner_named, request_root, sign_root

    file = request_root(workspace, now_utc())
    party = owner_named(workspace, file, name)
    _show_change(workspace, file)
    passphrase = read_passphrase(f"Passphrase for {name}", descriptor=descriptor)
    signer = KeyStore(keys).open_as(party, passphrase)
    signed = sign_root(workspace, file.signed, party, signer.sign)
    talk(f"{name} signed {show_path(workspace.root_file)}")
    _show_signatures(workspace, signed)


@root.command()
@click.argument("files", nargs=-1, required=True, type=EXISTING, metavar="FILE...")
@project_option
def merge(files: tuple[Path, ...], workspace: Workspace) -> None:
    """Add the signatures in other owners' copies of the root to yours."""
    from relsign.formats.root import MAX_ROOT_BYTES
    from relsign.sign.root import merge_root, present_root
    from relsign.system.files import read_bounded

    for path in files:
        names = merge_root(workspace, read_bounded(path, MAX_ROOT_BYTES), show_path(path))
        talk(f"{show_path(path)}: {', '.join(names) or 'no signature of an owner'}")
    merged = present_root(workspace)
    if merged is not None:
        _show_signatures(workspace, merged)


def show_staged(workspace: Workspace, staged: StagedRoot) -> None:
    """Say what became of the root, its words, and who must sign it."""
    from relsign.crypto.digest import sha256_hex
    from relsign.crypto.words import digest_words
    from relsign.sign.root import present_root

    version = f"version {staged.root.version}"
    talk(f"{staged.change:<10} {show_path(workspace.root_file)}  ({version})")
    talk(f"root words {digest_words(sha256_hex(staged.root.to_bytes()))}")
    if staged.dropped:
        talk(f"{', '.join(staged.dropped)} must sign again: the root they signed is replaced")
    file = present_root(workspace)
    if file is not None:
        _show_signatures(workspace, file)


def _show_signatures(workspace: Workspace, file: RootFile) -> None:
    from relsign.sign.root import missing_owners, owners_who_may_sign, signers_of

    names = signers_of(file, owners_who_may_sign(workspace, file))
    missing = missing_owners(workspace, file)
    talk(f"signed by {', '.join(names) or 'nobody yet'}")
    if missing:
        talk(f"Next: {missing}, with `relsign root sign --as NAME`")


def _show_change(workspace: Workspace, file: RootFile) -> None:
    from relsign.crypto.digest import sha256_hex
    from relsign.crypto.words import digest_words
    from relsign.formats.root import parse_root
    from relsign.publish.roots import describe_change
    from relsign.sign.root import earlier_roots

    earlier = earlier_roots(workspace)
    before: Root | None = parse_root(earlier[-1]).signed if earlier else None
    signed = file.signed
    talk(f"Trust root of {signed.project}, until {signed.expires:%Y-%m-%d}")
    talk(f"  words {digest_words(sha256_hex(signed.to_bytes()))}")
    for line in describe_change(before, signed).lines:
        talk(f"  {line}")
    if before is None:
        for member in signed.members:
            roles = ", ".join(member.roles)
            talk(f"  {member.name}: {roles}; {member.operator} of {member.organisation}")
