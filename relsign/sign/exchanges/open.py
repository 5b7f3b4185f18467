"""Which exchange a person means: an address is a relay, anything else a folder."""

from __future__ import annotations

from pathlib import Path

from relsign.errors import InputError
from relsign.formats.canonical import shorten
from relsign.sign.exchanges.directory import DirectoryExchange
from relsign.sign.exchanges.interface import Exchange, Identity
from relsign.sign.exchanges.relay import RelayExchange
from relsign.system.address import audience_of


def open_exchange(place: str, identity: Identity) -> Exchange:
    """Return the exchange at `place`: a folder's path, or the http(s) address of a relay.

    A relay is not asked yet.  Raises InputError for a bad address or a folder that is not
    there, HostError for one that is closed to this user.
    """
    if place.lower().startswith(("http://", "https://")):
        return RelayExchange(audience_of(place), identity)
    if not place.strip():
        raise InputError(
            "no exchange is named", where="--exchange", hint="leave it out, or name it"
        )
    if "://" in place:
        raise InputError(
            "no such kind of exchange",
            expected="a folder, or an address that begins with https:// or http://",
            got=shorten(place.partition("://")[0]),
            hint="a git repository is an exchange once it is cloned: name its folder",
        )
    folder = DirectoryExchange(Path(place))
    folder.check()
    return folder
