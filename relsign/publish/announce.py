"""What is public beside the releases: people's keys, and the listing a publisher signs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from relsign.crypto.keys import Party
from relsign.errors import InputError, NotEnoughError, RelsignError, VerificationError
from relsign.formats.bundle import MAX_BUNDLE_BYTES, bundle_file_name
from relsign.formats.listing import ListedRelease
from relsign.formats.root import MAX_ROOT_BYTES, root_file_name
from relsign.publish.index import (
    METADATA,
    TIMESTAMP,
    NextIndex,
    PresentIndex,
    Publisher,
    follow,
    next_index,
    read_index,
    release_entry,
    signed_releases,
    store_index,
)
from relsign.publish.release import Candidate
from relsign.publish.standing import judge_published
from relsign.system.files import read_bounded
from relsign.verify.freshness import ListingFiles
from relsign.verify.release import open_evidence, revokes
from relsign.verify.root import TrustedRoot

_CHANGED = "compare the folder with a copy you trust, then publish the newest release again"


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
    former: tuple[Party, ...] = ()
    """Publishers of the root before: their listing is what a new publisher goes on from."""

    def list_releases(
        self, project: Path, versions: tuple[Path, ...], candidate: Candidate | None, now: datetime
    ) -> NextListing:
        """Return the listing of the published `versions` and of a candidate.

        What the root revokes is not listed, so that the release before it is the newest
        again.  Raises what `next_index` raises, VerificationError for a second release
        under one version or number, and for a published bundle that is not the one
        listed and does not verify.
        """
        present = read_index(project / METADATA)
        try:
            known = self._known(present, now)
        except RelsignError:
            known = ()  # then every version is judged before it is listed
        others = [v for v in versions if candidate is None or v.name != candidate.version]
        listed = {v.name: self._entry(v, known, now) for v in others}
        if candidate is not None:
            listed[candidate.version] = release_entry(
                candidate.project,
                candidate.version,
                candidate.sequence,
                candidate.statement_sha256,
                candidate.bundle,
            )
        _refuse_second(self.root.root.project, listed.values())
        wanted = NextIndex(
            project=self.root.root.project,
            releases=tuple(entry for entry in listed.values() if not self._is_revoked(entry)),
            publishers=self.root.having("publisher"),
            timestamp_days=self.root.root.policy.freshness.days,
        )
        return _whole(present, next_index(present, wanted, self.publisher, now))

    def refresh(
        self, project: Path, versions: tuple[Path, ...], now: datetime
    ) -> Mapping[str, bytes]:
        """Return the files that say again what is listed, which is what is published.

        Raises InputError if nothing is listed, VerificationError for a listing that no
        publisher signed, or that is not of the `versions` published.
        """
        present = read_index(project / METADATA)
        if present.files is None:
            raise InputError("no listing is published yet", hint="publish a release first")
        try:
            known = self._known(present, now)
        except RelsignError as error:
            raise VerificationError(
                f"the published listing does not hold: {error.what}",
                where=os.fspath(project / METADATA),
                hint=_CHANGED,
            ) from error
        standing = [self._entry(folder, known, now) for folder in versions]
        if set(known) != {entry for entry in standing if not self._is_revoked(entry)}:
            raise VerificationError(
                "the published listing is not of the versions published",
                where=os.fspath(project / METADATA),
                hint=_CHANGED,
            )
        return self.list_releases(project, versions, None, now).files

    def _known(self, present: PresentIndex, now: datetime) -> tuple[ListedRelease, ...]:
        publishers = (*self.root.having("publisher"), *self.former)
        return signed_releases(present, self.root.root.project, publishers, now)

    def _is_revoked(self, entry: ListedRelease) -> bool:
        revoked = self.root.root.policy.revoked
        return any(revokes(r, entry.version, entry.statement_sha256) for r in revoked)

    def _entry(
        self, folder: Path, known: tuple[ListedRelease, ...], now: datetime
    ) -> ListedRelease:
        """Return the entry of a version that is published, as its own bundle says.

        One that is not listed like that already is judged first: whoever can write to
        the server's disk shall have nothing signed that does not verify.
        """
        path = folder / bundle_file_name(self.root.root.project, folder.name)
        bundle = read_bounded(path, MAX_BUNDLE_BYTES)
        evidence = open_evidence(bundle)
        predicate = evidence.statement.predicate
        entry = release_entry(
            predicate.project,
            predicate.version,
            predicate.sequence,
            evidence.statement_digest,
            bundle,
        )
        problem = ""
        if entry.version != folder.name:
            problem = f"it is the bundle of version {entry.version}"
        elif entry not in known:
            problem = judge_published(folder, self.root.data, now).problem
        if problem:
            raise VerificationError(
                f"version {folder.name} is not listed like this, and would not verify",
                where=os.fspath(path),
                got=problem,
                hint="compare it with a copy you trust; somebody or something changed it",
            )
        return entry


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


def _refuse_second(project: str, entries: Iterable[ListedRelease]) -> None:
    """Refuse two releases of one number, also where one of them is revoked."""
    numbers: dict[int, ListedRelease] = {}
    for entry in entries:
        first = numbers.setdefault(entry.sequence, entry)
        if first != entry:
            raise VerificationError(
                "another release is published under this version or number",
                expected=f"version {first.version}, number {first.sequence}",
                got=f"version {entry.version}, number {entry.sequence}",
                hint=follow(project, first.version),
            )


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
