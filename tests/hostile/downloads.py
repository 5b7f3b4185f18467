"""A download on disk, and `relsign verify` on it as a program with bounded time and memory."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from relsign.formats.bundle import make_bundle
from relsign.formats.layout import Layout
from tests.projects import PROGRAM
from tests.verify.releases import ARTIFACT, NAME, Release, make_root, signed_root

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)
"""The program asks the machine for the time: these hold on any day these tests will see."""

BUNDLE = "demo-1.0.relsign"
MIB = 1 << 20
Files = dict[str, bytes]


def _long_lived(layout: Layout) -> Layout:
    return msgspec.structs.replace(layout, expires=FAR_AHEAD)


def lasting(change_files: Callable[[Files], Files] = lambda files: files) -> Release:
    """Return a release that is good today, with changes to the files of its bundle."""
    return Release(
        root=make_root(expires=FAR_AHEAD),
        released_at=LONG_AGO,
        change_layout=_long_lived,
        change_files=change_files,
    )


def put(folder: Path, release: Release) -> Path:
    """Write artifact, bundle and root as a person downloads them; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).write_bytes(ARTIFACT)
    (folder / BUNDLE).write_bytes(make_bundle("demo", "1.0", release.files()).to_bytes())
    (folder / "root.json").write_bytes(signed_root(release.root))
    return folder


def verify(
    folder: Path, *words: str, seconds: int = 10, mebibytes: int = 2048, file: str = NAME
) -> subprocess.CompletedProcess[bytes]:
    """Run `relsign verify` with at most so many seconds of a processor and so much memory."""
    limits = f'ulimit -t {seconds}; ulimit -v {mebibytes * 1024}; ulimit -c 0; exec "$@"'
    root = () if "--root" in words else ("--root", "root.json")
    return subprocess.run(
        ["sh", "-c", limits, "sh", PROGRAM, "verify", *root, *words, "--", file],
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=12 * seconds,
    )


def lines_of(done: subprocess.CompletedProcess[bytes]) -> list[str]:
    """Return what was printed, having looked that a terminal may be shown it."""
    text = (done.stdout + done.stderr).decode("utf-8")
    assert "Traceback" not in text
    assert "internal error" not in text
    lines = text.split("\n")
    assert [line for line in lines if not line.isprintable()] == []
    assert len(lines) <= 100
    assert max(map(len, lines)) <= 1_000
    return lines
