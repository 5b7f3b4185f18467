"""`relsign get`: from a project's name to files that are VERIFIED, or nothing.

    (1) refresh: newer roots, and the publishers' list of releases (`refresh`)
    (2) the release asked for, its bundle by TUF, the statement the list names
    (3) a first decision as if the files were the stated ones: what the evidence alone
        refuses need not be downloaded
    (4) each file into ``NAME.relsign-part`` beside its place, going on where an earlier
        call broke off, hashed as it comes
    (5) the trust decision on what came
    (6) only then the files get their names; a refusal leaves none, and no part

Another file that has one of the names is never replaced.  Whoever interrupts keeps the
parts, and the same command goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from relsign.errors import (
    InputError,
    NoRootError,
    NotEnoughError,
    VerificationError,
)
from relsign.formats.bundle import MAX_BUNDLE_BYTES, bundle_file_name
from relsign.formats.canonical import shorten
from relsign.formats.fingerprint import parse_fingerprint
from relsign.formats.listing import ListedRelease, listed_project, listed_releases, parse_targets
from relsign.formats.memory import Seen
from relsign.system.fetch import FetchLimits, Progress, TooLargeError, silent
from relsign.system.files import (
    copy_hashed,
    hash_file,
    host_error,
    make_folder,
    read_bounded,
    sync_folder,
    write_whole,
)
from relsign.system.resume import fetch_to_part
from relsign.trust.refresh import Refreshed, refresh
from relsign.trust.repository import Place
from relsign.trust.store import Kept, TrustStore
from relsign.trust.tuf_fetcher import is_address
from relsign.verify.decision import Decision, Question, decide
from relsign.verify.demands import Demands
from relsign.verify.release import Evidence, open_evidence
from relsign.verify.verdict import Word

__all__ = ["Got", "GotFile", "Wish", "find_pin_name", "get_release", "judge", "refresh"]

PART = ".relsign-part"
LIMITS = FetchLimits(max_bytes=1 << 40, slowest=256)

Show = Callable[[str], AbstractContextManager[Progress]]
"""Opens a progress display with these words."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants to have."""

    name: str
    """What the project is pinned as, or the project's name."""
    version: str | None = None
    """A version asked for by name, or None for the newest."""
    files: tuple[str, ...] = ()
    everything: bool = False
    source: str | None = None
    """An address or a folder in place of the pin's."""
    folder: Path = field(default_factory=Path)
    demands: Demands = field(default_factory=Demands)


@dataclass(frozen=True, slots=True)
class GotFile:
    """A file in its place."""

    path: Path
    sha256: str
    size: int
    already: bool
    """Whether it was there before, with the very same bytes."""


@dataclass(frozen=True, slots=True)
class Got:
    """The decision, and the files in place if it is VERIFIED."""

    version: str
    decision: Decision
    files: tuple[GotFile, ...] = ()
    bundle: Path | None = None


@dataclass(frozen=True, slots=True)
class _Release:
    """A release that the publishers list, its evidence opened and not yet believed."""

    refreshed: Refreshed
    listed: ListedRelease
    bundle: bytes
    evidence: Evidence


def get_release(
    store: TrustStore, wish: Wish, now: datetime, show: Show = lambda _words: nullcontext(silent)
) -> Got:
    """Get a release's files, or the reasons against it; the steps stand above.

    Raises NoRootError where nothing is pinned, InputError for names that are not in the
    release or are taken by another file, NotEnoughError where no such release is listed,
    VerificationError where the bundle is not the listed one, HostError for network and
    disk, and then parts stay for the next call.
    """
    name = find_pin_name(store, wish.name)
    refreshed = refresh(store, name, now, wish.source)
    kept = store.recall(name)
    release = _find_release(refreshed, kept, wish)
    chosen = _choose(release.evidence, wish)
    _refuse_taken(wish.folder, chosen, release)
    first = judge(kept, release, chosen, wish, now)
    if first.verdict.word is not Word.VERIFIED:
        return Got(release.listed.version, first)
    make_folder(wish.folder)
    work = _Downloads(refreshed.place, release, wish.folder, show)
    return _complete(store, kept, work, wish, chosen, now)


def judge(
    kept: Kept, release: _Release, artifacts: dict[str, str], wish: Wish, now: datetime
) -> Decision:
    """Take the trust decision on digests, as `relsign verify` takes it; raises nothing."""
    return decide(
        Question(
            root=kept.roots[0],
            newer_roots=kept.roots[1:],
            bundle=release.bundle,
            artifacts=artifacts,
            now=now,
            demands=wish.demands,
            seen=kept.seen,
            listing=release.refreshed.listing,
            wanted=wish.version,
        )
    )


def find_pin_name(store: TrustStore, name: str) -> str:
    """Return the pin of that name, or the one pin of the project of that name.

    Raises NoRootError where there is none, InputError where there are several.
    """
    if store.has_folder(name):
        return name
    found = store.find(name)
    if len(found) > 1:
        raise InputError(
            "several roots are pinned for this project",
            got=", ".join(found),
            hint="give the name of the pin",
        )
    if not found:
        raise NoRootError(
            "no trust root is pinned for this project",
            got=shorten(name),
            hint="pin it first, comparing its words: relsign trust add URL",
        )
    return found[0]


def _find_release(refreshed: Refreshed, kept: Kept, wish: Wish) -> _Release:
    """(2) Find the release, get its bundle and open it."""
    if refreshed.listing is None or refreshed.client is None:
        raise NotEnoughError(
            "the project has no publisher, so nobody lists its releases",
            where=kept.pin.project,
            hint="download the file and its bundle yourself, then run relsign verify FILE",
        )
    targets = parse_targets(refreshed.listing.targets).signed
    if listed_project(targets) not in {None, kept.pin.project}:
        raise VerificationError(
            "the listing names bundles of another project", where=kept.pin.project
        )
    listed = _listed(listed_releases(targets), wish.version)
    bundle = refreshed.client.read_target(listed.bundle_path)
    evidence = open_evidence(bundle)
    predicate = evidence.statement.predicate
    said = (evidence.statement_digest, predicate.version, predicate.sequence)
    if said != (listed.statement_sha256, listed.version, listed.sequence):
        raise VerificationError(
            "the bundle holds another release than the one that is listed",
            where=listed.bundle_path,
            expected=f"version {listed.version}, {listed.statement_sha256}",
            got=f"version {predicate.version}, {evidence.statement_digest}",
            hint="do not use it; tell the publishers",
        )
    return _Release(refreshed, listed, bundle, evidence)


def _listed(releases: tuple[ListedRelease, ...], version: str | None) -> ListedRelease:
    if not releases:
        raise NotEnoughError("no release is published yet", hint="come back later")
    if version is None:
        return releases[-1]
    for release in releases:
        if release.version == version:
            return release
    known = ", ".join(release.version for release in releases[-5:])
    raise NotEnoughError(
        "no such version is published", got=shorten(version), hint=f"the newest are {known}"
    )


def _choose(evidence: Evidence, wish: Wish) -> dict[str, str]:
    """Return name -> stated SHA-256 of the artifacts that are wanted."""
    stated = evidence.statement.digests()
    if wish.everything:
        return stated
    names = wish.files or tuple(stated)
    known = ", ".join(list(stated)[:20])
    if not wish.files and len(stated) > 1:
        raise InputError(
            "the release has several files",
            expected=known,
            hint="name those you want, or say --all",
        )
    for name in names:
        if name not in stated:
            raise InputError(
                "no such file in this release", got=shorten(name), expected=known,
                hint="name one of these",
            )  # fmt: skip
    return {name: stated[name] for name in names}


def _refuse_taken(folder: Path, chosen: dict[str, str], release: _Release) -> None:
    """Refuse to replace another file; a bundle of the same release may be renewed."""
    path = _bundle_path(folder, release)
    if os.path.lexists(path):
        there = open_evidence(read_bounded(path, MAX_BUNDLE_BYTES))
        if there.statement_digest != release.evidence.statement_digest:
            raise InputError(
                "the bundle of another release is here under the same name",
                where=os.fspath(path),
                hint="move it away, or choose another folder with --to",
            )
    for name, digest in chosen.items():
        path = folder / name
        if os.path.lexists(path) and hash_file(path).sha256 != digest:
            raise InputError(
                "another file of that name is here",
                where=os.fspath(path),
                hint="move it away, or choose another folder with --to",
            )


@dataclass(frozen=True, slots=True)
class _Downloads:
    """(4) Where files come from and go to."""

    place: Place
    release: _Release
    folder: Path
    show: Show

    def fetch(self, name: str, sha256: str) -> GotFile:
        """Bring one file here, under its part's name; a file that is there stays."""
        final, part = self.folder / name, self.part(name)
        if final.exists():
            there = hash_file(final)
            return GotFile(final, there.sha256, there.size, already=True)
        source = f"{self.place.targets}{self.release.listed.version}/{name}"
        if not is_address(source):
            part.unlink(missing_ok=True)
            copied = copy_hashed(Path(source), part)
            return GotFile(final, copied.sha256, copied.size, already=False)
        size = self._size(name, sha256)
        limits = LIMITS if size is None else FetchLimits(max_bytes=size, slowest=LIMITS.slowest)
        with self.show(name) as progress:
            try:
                got = fetch_to_part(source, part, sha256, limits, progress)
            except TooLargeError as error:
                raise VerificationError(
                    "the server sends more than was released",
                    where=name,
                    expected=f"{size} bytes",
                    hint="do not use it; try another mirror with --from",
                ) from error
        return GotFile(final, got.sha256, got.size, already=False)

    def part(self, name: str) -> Path:
        return self.folder / f"{name}{PART}"

    def remove_parts(self, names: dict[str, str]) -> None:
        for name in names:
            self.part(name).unlink(missing_ok=True)

    def _size(self, name: str, sha256: str) -> int | None:
        """Return the size that the builders stated, where a fingerprint names the file."""
        for file, data in self.release.evidence.files.items():
            if file.endswith(".fingerprint.json"):
                for artifact in parse_fingerprint(data, file).artifacts:
                    if (artifact.name, artifact.sha256) == (name, sha256):
                        return artifact.size
        return None


def _complete(
    store: TrustStore,
    kept: Kept,
    work: _Downloads,
    wish: Wish,
    chosen: dict[str, str],
    now: datetime,
) -> Got:
    """(4) to (6): download, decide, put in place."""
    release = work.release
    try:
        came = {name: work.fetch(name, digest) for name, digest in chosen.items()}
        hashed = {name: file.sha256 for name, file in came.items()}
        decision = judge(kept, release, hashed, wish, now)
        if decision.verdict.word is not Word.VERIFIED:
            work.remove_parts(chosen)
            return Got(release.listed.version, decision)
        store.remember(kept.pin.name, _seen(release, now), known=kept.seen)
    except VerificationError:
        work.remove_parts(chosen)
        raise
    for name, file in came.items():
        if not file.already:
            _put(work.part(name), file.path)
    # The evidence stays beside the files, so that they can be verified again offline.
    bundle = _bundle_path(work.folder, release)
    write_whole(bundle, release.bundle)
    sync_folder(work.folder)
    return Got(release.listed.version, decision, tuple(came.values()), bundle)


def _seen(release: _Release, now: datetime) -> Seen:
    predicate = release.evidence.statement.predicate
    return Seen(
        sequence=predicate.sequence,
        version=predicate.version,
        statement_sha256=release.evidence.statement_digest,
        seen_at=now,
    )


def _bundle_path(folder: Path, release: _Release) -> Path:
    predicate = release.evidence.statement.predicate
    return folder / bundle_file_name(predicate.project, predicate.version)


def _put(part: Path, final: Path) -> None:
    """Give a part its name; a file that has got the name meanwhile is not replaced."""
    try:
        os.link(part, final, follow_symlinks=False)
    except FileExistsError as error:
        raise InputError(
            "another file of that name has come here meanwhile",
            where=os.fspath(final),
            hint="move it away and run the same command again",
        ) from error
    except OSError as error:
        # Some file systems have no second names; there the step is not quite atomic.
        if os.path.lexists(final):
            raise host_error(error, final) from error
        part.rename(final)
        return
    part.unlink()
