"""One run of a whole program, and two programs side by side: time, memory, ratio."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

# Programs as a user starts them: compiled files are kept, output is buffered.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name[:6] != "PYTHON"}
BIN = Path(sys.executable).parent
RELSIGN = BIN / "relsign"
Command = Sequence[str | Path]
HEAD = f"{'what / against what':<62} {'ours':>10} {'theirs':>10} {'ratio':>6} {'target':>6}"


@dataclass(frozen=True)
class Run:
    """What one process needed."""

    cpu: float
    """User and system time of the process and of those it started, in seconds."""
    wall: float
    """Seconds."""
    peak: float
    """Largest resident set of the process, MiB."""


def run(command: Command, cwd: Path) -> Run:
    """Run a program that must succeed; what it prints is thrown away."""
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=cwd, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as p:
        said = p.stderr.read() if p.stderr else b""
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode:
        sys.exit(f"{command}\n{said[-2000:].decode(errors='replace')}\nexit code {p.returncode}")
    wall = time.perf_counter() - started
    return Run(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def cpu(measured: Run) -> float:
    """Return CPU seconds."""
    return measured.cpu


def wall(measured: Run) -> float:
    """Return seconds on the clock."""
    return measured.wall


def peak(measured: Run) -> float:
    """Return the largest resident set in MiB."""
    return measured.peak


def pairs(ours: Command, theirs: Command, cwd: Path, runs: int = 5) -> list[tuple[Run, Run]]:
    """Run two programs in turn, so that what else the machine does hits both."""
    run(ours, cwd), run(theirs, cwd)
    return [(run(ours, cwd), run(theirs, cwd)) for _ in range(runs)]


def compare(
    name: str,
    measured: list[tuple[Run, Run]],
    target: float,
    what: Callable[[Run], float] = cpu,
) -> None:
    """Print both medians, and the median of the paired ratios beside its target."""
    mine = statistics.median(what(ours) for ours, _ in measured)
    other = statistics.median(what(theirs) for _, theirs in measured)
    ratio = statistics.median(what(ours) / what(theirs) for ours, theirs in measured)
    show(name, (_said(mine, what), _said(other, what)), ratio, target)


def show(name: str, sides: tuple[str, str], ratio: float, target: float) -> None:
    """Print one row of the table."""
    mark = "" if ratio <= target else "  over"
    print(f"{name:<62} {sides[0]:>10} {sides[1]:>10} {ratio:6.2f} {target:6.2f}{mark}", flush=True)


def _said(value: float, what: Callable[[Run], float]) -> str:
    if what is peak:
        return f"{value:.0f} MiB"
    return f"{value * 1000:.0f} ms" if value < 10 else f"{value:.1f} s"  # noqa: PLR2004 - to read
