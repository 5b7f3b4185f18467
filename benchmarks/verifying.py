"""What it costs to verify a release, beside stock in-toto-verify on the same documents."""

from __future__ import annotations

import shutil
import statistics
import subprocess
from pathlib import Path

from measure import BIN, ENVIRONMENT, RELSIGN, Run, compare, cpu, pairs, peak, show, wall
from releases import Release, content_of, make_release

IN_TOTO = BIN / "in-toto-verify"
MOST = 50_000
MAX_LINES = 100


def measure(scratch: Path) -> None:
    """Print the rows of this subject."""
    _one_release(scratch)
    _rules(scratch)
    _artifacts(scratch)
    _words(scratch)


def _one_release(scratch: Path) -> None:
    measured = _pairs(make_release(scratch / "small", 10, single_rules=True), 21)
    compare("verify 10 files, one rule each / in-toto-verify, CPU", measured, 0.6)
    mine = statistics.median(ours.cpu for ours, _ in measured)
    show("  the same in ms / 80 ms", (f"{mine * 1000:.0f} ms", "80 ms"), mine / 0.080, 1)


def _rules(scratch: Path) -> None:
    """One REQUIRE for each artifact: quadratic in the reference."""
    times: dict[int, float] = {}
    for count in (1000, 4000, 8000):
        measured = _pairs(make_release(scratch / f"rules-{count}", count, single_rules=True), 3)
        times[count] = statistics.median(ours.cpu for ours, _ in measured)
        target = 0.05 if count == 8000 else 1.0  # noqa: PLR2004 - the size with a target
        compare(f"verify {count} files, one rule each / in-toto-verify, CPU", measured, target)
    sides = (f"{times[8000] * 1000:.0f} ms", f"{times[4000] * 1000:.0f} ms")
    show("  8,000 / 4,000, ours", sides, times[8000] / times[4000], 2.2)


def _artifacts(scratch: Path) -> None:
    """Very many artifacts under one pattern, of which a person has one, or all.

    in-toto-verify has no way to be asked about one of them: of one it verifies the layout
    and the links alone, of all it also records every file that lies there.
    """
    half = _pairs(make_release(scratch / "half", MOST // 2, single_rules=False), 3)
    release = make_release(scratch / "many", MOST, single_rules=False)
    one = _pairs(release, 3)
    compare(f"verify 1 of {MOST} files / in-toto-verify of its links, CPU", one, 0.25, cpu)
    compare(f"verify 1 of {MOST} files / in-toto-verify of its links, memory", one, 0.65, peak)
    times = [statistics.median(ours.cpu for ours, _ in measured) for measured in (one, half)]
    sides = (f"{times[0] * 1000:.0f} ms", f"{times[1] * 1000:.0f} ms")
    show(f"  {MOST} / {MOST // 2}, ours", sides, times[0] / times[1], 2.2)
    for name in release.names:
        (release.folder / "files" / name).write_bytes(content_of(name))
    theirs = [IN_TOTO, *release.theirs]
    ours = [RELSIGN, "verify", "-q", "--root", release.folder / "root.json", "."]
    measured = pairs(ours, theirs, release.folder / "files", 3)
    compare(f"verify all of {MOST} files / in-toto-verify, time", measured, 0.25, wall)
    compare(f"verify all of {MOST} files / in-toto-verify, memory", measured, 0.65, peak)
    shutil.rmtree(release.folder)


def _words(scratch: Path) -> None:
    """How much a failing run prints where thousands of files are wrong."""
    release = make_release(scratch / "broken", 8000, single_rules=True, broken=True)
    counts = []
    for command in ([RELSIGN, "verify", "-v", *release.ours], [IN_TOTO, "-v", *release.theirs]):
        done = subprocess.run(
            command,
            cwd=release.folder / "files",
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if not done.returncode:
            raise SystemExit(f"{command[0]}: accepted a broken release")
        counts.append(done.stdout.count(b"\n"))
    sides = (f"{counts[0]} lines", f"{counts[1]} lines")
    show(f"lines of a failing verify / {MAX_LINES}", sides, counts[0] / MAX_LINES, 1)


def _pairs(release: Release, runs: int) -> list[tuple[Run, Run]]:
    ours = [RELSIGN, "verify", "-q", *release.ours]
    return pairs(ours, [IN_TOTO, *release.theirs], release.folder / "files", runs)
