"""What the store and the engine keep is bounded: the longest unused goes first.

A stored file's time is when it was last used (`Store.path` sets it), an image's that
of a stamp in ``images/`` of the store.  Everything here can be fetched or
bootstrapped again, so that forgetting too much costs time and nothing else; what the
given project needs stays in any case.

    swept = sweep(store, engine, Limits(max_bytes=20 << 30, max_images=8), needed)
"""

from __future__ import annotations

import contextlib
import re
import stat
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import msgspec

from relsign.build.engine.connection import Engine, NotThereError
from relsign.build.engine.image import REPOSITORY, TAG_DIGITS
from relsign.build.inputs.project import lock_contents, source_contents
from relsign.build.store import Store
from relsign.errors import HostError
from relsign.formats.names import Digest
from relsign.system.files import host_error, make_folder
from relsign.system.workspace import Workspace

STALE_TEMPORARY_SECONDS = 24 * 3600
_NAME = re.compile(r"[0-9a-f]{64}")
_TAG = re.compile(rf"{re.escape(REPOSITORY)}:([0-9a-f]{{{TAG_DIGITS}}})")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may stay."""

    max_bytes: int
    max_images: int


@dataclass(frozen=True, slots=True)
class Needed:
    """What stays whatever the limits: files and root file systems, by digest."""

    files: frozenset[Digest]
    images: frozenset[Digest]


@dataclass(frozen=True, slots=True)
class Swept:
    """What went, and what stays."""

    files: int
    bytes: int
    images: int
    left_bytes: int
    left_images: int


@dataclass(frozen=True, slots=True)
class _Stored:
    """A stored file and when it was last used, in seconds since 1970."""

    used: float
    size: int
    path: Path


class _Listed(msgspec.Struct):
    tags: list[str] | None = msgspec.field(name="RepoTags", default=None)


def needed_by(workspace: Workspace) -> Needed:
    """Return what the project's recipe and locks name; raise InputError where one is malformed."""
    recipe = workspace.recipe()
    locks = [workspace.lock(name) for name in recipe.builders]
    contents = [content for source in recipe.source for content in source_contents(source)]
    contents += [content for lock in locks for content in lock_contents(lock)]
    images = frozenset(lock.rootfs.sha256 for lock in locks)
    # A finished root file system may lie in the store too, and is then what images are made of.
    return Needed(images | {content.sha256 for content in contents}, images)


def stamp_image(store: Store, rootfs_sha256: Digest) -> None:
    """Note that an image is used now; raise HostError if the disk refuses."""
    path = store.root / "images" / rootfs_sha256
    make_folder(path.parent)
    try:
        path.touch()
    except OSError as error:
        raise host_error(error, path) from error


def sweep(
    store: Store, engine: Engine | None, limits: Limits, needed: Needed, *, dry: bool = False
) -> Swept:
    """Remove what exceeds `limits`; with `dry` only say what would go.

    Without an `engine` no image is looked at.  Raises HostError if disk or engine refuse.
    """
    # Looked at before anything goes: an engine that fails here leaves the store as it was.
    images = [] if engine is None else _images(store, engine)
    files = _files(store)
    total = sum(file.size for file in files)
    gone: list[int] = []
    for file in sorted(files, key=lambda file: file.used):
        if total <= limits.max_bytes:
            break
        outcome = "kept" if file.path.name in needed.files else _remove(file, dry=dry)
        if outcome != "kept":
            # Also what another sweep removed first: it need not go a second time.
            total -= file.size
        if outcome == "removed":
            gone.append(file.size)
    broken = [file.size for file in _broken_off(store) if _remove(file, dry=dry) == "removed"]
    old = surplus_images(images, limits, needed)
    for tag in old:
        if engine is not None and not dry:
            remove_image(engine, store, tag)
    return Swept(
        files=len(gone) + len(broken),
        bytes=sum(gone) + sum(broken),
        images=len(old),
        left_bytes=total,
        left_images=len(images) - len(old),
    )


def _files(store: Store) -> list[_Stored]:
    """Return every stored file; what lies there under another name is somebody else's."""
    folders = (store.root / "sha256").glob("[0-9a-f][0-9a-f]")
    found = (path for folder in folders if not folder.is_symlink() for path in folder.glob("*"))
    return list(_looked_at(path for path in found if _NAME.fullmatch(path.name)))


def _broken_off(store: Store) -> list[_Stored]:
    """Return what was left half written when its process was killed."""
    before = time.time() - STALE_TEMPORARY_SECONDS
    left = _looked_at((store.root / "sha256").glob(".*.tmp"))
    return [file for file in left if file.used < before]


def _looked_at(paths: Iterable[Path]) -> Iterator[_Stored]:
    """Yield the regular files; one that goes meanwhile is left out."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                yield _Stored(status.st_mtime, status.st_size, path)


def _remove(file: _Stored, *, dry: bool) -> Literal["removed", "kept", "gone"]:
    """Remove a file, unless somebody used it since it was looked at, or removed it."""
    try:
        if file.path.lstat().st_mtime != file.used:
            return "kept"
        if not dry:
            file.path.unlink()
    except FileNotFoundError:
        return "gone"
    except OSError as error:
        raise host_error(error, file.path) from error
    return "removed"


def _images(store: Store, engine: Engine) -> list[tuple[float, str]]:
    """Return last use and tag of every image of ours; one never stamped is the oldest."""
    stamps = {path.name[:TAG_DIGITS]: path for path in (store.root / "images").glob("*")}
    found = []
    for listed in engine.get("/images/json", list[_Listed]):
        for tag in _our_tags(listed.tags or ()):
            used = 0.0
            with contextlib.suppress(KeyError, FileNotFoundError):
                used = stamps[tag].stat().st_mtime
            found.append((used, tag))
    return sorted(found)


def _our_tags(tags: Iterable[str]) -> Iterator[str]:
    for tag in tags:
        if found := _TAG.fullmatch(tag):
            yield found[1]


def surplus_images(images: list[tuple[float, str]], limits: Limits, needed: Needed) -> list[str]:
    """Return the tags that go, of `images` given by last use, the oldest first."""
    kept = {digest[:TAG_DIGITS] for digest in needed.images}
    spare = [tag for _, tag in images if tag not in kept]
    return spare[: max(0, len(images) - limits.max_images)]


def remove_image(engine: Engine, store: Store, tag: str) -> None:
    """Remove an image and its stamp; leave one that is in use, and forgive one that is gone."""
    try:
        engine.tell("DELETE", f"/images/{quote(f'{REPOSITORY}:{tag}', safe='')}")
    except NotThereError:
        pass
    except HostError as error:
        # Somebody builds in it right now: then it is not unused at all.
        if "409" not in error.got:
            raise
        return
    for stamp in (store.root / "images").glob(f"{tag}*"):
        stamp.unlink(missing_ok=True)
