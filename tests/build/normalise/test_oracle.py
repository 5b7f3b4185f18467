"""Debian's strip-nondeterminism on the same files: where we agree with it, and where not.

It knows no tar.  Dates below are given to it as ``-T``, as packages do.
"""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from tests.build.normalise.makers import EPOCH, MAKERS, ONE, TWO, make, normalised, run

KINDS = {
    "gzip": "gzip",
    "gzip of two members": "gzip",
    "zip": "zip",
    "python zip": "zip",
    "jar": "jar",
    "wheel": "zip",
    "static library": "ar",
    "BSD library": "ar",
    "Debian package": "ar",
}
LEFT_TO_DIFFER = {
    "gzip of two members": "it reads the first header only, and keeps comments",
    "python zip": "it keeps comments",
}


def stripped(path: Path, kind: str) -> bytes:
    """Return what the oracle makes of a file, which itself stays as it is."""
    copy = Path(shutil.copy(path, path.with_name(f"{path.name}-stripped")))
    # Off unless asked for, since binutils has its own deterministic mode.
    run(
        "strip-nondeterminism",
        "--normalizers",
        "+ar",
        "-t",
        kind,
        "-T",
        str(EPOCH),
        copy,
        folder=path.parent,
    )
    return copy.read_bytes()


@pytest.mark.parametrize("name", KINDS)
def test_what_it_makes_equal_we_make_equal(name: str, tmp_path: Path) -> None:
    one, two = make(name, tmp_path, ONE), make(name, tmp_path, TWO)
    its = stripped(one, KINDS[name]) == stripped(two, KINDS[name])
    assert its == (name not in LEFT_TO_DIFFER)
    assert normalised(one, MAKERS[name][0]) == normalised(two, MAKERS[name][0])


@pytest.mark.parametrize("name", [name for name in KINDS if name not in {"zip", "wheel"}])
def test_what_we_write_it_leaves_alone(name: str, tmp_path: Path) -> None:
    path = make(name, tmp_path, TWO)
    ours = normalised(path, MAKERS[name][0])
    assert stripped(path, KINDS[name]) == ours


def entries(path: Path) -> dict[str, zipfile.ZipInfo]:
    with zipfile.ZipFile(path) as archive:
        return {info.filename: info for info in archive.infolist()}


def test_it_turns_symbolic_links_into_files_and_we_do_not(tmp_path: Path) -> None:
    path = make("zip", tmp_path, TWO)
    normalised(path, "zip-1")
    stripped(path, "zip")
    its = entries(path.with_name(f"{path.name}-stripped"))
    ours = entries(path)
    assert stat.S_ISLNK(ours["to"].external_attr >> 16)
    assert stat.S_ISREG(its["to"].external_attr >> 16)
    assert list(its) == list(ours)


def test_it_sorts_the_metadata_of_a_wheel_first_and_we_last(tmp_path: Path) -> None:
    path = make("wheel", tmp_path, TWO)
    ours = normalised(path, "zip-1")
    stripped(path, "zip")
    its = path.with_name(f"{path.name}-stripped")
    assert list(entries(its))[-1] == "tool/__init__.py"
    assert list(entries(path)) == [list(entries(its))[-1], *list(entries(its))[:-1]]
    # Nothing else differs.
    assert normalised(its, "zip-1") == ours


def test_it_leaves_modes_of_a_jar_without_any_and_we_state_them(tmp_path: Path) -> None:
    path = make("jar", tmp_path, TWO)
    stripped(path, "jar")
    its = entries(path.with_name(f"{path.name}-stripped"))
    normalised(path, "zip-1")
    assert {its[name].external_attr for name in ("run", "b.txt")} == {0}
    assert {entries(path)[name].external_attr >> 16 for name in ("run", "b.txt")} == {0o100644}
