"""What other languages' lock files name: into the lock, the store and the root file system.

Each language's own lock file lies beside `builder.toml` and stays the one place where
versions are chosen; what it names is bound here by SHA-256 and laid out below
``/usr/lib/relsign/``, so that the digest of the root file system binds all of it.

    languages = resolve_languages(definition, Path("builders/web"), store)
    fetch_languages(lock, store)
    tars = language_tars(lock, store, folder)        # to be unpacked at the root
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from relsign.build.archives.tree import Tree, layout
from relsign.build.inputs.cargo import (
    CARGO_FOLDER,
    crate_file,
    fetch_crates,
    lay_out_crates,
    lock_crates,
)
from relsign.build.inputs.clients import do_all
from relsign.build.inputs.go import GO_FOLDER, fetch_go, lay_out_go, lock_go, module_files
from relsign.build.inputs.index import fetch_wheels
from relsign.build.inputs.npm import fetch_npm, lock_npm, npm_file
from relsign.build.inputs.npm_folders import NPM_FOLDER, lay_out_npm
from relsign.build.store import Store
from relsign.errors import InputError, NotEnoughError
from relsign.formats.cargo_lock import parse_cargo_lock
from relsign.formats.go_sum import parse_go_sum
from relsign.formats.lock import (
    BuilderDefinition,
    BuilderLock,
    DefinitionFile,
    LockedCrate,
    LockedModule,
    LockedNpm,
    LockedWheel,
)
from relsign.formats.names import Digest
from relsign.formats.npm_lock import parse_npm_lock
from relsign.system.files import read_bounded

PYTHON_FOLDER = "usr/lib/relsign/python"
GO_SUM = "go.sum"
MAX_SIDE_FILE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Languages:
    """The fields of a lock that come from files beside the definition; UNSET where none."""

    files: tuple[DefinitionFile, ...] | msgspec.UnsetType = msgspec.UNSET
    npm: tuple[LockedNpm, ...] | msgspec.UnsetType = msgspec.UNSET
    go: tuple[LockedModule, ...] | msgspec.UnsetType = msgspec.UNSET
    crates: tuple[LockedCrate, ...] | msgspec.UnsetType = msgspec.UNSET


def resolve_languages(definition: BuilderDefinition, folder: Path, store: Store) -> Languages:
    """Read the lock files beside `builder.toml` in `folder` and fetch what they name.

    Raises InputError for a file that is missing or breaks its rules, and as the
    fetching of each language does.
    """
    side = {name: _read(folder / name) for name in definition.files}
    # All of them are read before anything is fetched: a mistake is told at once.
    npm = (
        parse_npm_lock(side[definition.npm], definition.architecture, definition.npm)
        if definition.npm
        else ()
    )
    go = parse_go_sum(side[GO_SUM], GO_SUM) if definition.go else ()
    crates = parse_cargo_lock(side[definition.cargo], definition.cargo) if definition.cargo else ()
    return Languages(
        files=tuple(_definition_file(name, side[name]) for name in sorted(side)) or msgspec.UNSET,
        npm=lock_npm(npm, store) or msgspec.UNSET,
        go=lock_go(go, store) or msgspec.UNSET,
        crates=lock_crates(crates, store) or msgspec.UNSET,
    )


def _read(path: Path) -> bytes:
    try:
        return read_bounded(path, MAX_SIDE_FILE_BYTES)
    except NotEnoughError as error:
        raise InputError(
            "no such file, though builder.toml asks for it",
            where=error.where,
            hint="copy the language's own lock file beside builder.toml",
        ) from error


def _definition_file(name: str, data: bytes) -> DefinitionFile:
    return DefinitionFile(name=name, sha256=Digest(hashlib.sha256(data).hexdigest()))


def language_files(lock: BuilderLock) -> tuple[tuple[str, Digest, int], ...]:
    """Return name, digest and size in bytes of every file that languages need in the store."""
    files = [(wheel.file, wheel.sha256, wheel.size) for wheel in lock.wheels]
    files += [(npm_file(package), package.sha256, package.size) for package in lock.npm or ()]
    for module in lock.go or ():
        files += module_files(module)
    files += [(crate_file(crate), crate.sha256, crate.size) for crate in lock.crates or ()]
    return tuple(files)


def fetch_languages(lock: BuilderLock, store: Store) -> None:
    """Bring every file of `language_files` into the store; ask nobody for what is there.

    Raises one error for all languages, naming every file that did not come.
    """
    tasks: tuple[Callable[[], None], ...] = (
        lambda: fetch_wheels(lock.wheels, store),
        lambda: fetch_npm(lock.npm or (), store),
        lambda: fetch_go(lock.go or (), store),
        lambda: fetch_crates(lock.crates or (), store),
    )
    do_all(tasks)


def language_tars(lock: BuilderLock, store: Store, folder: Path) -> tuple[Path, ...]:
    """Write one tar for each language of the lock into `folder`, and return them.

    Names are relative to the root, owners 0, times the lock's, so the bytes depend on
    the lock alone.  Raises NotEnoughError for a file missing from the store, InputError
    naming the locked thing for an archive that breaks a rule or a name that is taken.
    """
    layouts: tuple[tuple[str, object, Callable[[Tree], None]], ...] = (
        (PYTHON_FOLDER, lock.wheels, lambda tree: _lay_out_wheels(lock.wheels, store, tree)),
        (NPM_FOLDER, lock.npm, lambda tree: lay_out_npm(lock.npm or (), store, tree)),
        (GO_FOLDER, lock.go, lambda tree: lay_out_go(lock.go or (), store, tree)),
        (CARGO_FOLDER, lock.crates, lambda tree: lay_out_crates(lock.crates or (), store, tree)),
    )
    tars: list[Path] = []
    for top, wanted, lay_out in layouts:
        if not wanted:
            continue
        path = folder / f"{top.rpartition('/')[2]}.tar"
        with layout() as tree, path.open("wb") as stream:
            lay_out(tree)
            tree.write(stream, top=top, mtime=lock.source_date_epoch)
        tars.append(path)
    return tuple(tars)


def _lay_out_wheels(wheels: tuple[LockedWheel, ...], store: Store, tree: Tree) -> None:
    for wheel in wheels:
        where = f"builder.lock: wheel {wheel.file}"
        members = tree.add_archive(store.path(wheel.sha256), PYTHON_FOLDER, where=where)
        tops = {member.name.partition("/")[0] for member in members}
        # An installer would spread such a folder over the system; we only unpack.
        spread = sorted(top for top in tops if top.endswith(".data"))
        if spread:
            raise InputError("wheel has a .data folder", where=where, got=spread[0])
