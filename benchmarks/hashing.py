"""How fast files are hashed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from measure import Command, compare, cpu, pairs, wall

HASH_ONE = """
import sys
from pathlib import Path
from relsign.system.files import hash_file
hash_file(Path(sys.argv[1]))
"""
HASH_ALL = """
import os, sys
from pathlib import Path
from relsign.system.hashing import hash_files
walk = os.walk(sys.argv[1])
hash_files([Path(folder, name) for folder, _, names in walk for name in names])
"""
RECORD = """
import sys
from in_toto.runlib import record_artifacts_as_dict
record_artifacts_as_dict([sys.argv[1]])
"""
LARGE_FILE = 2 << 30
LARGE_FILES = (200, 10 << 20)
SMALL_FILES = (50_000, 2000)


def measure(scratch: Path) -> None:
    """Print the rows of this subject."""
    large = scratch / "large"
    large.touch()
    os.truncate(large, LARGE_FILE)
    ours: Command = [sys.executable, "-c", HASH_ONE, large]
    compare(
        "hash 2 GiB / openssl dgst -sha256, CPU",
        pairs(ours, ["openssl", "dgst", "-sha256", large], scratch),
        0.95,
        cpu,
    )
    large.unlink()
    for words, (count, size) in (("10 MiB", LARGE_FILES), ("2 kB", SMALL_FILES)):
        folder = _fill(scratch / f"files-{count}", count, size)
        compare(
            f"hash {count} x {words} / in-toto's recorder, time",
            pairs(
                [sys.executable, "-c", HASH_ALL, folder],
                [sys.executable, "-c", RECORD, folder],
                scratch,
                3,
            ),
            0.33,
            wall,
        )


def _fill(folder: Path, count: int, size: int) -> Path:
    """Make files that differ; a thousand to a folder."""
    body = os.urandom(size - 8)
    for number in range(count):
        place = folder / str(number // 1000)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.bin").write_bytes(number.to_bytes(8) + body)
    return folder
