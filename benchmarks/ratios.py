"""Speed as ratios, each pair measured in one run: ``make benchmark``.

Never a test: machines differ and are busy.  A ratio is the median of paired runs of
whole processes, user and system time of the child.  Needs a finished `make demo`.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

SITE = Path(__file__).parent.parent / "out" / "demo" / "site" / "gzip"
RELEASE = SITE / "1.12"
ARTIFACT = RELEASE / "gzip-1.12-linux-amd64.tar.gz"
BIN = Path(sys.executable).parent
RUNS = 9
HASHED_BYTES = 1 << 30

Command = Sequence[str | Path]


def cpu_seconds(command: Command) -> float:
    """Return the CPU time of one run of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=RELEASE, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(name: str, ours: Command, theirs: Command, runs: int = RUNS) -> None:
    """Print both medians and the median of the paired ratios."""
    cpu_seconds(ours), cpu_seconds(theirs)
    pairs = [(cpu_seconds(ours), cpu_seconds(theirs)) for _ in range(runs)]
    mine, other = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{name:<52} {mine * 1000:8.0f} ms {other * 1000:8.0f} ms   ratio {ratio:.2f}")


def main() -> None:
    """Run every comparison."""
    relsign = BIN / "relsign"
    print(f"{'what / against what':<52} {'ours':>11} {'theirs':>11}")
    compare("relsign --version / python -c pass", [relsign, "--version"],
            [sys.executable, "-c", "pass"])  # fmt: skip
    in_toto = [
        BIN / "in-toto-verify", "--layout", "in-toto/release.layout", "--link-dir", "in-toto",
        "--verification-keys", SITE / "keys/olga.pem", SITE / "keys/oona.pem",
    ]  # fmt: skip
    compare("relsign verify / in-toto-verify, one release",
            [relsign, "verify", "-q", "--root", SITE / "root.json", ARTIFACT], in_toto)  # fmt: skip
    (RELEASE / "verify-download.link").unlink(missing_ok=True)
    with tempfile.NamedTemporaryFile() as big:
        os.truncate(big.name, HASHED_BYTES)
        script = (
            "import sys; from pathlib import Path;"
            "from relsign.system.files import hash_file; hash_file(Path(sys.argv[1]))"
        )
        compare("hash 1 GiB / openssl dgst -sha256", [sys.executable, "-c", script, big.name],
                ["openssl", "dgst", "-sha256", big.name], runs=3)  # fmt: skip


if __name__ == "__main__":
    main()
