"""What a check found, as values; `cli.check` shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from relsign.build.explain.causes import Found
from relsign.build.explain.difference import Difference
from relsign.formats.names import Normaliser
from relsign.formats.twin import Twin

NO_KNOWN_CAUSE = "unknown"
BUILD_FAILS = "build-fails"


@dataclass(frozen=True, slots=True)
class Blame:
    """One guilty set of knobs, and how it shows.

    Without `knobs` the artifacts differ by themselves.  `failed` is the error of a
    build that these knobs keep from ending.  `is_seen` says that the causes were
    recognised by what differs, where no build could tell them apart.
    """

    knobs: frozenset[str]
    artifacts: tuple[str, ...]
    differences: tuple[Difference, ...] = ()
    found: tuple[Found, ...] = ()
    failed: str = ""
    unsteady: bool = False
    is_seen: bool = False

    @property
    def cause_names(self) -> frozenset[str]:
        """Names of the causes, as a signed verdict lists them."""
        if self.failed:
            return frozenset({BUILD_FAILS})
        return frozenset(found.cause.name for found in self.found) or frozenset({NO_KNOWN_CAUSE})


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome for one target."""

    target: str
    verdict: Literal["identical", "normalised", "different"]
    varied: tuple[str, ...]
    """Knobs turned and seen to be, sorted."""
    not_varied: Mapping[str, str]
    """Knob -> why it stayed."""
    artifacts: tuple[str, ...]
    differing: tuple[str, ...]
    builds: int
    blames: tuple[Blame, ...] = ()
    normalisers: tuple[Normaliser, ...] = ()


def twin_of(result: Checked) -> Twin:
    """Return the outcome in the form a builder's link carries."""
    causes = frozenset[str]().union(*(blame.cause_names for blame in result.blames))
    return Twin(
        target=result.target,
        verdict=result.verdict,
        varied=result.varied,
        normalisers=tuple(sorted(result.normalisers)),
        causes=tuple(sorted(causes)) if result.verdict == "different" else (),
    )
