"""The coverage-guided search runs, finds its way, and would say what it found."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

RUNS = 60_000
SCRIPT = Path(__file__).with_name("fuzz_parsers.py")
CHECKOUT = Path(__file__).resolve().parents[2]
PLANTED = """
def planted(data: bytes) -> object:
    return {}[data]


TARGETS[:] = [Target("planted", planted, b"good")]

if __name__ == "__main__":
"""


def fuzz(script: Path, folder: Path, runs: int) -> subprocess.CompletedProcess[str]:
    """Run the search in an empty folder."""
    options = (f"-runs={runs}", "-seed=1", "-max_len=32768", "-print_final_stats=1", "-timeout=30")
    return subprocess.run(
        [sys.executable, script, *options, "corpus"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        timeout=300,
    )


def test_the_search_finds_nothing_and_gets_somewhere(tmp_path: Path) -> None:
    done = fuzz(SCRIPT, tmp_path, RUNS)
    assert done.returncode == 0, done.stderr[-4_000:]
    assert f"stat::number_of_executed_units: {RUNS}" in done.stderr
    covered = [int(number) for number in re.findall(r"\bcov: (\d+)", done.stderr)]
    inputs = [int(number) for number in re.findall(r"\bcorp: (\d+)/", done.stderr)]
    assert covered[0] < covered[-1]
    assert inputs[0] < inputs[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus"]


def test_an_untyped_exception_is_caught(tmp_path: Path) -> None:
    copy = tmp_path / "fuzz_parsers.py"
    good = SCRIPT.read_text()
    assert good.count('\nif __name__ == "__main__":\n') == 1
    copy.write_text(good.replace('\nif __name__ == "__main__":\n', PLANTED))
    done = fuzz(copy, tmp_path, RUNS)
    assert done.returncode != 0
    assert "KeyError" in done.stdout + done.stderr
    assert len(list(tmp_path.glob("crash-*"))) == 1
