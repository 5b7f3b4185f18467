"""Speed as ratios, each pair measured in one run: ``make benchmark``.

Never a test: machines differ and are busy.  A row is the median of paired runs of whole
processes, one after the other; its ratio is the median of the pairs' ratios.

    benchmarks/ratios.py [starting] [verifying] [hashing] [signing] [frost] [building]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import building
import frost
import hashing
import signing
import starting
import verifying
from measure import HEAD

SUBJECTS = {
    "starting": starting.measure,
    "verifying": verifying.measure,
    "hashing": hashing.measure,
    "signing": signing.measure,
    "frost": frost.measure,
    "building": building.measure,
}


def main() -> None:
    """Measure the subjects that are named, or all."""
    wanted = sys.argv[1:] or list(SUBJECTS)
    if unknown := set(wanted) - set(SUBJECTS):
        sys.exit(f"no such subject: {', '.join(sorted(unknown))}; there are {', '.join(SUBJECTS)}")
    print(HEAD)
    for name in wanted:
        with tempfile.TemporaryDirectory(prefix="relsign-benchmark-") as scratch:
            SUBJECTS[name](Path(scratch))


if __name__ == "__main__":
    main()
