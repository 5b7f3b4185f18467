"""Look for bytes that raise anything but our own errors, guided by what they reach.

    python tests/hostile/fuzz_parsers.py -runs=1000000 -seed=1 FOLDER

The first byte of an input chooses the parser, the rest is what it reads.  FOLDER
holds the inputs that reached something new; it is made and filled with a good
document of every kind where it is missing.  All options are libFuzzer's.  Exit code
0: nothing found; otherwise the input lies in the current folder, as crash-DIGEST.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import atheris  # type: ignore[import-untyped]  # it publishes no types
from msgspec.structs import replace

# Run as a script, it finds the checkout it lies in.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

with atheris.instrument_imports(
    include=["relsign.formats", "relsign.crypto", "relsign.verify", "relsign.errors"]
):
    from relsign.errors import HostError, InputError, NotEnoughError, VerificationError
    from relsign.verify.decision import decide
    from tests.formats.samples import SAMPLES
    from tests.hostile import (
        newer_samples,
        test_archives,
        test_decision_mutations,
        test_openpgp_bytes,
        test_small_readers,
    )


TYPED = (InputError, VerificationError, NotEnoughError, HostError)
"""HostError: a local program whose output is in a form it does not have."""


class Target(NamedTuple):
    """A parser and a document it accepts."""

    name: str
    parse: Callable[[bytes], object]
    good: bytes


def _targets() -> Iterable[Target]:
    for name, sample in {**SAMPLES, **newer_samples.NEWER}.items():
        yield Target(name, sample.parse, sample.data)
    for name, (parse, good) in {**test_openpgp_bytes.READERS, **test_small_readers.READERS}.items():
        yield Target(name, parse, good)
    for name, (parse, good, _) in test_archives.READERS.items():
        yield Target(name, parse, good)
    asked = test_decision_mutations.GOOD
    bundle = test_decision_mutations.BUNDLE
    yield Target("bundle decided", lambda data: decide(replace(asked, bundle=data)), bundle)
    yield Target("root decided", lambda data: decide(replace(asked, root=data)), asked.root)


TARGETS = sorted(_targets())


def fuzz(data: bytes) -> None:
    """Give an input to the parser its first byte names; only our own errors are caught."""
    if not data:
        return
    try:
        TARGETS[data[0] % len(TARGETS)].parse(data[1:])
    except TYPED:
        return


def fill(folder: Path) -> None:
    """Put a good document of every kind into a folder that is missing or empty."""
    folder.mkdir(parents=True, exist_ok=True)
    if next(folder.iterdir(), None) is None:
        for number, target in enumerate(TARGETS):
            (folder / target.name.replace(" ", "-")).write_bytes(bytes([number]) + target.good)


def main() -> None:
    """Fill the folders that are named, and hand over to libFuzzer, which ends the process."""
    for word in sys.argv[1:]:
        if not word.startswith("-"):
            fill(Path(word))
    atheris.Setup(sys.argv, fuzz)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
