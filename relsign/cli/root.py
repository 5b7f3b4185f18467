"""`relsign root`: the keys and thresholds people pin, version by version."""

from __future__ import annotations

from pathlib import Path

import click

from relsign.cli.options import (
    EXISTING,
    again_option,
    as_option,
    exchange_option,
    keys_option,
    passphrase_option,
    project_option,
    show_path,
)
from relsign.cli.root_change import add, remove, revoke, vouch
from relsign.cli.root_show import analyse, show
from relsign.cli.root_words import show_change, show_signatures, show_staged
from relsign.cli.talk import talk
from relsign.errors import InputError
from relsign.system.clock import now_utc
from relsign.system.workspace import Workspace

__all__ = ["root", "show_staged"]


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
    from relsign.sign.rules.root import present_root, stage_root, wanted_root

    present, now = present_root(workspace), now_utc()
    if present is not None and wanted_root(workspace, now) != present.signed:
        raise InputError(
            "there is a root already, and policy or roster say something else",
            where=show_path(workspace.root_file),
            hint="change it with `relsign root rotate`",
        )
    show_staged(workspace, stage_root(workspace, now))


@root.command()
@click.option("--renew", is_flag=True, help="Start its validity anew even if nothing changed.")
@project_option
def rotate(workspace: Workspace, *, renew: bool) -> None:
    """Make the next version of the root from policy and roster.

    The present version, once complete, is kept under its number in policies/roots/.
    Nothing is written where nothing changed, unless --renew.
    """
    from relsign.sign.rules.root import stage_root

    show_staged(workspace, stage_root(workspace, now_utc(), renew=renew))


@root.command()
@as_option
@exchange_option
@again_option
@project_option
@keys_option
@passphrase_option
def sign(
    name: str, exchange: str | None, workspace: Workspace, keys: Path, descriptor: int | None,
    *, again: bool,
) -> None:  # fmt: skip
    """Sign the root as an owner of it, or of the version before.

    It is made again from your own policy and roster; one that differs is not signed.
    What changes is shown before you are asked for the passphrase.

    Where you hold a share of a group that is an owner, this does your part of its
    signature, and says whom it waits for: run it again when they have been there.
    """
    from relsign.cli.group_owner import sign_as_owner_groups
    from relsign.sign.groups.owner import own_vote, root_groups, root_signing
    from relsign.sign.keys.keystore import KeyStore
    from relsign.sign.keys.person import open_person
    from relsign.sign.rules.root import present_root, request_root, sign_root

    file = request_root(workspace, now_utc())
    groups = root_groups(workspace, file, name)
    party = own_vote(workspace, file, name, groups)
    show_change(workspace, file)
    store = KeyStore(keys)
    person = open_person(store, groups[0].person, descriptor) if groups else None
    if party is not None:
        signer = store.open_for(party, descriptor) if person is None else person.signer
        sign_root(workspace, file.signed, party, signer.sign)
        talk(f"{name} signed {show_path(workspace.root_file)}")
    if person is not None:
        sign_as_owner_groups(
            groups,
            lambda owner: root_signing(workspace, owner, file),
            person,
            exchange,
            again=again,
        )
    signed = present_root(workspace)
    if signed is not None:
        show_signatures(workspace, signed)


@root.command()
@click.argument("files", nargs=-1, required=True, type=EXISTING, metavar="FILE...")
@project_option
def merge(files: tuple[Path, ...], workspace: Workspace) -> None:
    """Add the signatures in other owners' copies of the root to yours."""
    from relsign.formats.root import MAX_ROOT_BYTES
    from relsign.sign.rules.root import merge_root, present_root
    from relsign.system.files import read_bounded

    for path in files:
        names = merge_root(workspace, read_bounded(path, MAX_ROOT_BYTES), show_path(path))
        talk(f"{show_path(path)}: {', '.join(names) or 'no signature of an owner'}")
    merged = present_root(workspace)
    if merged is not None:
        show_signatures(workspace, merged)


for command in (add, remove, revoke, vouch, show, analyse):
    root.add_command(command)
