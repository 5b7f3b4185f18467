"""What moved: said once, by name, with what it was and what it is."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from relsign.build.moved import (
    check_lock_is_current,
    compare_locks,
    definition_moves,
    refuse_stale,
)
from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError
from relsign.formats.lock import (
    BuilderLock,
    DefinitionFile,
    LockedCrate,
    LockedLayer,
    LockedModule,
    LockedNpm,
    LockedWheel,
    RootFileSystem,
)
from relsign.formats.names import Digest
from tests.build.inputs_project import change_lock, debian_project, image_project

A, B = Digest("a" * 64), Digest("b" * 64)
DEFINITION = b'name = "small"\nsuite = "bookworm"\npackages = ["aa"]\n'
NPM_DEFINITION = DEFINITION + b'npm = "package-lock.json"\n'


@pytest.fixture
def lock(tmp_path: Path) -> BuilderLock:
    return debian_project(tmp_path).workspace.lock("small")


def wheel(version: str, digest: Digest = A) -> LockedWheel:
    name = f"flit-{version}-py3-none-any.whl"
    return LockedWheel(name="flit", version=version, file=name, sha256=digest, size=1)


def npm(version: str, place: str = "node_modules/x") -> LockedNpm:
    return LockedNpm(
        name="x", version=version, integrity="sha512-" + "A" * 86 + "==", sha256=A, size=1,
        places=(place,),
    )  # fmt: skip


def crate(version: str) -> LockedCrate:
    return LockedCrate(name="memchr", version=version, sha256=A, size=1)


def module(digest: Digest) -> LockedModule:
    return LockedModule(path="example.org/m", version="v1.0.0", mod_sha256=digest, mod_size=1)


ROWS: list[tuple[dict[str, object], dict[str, object], list[str]]] = [
    ({}, {}, []),
    (
        {"wheels": (wheel("3.9"),)},
        {"wheels": (wheel("4.0"),)},
        ["wheel flit changed: 3.9 -> 4.0"],
    ),
    (
        {"wheels": (wheel("3.9"),)},
        {"wheels": (wheel("3.9", B),)},
        [f"wheel flit changed: 3.9 {A} -> 3.9 {B}"],
    ),
    ({}, {"wheels": (wheel("3.9"),)}, ["wheel flit added: 3.9"]),
    ({"wheels": (wheel("3.9"),)}, {}, ["wheel flit removed: 3.9"]),
    ({"npm": (npm("1.0"),)}, {"npm": (npm("1.1"),)}, ["npm x node_modules/x changed: 1.0 -> 1.1"]),
    (
        {"npm": (npm("1.0"),)},
        {"npm": (npm("1.0"), npm("2.0", "node_modules/y/node_modules/x"))},
        ["npm x node_modules/y/node_modules/x added: 2.0"],
    ),
    (
        {"crates": (crate("2.7.4"),)},
        {"crates": (crate("2.7.5"),)},
        ["crate memchr 2.7.4 removed: 2.7.4", "crate memchr 2.7.5 added: 2.7.5"],
    ),
    ({"go": (module(A),)}, {"go": (module(B),)}, ["module example.org/m v1.0.0 changed: v1.0.0"]),
    (
        {},
        {"rootfs": RootFileSystem(sha256=B, size=1), "source_date_epoch": 7},
        ["lock rootfs changed:", "lock source_date_epoch changed: 0 -> 7"],
    ),
]


@pytest.mark.parametrize(("before", "after", "expected"), ROWS)
def test_every_kind_of_thing_that_moves_is_told(
    lock: BuilderLock, before: dict[str, object], after: dict[str, object], expected: list[str]
) -> None:
    old, new = msgspec.structs.replace(lock, **before), msgspec.structs.replace(lock, **after)
    told = [moved.words for moved in compare_locks(old, new)]
    assert len(told) == len(expected)
    assert all(words.startswith(start) for words, start in zip(told, expected, strict=True))


def test_a_package_that_moved_is_told_by_its_versions(lock: BuilderLock) -> None:
    newer = msgspec.structs.replace(lock.packages[0], version="1.0-2", sha256=B)
    new = msgspec.structs.replace(lock, packages=(newer,))
    told = [moved.words for moved in compare_locks(lock, new)]
    assert told == ["package aa changed: 1.0 -> 1.0-2", "package bb removed: 1.0"]


def test_a_layer_that_moved_is_told(tmp_path: Path) -> None:
    lock = image_project(tmp_path, (b"one", b"two")).workspace.lock("small")
    assert not isinstance(lock.image, msgspec.UnsetType)
    image = msgspec.structs.replace(
        lock.image,
        manifest_sha256=B,
        layers=(lock.image.layers[0], LockedLayer(sha256=B, size=1, diff_sha256=B)),
    )
    told = compare_locks(lock, msgspec.structs.replace(lock, image=image))
    assert [(moved.kind, moved.name) for moved in told] == [
        ("image", "layer 1"),
        ("image", "manifest"),
    ]


FILE = DefinitionFile(name="package-lock.json", sha256=sha256_hex(b"{}"))


@pytest.mark.parametrize(
    ("files", "definition", "side", "expected"),
    [
        ((FILE,), NPM_DEFINITION, {"package-lock.json": b"{}"}, []),
        ((FILE,), NPM_DEFINITION, {"package-lock.json": b"{ }"}, ["package-lock.json"]),
        ((FILE,), NPM_DEFINITION, {}, ["package-lock.json"]),
        ((), NPM_DEFINITION, {"package-lock.json": b"{}"}, ["package-lock.json"]),
        ((FILE,), DEFINITION, {"package-lock.json": b""}, ["builder.toml", "package-lock.json"]),
    ],
)
def test_a_lock_is_of_its_definition_and_of_the_files_beside_it(
    lock: BuilderLock,
    files: tuple[DefinitionFile, ...],
    definition: bytes,
    side: dict[str, bytes],
    expected: list[str],
) -> None:
    locked = msgspec.structs.replace(
        lock, definition_sha256=sha256_hex(NPM_DEFINITION), files=files or msgspec.UNSET
    )
    moves = definition_moves(locked, definition, side)
    assert [moved.name for moved in moves] == expected
    if not expected:
        refuse_stale("small", locked, definition, side)
        return
    with pytest.raises(InputError, match=f"{expected[0]} changed since it was locked") as caught:
        refuse_stale("small", locked, definition, side)
    assert caught.value.hint == "run `relsign lock small`"


def test_a_project_with_a_changed_side_file_is_not_built(tmp_path: Path) -> None:
    project = debian_project(tmp_path)
    project.write("builders/small/builder.toml", NPM_DEFINITION)
    project.write("builders/small/package-lock.json", b"{}")
    lock = change_lock(project, definition_sha256=sha256_hex(NPM_DEFINITION), files=(FILE,))
    check_lock_is_current(project.workspace, "small", lock)
    project.write("builders/small/package-lock.json", b"{ }")
    with pytest.raises(InputError, match=r"package-lock\.json changed") as caught:
        check_lock_is_current(project.workspace, "small", lock)
    assert caught.value.where == "builders/small/builder.lock: files"
    (project.folder / "builders/small/package-lock.json").unlink()
    with pytest.raises(InputError, match="no such file"):
        check_lock_is_current(project.workspace, "small", lock)
