"""What the signer's own clones know: commits between two, and a file as it once was.

Git reads the objects of a clone and nothing else of it: they are lent to an empty
repository that lives for one question, so no configuration, hook, pager, filter,
replacement or remote of the clone has a say, and nothing is fetched.

A file of the past is believed for its digest, which a verified document names; where it
was found says nothing.  A count of commits is as good as the clone it comes from; the
bytes that are built are bound by the source's own digest.

Nothing here stops a signature: what cannot be found out is None.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from relsign.crypto.digest import sha256_hex
from relsign.errors import RelsignError
from relsign.sign.review.changes import Commits
from relsign.system.files import read_bounded
from relsign.system.process import require_program, run_program

MAX_SUBJECTS = 10
MAX_VERSIONS = 1000
"""Versions of one file that are looked at."""
MAX_FILE_BYTES = 4 << 20
_SECONDS = 60
_MAX_POINTER_BYTES = 1 << 20
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_UNUSABLE = frozenset(':"\n')
"""Characters that the list of lent folders has another use for."""
_SETTINGS = ("-c", "core.commitGraph=false", "-c", "core.multiPackIndex=false")


@dataclass(frozen=True, slots=True)
class Clone:
    """A clone on this machine, of which only the objects are used."""

    top: Path
    """The folder that is checked out."""
    objects: Path
    head: str
    """The commit that is checked out."""


def find_clone(folder: Path) -> Clone | None:
    """Return the clone that `folder` lies in, or None; a bare one is found as itself."""
    for top in (folder, *folder.parents):
        for git in (top / ".git", top):
            found = _read_clone(top, git)
            if found is not None:
                return found
    return None


def count_commits(clones: Sequence[Clone], old: str, new: str) -> Commits | None:
    """Return what lies between two commits, by the first clone that has both whole."""
    for clone in clones:
        try:
            with _lent(clone, len(new)) as git:
                new_ones = git("rev-list", "--count", f"{old}..{new}")
                gone = git("rev-list", "--count", f"{new}..{old}")
                subjects = git(
                    "rev-list", f"--max-count={MAX_SUBJECTS}", "--no-commit-header",
                    "--format=%s", f"{old}..{new}",
                )  # fmt: skip
        except RelsignError:
            continue
        if new_ones.strip().isdigit() and gone.strip().isdigit():
            lines = subjects.decode("utf-8", "replace").split("\n")[:MAX_SUBJECTS]
            return Commits(int(new_ones), int(gone), tuple(line for line in lines if line))
    return None


def find_version(clone: Clone | None, file: Path, sha256: str) -> bytes | None:
    """Return the version of a file that has this digest, out of the clone's past, or None."""
    if clone is None:
        return None
    path = os.path.relpath(file, clone.top)
    if path.startswith("..") or "\n" in path:
        return None
    try:
        with _lent(clone, len(clone.head)) as git:
            listed = git(
                "rev-list", "--full-history", f"--max-count={MAX_VERSIONS}",
                clone.head, "--", path,
            )  # fmt: skip
            asked = b"".join(b"%b:%b\n" % (c, os.fsencode(path)) for c in listed.split())
            said = git("cat-file", "--batch-check=%(objectname) %(objectsize)", stdin=asked)
            for blob in _blobs(said):
                data = git("cat-file", "blob", blob)
                if sha256_hex(data) == sha256:
                    return data
    except RelsignError:
        return None
    return None


def _blobs(said: bytes) -> list[str]:
    """Return each object once that is not too large; git names what it lacks otherwise."""
    words = [line.split(" ") for line in said.decode("ascii", "replace").split("\n")]
    return list(
        dict.fromkeys(
            word[0]
            for word in words
            if len(word) == 2  # noqa: PLR2004 - name and size
            and _COMMIT.fullmatch(word[0])
            and word[1].isdigit()
            and int(word[1]) <= MAX_FILE_BYTES
        )
    )


class _Git:
    """Runs git on an empty repository that another one's objects are lent to."""

    def __init__(self, folder: str, objects: Path) -> None:
        self._command = [require_program("git", "git"), f"--git-dir={folder}", *_SETTINGS]
        self._environment = {
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": os.fspath(objects),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }

    def __call__(self, *words: str, stdin: bytes = b"") -> bytes:
        """Return what git prints; nothing where it fails."""
        done = run_program(
            [*self._command, *words],
            stdin=stdin,
            environment=self._environment,
            timeout_seconds=_SECONDS,
        )
        return b"" if done.returncode else done.stdout


@contextmanager
def _lent(clone: Clone, id_length: int) -> Iterator[_Git]:
    with tempfile.TemporaryDirectory(prefix="relsign-") as folder:
        git = _Git(folder, clone.objects)
        kind = "sha1" if id_length == 40 else "sha256"  # noqa: PLR2004 - digits of a SHA-1
        git("init", "--quiet", "--bare", "--template=", f"--object-format={kind}")
        yield git


def _read_clone(top: Path, git: Path) -> Clone | None:
    """Return the clone whose repository is `git`, a folder or a file that names one."""
    try:
        if git.is_file():
            named = _text(git).removeprefix("gitdir: ")
            git = top / named
        common = git
        if (git / "commondir").is_file():
            common = git / _text(git / "commondir")
        head = _text(git / "HEAD")
        commit = _resolve((git, common), head.removeprefix("ref: ")) if ":" in head else head
    except (RelsignError, UnicodeDecodeError, ValueError, OSError):
        return None
    objects = (common / "objects").absolute()
    usable = objects.is_dir() and not _UNUSABLE & set(os.fspath(objects))
    return Clone(top, objects, commit) if usable and _COMMIT.fullmatch(commit) else None


def _resolve(places: Sequence[Path], name: str) -> str:
    """Return the commit that a branch names, loose or packed; empty if it is nowhere."""
    for place in places:
        if (place / name).is_file():
            return _text(place / name)
        packed = place / "packed-refs"
        if packed.is_file():
            for line in _text(packed).split("\n"):
                commit, _, ref = line.partition(" ")
                if ref == name:
                    return commit
    return ""


def _text(path: Path) -> str:
    return read_bounded(path, _MAX_POINTER_BYTES).decode().strip()
