"""Gather, on the signer's own machine, what `relsign.sign.review.changes` compares.

The release before comes from its verified bundle, this one from the request that is
about to be signed.  Recipe and locks of the release before are in no bundle, only
their digests are: they are looked for in the project's own git history, and taken
only with the digest that the release's fingerprints name.  An old file without that
digest is not the one that was built from, whoever says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError
from relsign.formats.fingerprint import Fingerprint
from relsign.formats.lock import BuilderLock, parse_lock
from relsign.formats.recipe import Git, Recipe, parse_recipe
from relsign.sign.release import SigningRequest
from relsign.sign.review.changes import Changes, Commits, Side, compare, git_pairs
from relsign.sign.review.history import Clone, count_commits, find_clone, find_version
from relsign.sign.review.previous import Earlier
from relsign.system.workspace import Workspace


def changes_since(
    workspace: Workspace,
    earlier: Earlier,
    request: SigningRequest,
    clones: Sequence[Path] = (),
    root_lines: Sequence[str] = (),
) -> Changes:
    """Return what this release changes.

    Commits are looked for in `clones`, in the project's own folder, and where a source
    has a ``file:`` address; `root_lines` as `compare` takes them.  Nothing is fetched,
    and what cannot be found out is said to be unknown.
    """
    own = find_clone(workspace.folder)
    before = Side(
        version=earlier.place.reference.version,
        fingerprints=earlier.fingerprints,
        builders=earlier.builders,
        owners=earlier.owners,
        recipe=_recipe(workspace, own, earlier.fingerprints),
        locks=_locks(workspace, own, earlier.fingerprints),
    )
    now = Side(
        version=request.statement.predicate.version,
        fingerprints=request.build.fingerprints,
        builders=tuple(party.name for party in request.build.agreement.builders),
        owners=tuple(party.name for party in request.layout.owners),
        recipe=_recipe(workspace, own, request.build.fingerprints),
        locks=_locks(workspace, own, request.build.fingerprints),
    )
    return compare(before, now, _commits(before, now, clones, own), root_lines)


def _commits(
    before: Side, now: Side, folders: Sequence[Path], own: Clone | None
) -> dict[str, Commits]:
    given = [clone for folder in folders if (clone := find_clone(folder.absolute())) is not None]
    found: dict[str, Commits] = {}
    for name, (old, new) in git_pairs(before, now).items():
        clones = [*given, *([own] if own else []), *_beside(new)]
        commits = count_commits(clones, old.commit, new.commit)
        if commits is not None:
            found[name] = commits
    return found


def _beside(source: Git) -> list[Clone]:
    """Return the repository of a source whose address is a folder of this machine."""
    parts = urlsplit(source.url)
    if parts.scheme != "file" or parts.netloc:
        return []
    clone = find_clone(Path(unquote(parts.path)))
    return [] if clone is None else [clone]


def _recipe(
    workspace: Workspace, own: Clone | None, fingerprints: tuple[Fingerprint, ...]
) -> Recipe | None:
    wanted = fingerprints[0].recipe_sha256
    data = workspace.recipe_bytes()
    if sha256_hex(data) != wanted:
        old = find_version(own, workspace.recipe_file, wanted)
        if old is None:
            return None
        data = old
    try:
        return parse_recipe(data)
    except InputError:
        # An earlier version of the program may have read what this one does not.
        return None


def _locks(
    workspace: Workspace, own: Clone | None, fingerprints: tuple[Fingerprint, ...]
) -> dict[str, BuilderLock]:
    """Return the locks the fingerprints name, by digest, as far as they are found."""
    found: dict[str, BuilderLock] = {}
    for environment in {f.environment.builder: f.environment for f in fingerprints}.values():
        path = workspace.builder_folder(environment.builder) / "builder.lock"
        data = _with_digest(workspace, environment.builder, environment.lock_sha256)
        if data is None:
            data = find_version(own, path, environment.lock_sha256)
        if data is None:
            continue
        try:
            found[environment.lock_sha256] = parse_lock(data)
        except InputError:
            continue
    return found


def _with_digest(workspace: Workspace, builder: str, sha256: str) -> bytes | None:
    try:
        data = workspace.lock_bytes(builder)
    except InputError:
        # The environment of an earlier release may be gone by now.
        return None
    return data if sha256_hex(data) == sha256 else None
