"""`relsign key`: make or enrol keys, hand over their public half, fill the roster."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from relsign.cli.key_revoke import revoke
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
from relsign.formats.roster import Member, Role, RsaScheme, parse_roster
from relsign.system.clock import now_utc
from relsign.system.files import make_folder, read_bounded, write_whole
from relsign.system.workspace import MAX_TEXT_BYTES, Workspace

F = TypeVar("F", bound=Callable[..., object])


def _card_options(function: F) -> F:
    """Add what a card says besides the key."""
    roles = ["builder", "signer", "owner", "publisher", "log", "witness"]
    for option in (
        click.option(
            "--scheme", type=click.Choice(["rsassa-pss-sha256", "rsa-pkcs1v15-sha512"]),
            default="rsassa-pss-sha256", show_default=True, help="How an RSA key signs.",
        ),
        click.option("--organisation", required=True, help="Who the operator works for."),
        click.option(
            "--operator", required=True, help="Person or machine; counts once per decision."
        ),
        click.option(
            "--role", "roles", multiple=True, required=True, type=click.Choice(roles),
            help="What the key may do.",
        ),
    ):  # fmt: skip
        function = option(function)
    return function


@click.group(short_help="Make keys and fill the roster.")
def key() -> None:
    """Make keys, hand over their public half, and fill keys/roster.toml.

    A private key never leaves the place it was made in. `relsign key new` makes one
    here, `relsign key use` takes one that is in GnuPG, an ssh-agent or a token. Both
    leave a public card, member.toml; its owner sends that to the project, which reviews
    it and runs `relsign key add`.
    """


@key.command()
@click.argument("name")
@_card_options
@click.option(
    "--kind", type=click.Choice(["ed25519", "ecdsa-p256", "rsa", "openpgp"]), default="ed25519",
    show_default=True, help="All but ed25519 are for signers; openpgp is kept by GnuPG.",
)  # fmt: skip
@click.option("--user-id", help="OpenPGP user ID.  [default: NAME <NAME@OPERATOR.invalid>]")
@click.option("--days", type=click.IntRange(1, 3660), default=730, show_default=True,
              help="Days until an OpenPGP key expires.")  # fmt: skip
@keys_option
@passphrase_option
def new(
    name: str, roles: tuple[Role, ...], operator: str, organisation: str, scheme: RsaScheme,
    kind: str, user_id: str | None, days: int, keys: Path, descriptor: int | None,
) -> None:  # fmt: skip
    """Make a private key called NAME, encrypted under a passphrase.

    \b
    Example
      relsign key new alice --role signer --operator alice --organisation acme
    """
    from datetime import timedelta

    from relsign.sign.keys.keystore import KeyStore, wanted_member
    from relsign.sign.keys.passphrase import read_passphrase
    from relsign.system.secrecy import forbid_dumps

    wanted = wanted_member(name, operator, organisation, roles, kind, scheme)
    forbid_dumps()
    passphrase = read_passphrase(f"New passphrase for {name}", descriptor=descriptor, twice=True)
    expires_at = now_utc() + timedelta(days=days)
    store = KeyStore(keys)
    store.create(wanted, user_id or f"{name} <{name}@{operator}.invalid>", passphrase, expires_at)
    _show_card(f"made {kind} key {name}", store.card_file(name))


@key.command()
@click.argument("name")
@click.argument("uri")
@_card_options
@keys_option
@passphrase_option
def use(
    name: str, uri: str, roles: tuple[Role, ...], operator: str, organisation: str,
    scheme: RsaScheme, keys: Path, descriptor: int | None,
) -> None:  # fmt: skip
    """Enrol a private key that is there already, at URI, as NAME.

    The key signs its own public card once, so that you are seen to hold it. A PIN or
    a passphrase never stands in the URI: it is asked for.

    \b
    Examples
      relsign key use zoe 'gnupg:FINGERPRINT?home=/home/zoe/.gnupg' --role signer ...
      relsign key use zoe ssh-agent:SHA256:FINGERPRINT --role signer ...
      relsign key use zoe 'pkcs11:token=T;id=%01?module-path=/PATH.so' --role signer ...
      relsign key use zoe file:key.pem --role signer ...
    """
    from relsign.sign.keys.keystore import KeyStore, wanted_member
    from relsign.sign.keys.opening import asks_for
    from relsign.sign.keys.passphrase import read_passphrase
    from relsign.sign.keys.uri import parse_key_uri
    from relsign.system.secrecy import forbid_dumps

    place = parse_key_uri(uri, "URI")
    wanted = wanted_member(name, operator, organisation, roles, "ed25519")
    forbid_dumps()
    prompt = asks_for(place, name)
    asked = descriptor is not None or prompt
    secret = read_passphrase(prompt, descriptor=descriptor) if asked else None
    store = KeyStore(keys)
    member = store.enrol(wanted, place, secret, scheme)
    _show_card(f"enrolled {_kind(member)} key {name}, at {place.to_text()}", store.card_file(name))


def _show_card(what: str, card: Path) -> None:
    click.echo(os.fspath(card))
    talk(f"{what}; its public card is {show_path(card)}")
    talk("Next: give the card to the project, which runs `relsign root add CARD`")


@key.command()
@click.argument("cards", nargs=-1, required=True, type=EXISTING, metavar="CARD...")
@project_option
def add(cards: tuple[Path, ...], workspace: Workspace) -> None:
    """Add public cards to keys/roster.toml, refusing keys that are not acceptable.

    Refused: a twin of a key that is there under another name, as another kind or as a
    subkey; a key of small order, a weak RSA or OpenPGP key, a second organisation for
    one operator.
    """
    from relsign.cli.root_words import show_added
    from relsign.sign.groups.history import require_ceremony
    from relsign.sign.keys.keystore import add_to_roster, is_member, read_card

    where = "keys/roster.toml"
    try:
        roster = read_bounded(workspace.roster_file, MAX_TEXT_BYTES)
    except NotEnoughError:
        roster = b""
    for card in cards:
        member = read_card(card, "no such card")
        known = parse_roster(roster, where).member if roster else ()
        require_ceremony(workspace, member, known)
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
                "roles": list(p.roles), "kind": _kind(m), "keyid": p.keyid,
            }
            for p, m in zip(parties, members, strict=True)
        ]  # fmt: skip
        click.echo(encode_canonical(rows).decode())
        return
    for party, member in zip(parties, members, strict=True):
        roles = ",".join(party.roles)
        click.echo(
            f"{party.name:<20} {roles:<16} {party.operator:<16} {party.organisation:<16} "
            f"{party.keyid[:16]}  {_kind(member)}"
        )


def _kind(member: Member) -> str:
    """Return the kind of a member's key, as the roster names it."""
    return str(member.key.__struct_config__.tag)


@key.command()
@click.argument("name")
@keys_option
def show(name: str, keys: Path) -> None:
    """Print the public card of the private key NAME on this machine.

    Where its private half is goes to standard error.
    """
    from relsign.sign.keys.keystore import KeyStore

    store = KeyStore(keys)
    try:
        card = read_bounded(store.card_file(name), MAX_TEXT_BYTES).decode()
    except NotEnoughError as error:
        raise InputError(
            "no such key on this machine", got=name, hint="`relsign key new NAME`"
        ) from error
    click.echo(card, nl=False)
    talk(f"{name} is at {store.uri(name).to_text()}")


key.add_command(revoke)
