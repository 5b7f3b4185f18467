"""`relsign relay`: carry ceremony messages between people who never meet."""

from __future__ import annotations

from pathlib import Path

import click

from relsign.cli.options import EXISTING, PATH
from relsign.cli.talk import say, talk
from relsign.errors import InputError

MAX_PORT = 65535


@click.command(short_help="Carry ceremony messages between members; hold no secret.")
@click.option("--members", type=EXISTING, required=True, metavar="ROOT|ROSTER",
              help="Whom to serve: root.json, or keys/roster.toml.")  # fmt: skip
@click.option("--store", type=PATH, required=True, metavar="DIR",
              help="Where messages are kept; nothing is ever removed.")  # fmt: skip
@click.option("--listen", default="127.0.0.1:8440", show_default=True, metavar="HOST:PORT",
              help="Port 0 takes one that is free.")  # fmt: skip
@click.option("--url", metavar="URL",
              help="How members address it, if that differs: behind a proxy.")  # fmt: skip
@click.option("--certificate", type=EXISTING, metavar="PEM", help="Serve HTTPS, with --key.")
@click.option("--key", type=EXISTING, metavar="PEM", help="The certificate's private key.")
def relay(
    members: Path,
    store: Path,
    listen: str,
    url: str | None,
    certificate: Path | None,
    key: Path | None,
) -> None:
    """Run a relay: a place on the network where members leave messages for each other.

    Members name it where they would name a shared folder. Each request is signed by a
    member's Ed25519 key; everybody else sees "members only". The relay can hold a
    message back, but it can neither make nor change one, and it knows no secret.

    The address members use is part of what they sign: behind a proxy, give it as --url.
    Members are read at the start; after a change, stop it (Ctrl-C, SIGTERM) and start it
    again. Nothing that was acknowledged is lost, whenever it ends.

    \b
    Example
      relsign relay --members root.json --store relay --url https://relay.example
    """
    from relsign.relay.server import Settings, serve

    host, port = _parse(listen)
    settings = Settings(members, store, host, port, url, certificate, key)
    serve(settings, talk, lambda address: say(f"listening at {address}"))
    talk("stopped")


def _parse(listen: str) -> tuple[str, int]:
    """Return the host and the port in ``HOST:PORT``; raise InputError."""
    host, colon, port = listen.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and int(port[:6]) <= MAX_PORT):
        raise InputError(
            "not a host and a port",
            where="--listen",
            got=listen,
            hint="for example 127.0.0.1:8440, or [::1]:8440",
        )
    return host.removeprefix("[").removesuffix("]"), int(port)
