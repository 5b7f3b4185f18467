"""`relsign ceremony new`, `reshare`, `repair`: propose a ceremony."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.ceremony_words import show_charter
from relsign.cli.options import (
    as_option,
    exchange_option,
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
    from relsign.formats.charter import Charter, Group, GroupRole

DAYS = click.IntRange(1, 3660)


@click.command()
@click.argument("group")
@click.option("--member", "members", multiple=True, required=True, metavar="NAME",
              help="Who gets a share: a name in the roster.")  # fmt: skip
@click.option("--threshold", type=click.IntRange(2, 32), required=True,
              help="How many of them sign together.")  # fmt: skip
@click.option(
    "--role", type=click.Choice(["release", "owner"]), default="release", show_default=True,
    help="release: the key the world checks; owner: one of the owners.",
)  # fmt: skip
@click.option("--user-id", help="Of the OpenPGP key.  [default: GROUP <GROUP@PROJECT.invalid>]")
@click.option("--days", type=DAYS, default=730, show_default=True,
              help="Days until the OpenPGP certificate expires.")  # fmt: skip
@as_option
@exchange_option
@project_option
@keys_option
@passphrase_option
def new(
    group: str, members: tuple[str, ...], threshold: int, role: GroupRole, user_id: str | None,
    days: int, name: str, exchange: str | None, workspace: Workspace, keys: Path,
    descriptor: int | None,
) -> None:  # fmt: skip
    """Propose a ceremony in which the members make the key GROUP.

    \b
    Example
      relsign ceremony new demo-release --member alice --member bob --member carol \\
        --threshold 2 --as alice
    """
    from datetime import timedelta
    from secrets import token_bytes

    from relsign.sign.ceremony.charter import Terms, keygen_charter
    from relsign.sign.groups.people import identities_of

    _refuse_twice(members)
    project = workspace.recipe().project.name
    # A key that seems to come from the future is refused by a machine whose clock is behind.
    created = now_utc().replace(microsecond=0) - timedelta(days=1)
    expires = created + timedelta(days=days + 1)
    user_id = user_id or f"{group} <{group}@{project}.invalid>"
    terms = Terms(project, group, role, user_id, created, expires)
    charter = keygen_charter(terms, identities_of(workspace, members), threshold, token_bytes(32))
    _propose(workspace, charter, None, (name, keys, descriptor, exchange))


@click.command()
@click.argument("group")
@click.option("--member", "members", multiple=True, metavar="NAME",
              help="Who holds a share from now on.  [default: who does now]")  # fmt: skip
@click.option("--dealer", "dealers", multiple=True, required=True, metavar="NAME",
              help="Present holders who deal: as many as the present threshold.")  # fmt: skip
@click.option("--threshold", type=click.IntRange(2, 32),
              help="How many sign together from now on.  [default: as many as now]")  # fmt: skip
@as_option
@exchange_option
@project_option
@keys_option
@passphrase_option
def reshare(
    group: str, members: tuple[str, ...], dealers: tuple[str, ...], threshold: int | None,
    name: str, exchange: str | None, workspace: Workspace, keys: Path, descriptor: int | None,
) -> None:  # fmt: skip
    """Propose to deal the shares of GROUP anew, under the same key.

    To the same people, so that a share that was stolen is worth nothing; or to others,
    when somebody comes or goes. Old shares sign until they are destroyed: `join`
    destroys each person's own once everybody has a new one.
    """
    from secrets import token_bytes

    from relsign.sign.ceremony.charter import reshare_charter
    from relsign.sign.groups.attendance import present_group
    from relsign.sign.groups.people import certificate_end, identities_of

    _refuse_twice(members)
    before = present_group(workspace, group)
    charter = reshare_charter(
        before,
        identities_of(workspace, members or tuple(before.identities())),
        threshold or before.threshold,
        dealers,
        expires=certificate_end(workspace, before),
        nonce=token_bytes(32),
    )
    _propose(workspace, charter, before, (name, keys, descriptor, exchange))


@click.command()
@click.argument("group")
@click.option("--lost", required=True, metavar="NAME", help="Who lost a share.")
@click.option("--helper", "helpers", multiple=True, required=True, metavar="NAME",
              help="Holders who help: as many as the threshold.")  # fmt: skip
@as_option
@exchange_option
@project_option
@keys_option
@passphrase_option
def repair(
    group: str, lost: str, helpers: tuple[str, ...], name: str, exchange: str | None,
    workspace: Workspace, keys: Path, descriptor: int | None,
) -> None:  # fmt: skip
    """Propose to make a share of GROUP again that its holder lost.

    For a disk that broke. If somebody else may have the share, use `reshare`.
    """
    from secrets import token_bytes

    from relsign.sign.ceremony.charter import repair_charter
    from relsign.sign.groups.attendance import present_group
    from relsign.sign.groups.people import certificate_end

    before = present_group(workspace, group)
    charter = repair_charter(
        before, lost, helpers, expires=certificate_end(workspace, before), nonce=token_bytes(32)
    )
    _propose(workspace, charter, before, (name, keys, descriptor, exchange))


def _refuse_twice(members: tuple[str, ...]) -> None:
    """Refuse a member who is named twice: somebody else was meant, and would be missing."""
    twice = sorted({name for name in members if members.count(name) > 1})
    if twice:
        raise InputError(
            "named twice",
            where="--member",
            got=", ".join(twice),
            hint="name each person once: was somebody else meant?",
        )


def _propose(
    workspace: Workspace,
    charter: Charter,
    before: Group | None,
    who: tuple[str, Path, int | None, str | None],
) -> None:
    from relsign.sign.groups.attendance import Attendee, propose
    from relsign.sign.groups.people import group_exchange, identity_party, require_own_roster
    from relsign.sign.keys.keystore import KeyStore
    from relsign.sign.keys.person import open_person

    name, keys, descriptor, exchange = who
    require_own_roster(workspace, charter)
    party = identity_party(workspace, name)
    show_charter(charter)
    person = open_person(KeyStore(keys), party, descriptor)
    place = group_exchange(workspace, charter.group, exchange, person.identity)
    attendee = Attendee(person.identity, person.passphrase, person.mine, workspace, place)
    path = propose(attendee, charter, before)
    click.echo(show_path(path))
    talk(f"Next: everybody named runs `relsign ceremony join {charter.group} --as NAME`")
