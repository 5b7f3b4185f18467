"""`relsign trust refresh`: ask the publications what is new, one pin after another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.options import json_option
from relsign.cli.own_files import trust_option
from relsign.cli.talk import say, talk
from relsign.errors import InputError, RelsignError
from relsign.formats.canonical import encode_canonical
from relsign.system.clock import now_utc

if TYPE_CHECKING:
    from relsign.trust.pins.store import TrustStore
    from relsign.trust.publication.refresh import Refreshed


@click.command(short_help="Get newer roots and the newest list of releases.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--from", "source", metavar="URL|DIR",
              help="One project's published folder.  [default: the pin's address]")  # fmt: skip
@trust_option
@json_option
def refresh(names: tuple[str, ...], source: str | None, trust: Path, *, as_json: bool) -> int:
    """Ask the publications for newer roots and the newest releases; all pins, or NAMEs."""
    from relsign.trust.get import find_pin_name
    from relsign.trust.pins.store import TrustStore
    from relsign.trust.publication.refresh import refresh as refresh_pin

    if source is not None and len(names) != 1:
        raise InputError(
            "one address is for one project",
            got="--from",
            hint="name it: relsign trust refresh NAME",
        )
    store, now, code, rows = TrustStore(trust), now_utc(), 0, []
    for given in dict.fromkeys(names or _with_address(store)):
        try:
            name = find_pin_name(store, given)
            rows.append(_row(name, refresh_pin(store, name, now, source)))
        except RelsignError as error:
            code = complain(given, error)
        else:
            if not as_json:
                say(_line(rows[-1]))
    if as_json:
        say(encode_canonical({"schema": "relsign/trust-refresh/1", "pins": rows}).decode())
    return code


def complain(name: str, error: RelsignError) -> int:
    """Say what is wrong with one pin of several, and return the exit code."""
    words = str(error)
    talk(f"error: {words if words.startswith(f'{name}:') else f'{name}: {words}'}")
    talk(f"hint: {error.hint}")
    return error.exit_code


def _with_address(store: TrustStore) -> tuple[str, ...]:
    """Return the pins that can be refreshed, damaged ones among them; say which cannot."""
    names = store.names()
    if not names:
        talk("nothing is pinned")
        talk("Next: relsign trust add URL")
    found = []
    for name in names:
        try:
            pin = store.find_pin(name)
        except RelsignError:
            pin = None
        if pin is None or pin.url is not None:
            found.append(name)
        else:
            talk(
                f"note: {name} was pinned from a file: relsign trust refresh {name} --from URL|DIR"
            )
    return tuple(found)


def _row(name: str, refreshed: Refreshed) -> dict[str, object]:
    for note in refreshed.notes:
        talk(f"note: {note}")
    newest = refreshed.releases[-1] if refreshed.releases else None
    return {
        "name": name,
        "root_version": refreshed.root_version,
        "listed": refreshed.listing is not None,
        "newest": newest and {"version": newest.version, "sequence": newest.sequence},
    }


def _line(row: dict[str, object]) -> str:
    newest = row["newest"]
    if isinstance(newest, dict):
        said = f"newest release {newest['version']} (number {newest['sequence']})"
    else:
        said = "no release listed" if row["listed"] else "no publisher lists its releases"
    return f"{row['name']:<20} root version {row['root_version']:<4} {said}"
