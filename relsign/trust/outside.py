"""Verify files on disk as a stranger would: hash them, read the bundle, decide.

What publication does with every file it has just written.  It reads, and writes
nothing; `relsign.trust.verification` is the same for a person, with pins and memory.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from relsign.errors import InputError, NoRootError, NotEnoughError, RelsignError
from relsign.formats.bundle import MAX_BUNDLE_BYTES
from relsign.formats.canonical import Value, shorten
from relsign.formats.root import MAX_ROOT_BYTES
from relsign.system.files import hash_file, host_error, read_bounded
from relsign.verify.decision import Decision, Question, decide
from relsign.verify.demands import Demands
from relsign.verify.freshness import ListingFiles
from relsign.verify.release import open_evidence

MAX_BUNDLES = 100
"""Bundles in one folder that are looked into for the one that is meant."""


class Context(Value, frozen=True):
    """What is known and asked besides the files."""

    demands: Demands = msgspec.field(default_factory=Demands)
    listing: ListingFiles | None = None
    wanted: str | None = None


def read_root(path: Path | None) -> bytes:
    """Return the pinned root's bytes; raise NoRootError when none is pinned."""
    hint = "pin the project's root.json with --root, after comparing its 12 words"
    if path is None:
        raise NoRootError("no trust root is pinned", hint=hint)
    try:
        return read_bounded(path, MAX_ROOT_BYTES)
    except NotEnoughError as error:
        raise NoRootError("no such trust root", where=os.fspath(path), hint=hint) from error


def find_bundle(artifact: Path) -> Path | None:
    """Return the ``*.relsign`` file beside `artifact`, or None.

    Where several lie there, it is the one that names the artifact, which is believed no
    more for it.  Raises InputError when not exactly one does: which one counts is the
    caller's choice.
    """
    try:
        names = sorted(e.name for e in os.scandir(artifact.parent) if e.name.endswith(".relsign"))
    except OSError as error:
        raise host_error(error, artifact.parent) from error
    if len(names) <= 1:
        return artifact.parent / names[0] if names else None
    naming = [name for name in names[:MAX_BUNDLES] if _names(artifact.parent / name, artifact.name)]
    if len(naming) == 1:
        return artifact.parent / naming[0]
    raise InputError(
        "several bundles lie beside the file",
        where=os.fspath(artifact.parent),
        got=", ".join(shorten(name) for name in names[:4]),
        hint="name one with --bundle",
    )


def _names(bundle: Path, artifact: str) -> bool:
    """Say whether a bundle's statement names an artifact; one that cannot be read does not."""
    try:
        evidence = open_evidence(read_bounded(bundle, MAX_BUNDLE_BYTES))
    except RelsignError:
        return False
    return artifact in evidence.statement.digests()


def verify_files(
    root: bytes,
    files: Sequence[Path],
    bundle: Path | None,
    now: datetime,
    context: Context | None = None,
) -> Decision:
    """Hash `files`, read `bundle`, and take the trust decision.

    Raises NotEnoughError for a file that is absent and InputError for one that is
    no regular file, or when two have the same name; everything about the evidence
    itself becomes the verdict.
    """
    known = context or Context()
    artifacts: dict[str, str] = {}
    for path in files:
        if path.name in artifacts:
            raise InputError("two files of the same name", where=os.fspath(path))
        artifacts[path.name] = hash_file(path).sha256
    question = Question(
        root=root,
        bundle=None if bundle is None else read_bounded(bundle, MAX_BUNDLE_BYTES),
        artifacts=artifacts,
        now=now,
        demands=known.demands,
        listing=known.listing,
        wanted=known.wanted,
    )
    return decide(question)
