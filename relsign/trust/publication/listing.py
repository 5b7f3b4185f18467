"""The listing of releases that a TUF client left in a pin's metadata folder."""

from __future__ import annotations

from pathlib import Path

from relsign.errors import NotEnoughError
from relsign.formats.listing import MAX_SNAPSHOT_BYTES, MAX_TARGETS_BYTES, MAX_TIMESTAMP_BYTES
from relsign.system.files import read_bounded
from relsign.verify.freshness import ListingFiles

LISTING_NAMES = ("timestamp.json", "snapshot.json", "targets.json")


def read_listing(folder: Path) -> ListingFiles | None:
    """Return the listing a TUF client keeps in its metadata folder, or None.

    It was verified when it was written; whoever decides on it verifies it again.
    """
    try:
        return ListingFiles(
            timestamp=read_bounded(folder / "timestamp.json", MAX_TIMESTAMP_BYTES),
            snapshot=read_bounded(folder / "snapshot.json", MAX_SNAPSHOT_BYTES),
            targets=read_bounded(folder / "targets.json", MAX_TARGETS_BYTES),
        )
    except NotEnoughError:
        return None
