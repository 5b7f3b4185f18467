"""A folder that any static host serves.

    DIR/PROJECT/root.json             the trust root, replaced only by a newer version
    DIR/PROJECT/keys/                 public keys for stock tools
    DIR/PROJECT/VERSION/              one release; appears whole, its files never change

Everything is written beside, fsynced, read again and judged; then the release
appears in one rename, then the keys change places in one step, and the root is last.
A crash leaves the old state, or the release under the old root; the same command
again brings the rest.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path

from relsign.errors import InputError, VerificationError
from relsign.formats.root import MAX_ROOT_BYTES, Root, parse_root
from relsign.publish.announce import Announcer, NextListing, Public, put_metadata
from relsign.publish.index import METADATA
from relsign.publish.places import DISSENT, EVIDENCE
from relsign.publish.release import Candidate
from relsign.publish.renewal import find_changes, read_tree
from relsign.publish.roots import RootChange, describe_change
from relsign.publish.standing import (
    KEYS,
    ROOT,
    judge_published,
    published_versions,
    refuse_name,
    require_all_stand,
)
from relsign.system.files import (
    copy_hashed,
    exchange_folders,
    host_error,
    make_folder,
    new_file,
    read_bounded,
    sync_folder,
)
from relsign.system.lock import hold
from relsign.verify.decision import VerifiedRelease
from relsign.verify.freshness import ListingFiles

STAGING = ".staging"
LOCK = ".publish.lock"
BUSY = "somebody else is publishing here"
PUBLIC = 0o755


class Word(Enum):
    """What happened to a release."""

    PUBLISHED = "PUBLISHED"
    RENEWED = "RENEWED"
    ALREADY = "ALREADY PUBLISHED"


@dataclass(frozen=True, slots=True)
class RootPublished:
    """What became of root and keys: the change, or None where the root is the same."""

    change: RootChange | None
    notes: tuple[str, ...]


Judge = Callable[[Path, ListingFiles | None], VerifiedRelease]
"""Says of a staged folder, with the listing that will name it, whether it may be public."""


@dataclass(frozen=True, slots=True)
class Published:
    """Where a release is, what this call did, and how many files the version has."""

    folder: Path
    word: Word
    files: int
    renewed: tuple[str, ...]
    """Paths that a renewal changed."""
    root: RootPublished


def publish_to_directory(
    directory: Path,
    candidate: Candidate,
    public: Public,
    judge: Judge,
    now: datetime,
) -> Published:
    """Publish a candidate that `judge` accepts once it is staged.

    Raises InputError for a version that cannot be a folder's name, VerificationError
    when the version is already published with other bytes, `judge` refuses, or a new
    root would take a published version away, HostError for a busy folder or a full
    disk; in every case what was published before stays as it was.
    """
    refuse_name(candidate.version)
    project = _public_folder(directory, candidate.project)
    with hold(project / LOCK, BUSY), _staging(project) as staging:
        return _publish(project, staging, candidate, public, judge, now)


def publish_root(
    directory: Path, roots: tuple[bytes, ...], public: Public, now: datetime
) -> RootPublished:
    """Publish a project's root, every version of it, and keys without a release.

    Raises VerificationError if another root of the same or a later version is
    published or a published version would fall, HostError for a busy folder or a
    full disk.
    """
    root = roots[-1]
    project = _public_folder(directory, parse_root(root).signed.project)
    with hold(project / LOCK, BUSY), _staging(project) as staging:
        change = _root_change(project, root)
        notes = require_all_stand(project, root, now) if change else ()
        index = _next_listing(project, public, None, now)
        _stage_root(project, staging, root, public.keys)
        _put_root(project, staging)
        put_metadata(project, roots, index.files if index else None)
        return RootPublished(change, notes)


def _publish(
    project: Path,
    staging: Path,
    candidate: Candidate,
    public: Public,
    judge: Judge,
    now: datetime,
) -> Published:
    staged, final = staging / "release", project / candidate.version
    change = _root_change(project, candidate.root)
    _stage_release(staged, candidate)
    index = _next_listing(project, public, candidate, now)
    judge(staged, index.listing if index else None)
    notes: tuple[str, ...] = ()
    if change:
        notes = require_all_stand(project, candidate.root, now, besides=candidate.version)
    _stage_root(project, staging, candidate.root, public.keys)
    word, renewed = _put_release(final, staged, candidate, now)
    sync_folder(project)
    _put_root(project, staging)
    roots = (*candidate.earlier_roots, candidate.root)
    put_metadata(project, roots, index.files if index else None)
    files = sum(1 for _parent, _folders, names in os.walk(final) for _name in names)
    return Published(final, word, files, renewed, RootPublished(change, notes))


def refresh_listing(directory: Path, announcer: Announcer, now: datetime) -> Path:
    """Let a publisher say again what is published; return the metadata folder.

    Raises InputError where nothing is listed or the publisher's root is not public yet,
    HostError for a busy folder.
    """
    project = _public_folder(directory, announcer.root.root.project)
    with hold(project / LOCK, BUSY):
        files = announcer.refresh(project, published_versions(project), now)
        if _root_change(project, announcer.root.data) is not None:
            # Nobody who follows the public root could verify this publisher's signature.
            raise InputError(
                "your root is not published here yet",
                where=os.fspath(project / ROOT),
                hint="publish it first, with --root-only",
            )
        put_metadata(project, (), files)
    return project / METADATA


def _next_listing(
    project: Path, public: Public, candidate: Candidate | None, now: datetime
) -> NextListing | None:
    if public.announcer is None:
        return None
    return public.announcer.list_releases(project, published_versions(project), candidate, now)


def _put_release(
    final: Path, staged: Path, candidate: Candidate, now: datetime
) -> tuple[Word, tuple[str, ...]]:
    """Make a judged release visible, or say that it is; return what a renewal changed."""
    if final.is_symlink() or (final.exists() and not final.is_dir()):
        raise VerificationError("is in the way of the release", where=os.fspath(final))
    if not final.exists():
        staged.rename(final)
        return Word.PUBLISHED, ()
    renewed = find_changes(final, staged, candidate, now)
    if renewed:
        exchange_folders(staged, final)
        return Word.RENEWED, renewed
    problem = judge_published(final, candidate.root, now).problem
    if problem:
        raise VerificationError(problem, where=os.fspath(final))
    return Word.ALREADY, ()


@contextlib.contextmanager
def _staging(project: Path) -> Iterator[Path]:
    """Give a folder beside the releases that nobody else can look into until the rename."""
    _remove_stale(project)
    staging = project / f"{STAGING}-{secrets.token_hex(8)}"
    try:
        staging.mkdir(mode=0o700)
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _remove_stale(project: Path) -> None:
    """Remove what a publisher that crashed left; the lock says none is running."""
    metadata = project / METADATA
    listed = metadata.iterdir() if metadata.is_dir() and not metadata.is_symlink() else ()
    for entry in (*project.iterdir(), *listed):
        is_temporary = entry.name.startswith(".") and entry.name.endswith(".tmp")
        if not entry.name.startswith(STAGING) and not is_temporary:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _public_folder(directory: Path, name: str) -> Path:
    """Make the project's folder; one made here is readable for a web server of another user."""
    make_folder(directory.parent)
    for path in (directory, directory / name):
        try:
            path.mkdir()
            path.chmod(PUBLIC)
        except FileExistsError as error:
            if not path.is_dir():
                raise InputError("not a folder", where=os.fspath(path)) from error
        except OSError as error:
            raise host_error(error, path) from error
    return directory / name


def _root_change(project: Path, root: bytes) -> RootChange | None:
    """Return what a root changes; refuse an older one, and another of the same version."""
    path = project / ROOT
    if not path.exists():
        return describe_change(None, parse_root(root).signed)
    present = read_bounded(path, MAX_ROOT_BYTES)
    if present == root:
        return None
    old: Root = parse_root(present, os.fspath(path)).signed
    new = parse_root(root).signed
    if new == old:
        return None  # only signatures were added
    if new.version <= old.version:
        raise VerificationError(
            "another trust root of this version is published already",
            where=os.fspath(path),
            expected=f"version {old.version + 1} or later",
            got=f"version {new.version}",
            hint="use the published root, or change the policy and compile a new version",
        )
    return describe_change(old, new)


def _stage_release(staged: Path, candidate: Candidate) -> None:
    folders = [staged, staged / EVIDENCE]
    if any(name.startswith(f"{DISSENT}/") for name in candidate.files):
        folders.append(staged / DISSENT)
    for folder in folders:
        folder.mkdir()
        # Whatever the caller's umask is, a web server of another user must read it;
        # until the rename the staging folder around it lets nobody in.
        folder.chmod(PUBLIC)
    for name, data in candidate.files.items():
        with new_file(staged / name) as stream:
            stream.write(data)
    for name, path in candidate.artifacts.items():
        copy_hashed(path, staged / name)
    for folder in reversed(folders):
        sync_folder(folder)


def _stage_root(project: Path, staging: Path, root: bytes, keys: Mapping[str, bytes]) -> None:
    """Write root and keys whole: a disk that is full or too simple is met before any change."""
    folder = staging / KEYS
    folder.mkdir()
    folder.chmod(PUBLIC)
    for name, data in keys.items():
        with new_file(folder / name) as stream:
            stream.write(data)
    sync_folder(folder)
    with new_file(staging / ROOT) as stream:
        stream.write(root)
    sync_folder(staging)
    if _must_exchange(project / KEYS, folder):
        probes = staging / "one", staging / "two"
        for probe in probes:
            probe.mkdir()
        exchange_folders(*probes)


def _must_exchange(there: Path, here: Path) -> bool:
    return there.is_dir() and not there.is_symlink() and read_tree(there) != read_tree(here)


def _put_root(project: Path, staging: Path) -> None:
    """Put staged keys and root in their places where they differ; the root is last."""
    there, here = project / KEYS, staging / KEYS
    if not there.is_dir() or there.is_symlink():
        there.unlink(missing_ok=True)
        here.rename(there)
    elif _must_exchange(there, here):
        exchange_folders(here, there)
    sync_folder(project)
    final = project / ROOT
    if not final.exists() or read_bounded(final, MAX_ROOT_BYTES) != (staging / ROOT).read_bytes():
        (staging / ROOT).replace(final)
        sync_folder(project)
