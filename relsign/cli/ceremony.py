"""`relsign ceremony`: several people make one key together, and look after it."""

from __future__ import annotations

from pathlib import Path

import click

from relsign.cli.asking import ask
from relsign.cli.ceremony_new import new, repair, reshare
from relsign.cli.ceremony_paper import export_messages, import_messages
from relsign.cli.ceremony_renew import renew
from relsign.cli.ceremony_words import (
    show_attendance,
    show_charter,
    show_standing,
    standing_json,
)
from relsign.cli.options import (
    as_option,
    exchange_option,
    json_option,
    keys_option,
    passphrase_option,
    project_option,
)
from relsign.cli.talk import talk
from relsign.formats.canonical import encode_canonical
from relsign.system.clock import now_utc
from relsign.system.workspace import Workspace


@click.group(short_help="Make one key of many people, and look after it.")
def ceremony() -> None:
    """Make one key that several people share, and look after it.

    The key exists nowhere: each person has a share, and only a threshold of them
    together sign. Somebody proposes a ceremony with `new`; then everybody runs `join`,
    whenever it suits, until it says that nothing is left to do.

    Messages travel in the project folder, keys/groups/GROUP/messages/, with git, a
    stick or a shared disk; through a relay, with --exchange https://...; or on paper,
    with export and import.
    """


ceremony.add_command(new)
ceremony.add_command(reshare)
ceremony.add_command(repair)
ceremony.add_command(export_messages)
ceremony.add_command(import_messages)
ceremony.add_command(renew)


@ceremony.command()
@click.argument("group")
@as_option
@exchange_option
@click.option("--again", is_flag=True, help="Begin a new attempt: somebody of this one is gone.")
@click.option("--yes", is_flag=True, help="Join without asking, after showing the charter.")
@project_option
@keys_option
@passphrase_option
def join(
    group: str, name: str, exchange: str | None, workspace: Workspace, keys: Path,
    descriptor: int | None, *, again: bool, yes: bool,
) -> None:  # fmt: skip
    """Do whatever is next for you in the ceremony of GROUP.

    The first time you are shown who takes part and asked. Run it again at any time;
    it says whom it waits for.
    """
    from relsign.sign.groups.attendance import Attendee, attend, has_joined, read_charter
    from relsign.sign.groups.people import (
        group_exchange,
        identity_party,
        require_own_roster,
        require_part,
    )
    from relsign.sign.keys.keystore import KeyStore
    from relsign.sign.keys.person import open_person

    charter = read_charter(workspace, group)
    require_own_roster(workspace, charter)
    require_part(workspace, charter, name)
    party = identity_party(workspace, name)
    person = open_person(KeyStore(keys), party, descriptor)
    place = group_exchange(workspace, group, exchange, person.identity)
    attendee = Attendee(person.identity, person.passphrase, person.mine, workspace, place)
    if not has_joined(attendee, charter):
        show_charter(charter)
        ask("Join?", "the charter", yes=yes)
    attendance = attend(attendee, charter, again=again)
    show_attendance(workspace, charter, attendance)


@ceremony.command()
@click.argument("group")
@exchange_option
@click.option("--as", "name", metavar="NAME", help="Your key's name, where a relay asks for it.")
@project_option
@keys_option
@passphrase_option
@json_option
def status(
    group: str, exchange: str | None, name: str | None, workspace: Workspace, keys: Path,
    descriptor: int | None, *, as_json: bool,
) -> None:  # fmt: skip
    """Show how the ceremony of GROUP stands, and who is awaited.

    Reads the messages and needs no key, but where they are on a relay.
    """
    from relsign.sign.groups.attendance import public_step, read_charter
    from relsign.sign.groups.people import group_exchange, identity_party
    from relsign.sign.keys.keystore import KeyStore
    from relsign.sign.keys.person import open_person

    charter = read_charter(workspace, group)
    identity = None
    if name is not None:
        party = identity_party(workspace, name)
        identity = open_person(KeyStore(keys), party, descriptor).identity
    step = public_step(workspace, charter, group_exchange(workspace, group, exchange, identity))
    if as_json:
        click.echo(encode_canonical(standing_json(charter, step)).decode())
        return
    show_standing(charter, step)


@ceremony.command()
@click.argument("group")
@click.option("--release", "of_release", is_flag=True,
              help="Check also who signed this release with its key.")  # fmt: skip
@project_option
def verify(group: str, workspace: Workspace, *, of_release: bool) -> None:
    """Check every ceremony of GROUP again, from what is public.

    Signatures, proofs and points of each transcript in keys/groups/GROUP/, from the
    first ceremony to the present document. Where a root is there, it must name this key.

    With --release also the messages in release/PROJECT-VERSION/ceremony/: whose shares
    made exactly the signatures that lie there, and that each of these people signed the
    statement under an own name.
    """
    from relsign.sign.groups.history import verify_history

    for line in verify_history(workspace, group).lines:
        talk(line)
    if of_release:
        from relsign.sign.groups.account import verify_release_account
        from relsign.sign.rules.root import current_root

        now = now_utc()
        for line in verify_release_account(
            workspace, current_root(workspace, now), group, now
        ).lines:
            talk(line)
    click.echo("VERIFIED")
