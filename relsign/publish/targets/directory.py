"""A folder that any static host serves.

    DIR/PROJECT/root.json             the trust root, replaced only by a newer version
    DIR/PROJECT/keys/                 public keys for stock tools
    DIR/PROJECT/VERSION/              one release; appears whole, and never changes

Everything is written beside, fsynced, read again and judged; then one rename
makes the release visible.  A crash leaves the old state, or the new one.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from relsign.errors import HostError, VerificationError
from relsign.formats.root import parse_root
from relsign.publish.release import Candidate
from relsign.system.files import (
    copy_hashed,
    hash_file,
    host_error,
    make_folder,
    new_file,
    read_bounded,
    sync_folder,
    write_whole,
)
from relsign.verify.decision import VerifiedRelease

STAGING = ".staging-"
MAX_ROOT_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Published:
    """Where a release is, and whether this call put it there."""

    folder: Path
    is_new: bool
    files: int


def publish_to_directory(
    directory: Path,
    candidate: Candidate,
    keys: Mapping[str, bytes],
    judge: Callable[[Path], VerifiedRelease],
) -> Published:
    """Publish a candidate that `judge` accepts once it is staged.

    Raises VerificationError when the version is already published with other
    bytes or `judge` refuses, HostError for a busy folder or a full disk; in every
    case what was published before stays as it was.
    """
    project = directory / candidate.project
    with _alone(project):
        return _publish(project, candidate, keys, judge)


@contextlib.contextmanager
def _alone(project: Path) -> Iterator[None]:
    """Hold the project's folder; another publisher is told."""
    make_folder(project)
    try:
        with FileLock(project / ".publish.lock", timeout=0):
            yield
    except Timeout as error:
        raise HostError(
            "somebody else is publishing here",
            where=os.fspath(project),
            hint="wait for them to finish and run the same command again",
        ) from error
    except OSError as error:
        raise host_error(error, project) from error


def publish_root(project: Path, root: bytes, keys: Mapping[str, bytes]) -> bool:
    """Publish a project's root and keys without a release; say whether the root is new.

    Raises VerificationError if another root of the same or a later version is
    published, HostError for a busy folder or a full disk.
    """
    with _alone(project):
        _check_root(project / "root.json", root)
        is_new = not _holds(project / "root.json", root)
        _write_root(project, root, keys)
        return is_new


def _write_root(project: Path, root: bytes, keys: Mapping[str, bytes]) -> None:
    for name, data in keys.items():
        write_whole(project / "keys" / name, data)
    write_whole(project / "root.json", root)


def _holds(path: Path, data: bytes) -> bool:
    return path.exists() and read_bounded(path, MAX_ROOT_BYTES) == data


def _publish(
    project: Path,
    candidate: Candidate,
    keys: Mapping[str, bytes],
    judge: Callable[[Path], VerifiedRelease],
) -> Published:
    _remove_stale(project)
    _check_root(project / "root.json", candidate.root)
    staged = project / f"{STAGING}{secrets.token_hex(8)}"
    try:
        _stage(staged, candidate)
        judge(staged)
        final = project / candidate.version
        count = len(candidate.files) + len(candidate.artifacts)
        if final.exists():
            _require_identical(final, staged)
            return Published(final, is_new=False, files=count)
        _sync_tree(staged)
        _write_root(project, candidate.root, keys)
        staged.rename(final)
        sync_folder(project)
        return Published(final, is_new=True, files=count)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _remove_stale(project: Path) -> None:
    """Remove what a publisher that crashed left; the lock says none is running."""
    for entry in project.iterdir():
        if entry.name.startswith(STAGING):
            shutil.rmtree(entry)


def _check_root(published: Path, root: bytes) -> None:
    """Refuse to replace a published root by an older one, or by another of its version."""
    if not published.exists():
        return
    present = read_bounded(published, MAX_ROOT_BYTES)
    if present == root:
        return
    old, new = parse_root(present), parse_root(root)
    if new.version <= old.version:
        raise VerificationError(
            "another trust root of this version is published already",
            where=os.fspath(published),
            expected=f"version {old.version + 1} or later",
            got=f"version {new.version}",
            hint="use the published root, or change the policy and compile a new version",
        )


def _stage(staged: Path, candidate: Candidate) -> None:
    for folder in (staged, staged / "in-toto"):
        folder.mkdir()
        # Whatever the caller's umask is, a web server of another user must read it.
        folder.chmod(0o755)
    for name, data in candidate.files.items():
        with new_file(staged / name) as stream:
            stream.write(data)
    for name, path in candidate.artifacts.items():
        copy_hashed(path, staged / name)


def _require_identical(final: Path, staged: Path) -> None:
    """Refuse other bytes under a published version; signatures may differ, artifacts never."""
    for path in sorted(p for p in staged.iterdir() if p.is_file()):
        there = final / path.name
        if not there.is_file() or hash_file(there).sha256 != hash_file(path).sha256:
            raise VerificationError(
                "this version is published already, with other bytes",
                where=os.fspath(there),
                hint="a published version never changes: release a new version",
            )


def _sync_tree(folder: Path) -> None:
    for inner in folder.iterdir():
        if inner.is_dir():
            sync_folder(inner)
    sync_folder(folder)
