"""What a publication says today: newer roots, and the list of its releases.

A newer root is believed twice over: by the TUF client's rules, and by ours
(`relsign.verify.root.extend_root`), which count people instead of keys.  Roots are
kept even where the rest of a refresh fails: owners take releases back by a new root,
and whoever stands on the wire could otherwise hold the news up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from relsign.errors import InputError, NotEnoughError, RelsignError
from relsign.formats.root import MAX_ROOT_BYTES, parse_root, root_file_name
from relsign.trust.listing import read_listing
from relsign.trust.repository import Place, TufClient, project_place
from relsign.trust.store import TrustStore
from relsign.trust.tuf_fetcher import read_source
from relsign.verify.freshness import ListingFiles
from relsign.verify.root import MAX_ROTATIONS


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What a refresh brought."""

    place: Place
    root_version: int
    """Version of the newest root now accepted."""
    listing: ListingFiles | None
    """None where the root names no publisher, so that nobody lists releases."""
    client: TufClient | None
    """The client that holds the listing, to get targets with."""


def refresh(store: TrustStore, name: str, now: datetime, source: str | None = None) -> Refreshed:
    """Ask a project's publication for newer roots and the newest listing.

    `source` is an address or a folder in place of the pin's.  Raises NoRootError where
    nothing is pinned, InputError where no address is known, VerificationError for what
    does not verify or goes back, NotEnoughError for expired metadata, HostError for the
    network.
    """
    roots = store.standing_roots(name)
    pin = store.find_pin(name)
    address = source or (pin.url if pin else None)
    if address is None:
        raise InputError(
            "no address is known for this project",
            where=name,
            hint=f"relsign get {name} --from URL, or pin the root from its URL",
        )
    place = project_place(address)
    newest = parse_root(roots[-1]).signed
    if not newest.roles.timestamp.keyids:
        return Refreshed(place, _single_root(store, name, place, newest.version), None, None)
    client = TufClient(place, store.metadata_folder(name), roots[-1], now)
    try:
        client.refresh()
    finally:
        version = _accept(store, name, client, newest.version)
    return Refreshed(place, version, read_listing(store.metadata_folder(name)), client)


def _accept(store: TrustStore, name: str, client: TufClient, version: int) -> int:
    """Let the store judge the roots the TUF client believed; return the last version."""
    for data in client.newer_roots(version):
        try:
            version = store.accept_root(name, data).root.version
        except RelsignError:
            client.forget_roots(version)
            raise
    return version


def _single_root(store: TrustStore, name: str, place: Place, version: int) -> int:
    """Look at the published root of a project that has no TUF repository."""
    try:
        data = read_source(f"{place.targets}root.json", MAX_ROOT_BYTES)
    except NotEnoughError as error:
        raise NotEnoughError(
            "no root.json is published there",
            where=error.where,
            hint="give the address of the project's folder, the one with root.json in it",
        ) from error
    found = parse_root(data, "the published root.json").signed.version
    for number in range(version + 1, min(found, version + MAX_ROTATIONS)):
        between = read_source(f"{place.metadata}{root_file_name(number)}", MAX_ROOT_BYTES)
        version = store.accept_root(name, between).root.version
    return store.accept_root(name, data).root.version if found > version else version
