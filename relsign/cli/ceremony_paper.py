"""`relsign ceremony export` and `import`: a group's messages on paper, and back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.options import (
    PATH,
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
    from relsign.formats.paper import Parcel
    from relsign.sign.exchanges.interface import Identity

ONE_PICTURE = 1
MAX_LINES = 10
who_option = click.option(
    "--as", "name", metavar="NAME", help="Your key's name, where a relay asks for it."
)


@click.command("export", short_help="Print messages as text or QR codes.")
@click.argument("group")
@click.option("--release", "of_release", is_flag=True,
              help="What signs this release, in place of the ceremony.")  # fmt: skip
@click.option("--by", "authors", multiple=True, metavar="NAME",
              help="Only what NAME said; repeat it for others.")  # fmt: skip
@click.option("--qr", is_flag=True, help="Draw QR codes here.")
@click.option("--png", type=PATH, metavar="FOLDER", help="Write QR codes as PNG files.")
@click.option("--svg", type=PATH, metavar="FOLDER", help="Write QR codes as SVG files.")
@exchange_option
@who_option
@project_option
@keys_option
@passphrase_option
def export_messages(
    group: str, authors: tuple[str, ...], png: Path | None, svg: Path | None, exchange: str | None,
    name: str | None, workspace: Workspace, keys: Path, descriptor: int | None,
    *, of_release: bool, qr: bool,
) -> None:  # fmt: skip
    """Print the messages of GROUP for a machine without a network.

    Those of its ceremony, or with --release of its signature on this release, as lines of
    text: print, mail or type them, in any order. Or as QR codes, one for each line.
    Nothing in them is secret.

    To a machine that was never there: everything. Back from it, its own part is enough.

    \b
    Example
      relsign ceremony export demo-release --qr             # here
      relsign ceremony import parts.txt                     # there
      relsign ceremony join demo-release --as carol
      relsign ceremony export demo-release --by carol --qr  # and back
    """
    from relsign.formats.paper import pack
    from relsign.sign.groups.parcels import only_by

    if sum((qr, png is not None, svg is not None)) > ONE_PICTURE:
        raise click.UsageError("--qr, --png and --svg are three ways: take one")
    identity = _identity(workspace, name, keys, descriptor)
    parcel = _gather(workspace, group, exchange, identity, of_release=of_release)
    parcel = only_by(parcel, authors) if authors else parcel
    parts = pack(parcel)
    _show(parts, png, svg, qr=qr)
    count = sum(len(messages) for messages in parcel.values())
    talk(f"{count} messages in {len(parts)} parts")
    talk("Next: `relsign ceremony import` on the other machine")


@click.command("import", short_help="Read messages from text or scanned QR codes.")
@click.argument(
    "file", required=False, type=click.Path(path_type=Path, exists=True, allow_dash=True)
)
@exchange_option
@who_option
@project_option
@keys_option
@passphrase_option
def import_messages(
    file: Path | None, exchange: str | None, name: str | None, workspace: Workspace, keys: Path,
    descriptor: int | None,
) -> None:  # fmt: skip
    """Put messages from FILE, or standard input, to where they belong.

    Reads what `relsign ceremony export` printed or a QR scanner read: the parts in any
    order, repeated, in mail that broke their lines. A part with a mistake, or one that
    is missing, is named. It may be run again: what is there already changes nothing.

    Each message goes to its ceremony or release in this project; with --exchange all of
    them go there, also on a machine that only carries them to a relay. A ceremony that
    is new here is written to keys/groups/GROUP/: `relsign ceremony join` shows it and asks.

    \b
    Example
      zbarcam --raw | relsign ceremony import
    """
    from relsign.formats.paper import unpack

    found = unpack(_read(file))
    for line in found.ignored[:MAX_LINES]:
        talk(f"  left out: {line}")
    if workspace.recipe_file.exists():
        _adopt(workspace, found.parcel)
    identity = _identity(workspace, name, keys, descriptor)
    _put(workspace, found.parcel, exchange, identity)


def _gather(
    workspace: Workspace, group: str, place: str | None, identity: Identity | None,
    *, of_release: bool,
) -> Parcel:  # fmt: skip
    from relsign.sign.exchanges.paper import gather
    from relsign.sign.groups.parcels import NOBODY, ceremony_topics, release_topic
    from relsign.sign.groups.people import group_exchange
    from relsign.sign.groups.release import release_exchange
    from relsign.sign.rules.root import current_root

    if not of_release:
        exchange = group_exchange(workspace, group, place, identity)
        return gather(exchange, ceremony_topics(workspace, group, exchange))
    topic = release_topic(workspace, current_root(workspace, now_utc()), group)
    if place is not None:
        exchange = group_exchange(workspace, group, place, identity)
    else:
        exchange = release_exchange(workspace.release(), None, NOBODY)
    return gather(exchange, (topic,))


def _show(parts: tuple[str, ...], png: Path | None, svg: Path | None, *, qr: bool) -> None:
    from relsign.sign.exchanges.paper import terminal_code, write_codes

    for kind, folder in (("png", png), ("svg", svg)):
        if folder is not None:
            for path in write_codes(parts, folder, kind):
                click.echo(show_path(path))
            return
    for number, part in enumerate(parts, 1):
        if not qr:
            click.echo(part)
            continue
        talk(f"part {number} of {len(parts)}")
        click.echo("\n".join(terminal_code(part)))


def _read(file: Path | None) -> str:
    from relsign.formats.paper import MAX_TEXT_CHARACTERS
    from relsign.system.files import read_bounded

    if file is not None and str(file) != "-":
        data = read_bounded(file, MAX_TEXT_CHARACTERS)
    else:
        if sys.stdin.isatty():
            talk("Paste the parts here, then press Ctrl-D:")
        data = sys.stdin.buffer.read(MAX_TEXT_CHARACTERS + 1)
    # What is no text has no parts in it, and that is what is said of it.
    return data.decode("utf-8", errors="replace")


def _adopt(workspace: Workspace, parcel: Parcel) -> None:
    from relsign.sign.groups.parcels import adopt_charters

    paths, refused = adopt_charters(workspace, parcel)
    for path in paths:
        click.echo(show_path(path))
    for line in refused[:MAX_LINES]:
        talk(f"  left out: {line}")


def _put(
    workspace: Workspace, parcel: Parcel, place: str | None, identity: Identity | None
) -> None:
    from relsign.sign.groups.parcels import put_all, put_where_they_belong
    from relsign.sign.groups.people import group_exchange

    unknown: tuple[str, ...] = ()
    if place is not None:
        done = put_all(group_exchange(workspace, "", place, identity), parcel)
    else:
        done, unknown = put_where_they_belong(workspace, parcel, now_utc())
    for each in done:
        talk(f"  {each.label}: {each.count} messages, {each.new} of them new")
    for line in unknown[:MAX_LINES]:
        talk(f"  left out, of nothing known here: {line}")
    talk("Next: `relsign ceremony join GROUP`, or `relsign sign`")


def _identity(
    workspace: Workspace, name: str | None, keys: Path, descriptor: int | None
) -> Identity | None:
    """Return whose name a relay is told; None where none was given."""
    if name is None:
        return None
    from relsign.sign.groups.people import identity_party
    from relsign.sign.keys.keystore import KeyStore
    from relsign.sign.keys.person import open_person

    return open_person(KeyStore(keys), identity_party(workspace, name), descriptor).identity
