"""What moved between a lock and its definition, or between a lock and today's.

refuse_stale("debian-c", lock, definition_bytes, {})     # before every build
for moved in compare_locks(lock, resolved): print(moved.words)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from relsign.build.inputs.shared import refuse_shared
from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError
from relsign.formats.lock import BuilderLock
from relsign.system.workspace import Workspace

Change = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True, order=True)
class Moved:
    """One thing that is not as it was; `old` and `new` are versions, or digests, or empty."""

    kind: str
    name: str
    change: Change
    old: str
    new: str

    @property
    def words(self) -> str:
        """The change in one line."""
        shown = " -> ".join(word for word in (self.old, self.new) if word)
        return f"{self.kind} {self.name} {self.change}: {shown}"


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a lock says of one thing: the version people know, and the bytes."""

    version: str
    identity: str


def definition_moves(
    lock: BuilderLock, definition_bytes: bytes, side: Mapping[str, bytes]
) -> tuple[Moved, ...]:
    """Return how `builder.toml` and the files beside it differ from when they were locked.

    `side` holds each file that the definition names, by name.
    """
    locked = {file.name: file.sha256 for file in lock.files or ()}
    now = {name: sha256_hex(data) for name, data in side.items()}
    old = {"builder.toml": _Entry("", lock.definition_sha256)}
    new = {"builder.toml": _Entry("", sha256_hex(definition_bytes))}
    old |= {name: _Entry("", digest) for name, digest in locked.items()}
    new |= {name: _Entry("", digest) for name, digest in now.items()}
    return tuple(sorted(_moves("file", old, new)))


def refuse_stale(
    builder: str, lock: BuilderLock, definition_bytes: bytes, side: Mapping[str, bytes]
) -> None:
    """Raise InputError for a lock made from another definition or other files beside it."""
    moves = definition_moves(lock, definition_bytes, side)
    # The definition first: it says which files there are.
    moves = tuple(sorted(moves, key=lambda moved: (moved.name != "builder.toml", moved)))
    if not moves:
        return
    first = moves[0]
    place = "definition_sha256" if first.name == "builder.toml" else "files"
    raise InputError(
        f"{first.name} changed since it was locked",
        where=f"builders/{builder}/builder.lock: {place}",
        expected=first.new or "no such file",
        got=first.old or "nothing about it",
        hint=f"run `relsign lock {builder}`",
    )


def check_lock_is_current(workspace: Workspace, builder: str, lock: BuilderLock) -> None:
    """Refuse a lock made from another definition or other files beside it: InputError.

    So too a project whose recipe and locks use one digest for two things.
    """
    recipe = workspace.recipe()
    refuse_shared(recipe, (workspace.lock(name) for name in recipe.builders))
    data = workspace.definition_bytes(builder)
    refuse_stale(builder, lock, data, side_files(workspace, builder))


def side_files(workspace: Workspace, builder: str) -> dict[str, bytes]:
    """Return the files beside a definition by name; raise InputError if one is missing."""
    folder = workspace.builder_folder(builder)
    hint = "copy the language's own lock file there, or correct builder.toml"
    names = workspace.definition(builder).files
    return {name: workspace.read(folder / name, hint) for name in names}


def compare_locks(old: BuilderLock, new: BuilderLock) -> tuple[Moved, ...]:
    """Return what two locks of one builder say differently, sorted.

    Their definitions are compared by `definition_moves`.
    """
    before, after = _entries(old), _entries(new)
    moves = [moved for kind in before for moved in _moves(kind, before[kind], after[kind])]
    return tuple(sorted(moves))


def _entries(lock: BuilderLock) -> dict[str, dict[str, _Entry]]:
    """Return all that a lock names, by kind and name."""
    image: dict[str, _Entry] = {}
    if not isinstance(lock.image, msgspec.UnsetType):
        image = {
            f"layer {number}": _Entry("", f"{layer.sha256} {layer.diff_sha256}")
            for number, layer in enumerate(lock.image.layers)
        }
        image["manifest"] = _Entry("", lock.image.manifest_sha256)
    return {
        "package": {p.name: _Entry(p.version, p.sha256) for p in lock.packages},
        "wheel": {w.name: _Entry(w.version, w.sha256) for w in lock.wheels},
        "npm": {f"{n.name} {n.places[0]}": _Entry(n.version, n.sha256) for n in lock.npm or ()},
        "module": {
            f"{m.path} {m.version}": _Entry(m.version, f"{m.mod_sha256} {m.sha256}")
            for m in lock.go or ()
        },
        "crate": {f"{c.name} {c.version}": _Entry(c.version, c.sha256) for c in lock.crates or ()},
        "image": image,
        "lock": {
            "rootfs": _Entry("", lock.rootfs.sha256),
            "source_date_epoch": _Entry(str(lock.source_date_epoch), ""),
            "suite": _Entry(str(lock.suite or ""), ""),
            "architecture": _Entry(lock.architecture, ""),
        },
    }


def _moves(kind: str, old: Mapping[str, _Entry], new: Mapping[str, _Entry]) -> Iterator[Moved]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if before is None and after is not None:
            yield Moved(kind, name, "added", "", after.version or after.identity)
        elif after is None and before is not None:
            yield Moved(kind, name, "removed", before.version or before.identity, "")
        elif before is not None and after is not None:
            yield _changed(kind, name, before, after)


def _changed(kind: str, name: str, before: _Entry, after: _Entry) -> Moved:
    # The same version with other bytes is the news most worth reading.
    if before.version != after.version:
        return Moved(kind, name, "changed", before.version, after.version)
    version = f"{before.version} " if before.version else ""
    return Moved(kind, name, "changed", version + before.identity, version + after.identity)
