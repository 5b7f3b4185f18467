"""Explain two files, two folders or two fingerprints: what differs, and why."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from relsign.build.explain.causes import Found, find_causes
from relsign.build.explain.compare import compare_into
from relsign.build.explain.difference import Difference, join_place, text_excerpts
from relsign.build.explain.piece import Bounds, Work
from relsign.errors import InputError
from relsign.formats.fingerprint import (
    MAX_FINGERPRINT_BYTES,
    BuiltArtifact,
    Fingerprint,
    parse_fingerprint,
)
from relsign.formats.names import FileName
from relsign.system.files import host_error, read_bounded

FORMAT = b'"format":"relsign/fingerprint/1"'
MAX_FILES = 200_000
Pair = tuple[Path, Path]


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that is known of why two things differ."""

    subject: str
    """``files``, ``folders`` or ``fingerprints``."""
    differences: tuple[Difference, ...]
    dropped: int
    causes: tuple[Found, ...]
    pairs: tuple[Pair, ...] = ()
    """Pairs of files whose bytes differ."""

    @property
    def is_same(self) -> bool:
        """Whether nothing differs at all."""
        return not self.differences


def explain(one: Path, two: Path, bounds: Bounds | None = None) -> Explanation:
    """Return how and why two paths differ; links are not followed.

    Raises InputError for a path that is no regular file or folder, for two of
    different kinds, for a malformed fingerprint and for a folder of too many files;
    HostError if the system refuses.
    """
    kinds = {_kind(path) for path in (one, two)}
    if len(kinds) > 1:
        raise InputError(
            "one is a folder, the other a file",
            where=os.fspath(two),
            hint="name two files or two folders",
        )
    work = Work(bounds or Bounds())
    if kinds == {"folder"}:
        subject, pairs = "folders", _folders(one, two, work)
    elif (prints := _fingerprints(one, two)) is not None:
        subject, pairs = "fingerprints", _compare_fingerprints((one, two), prints, work)
    else:
        subject = "files"
        pairs = [(one, two)] if compare_into(one, two, one.name, work) else []
    differences = tuple(work.found)
    return Explanation(subject, differences, work.dropped, find_causes(differences), tuple(pairs))


def _kind(path: Path) -> str:
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        raise InputError(
            "cannot be read", where=os.fspath(path), got=error.strerror or ""
        ) from error
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISREG(mode):
        return "file"
    raise InputError(
        "not a regular file or folder", where=os.fspath(path), hint="name what it points to"
    )


@contextmanager
def _asking(path: Path) -> Iterator[None]:
    """Name the path in what the system refuses: it may have gone since it was listed."""
    try:
        yield
    except OSError as error:
        raise host_error(error, path) from error


# --- folders -----------------------------------------------------------------------------------


def _folders(one: Path, two: Path, work: Work) -> list[Pair]:
    left, right = (dict(_listed(folder)) for folder in (one, two))
    pairs: list[Pair] = []
    for name in sorted(left.keys() | right.keys()):
        place = join_place("", name)
        if name not in left or name not in right:
            sides = ("there", "missing") if name in left else ("missing", "there")
            work.add("", place, "missing", sides, "folder.missing")
        elif _compare_places((one / name, two / name), (left[name], right[name]), place, work):
            pairs.append((one / name, two / name))
    return pairs


def _listed(folder: Path) -> Iterator[tuple[str, int]]:
    """Yield relative path and mode of everything below a folder."""
    waiting = [folder]
    count = 0
    while waiting:
        above = waiting.pop()
        with _asking(above), os.scandir(above) as entries:
            for entry in entries:
                count += 1
                if count > MAX_FILES:
                    raise InputError(
                        "too many files",
                        where=os.fspath(folder),
                        expected=f"at most {MAX_FILES}",
                        hint="compare folders inside it",
                    )
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                mode = entry.stat(follow_symlinks=False).st_mode
                yield os.path.relpath(entry.path, folder), mode


def _compare_places(pair: Pair, modes: tuple[int, int], place: str, work: Work) -> bool:
    """Compare two entries of folders; say whether both are files of other bytes."""
    one, two = pair
    if stat.S_IFMT(modes[0]) != stat.S_IFMT(modes[1]):
        work.add("", place, "type", (oct(modes[0]), oct(modes[1])), "type")
        return False
    if stat.S_ISLNK(modes[0]):
        with _asking(one):
            target = os.fspath(one.readlink())
        with _asking(two):
            targets = (target, os.fspath(two.readlink()))
        if targets[0] != targets[1]:
            work.add("", place, "text", text_excerpts(*targets), "text:link")
        return False
    if stat.S_IMODE(modes[0]) != stat.S_IMODE(modes[1]):
        sides = (f"{stat.S_IMODE(modes[0]):04o}", f"{stat.S_IMODE(modes[1]):04o}")
        work.add("", place, "mode", sides, "file.mode")
    # A fifo, socket or device has no bytes to compare, and what a folder holds is listed.
    return stat.S_ISREG(modes[0]) and compare_into(one, two, place, work)


# --- fingerprints ------------------------------------------------------------------------------


def _fingerprints(one: Path, two: Path) -> tuple[Fingerprint, Fingerprint] | None:
    """Return both fingerprints, None if these are not two of them."""
    for path in (one, two):
        with _asking(path):
            if path.stat().st_size > MAX_FINGERPRINT_BYTES:
                return None
    left, right = (read_bounded(path, MAX_FINGERPRINT_BYTES) for path in (one, two))
    # An archive may hold a fingerprint as it is; it is none.
    if not all(data.startswith(b"{") and FORMAT in data for data in (left, right)):
        return None
    return parse_fingerprint(left, os.fspath(one)), parse_fingerprint(right, os.fspath(two))


def _compare_fingerprints(
    paths: Pair, prints: tuple[Fingerprint, Fingerprint], work: Work
) -> list[Pair]:
    one, two = (each.to_bytes() for each in prints)
    if one == two:
        return []
    _compare_inputs(prints, work)
    pairs = _compare_all_artifacts(paths, prints, work)
    if not work.count:
        work.add("", "fingerprint", "bytes", text_excerpts(one.decode(), two.decode()), "artifact")
    return pairs


def _compare_inputs(prints: tuple[Fingerprint, Fingerprint], work: Work) -> None:
    left, right = (_inputs(each) for each in prints)
    for what in sorted(left.keys() | right.keys()):
        sides = left.get(what, "(none)"), right.get(what, "(none)")
        if sides[0] != sides[1]:
            work.add("inputs", join_place("inputs", what), "text", sides, "input")


def _compare_all_artifacts(
    paths: Pair, prints: tuple[Fingerprint, Fingerprint], work: Work
) -> list[Pair]:
    artifacts = [{each.name: each for each in found.artifacts} for found in prints]
    pairs: list[Pair] = []
    for name in sorted(artifacts[0].keys() | artifacts[1].keys()):
        one, two = artifacts[0].get(name), artifacts[1].get(name)
        if one is None or two is None:
            sides = ("there", "missing") if two is None else ("missing", "there")
            work.add("artifacts", name, "missing", sides, "folder.missing")
            continue
        _compare_stated(one, two, work)
        if one.sha256 != two.sha256:
            pairs.extend(_compare_artifacts(paths, name, (one.sha256, two.sha256), work))
    return pairs


def _compare_stated(one: BuiltArtifact, two: BuiltArtifact, work: Work) -> None:
    """Compare what is said of an artifact beside its digest."""
    if one.mode != two.mode:
        work.add("artifacts", one.name, "mode", (one.mode, two.mode), "file.mode")
    if one.normalised != two.normalised:
        sides = (", ".join(one.normalised or ()), ", ".join(two.normalised or ()))
        work.add("artifacts", join_place(one.name, "normalised"), "text", sides, "input")
    if one.size != two.size and one.sha256 == two.sha256:
        # No two builds say this: one of the two was written by hand.
        place = join_place(one.name, "size")
        work.add("artifacts", place, "bytes", (str(one.size), str(two.size)), "artifact")


def _inputs(print_: Fingerprint) -> dict[str, str]:
    """Return what went into a build, by the words people know it."""
    without = print_.profile.without or ()
    return {
        "project": print_.project,
        "version": print_.version,
        "target": print_.target,
        "recipe": print_.recipe_sha256,
        "environment": print_.environment.builder,
        "environment lock": print_.environment.lock_sha256,
        "root file system": print_.environment.rootfs_sha256,
        "sandbox profile": f"{print_.profile.name} {print_.profile.sha256}",
        "knobs the engine lacked": ", ".join(without),
        "SOURCE_DATE_EPOCH": str(print_.source_date_epoch),
        **{f"source {source.name}": source.sha256 for source in print_.sources},
    }


def _compare_artifacts(
    paths: Pair, name: FileName, digests: tuple[str, str], work: Work
) -> Iterator[Pair]:
    """Compare two artifacts where they lie beside their fingerprints, else by digest."""
    one, two = (path.parent / "artifacts" / name for path in paths)
    if _is_regular(one) and _is_regular(two) and compare_into(one, two, name, work):
        yield one, two
        return
    # They lie elsewhere, or other bytes lie there now than the fingerprints speak of.
    work.add("artifacts", name, "bytes", digests, "artifact")


def _is_regular(path: Path) -> bool:
    with _asking(path):
        return path.is_file() and not path.is_symlink()
