"""tools/engine, copied away so that it knows no engine but those it starts itself."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from relsign.system.process import PATH

ENGINE_TOOL = Path(__file__).resolve().parents[2] / "tools" / "engine"


def run_tool(tool: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a copy of tools/engine as if no engine of this machine were known."""
    # Pipes on purpose: what `start` leaves running must not hold them open.
    return subprocess.run(
        [tool, *words],
        env={"PATH": PATH, **variables},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@contextlib.contextmanager
def podman_started() -> Iterator[str]:
    """Start a Podman with everything it writes below a temporary folder; end it; its address."""
    # A folder with a short name, for its sockets; pytest's are too long.
    with tempfile.TemporaryDirectory(prefix="rs") as folder:
        tool = Path(folder) / "tools" / "engine"
        tool.parent.mkdir()
        shutil.copy(ENGINE_TOOL, tool)
        try:
            done = run_tool(tool, "start", "podman")
            if done.returncode != 0:
                pytest.fail(done.stderr)
            yield done.stdout.strip()
        finally:
            assert run_tool(tool, "stop", "podman").returncode == 0
