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
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
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
from relsign.formats.listing import ListedRelease
from relsign.formats.memory import Seen
from relsign.formats.root import parse_root
from relsign.system.fetch import (
    FetchLimits,
    Progress,
    ServerRefusedError,
    TooLargeError,
    redacted,
    silent,
)
from relsign.system.files import (
    hash_file,
    make_folder,
    read_bounded,
    sync_folder,
    write_whole,
)
from relsign.system.part import Part, open_part
from relsign.system.resume import fetch_to_part
from relsign.trust.pins.store import Kept, TrustStore
from relsign.trust.publication.fetcher import ABSENT, is_address
from relsign.trust.publication.refresh import Refreshed, refresh
from relsign.trust.publication.repository import Place
from relsign.trust.publication.taken_back import (
    TakenBack,
    find_taken_back,
    notes_on,
    refuse_last,
    refuse_version,
)
from relsign.verify.decision import Decision, Question, decide
from relsign.verify.demands import Demands
from relsign.verify.release import Evidence, open_evidence
from relsign.verify.verdict import STEPS, Outcome, Row, Verdict, Word

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
    rebuilt: Mapping[str, bytes] = field(default_factory=dict)
    """Target -> fingerprint of the person's own rebuild."""


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
    notes: tuple[str, ...] = ()
    """A line for each thing the person should know beside the verdict."""


@dataclass(frozen=True, slots=True)
class _Release:
    """A release that the publishers list, its evidence opened and not yet believed."""

    refreshed: Refreshed
    listed: ListedRelease
    bundle: bytes
    evidence: Evidence
    notes: tuple[str, ...]


class _SentMoreError(VerificationError):
    """A server sends more bytes than the builders stated."""


def get_release(
    store: TrustStore, wish: Wish, now: datetime, show: Show = lambda _words: nullcontext(silent)
) -> Got:
    """Get a release's files, or the reasons against it; the steps stand above.

    Raises NoRootError where nothing is pinned, InputError for names that are not in the
    release or are taken by another file, NotEnoughError where no such release is listed
    or the mirror lacks a file, VerificationError where the release was taken back or the
    bundle is not the listed one, HostError for network and
    disk, and then parts stay for the next call.
    """
    name = find_pin_name(store, wish.name)
    _refuse_file(wish.folder)
    refreshed = refresh(store, name, now, wish.source)
    kept = store.recall(name)
    release = _find_release(refreshed, kept, wish)
    chosen = _choose(release.evidence, wish)
    _refuse_taken(wish.folder, chosen, release)
    first = judge(kept, release, chosen, wish, now)
    if first.verdict.word is not Word.VERIFIED:
        return Got(release.listed.version, first, notes=release.notes)
    make_folder(wish.folder)
    # Every part stays locked from its first byte until its file has the name.
    with ExitStack() as held:
        work = _Downloads(refreshed.place, release, wish.folder, show, held)
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
            rebuilt=wish.rebuilt,
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
    taken = find_taken_back(parse_root(kept.roots[-1]).signed.policy.revoked, kept.seen)
    listed = _listed(refreshed.releases, taken, wish.version)
    notes = refreshed.notes
    if wish.version is None:
        notes += notes_on(taken, refreshed.releases, listed)
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
    return _Release(refreshed, listed, bundle, evidence, notes)


def _listed(
    releases: tuple[ListedRelease, ...], taken: tuple[TakenBack, ...], version: str | None
) -> ListedRelease:
    """Return the release that is meant; say so where the owners took it back."""
    for release in reversed(releases):
        if version in {None, release.version}:
            return release
    if version is not None:
        refuse_version(taken, version)
    else:
        refuse_last(taken)
    if not releases:
        raise NotEnoughError("no release is published yet", hint="come back later")
    known = ", ".join(release.version for release in releases[-5:])
    raise NotEnoughError(
        "no such version is published", got=shorten(version or ""), hint=f"the newest are {known}"
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


def _refuse_file(folder: Path) -> None:
    """Refuse what cannot be a folder, before anything is downloaded."""
    for place in (folder, *folder.parents):
        if os.path.lexists(place):
            if not place.is_dir():
                raise InputError(
                    "not a folder", where=os.fspath(place), hint="name a folder with --to"
                )
            return


def _refuse_taken(folder: Path, chosen: dict[str, str], release: _Release) -> None:
    """Refuse to replace another file; a bundle of the same release may be renewed."""
    path = _bundle_path(folder, release)
    if os.path.lexists(path):
        try:
            there = open_evidence(read_bounded(path, MAX_BUNDLE_BYTES)).statement_digest
        except (InputError, NotEnoughError, VerificationError) as error:
            raise _taken(path, "another file of that name is here") from error
        if there != release.evidence.statement_digest:
            raise _taken(path, "the bundle of another release is here under the same name")
    for name, digest in chosen.items():
        path = folder / name
        if os.path.lexists(path) and _digest_of(path) != digest:
            raise _taken(path, "another file of that name is here")


def _digest_of(path: Path) -> str | None:
    """Return a file's SHA-256, or None for what is no regular file."""
    try:
        return hash_file(path).sha256
    except InputError:
        return None


def _taken(path: Path, what: str) -> InputError:
    return InputError(
        what, where=os.fspath(path), hint="move it away, or choose another folder with --to"
    )


@dataclass(frozen=True, slots=True)
class _Downloads:
    """(4) Where files come from and go to."""

    place: Place
    release: _Release
    folder: Path
    show: Show
    held: ExitStack
    parts: dict[str, Part] = field(default_factory=dict)
    """The parts of this call, open and locked; other calls' are not touched."""

    def fetch(self, name: str, sha256: str) -> GotFile:
        """Bring one file here, under its part's name; a file that is there stays."""
        final = self.folder / name
        if final.exists():
            return _already(final, sha256)
        part = self.held.enter_context(open_part(self.folder / f"{name}{PART}"))
        if final.exists():
            # Another call was filling the part, and gave it its name before we looked.
            return _already(final, sha256)
        self.parts[name] = part
        source = f"{self.place.targets}{self.release.listed.version}/{name}"
        if is_address(source):
            self._download(source, part, name, sha256)
        else:
            try:
                part.copy_from(Path(source))
            except NotEnoughError as error:
                raise _lacks(source) from error
        return GotFile(final, part.sha256, part.size, already=False)

    def put(self) -> None:
        """(6) Give the files their names; raises as `Part.put`."""
        for name, part in self.parts.items():
            part.put(self.folder / name)

    def discard(self) -> None:
        """Remove this call's parts."""
        for part in self.parts.values():
            part.discard()

    def _download(self, url: str, part: Part, name: str, sha256: str) -> None:
        size = self._size(name, sha256)
        limits = LIMITS if size is None else FetchLimits(max_bytes=size, slowest=LIMITS.slowest)
        with self.show(name) as progress:
            try:
                fetch_to_part(url, part, sha256, limits, progress)
            except TooLargeError as error:
                raise _SentMoreError(
                    "the server sends more than was released",
                    where=name,
                    expected="a smaller file" if size is None else f"{size} bytes",
                    hint="do not use it; try another mirror with --from",
                ) from error
            except ServerRefusedError as error:
                if error.status in ABSENT:
                    raise _lacks(url) from error
                raise

    def _size(self, name: str, sha256: str) -> int | None:
        """Return the size that the builders stated, where a fingerprint names the file."""
        for file, data in self.release.evidence.files.items():
            if file.endswith(".fingerprint.json"):
                for artifact in parse_fingerprint(data, file).artifacts:
                    if (artifact.name, artifact.sha256) == (name, sha256):
                        return artifact.size
        return None


def _lacks(source: str) -> NotEnoughError:
    return NotEnoughError(
        "the release is listed, but the file is not there",
        where=redacted(source),
        hint="try another mirror: --from URL|DIR",
    )


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
            work.discard()
            return Got(release.listed.version, decision, notes=release.notes)
        store.remember(kept.pin.name, _seen(release, now), known=kept.seen)
    except _SentMoreError as error:
        work.discard()
        decision = _refused(judge(kept, release, chosen, wish, now), error)
        return Got(release.listed.version, decision, notes=release.notes)
    except VerificationError:
        work.discard()
        raise
    work.put()
    # The evidence stays beside the files, so that they can be verified again offline.
    bundle = _bundle_path(work.folder, release)
    write_whole(bundle, release.bundle)
    sync_folder(work.folder)
    return Got(release.listed.version, decision, tuple(came.values()), bundle, release.notes)


def _refused(decision: Decision, error: VerificationError) -> Decision:
    """Return the decision on the evidence, refused for the bytes that came."""
    bad = Row(2, STEPS[1], Outcome.REFUSED, str(error), error.hint)
    rows = (bad if row.number == bad.number else row for row in decision.verdict.rows)
    return Decision(Verdict(tuple(rows)), None, decision.evidence, decision.root)


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


def _already(path: Path, sha256: str) -> GotFile:
    """Return a file that is in its place; it may have come since the names were looked at."""
    there = hash_file(path)
    if there.sha256 != sha256:
        raise _taken(path, "another file of that name has come here meanwhile")
    return GotFile(path, there.sha256, there.size, already=True)
