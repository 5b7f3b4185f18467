"""`relsign trust`: pin a project's root, once, and keep an eye on what is pinned."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.options import json_option
from relsign.cli.own_files import trust_option
from relsign.cli.talk import say, talk
from relsign.cli.trust_lines import describe, pin_details, pin_row
from relsign.cli.trust_refresh import complain, refresh
from relsign.errors import InputError, NoRootError, RelsignError
from relsign.formats.canonical import encode_canonical
from relsign.system.clock import now_utc

if TYPE_CHECKING:
    from relsign.trust.pins.pinning import Offer
    from relsign.trust.pins.store import Kept, TrustStore

_STDIN = 0
_NOT_PINNED = 1
_QUESTION = "Do these words match those the project published over another channel?"


@click.group(short_help="Pin projects' roots: who must agree before you believe a release.")
def trust() -> None:
    """Pin projects' roots, and see what is pinned.

    A root says whose signatures a project's releases need. Pin it once, comparing its
    twelve words with those the project gives over another channel; from then on
    `relsign verify` needs no option, and newer roots are believed when the owners of
    the one before signed them.

    Whoever can write the store can make you believe anything. Keep it yours.
    """


@trust.command(short_help="Pin a root, comparing its twelve words.")
@click.argument("source", metavar="FILE|DIR|URL")
@click.option("--name", metavar="NAME", help="What to call it.  [default: the project's name]")
@click.option("--words", metavar="WORDS", help="The twelve words you have from another channel.")
@click.option("--digest", metavar="HEX", help="The root's SHA-256 from another channel.")
@click.option("--no-input", is_flag=True, help="Never ask; then --words or --digest is needed.")
@trust_option
def add(
    source: str, name: str | None, words: str | None, digest: str | None, trust: Path, *,
    no_input: bool,
) -> int:  # fmt: skip
    """Pin the root in FILE, or in a project's published folder, on disk or at a URL.

    Shows who is in it and its twelve words, and asks whether they are those that the
    project published over another channel: its documentation, a talk, a person. The
    server that hands out the releases is no other channel.

    \b
    Example
      relsign trust add https://example.org/releases/gzip/
    """
    from relsign.trust.pins.pinning import Standing, compare, read_offer, standing_of
    from relsign.trust.pins.store import TrustStore

    now, store = now_utc(), TrustStore(trust)
    offer = read_offer(source, now)
    compared = compare(offer, words, digest)
    name = name or offer.project
    standing = standing_of(store, name, offer)
    if standing is Standing.SAME:
        talk(f"{name}: this root is pinned already, or was accepted since; nothing to do")
        return 0
    if standing is Standing.GONE:
        store.put_back(name, offer.trusted)
        talk(f"{name}: this root is pinned, and its file was gone; it is back")
        return 0
    _show_offer(store, name, offer)
    if standing is Standing.FOLLOWS:
        store.accept_root(name, offer.trusted.data)
        talk(f"accepted: the owners of the version before signed version {_version(offer)}")
        return 0
    if standing is Standing.LOST:
        talk(f"{name}: its pin was lost or damaged; this one takes its place")
    if not compared and not _agreed(no_input=no_input):
        talk("not pinned; nothing was changed")
        return _NOT_PINNED
    pin = store.create(name, offer.trusted, offer.url, now)
    say(name)
    if standing is Standing.LOST:
        talk(f"{name}: {len(pin.seen)} of the releases you had seen are remembered")
    talk(f"pinned {name}, version {_version(offer)}")
    pin_option = f"--pin {name} " if len(store.find(offer.project)) > 1 else ""
    talk(f"Next: relsign verify {pin_option}FILE")
    return 0


@trust.command(name="list", short_help="List what is pinned and was seen.")
@trust_option
@json_option
def list_pins(trust: Path, *, as_json: bool) -> int:
    """List what is pinned, when it expires, and the newest release seen of each."""
    from relsign.trust.pins.store import TrustStore

    store, rows, code = TrustStore(trust), [], 0
    for name in store.names():
        try:
            rows.append(pin_row(_recalled(store, name)))
        except RelsignError as error:
            code = complain(name, error)
    if as_json:
        say(encode_canonical({"schema": "relsign/trust-list/1", "pins": rows}).decode())
        return code
    for row in rows:
        short = " ".join(str(row["words"]).split()[:4])
        newest = row["newest"] or "no release seen"
        say(
            f"{row['name']:<20} {row['project']:<20} version {row['version']:<4} {short} ...  "
            f"expires {str(row['expires'])[:10]}  {newest}  {row['url'] or '-'}"
        )
    if not rows and not code:
        talk("nothing is pinned")
        talk("Next: relsign trust add URL")
    return code


@trust.command(short_help="Show who must agree under a pinned root.")
@click.argument("name")
@trust_option
@json_option
def show(name: str, trust: Path, *, as_json: bool) -> None:
    """Show who must agree under the root pinned as NAME, and its twelve words."""
    from relsign.crypto.words import digest_words
    from relsign.trust.pins.store import TrustStore
    from relsign.verify.root import open_root

    kept = _recalled(TrustStore(trust), name)
    if as_json:
        say(encode_canonical(pin_details(kept)).decode())
        return
    pin, newest = kept.pin, open_root(kept.roots[-1])
    for line in describe(newest.root):
        say(line)
    say(f"words      {digest_words(newest.digest)}")
    say(f"sha256     {newest.digest}")
    if newest.digest != pin.root_sha256:
        say(f"pinned     version {pin.version}: {digest_words(pin.root_sha256)}")
    say(f"pinned at  {pin.pinned_at:%Y-%m-%d %H:%M} UTC, from {pin.url or 'a file'}")
    for entry in pin.seen[-10:]:
        say(f"seen       {entry.version:<20} {entry.seen_at:%Y-%m-%d}")


@trust.command(short_help="Forget a root and the releases seen.")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@trust_option
def remove(name: str, trust: Path, *, yes: bool) -> int:
    """Forget the root pinned as NAME, and which releases were seen under it.

    Afterwards an older release is as good as a newer one, until one is verified.
    """
    from relsign.trust.pins.store import TrustStore

    store = TrustStore(trust)
    if not store.has_folder(name):
        raise NoRootError(
            "no root is pinned under that name", got=name, hint="see `relsign trust list`"
        )
    if not yes:
        _require_terminal("--yes")
        if not click.confirm(f"Forget {name} and what you have seen of it?", err=True):
            talk("nothing was changed")
            return _NOT_PINNED
    store.remove(name)
    talk(f"removed {name}")
    return 0


trust.add_command(refresh)


def _agreed(*, no_input: bool) -> bool:
    """Ask whether the words were compared; no is the answer unless somebody says yes."""
    if no_input:
        _refuse_asking("--words")
    _require_terminal("--words")
    return click.confirm(_QUESTION, default=False, err=True)


def _require_terminal(option: str) -> None:
    if not os.isatty(_STDIN):
        _refuse_asking(option)


def _refuse_asking(option: str) -> None:
    hints = {"--words": "compare the words yourself and give them with --words, or use --digest"}
    raise InputError("nobody to ask", hint=hints.get(option, f"give {option} if you are sure"))


def _recalled(store: TrustStore, name: str) -> Kept:
    kept = store.recall(name)
    if kept.note:
        talk(kept.note)
    return kept


def _version(offer: Offer) -> int:
    return offer.trusted.root.version


def _show_offer(store: TrustStore, name: str, offer: Offer) -> None:
    """Show a root before it is believed, on stderr: it is what the question is about."""
    from relsign.trust.pins.pinning import pins_root, resembling

    for line in describe(offer.trusted.root):
        talk(line)
    talk(f"words      {offer.words}")
    talk(f"sha256     {offer.trusted.digest}")
    for pin in resembling(store, name, offer.project):
        if pins_root(store, pin, offer):
            talk(f"note       {pin.name} is this very root, pinned already")
        else:
            talk(
                f"careful    {pin.name} is pinned too, for the project {pin.project}: not this root"
            )
