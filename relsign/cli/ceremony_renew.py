"""`relsign ceremony renew`: a later end for a group's OpenPGP certificate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.ceremony_words import show_visit
from relsign.cli.options import (
    as_option,
    exchange_option,
    keys_option,
    passphrase_option,
    project_option,
    show_path,
)
from relsign.cli.talk import talk
from relsign.system.clock import now_utc
from relsign.system.workspace import Workspace

if TYPE_CHECKING:
    from relsign.sign.groups.renewing import Renewing
    from relsign.sign.keys.person import OpenPerson


@click.command()
@click.argument("group")
@click.option("--days", type=click.IntRange(1, 3660),
              help="Propose it: days from now until the certificate expires.")  # fmt: skip
@as_option
@exchange_option
@click.option("--again", is_flag=True, help="Begin a new attempt: somebody of this one is gone.")
@click.option("--yes", is_flag=True, help="Agree without asking, after showing the renewal.")
@project_option
@keys_option
@passphrase_option
def renew(
    group: str, days: int | None, name: str, exchange: str | None, workspace: Workspace,
    keys: Path, descriptor: int | None, *, again: bool, yes: bool,
) -> None:  # fmt: skip
    """Give the OpenPGP certificate of GROUP a later end.

    The first person proposes with --days, and hands keys/groups/GROUP/renewal.json on
    with the project. The others run the same without --days; each is shown the two dates
    and asked. Run it again at any time; it says whom it waits for.

    \b
    Example
      relsign ceremony renew demo-release --days 730 --as alice
      relsign ceremony renew demo-release --as bob
    """
    from relsign.sign.groups.attendance import present_group
    from relsign.sign.groups.people import identity_party
    from relsign.sign.groups.renewing import open_renewal, propose_renewal
    from relsign.sign.keys.keystore import KeyStore
    from relsign.sign.keys.person import open_person

    now, found = now_utc(), present_group(workspace, group)
    party = identity_party(workspace, name)
    if days is not None:
        click.echo(show_path(propose_renewal(workspace, found, days, now)))
    renewing = open_renewal(workspace, found, now)
    show_renewal(renewing)
    if renewing.is_done:
        _show_done(workspace, renewing)
        return
    person = open_person(KeyStore(keys), party, descriptor)
    _take_part(workspace, renewing, person, exchange, again=again, yes=yes)


def _take_part(
    workspace: Workspace,
    renewing: Renewing,
    person: OpenPerson,
    exchange: str | None,
    *,
    again: bool,
    yes: bool,
) -> None:
    from relsign.cli.asking import ask
    from relsign.sign.groups.people import group_exchange
    from relsign.sign.groups.renewing import has_agreed, join_renewal
    from relsign.sign.groups.shares import as_member

    group = renewing.group
    place = group_exchange(workspace, group.name, exchange, person.identity)
    member = as_member(person.mine, person.identity, group, person.passphrase, place)
    if not has_agreed(member, renewing):
        ask("Agree?", "the renewal", yes=yes)
    visit, card = join_renewal(workspace, member, renewing, again=again)
    show_visit(visit)
    if card is None:
        talk("Next: run this again when the others have been there")
    else:
        _show_done(workspace, renewing)


def show_renewal(renewing: Renewing) -> None:
    """Show what a participant agrees to."""
    from relsign.crypto.openpgp_make import fingerprint

    group, renewal = renewing.group, renewing.renewal
    talk(f"Renewal of {group.name} ({group.role} of {group.project}), {group.user_id}")
    talk(f"  OpenPGP {fingerprint(bytes.fromhex(group.key), group.created)}")
    talk(f"  ends on {'no day' if renewing.ends_at is None else renewing.ends_at.date()}")
    talk(f"  is to end on {renewal.expires.date()}, as of {renewal.at.date()}")
    talk(f"  {group.threshold} of {len(group.holders)} sign: {', '.join(group.identities())}")


def _show_done(workspace: Workspace, renewing: Renewing) -> None:
    from relsign.sign.groups.people import write_card

    group = renewing.group
    card = write_card(workspace, group)
    talk(f"{group.name} is renewed until {renewing.renewal.expires.date()}")
    if card is not None:
        click.echo(show_path(card))
        talk(f"Next: an owner runs `relsign root add --replace {show_path(card)}`")
