"""What a publication says today: newer roots, and the list of its releases.

A newer root is believed twice over: by the TUF client's rules, and by ours
(`relsign.verify.root.extend_root`), which count people instead of keys.  Roots are
kept even where the rest of a refresh fails: owners take releases back by a new root,
and whoever stands on the wire could otherwise hold the news up.

A listing is kept when TUF's rules and ours hold: what a mirror serves for another
project leaves nothing behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from relsign.errors import InputError, NotEnoughError, RelsignError, VerificationError
from relsign.formats.listing import (
    MAX_SNAPSHOT_BYTES,
    MAX_TARGETS_BYTES,
    MAX_TIMESTAMP_BYTES,
    ListedRelease,
    parse_timestamp,
)
from relsign.formats.root import MAX_ROOT_BYTES, parse_root, root_file_name
from relsign.system.files import read_bounded
from relsign.trust.pins.store import TrustStore
from relsign.trust.publication.fetcher import read_source
from relsign.trust.publication.listing import LISTING_NAMES
from relsign.trust.publication.repository import Place, TufClient, project_place
from relsign.verify.freshness import ListingFiles, verify_listing
from relsign.verify.root import MAX_ROTATIONS, open_root


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
    releases: tuple[ListedRelease, ...] = ()
    """What the listing names, oldest first."""
    notes: tuple[str, ...] = ()
    """A line for each thing the person should know of the store."""


def refresh(store: TrustStore, name: str, now: datetime, source: str | None = None) -> Refreshed:
    """Ask a project's publication for newer roots and the newest listing.

    `source` is an address or a folder in place of the pin's.  Raises NoRootError where
    nothing is pinned, InputError where no address is known, VerificationError for what
    does not verify, goes back or is another project's, NotEnoughError for expired
    metadata, HostError for the network.
    """
    roots = store.standing_roots(name)
    pin = store.find_pin(name)
    address = source if source is not None or pin is None else pin.url
    if pin is None or address is None:
        raise InputError(
            "no address is known for this project",
            where=name,
            hint=f"relsign get {name} --from URL, or pin the root from its URL",
        )
    place = project_place(address)
    newest = parse_root(roots[-1]).signed
    if not newest.roles.timestamp.keyids:
        return Refreshed(place, _single_root(store, name, place, newest.version), None, None)
    folder = store.metadata_folder(name)
    notes = _heal(folder, pin.project)
    client = TufClient(place, folder, roots[-1], now)
    client.hold_back()
    try:
        client.refresh()
    finally:
        version = _accept(store, name, client, newest.version)
    files = _listing_of(client)
    releases = _judge_listing(store.standing_roots(name)[-1], files, now)
    client.keep()
    return Refreshed(place, version, files, client, releases, notes)


def _heal(folder: Path, project: str) -> tuple[str, ...]:
    """Drop a listing of another project, which earlier versions of relsign could cache."""
    path = folder / "timestamp.json"
    try:
        cached = parse_timestamp(read_bounded(path, MAX_TIMESTAMP_BYTES)).signed.stamp.project
    except (NotEnoughError, InputError):
        return ()
    if cached == project:
        return ()
    for name in LISTING_NAMES:
        (folder / name).unlink(missing_ok=True)
    return (f"dropped a list of releases of {cached}, which was kept for {project}",)


def _listing_of(client: TufClient) -> ListingFiles:
    return ListingFiles(
        timestamp=client.read_metadata("timestamp", MAX_TIMESTAMP_BYTES),
        snapshot=client.read_metadata("snapshot", MAX_SNAPSHOT_BYTES),
        targets=client.read_metadata("targets", MAX_TARGETS_BYTES),
    )


def _judge_listing(root: bytes, files: ListingFiles, now: datetime) -> tuple[ListedRelease, ...]:
    """Return what a listing names; refuse what a publisher signed for another project.

    One publisher's key may serve several projects, and to TUF their metadata is the same
    repository's: only the project in the signed timestamp tells them apart.
    """
    trusted = open_root(root)
    listing = verify_listing(trusted.having("publisher"), files, now)
    if listing.project != trusted.root.project:
        raise VerificationError(
            "the listing is another project's",
            where="timestamp.json",
            expected=trusted.root.project,
            got=listing.project,
            hint="look at the address: it is that of another project's folder",
        )
    return listing.releases


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
