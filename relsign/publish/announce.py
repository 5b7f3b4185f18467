"""What is public beside the releases: people's keys, and the listing a publisher signs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from relsign.errors import NotEnoughError
from relsign.formats.bundle import MAX_BUNDLE_BYTES, bundle_file_name
from relsign.formats.listing import ListedRelease
from relsign.formats.root import MAX_ROOT_BYTES, root_file_name
from relsign.publish.index import (
    METADATA,
    TIMESTAMP,
    NextIndex,
    PresentIndex,
    Publisher,
    next_index,
    read_index,
    refresh_timestamp,
    release_entry,
    store_index,
)
from relsign.publish.release import Candidate
from relsign.system.files import read_bounded
from relsign.verify.freshness import ListingFiles
from relsign.verify.release import open_evidence
from relsign.verify.root import TrustedRoot


@dataclass(frozen=True, slots=True)
class NextListing:
    """Metadata files to be written, and the listing they are when they are."""

    files: Mapping[str, bytes]
    listing: ListingFiles


@dataclass(frozen=True, slots=True)
class Announcer:
    """A publisher of a project, who signs what is listed."""

    root: TrustedRoot
    publisher: Publisher

    def list_releases(
        self, project: Path, versions: tuple[Path, ...], candidate: Candidate | None, now: datetime
    ) -> NextListing:
        """Return the listing of the published `versions` and of a candidate.

        Raises what `next_index` raises: among others VerificationError for a second
        release under one version or number.
        """
        present = read_index(project / METADATA)
        listed = {entry.version: entry for entry in map(self._entry, versions)}
        if candidate is not None:
            listed[candidate.version] = release_entry(
                candidate.project,
                candidate.version,
                candidate.sequence,
                candidate.statement_sha256,
                candidate.bundle,
            )
        wanted = NextIndex(
            project=self.root.root.project,
            releases=tuple(sorted(listed.values(), key=lambda entry: entry.sequence)),
            publishers=self.root.having("publisher"),
            timestamp_days=self.root.root.policy.freshness.days,
        )
        return _whole(present, next_index(present, wanted, self.publisher, now))

    def refresh(self, project: Path, now: datetime) -> Mapping[str, bytes]:
        """Return the files that say again what is listed; raise InputError if nothing is."""
        return refresh_timestamp(
            read_index(project / METADATA),
            self.root.having("publisher"),
            self.publisher,
            self.root.root.policy.freshness.days,
            now,
        )

    def _entry(self, folder: Path) -> ListedRelease:
        """Return the entry of a version that is published, as its own bundle says."""
        path = folder / bundle_file_name(self.root.root.project, folder.name)
        bundle = read_bounded(path, MAX_BUNDLE_BYTES)
        evidence = open_evidence(bundle)
        predicate = evidence.statement.predicate
        return release_entry(
            predicate.project,
            predicate.version,
            predicate.sequence,
            evidence.statement_digest,
            bundle,
        )


@dataclass(frozen=True, slots=True)
class Public:
    """What is published beside releases."""

    keys: Mapping[str, bytes]
    announcer: Announcer | None = None
    """None where the root names no publisher: then nothing is listed."""


def put_metadata(
    project: Path, roots: tuple[bytes, ...], files: Mapping[str, bytes] | None
) -> None:
    """Write every version of the root, then the listing, its timestamp last.

    Raises HostError for a full disk; what was listed before stays.
    """
    folder = project / METADATA
    chain = {root_file_name(number): data for number, data in enumerate(roots, 1)}
    missing = {name: data for name, data in chain.items() if not _same(folder, name, data)}
    store_index(folder, missing)
    store_index(folder, files or {})


def _same(folder: Path, name: str, data: bytes) -> bool:
    try:
        return read_bounded(folder / name, MAX_ROOT_BYTES) == data
    except NotEnoughError:
        return False


def _whole(present: PresentIndex, files: Mapping[str, bytes]) -> NextListing:
    """Complete a listing of which only the timestamp is new."""
    kinds = {name.split(".")[-2]: data for name, data in files.items()}
    old = present.files
    return NextListing(
        files,
        ListingFiles(
            timestamp=files[TIMESTAMP],
            snapshot=kinds["snapshot"] if old is None else kinds.get("snapshot", old.snapshot),
            targets=kinds["targets"] if old is None else kinds.get("targets", old.targets),
        ),
    )
