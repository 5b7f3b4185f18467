"""`relsign key`: make keys, hand over their public half, fill the roster."""

from __future__ import annotations

import os
from pathlib import Path

import click

from relsign.cli.options import (
    EXISTING,
    json_option,
    keys_option,
    passphrase_option,
    project_option,
    show_path,
)
from relsign.cli.talk import talk
from relsign.crypto.keys import check_members
from relsign.errors import InputError, NotEnoughError
from relsign.formats.canonical import encode_canonical
from relsign.formats.roster import Role, parse_roster
from relsign.system.clock import now_utc
from relsign.system.files import make_folder, read_bounded, write_whole
from relsign.system.workspace import MAX_TEXT_BYTES, Workspace


@click.group(short_help="Make keys and fill the roster.")
def key() -> None:
    """Make keys, hand over their public half, and fill keys/roster.toml.

    A private key never leaves the machine it was made on. `relsign key new` leaves
    a public card, member.toml; its owner sends that to the project, which reviews it
    and runs `relsign key add`.
    """


@key.command()
@click.argument("name")
@click.option(
    "--role", "roles", multiple=True, required=True,
    type=click.Choice(["builder", "signer", "owner", "publisher", "log", "witness"]),
    help="What the key may do.",
)  # fmt: skip
@click.option("--operator", required=True, help="Person or machine; counts once per decision.")
@click.option("--organisation", required=True, help="Who the operator works for.")
@click.option(
    "--kind", type=click.Choice(["ed25519", "openpgp"]), default="ed25519", show_default=True,
    help="openpgp is for signers, and is kept by GnuPG.",
)  # fmt: skip
@click.option("--user-id", help="OpenPGP user ID.  [default: NAME <NAME@OPERATOR.invalid>]")
@click.option("--days", type=click.IntRange(1, 3660), default=730, show_default=True,
              help="Days until an OpenPGP key expires.")  # fmt: skip
@keys_option
@passphrase_option
def new(
    name: str, roles: tuple[Role, ...], operator: str, organisation: str, kind: str,
    user_id: str | None, days: int, keys: Path, descriptor: int | None,
) -> None:  # fmt: skip
    """Make a private key called NAME, encrypted under a passphrase.

    \b
    Example
      relsign key new alice --role signer --operator alice --organisation acme
    """
    from datetime import timedelta

    from relsign.sign.keystore import KeyStore, wanted_member
    from relsign.sign.passphrase import read_passphrase

    wanted = wanted_member(name, operator, organisation, roles, kind)
    passphrase = read_passphrase(f"New passphrase for {name}", descriptor=descriptor, twice=True)
    expires_at = now_utc() + timedelta(days=days)
    store = KeyStore(keys)
    store.create(wanted, user_id or f"{name} <{name}@{operator}.invalid>", passphrase, expires_at)
    click.echo(os.fspath(store.card_file(name)))
    talk(f"made {kind} key {name}; its public card is {show_path(store.card_file(name))}")
    talk("Next: give the card to the project, which runs `relsign root add CARD`")


@key.command()
@click.argument("cards", nargs=-1, required=True, type=EXISTING, metavar="CARD...")
@project_option
def add(cards: tuple[Path, ...], workspace: Workspace) -> None:
    """Add public cards to keys/roster.toml, refusing keys that are not acceptable.

    Refused: a twin of a key that is there under another name, a key of small order,
    a weak or revoked OpenPGP key, a second organisation for one operator.
    """
    from relsign.cli.root_words import show_added
    from relsign.sign.keystore import add_to_roster, is_member, read_card

    where = "keys/roster.toml"
    try:
        roster = read_bounded(workspace.roster_file, MAX_TEXT_BYTES)
    except NotEnoughError:
        roster = b""
    for card in cards:
        member = read_card(card, "no such card")
        there = is_member(roster, member, where)
        if not there:
            roster = add_to_roster(roster, member, where)
        check_members(parse_roster(roster, where).member, where, share_roles=True)
        show_added(member, there=there)
    make_folder(workspace.roster_file.parent)
    write_whole(workspace.roster_file, roster)
    talk("Next: review the roster, then `relsign root new`, or `relsign root rotate`")


@key.command(name="list")
@project_option
@json_option
def list_keys(workspace: Workspace, *, as_json: bool) -> None:
    """List the roster: who may do what, with which key."""
    members = workspace.roster().member
    parties = check_members(members, "keys/roster.toml", share_roles=True)
    if as_json:
        rows = [
            {
                "name": p.name, "operator": p.operator, "organisation": p.organisation,
                "roles": list(p.roles), "keyid": p.keyid,
            }
            for p in parties
        ]  # fmt: skip
        click.echo(encode_canonical(rows).decode())
        return
    for party in parties:
        roles = ",".join(party.roles)
        click.echo(
            f"{party.name:<20} {roles:<16} {party.operator:<16} {party.organisation:<16} "
            f"{party.keyid[:16]}"
        )


@key.command()
@click.argument("name")
@keys_option
def show(name: str, keys: Path) -> None:
    """Print the public card of the private key NAME on this machine."""
    from relsign.sign.keystore import KeyStore

    try:
        click.echo(read_bounded(KeyStore(keys).card_file(name), MAX_TEXT_BYTES).decode(), nl=False)
    except NotEnoughError as error:
        raise InputError(
            "no such key on this machine", got=name, hint="`relsign key new NAME`"
        ) from error
