"""`relsign lock`: from the packages wanted to every byte of the environment."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from relsign.cli.options import (
    json_option,
    project_option,
    registry_option,
    show_path,
    store_option,
)
from relsign.cli.show import human_size, short_digest
from relsign.cli.talk import say, talk
from relsign.errors import InputError, NotEnoughError
from relsign.formats.lock import MAX_LOCK_BYTES
from relsign.system.files import read_bounded, write_whole
from relsign.system.workspace import Workspace

if TYPE_CHECKING:
    from relsign.build.inputs.rot import Standing
    from relsign.build.moved import Moved
    from relsign.build.store import Store
    from relsign.formats.lock import BuilderLock

MOVED = 1
"""Exit code: something is not as it was locked, or cannot be fetched any more."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """Servers named on the command line instead of the machine's own."""

    mirrors: tuple[str, ...]
    registry: str | None


@click.command(short_help="Resolve an environment into builder.lock.")
@click.argument("name", required=False)
@click.option("--check", "mode", flag_value="check",
              help="Resolve again, say what moved, write nothing.")  # fmt: skip
@click.option("--rot", "mode", flag_value="rot",
              help="Ask whether every locked file and source can still be fetched.")  # fmt: skip
@click.option(
    "--mirror", "mirrors", multiple=True, metavar="URL",
    help="Debian archive to use instead of this machine's own; may be repeated.",
)  # fmt: skip
@registry_option
@json_option
@project_option
@store_option
def lock(
    name: str | None, mode: str | None, mirrors: tuple[str, ...], registry: str | None,
    workspace: Workspace, store: Path, *, as_json: bool,
) -> int:  # fmt: skip
    """Resolve builders/NAME/builder.toml into builders/NAME/builder.lock; all without NAME.

    The lock names every file with its digest, and the digest of the root file system
    they become. Review it and commit it like source code.

    With --check or --rot the exit code is 0 when all is as it was, 1 when not.
    """
    from relsign.build.store import Store

    names = (name,) if name else _all_builders(workspace)
    kept, wish = Store(store), _Wish(mirrors, registry)
    if mode == "rot":
        return _rot(workspace, kept, wish, names, sources=name is None, as_json=as_json)
    if mode == "check":
        return _check(workspace, kept, wish, names, as_json=as_json)
    rows = [_write(workspace, each, _resolve(workspace, kept, wish, each)) for each in names]
    if as_json:
        _print({"schema": "relsign/lock/1", "builders": rows})
    return 0


def _all_builders(workspace: Workspace) -> tuple[str, ...]:
    """Return the environments the project has; raise InputError for none."""
    found = sorted(path.parent.name for path in workspace.folder.glob("builders/*/builder.toml"))
    if not found:
        raise InputError(
            "no builder is defined here",
            where=show_path(workspace.folder / "builders"),
            hint="write builders/NAME/builder.toml, or name the folder with --project",
        )
    return tuple(found)


def _resolve(workspace: Workspace, store: Store, wish: _Wish, name: str) -> BuilderLock:
    from relsign.build.inputs.lock import Asking, resolve_lock
    from relsign.cli.progress import fetching

    definition = workspace.definition(name)
    data = workspace.definition_bytes(name)
    with fetching(f"environment {name}") as progress:
        folder = workspace.builder_folder(name)
        asking = Asking(folder, wish.mirrors, wish.registry, progress)
        return resolve_lock(definition, data, store, asking)


def _write(workspace: Workspace, name: str, resolved: BuilderLock) -> dict[str, object]:
    """Write one lock unless it is there already; return what scripts want to know of it."""
    path = workspace.builder_folder(name) / "builder.lock"
    data = resolved.to_bytes()
    is_new = _present(path) != data
    if is_new:
        write_whole(path, data)
        talk(f"wrote {show_path(path)}: {_contents(resolved)}")
    else:
        talk(f"unchanged  {show_path(path)}")
    return {"builder": name, "written": is_new, "rootfs_sha256": resolved.rootfs.sha256}


def _contents(resolved: BuilderLock) -> str:
    image = getattr(resolved.image, "layers", ())
    counts = {
        "layers": image,
        "packages": resolved.packages,
        "wheels": resolved.wheels,
        "npm packages": resolved.npm or (),
        "Go modules": resolved.go or (),
        "crates": resolved.crates or (),
    }
    words = [f"{len(things)} {kind}" for kind, things in counts.items() if things]
    rootfs = resolved.rootfs
    words.append(f"root file system {human_size(rootfs.size)} {short_digest(rootfs.sha256)}")
    return ", ".join(words)


def _present(path: Path) -> bytes | None:
    try:
        return read_bounded(path, MAX_LOCK_BYTES)
    except NotEnoughError:
        return None


def _check(
    workspace: Workspace, store: Store, wish: _Wish, names: tuple[str, ...], *, as_json: bool
) -> int:
    """Say what moved since each lock was written; write none."""
    from relsign.build.moved import compare_locks, definition_moves, side_files

    rows: list[dict[str, object]] = []
    code = 0
    for name in names:
        old = workspace.lock(name)
        data = workspace.definition_bytes(name)
        moves = definition_moves(old, data, side_files(workspace, name))
        moves += compare_locks(old, _resolve(workspace, store, wish, name))
        code = MOVED if moves else code
        rows.append({"builder": name, "moved": [asdict(moved) for moved in moves]})
        if not as_json:
            _show_moves(name, moves)
    if as_json:
        _print({"schema": "relsign/lock-check/1", "builders": rows})
    return code


def _show_moves(name: str, moves: tuple[Moved, ...]) -> None:
    for moved in moves:
        say(f"{name}: {moved.words}")
    if moves:
        talk(f"{name}: {len(moves)} things moved; `relsign lock {name}` writes them down")
    else:
        talk(f"{name}: nothing moved")


def _rot(
    workspace: Workspace, store: Store, wish: _Wish, names: tuple[str, ...], *,
    sources: bool, as_json: bool,
) -> int:  # fmt: skip
    """Say which inputs can still be fetched today."""
    from relsign.build.inputs.lock import Asking
    from relsign.build.inputs.rot import find_rot
    from relsign.cli.progress import counting

    locks = [workspace.lock(name) for name in names]
    wanted = workspace.recipe().source if sources and workspace.recipe_file.exists() else ()
    with counting("asking for inputs") as progress:
        asking = Asking(workspace.folder, wish.mirrors, wish.registry, progress)
        standings = find_rot(locks, wanted, store, asking)
    _show_rot(standings, as_json=as_json)
    return MOVED if any(each.state != "served" for each in standings) else 0


def _show_rot(standings: tuple[Standing, ...], *, as_json: bool) -> None:
    counts: Counter[str] = Counter(each.state for each in standings)
    if as_json:
        rows = [asdict(each) for each in standings]
        _print({"schema": "relsign/lock-rot/1", "counts": dict(counts), "inputs": rows})
        return
    for each in standings:
        if each.state != "served":
            say(f"{each.state}: {each.of}: {each.name}  ({each.reason})")
    talk(", ".join(f"{count} {state}" for state, count in sorted(counts.items())))
    if counts["only in this store"]:
        talk("hint: keep what is only here: relsign inputs export FILE")
    if counts["gone"]:
        talk("hint: look for what is gone in another builder's store or input bundle, "
             "or lock anew")  # fmt: skip
    if counts["no answer"]:
        talk("hint: who does not answer has withdrawn nothing: check network and settings, "
             "then ask again")  # fmt: skip


def _print(document: object) -> None:
    click.echo(json.dumps(document, ensure_ascii=True, indent=2))
