"""Any bytes where a table people write is read: a value or InputError, 100,000 documents each."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.formats.samples import TOML_SAMPLES
from tests.hostile.mutate import Bytes, Tree
from tests.hostile.survival import MUTATIONS, count_refusals
from tests.hostile.toml import write_toml

WHOLE = MUTATIONS // 5
"""How many of a table's documents are changed as values; the others are as text."""


@pytest.mark.parametrize("name", TOML_SAMPLES)
def test_mutated_text(name: str) -> None:
    sample = TOML_SAMPLES[name]
    text = write_toml(tomllib.loads(sample.data.decode()))
    assert sample.parse(text) == sample.parse(sample.data)
    count = MUTATIONS - WHOLE
    refused = count_refusals(sample.parse, Bytes(text, f"text {name}").make, count)
    assert count // 2 < refused < count


@pytest.mark.parametrize("name", TOML_SAMPLES)
def test_misshapen_tables(name: str) -> None:
    sample = TOML_SAMPLES[name]
    table = tomllib.loads(sample.data.decode())
    make = Tree(table, f"shape {name}", write_toml).make
    refused = count_refusals(sample.parse, make, WHOLE)
    assert WHOLE // 2 < refused < WHOLE


SLOW = {
    "one name of half a million parts": b"a." * 500_000 + b"a=1",
    "lines of as many dots as may be": b"".join(
        b"a%d." % n + b"b." * 198 + b"c=1\n" for n in range(2_500)
    ),
    "headers of as many dots": b"".join(b"[a%d." % n + b"b." * 198 + b"c]\n" for n in range(2_500)),
    "tables": b"[[a]]\n" * 170_000,
    "lists in lists": b"a=" + b"[" * 1_000_000,
    "tables in tables": b"a=" + b"{a=" * 300_000,
    "a million digits": b"a=" + b"9" * 1_000_000,
    "a million digits of sixteen": b"a=0x" + b"f" * 1_000_000,
    "quotes": b"a=" + b'"' * 1_000_000,
    "an unclosed text": b'a="""' + b"\\u202e" * 170_000,
    "names": b"".join(b"k%d=1\n" % n for n in range(90_000)),
}
PARSE = """
import sys
from relsign.errors import InputError
from relsign.formats.policy import parse_policy
try:
    parse_policy(open(sys.argv[1], "rb").read())
except InputError as error:
    sys.exit(2)
"""


@pytest.mark.parametrize("name", SLOW)
def test_tables_made_to_be_slow(tmp_path: Path, name: str) -> None:
    (tmp_path / "policy.toml").write_bytes(SLOW[name])
    limits = 'ulimit -t 10; ulimit -v 1048576; ulimit -c 0; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", limits, "sh", sys.executable, "-c", PARSE, "policy.toml"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (2, b""), done
