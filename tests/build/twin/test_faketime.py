"""Programs see another clock; the times of files stay real."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.build.twin.faketime import (
    FILE_TIMES,
    SIXTY_FOUR_LITTLE,
    copy_faketime,
    find_faketime,
    without_file_times,
)

DAY = 24 * 60 * 60
TOUCH = """
import ctypes, os, sys, time
path = sys.argv[1].encode()
library = ctypes.CDLL(None, use_errno=True)
touch = {
    "utime": lambda: library.utime(path, None),
    "utimes": lambda: library.utimes(path, None),
    "utimensat": lambda: library.utimensat(-100, path, None, 0),
    "futimens": lambda: library.futimens(os.open(path, os.O_WRONLY), None),
}[sys.argv[2]]
if touch():
    sys.exit(os.strerror(ctypes.get_errno()))
print(time.time())
"""


@pytest.fixture(scope="module")
def library() -> bytes:
    path = find_faketime()
    assert path is not None, "apt-get install libfaketime"
    return path.read_bytes()


def test_every_function_named_is_there_to_be_removed(library: bytes, tmp_path: Path) -> None:
    (tmp_path / "whole.so").write_bytes(library)
    (tmp_path / "changed.so").write_bytes(without_file_times(library))
    offered = [addresses(tmp_path / name) for name in ("whole.so", "changed.so")]
    assert all(offered[0][name.decode()] for name in FILE_TIMES)
    assert offered[1] == {**offered[0], **{name.decode(): 0 for name in FILE_TIMES}}


def addresses(path: Path) -> dict[str, int]:
    """Return what a library offers, as binutils read it."""
    done = subprocess.run(("nm", "-D", "--defined-only", path), capture_output=True, check=True)
    lines = (line.split() for line in done.stdout.decode().splitlines())
    return {name: int(address, 16) for address, _, name in lines}


@pytest.mark.parametrize("function", sorted(name.decode() for name in FILE_TIMES))
def test_a_file_touched_now_has_the_real_time(tmp_path: Path, function: str) -> None:
    copy = copy_faketime(tmp_path)
    assert copy is not None
    file = tmp_path / "file"
    file.touch()
    os.utime(file, (0, 0))
    variables = {"LD_PRELOAD": str(copy), "FAKETIME": "+400d", "NO_FAKE_STAT": "1"}
    done = subprocess.run(
        (sys.executable, "-c", TOUCH, file, function), env=variables, capture_output=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert abs(file.stat().st_mtime - time.time()) < DAY
    assert abs(float(done.stdout) - time.time() - 400 * DAY) < DAY


def test_there_may_be_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relsign.build.twin.faketime.LIBRARY_FOLDERS", (str(tmp_path),))
    assert copy_faketime(tmp_path) is None


def test_a_library_of_another_kind_stays_as_it_is(library: bytes) -> None:
    for place, value in ((0, 0), (4, 1), (5, 2)):
        other = bytearray(library)
        other[place] = value
        assert without_file_times(bytes(other)) == bytes(other)


def test_tables_beyond_every_file_are_no_tables(library: bytes) -> None:
    for place in (2**63, 2**64 - 1):
        odd = bytearray(library)
        struct.pack_into("<Q", odd, 40, place)
        assert without_file_times(bytes(odd)) == bytes(odd)


@pytest.mark.parametrize("kept", [0, 7, 16, 63, 64, 4096, 20_000, -1])
def test_a_library_that_ends_early_stays_as_it_is(library: bytes, kept: int) -> None:
    assert without_file_times(library[:kept]) == library[:kept]


@given(st.binary(min_size=57, max_size=300))
def test_noise_is_no_library(noise: bytes) -> None:
    assert len(without_file_times(SIXTY_FOUR_LITTLE + noise)) == len(SIXTY_FOUR_LITTLE + noise)
