"""`tests/tuf_client`, the program the public conformance suite drives, by its own rules."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from relsign.system.clock import now_utc
from tests.trust.tuf_repository import Repository, TufServer, serving

PROGRAM = Path(__file__).resolve().parent.parent / "tuf_client"


@pytest.fixture
def server() -> Iterator[TufServer]:
    with serving(Repository(expires=now_utc() + timedelta(days=1))) as server:
        server.repository.add_target("a/file.txt", b"data")
        server.repository.bump()
        yield server


def call(*words: str | Path) -> int:
    """Run the program and return its exit code."""
    done = subprocess.run(
        [sys.executable, PROGRAM, *words], capture_output=True, text=True, check=False, timeout=60
    )
    assert "Traceback" not in done.stderr
    return done.returncode


def test_init_refresh_download(server: TufServer, tmp_path: Path) -> None:
    root, mine, targets = tmp_path / "root.json", tmp_path / "mine", tmp_path / "targets"
    root.write_bytes(server.repository.trusted_root)
    where: list[str | Path] = ["--metadata-dir", mine, "--metadata-url", f"{server.url}/metadata"]
    assert call("--metadata-dir", mine, "init", root) == 0
    assert server.asked == []
    assert call(*where, "refresh") == 0
    kept = sorted(path.name for path in mine.iterdir() if path.suffix == ".json")
    assert kept == ["root.json", "snapshot.json", "targets.json", "timestamp.json"]
    files: list[str | Path] = [
        "--target-base-url",
        f"{server.url}/targets",
        "--target-dir",
        targets,
    ]
    assert call(*where, *files, "--target-name", "a/file.txt", "download") == 0
    assert [path.read_bytes() for path in targets.iterdir()] == [b"data"]
    assert call(*where, *files, "--target-name", "a/other.txt", "download") == 1
    server.repository.files["metadata/timestamp.json"] = b"{}"
    assert call(*where, "refresh") == 1
    assert call(*where, *files, "--target-name", "a/file.txt", "download") == 1


@pytest.mark.parametrize("data", [b"", b"{}", b'{"signatures": [], "signed": {}}'])
def test_a_root_that_does_not_hold_asks_for_nothing(
    server: TufServer, tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "root.json").write_bytes(data)
    mine = tmp_path / "mine"
    call("--metadata-dir", mine, "init", tmp_path / "root.json")
    assert call("--metadata-dir", mine, "--metadata-url", server.url, "refresh") == 1
    assert server.asked == []
