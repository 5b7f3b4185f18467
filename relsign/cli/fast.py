"""The plainest calls, answered without click, which takes as long to load as all the rest.

Only forms that need no thought are read here.  Whatever is unusual (help, an error, an
option not listed here, a value that is missing or odd) is left to click, so that there
is one place that explains, and one behaviour: tests/cli/test_fast.py asks both ways.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module

from relsign import __version__
from relsign.cli.talk import say

FLAGS = {
    "--explain": "explain",
    "--json": "as_json",
    "--quiet": "quiet",
    "--verbose": "verbose",
    "-q": "quiet",
    "-v": "verbose",
}
WORDS = {"--pin": "pin", "--release": "wanted"}
PATHS = {"--policy": "own_policy", "--root": "root", "--trust": "trust"}
EXISTING = {"--bundle": "bundle", "--rebuilt": "rebuilt"}
"""Options of `relsign verify` and the fields of `relsign.cli.verdict.Asked` they fill."""


class Plain:
    """The arguments of a plain `relsign verify`, paths still text."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.files: list[str] = []
        self.flags: set[str] = set()
        self.values: dict[str, str] = {}


def answer_quickly(arguments: list[str]) -> int | None:
    """Run a plain call and return its exit code; None leaves it to click, untouched."""
    if arguments == ["--version"]:
        say(f"relsign {__version__}")
        return 0
    if arguments[:1] != ["verify"]:
        return None
    plain = read_plainly(arguments[1:])
    return None if plain is None else _verify(plain)


def read_plainly(arguments: list[str]) -> Plain | None:
    """Return what the arguments of `relsign verify` say, or None if they are not plain."""
    plain = Plain()
    words = iter(arguments)
    for word in words:
        if word in FLAGS:
            plain.flags.add(FLAGS[word])
        elif word.startswith("-"):
            value = next(words, "")
            name = _field_of(word, value)
            if name is None:
                return None
            plain.values[name] = value
        elif os.access(word, os.R_OK):
            plain.files.append(word)
        else:
            return None
    return plain if plain.files else None


def _field_of(option: str, value: str) -> str | None:
    """Return the field that an option fills; None for a value click should look at."""
    if not value or value.startswith("-"):
        return None
    if option in WORDS:
        return WORDS[option]
    if os.access(value, os.R_OK):
        return PATHS.get(option) or EXISTING.get(option)
    # pathlib is not loaded for this; what is there and unreadable is refused by click.
    return PATHS.get(option) if not os.path.lexists(value) else None


def _verify(plain: Plain) -> int:
    _load_msgspec_alone()
    from pathlib import Path

    from relsign.cli.places import trust_folder
    from relsign.cli.verdict import Asked, run_verify

    def path(name: str) -> Path | None:
        return Path(plain.values[name]) if name in plain.values else None

    return run_verify(
        Asked(
            files=tuple(map(Path, plain.files)),
            trust=path("trust") or trust_folder(),
            root=path("root"),
            bundle=path("bundle"),
            pin=plain.values.get("pin"),
            wanted=plain.values.get("wanted"),
            rebuilt=path("rebuilt"),
            own_policy=path("own_policy"),
            explain="explain" in plain.flags,
            as_json="as_json" in plain.flags,
            verbose="verbose" in plain.flags,
            quiet="quiet" in plain.flags,
        )
    )


def _load_msgspec_alone() -> None:
    """Import msgspec without typing_extensions, which brings inspect, ast and tokenize.

    msgspec takes three names from it where it is installed, and from `typing`, which has
    all of them in our Pythons, where it is not.  Afterwards everybody can import it.
    """
    if "typing_extensions" not in sys.modules:
        sys.modules["typing_extensions"] = None  # type: ignore[assignment]
        try:
            import_module("msgspec")
        finally:
            del sys.modules["typing_extensions"]
