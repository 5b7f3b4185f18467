"""`relsign key revoke`: the revocation that was kept for the day it is needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.asking import ask
from relsign.cli.options import (
    PATH,
    keys_option,
    passphrase_option,
    project_option,
    show_path,
)
from relsign.cli.talk import talk
from relsign.system.workspace import Workspace

if TYPE_CHECKING:
    from relsign.sign.keys.keystore import KeyStore
    from relsign.sign.keys.revoking import Revocation


@click.command()
@click.argument("name")
@click.option("--as", "person", metavar="PERSON", help="Who you are, if NAME is a group's key.")
@click.option("--to", type=PATH, metavar="FILE", help="[default: NAME.revocation.asc]")
@click.option("--yes", is_flag=True, help="Write it without asking.")
@project_option
@keys_option
@passphrase_option
def revoke(
    name: str, person: str | None, to: Path | None, workspace: Workspace, keys: Path,
    descriptor: int | None, *, yes: bool,
) -> None:  # fmt: skip
    """Take out the revocation of the OpenPGP key NAME, and write it to a file.

    A group's lies sealed in the vault of each participant, who needs nobody else for
    this: it is made with the key, for the day the quorum is lost. That of a person's own
    OpenPGP key is where gpg left it.

    Whoever imports the file never trusts the key again; that cannot be taken back.

    \b
    Example
      relsign key revoke demo-release --as alice
    """
    from relsign.sign.keys.keystore import KeyStore
    from relsign.sign.keys.revoking import own_revocation, write_revocation

    if person in {None, name}:
        revocation = own_revocation(KeyStore(keys), name)
    else:
        revocation = _from_vault(workspace, name, str(person), KeyStore(keys), descriptor)
    path = to or Path(f"{name}.revocation.asc")
    _show(name, revocation)
    ask("Write it?", "what it does", yes=yes)
    write_revocation(path, revocation)
    click.echo(show_path(path))
    _show_next(name, path)


def _from_vault(
    workspace: Workspace, group: str, person: str, store: KeyStore, descriptor: int | None
) -> Revocation:
    from relsign.sign.groups.attendance import present_group
    from relsign.sign.groups.people import certificate_of, identity_party
    from relsign.sign.keys.person import open_person
    from relsign.sign.keys.revoking import group_revocation

    found = present_group(workspace, group)
    opened = open_person(store, identity_party(workspace, person), descriptor)
    certificate = certificate_of(workspace, found)
    return group_revocation(opened.mine, found, certificate, opened.passphrase)


def _show(name: str, revocation: Revocation) -> None:
    talk(f"Revocation of {name}: OpenPGP {revocation.fingerprint}")
    for user_id in revocation.user_ids:
        talk(f"  {user_id}")
    talk(f"  kept in {revocation.kept}")
    talk("  Whoever imports it never trusts this key again, nor what it signed before.")
    talk("  It cannot be taken back.")


def _show_next(name: str, path: Path) -> None:
    talk("The file does nothing where it lies. Publish it where people found the key:")
    talk(f"  gpg --import {show_path(path)}, then gpg --export and hand the key on")
    talk("relsign itself heeds the trust root alone, so owners run besides:")
    talk(f"  relsign root remove {name} --revoke REASON")
