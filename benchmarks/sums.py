"""Signed manifests in bulk against one gpg process each: ``python -m benchmarks.sums [N]``.

Both verify the same signatures in the same run; the one by one is sampled.  CPU time of
the whole child, so that a busy machine changes little.  Never a test.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.trust.sums_maker import BUILDERS, make_people, make_repository

SIGNATURES = 3000
SAMPLE = 100
SCRIPT = (
    "import sys; from pathlib import Path; from relsign.cli.sums import verify_sums;"
    "sys.exit(verify_sums(*map(Path, sys.argv[1:4]), (), 'csv'))"
)


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU time of the processes that `work` runs."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Sign once per builder, copy that to many releases, and verify both ways."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else SIGNATURES
    with (
        tempfile.TemporaryDirectory() as folder,
        make_people(Path(folder) / "home") as people,
    ):
        made = make_repository(Path(folder) / "repository", people)
        first = {path.relative_to(made.sums / "1.0"): path.read_bytes()
                 for path in (made.sums / "1.0").rglob("*") if path.is_file()}  # fmt: skip
        for number in range(2, wanted // len(BUILDERS) + 1):
            for name, data in first.items():
                path = made.sums / f"{number}.0" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        policy = made.root / "policy.toml"
        policy.write_text("threshold = 3\n")
        bulk: list[str | Path] = [sys.executable, "-c", SCRIPT, made.sums, made.keys, policy]
        signatures = sorted(made.sums.rglob("*.asc"))
        sample = signatures[:: max(1, len(signatures) // SAMPLE)]
        ring = people.gpg.home

        def one_by_one() -> None:
            for signature in sample:
                subprocess.run(
                    ["gpg", "--homedir", ring, "--batch", "--status-fd", "1", "--verify",
                     signature, signature.with_suffix("")],
                    check=True, capture_output=True,
                )  # fmt: skip

        ours = cpu_seconds(lambda: subprocess.run(bulk, check=True, capture_output=True))
        each = cpu_seconds(one_by_one) / len(sample)
        print(f"{len(signatures)} signatures, bulk, the whole report {ours:8.2f} s")
        print(f"one gpg process each ({len(sample)} sampled)      {each * len(signatures):8.2f} s")
        print(f"ratio                                   {ours / (each * len(signatures)):8.2f}")


if __name__ == "__main__":
    main()
