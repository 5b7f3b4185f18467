"""What a check found, as values; `cli.check` shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from relsign.build.explain.causes import Found
from relsign.build.explain.difference import Difference
from relsign.build.twin.workshop import Look
from relsign.formats.names import Normaliser
from relsign.formats.twin import Twin

NO_KNOWN_CAUSE = "unknown"
BUILD_FAILS = "build-fails"
TIME = frozenset({"time"})


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
    looks: Mapping[str, Look]
    """What the first build, with nothing varied, made."""
    differing: tuple[str, ...]
    builds: int
    blames: tuple[Blame, ...] = ()
    normalisers: tuple[Normaliser, ...] = ()

    @property
    def artifacts(self) -> tuple[str, ...]:
        """Names of the artifacts, sorted."""
        return tuple(sorted(self.looks))


def beside_release(result: Checked, built: Mapping[str, Look]) -> Checked:
    """Return the outcome for the artifacts that are `built` to be released.

    A check speaks of its own builds.  Where its first one, with nothing varied, made other
    bytes than the release has, the target is `different`, whatever the check's builds have
    in common: it changes by chance, unless by time alone.
    """
    names = built.keys() | result.looks.keys()
    odd = {name for name in names if built.get(name) != result.looks.get(name)}
    if not odd:
        return result
    known = {name for each in result.blames if each.knobs <= TIME for name in each.artifacts}
    chance = tuple(sorted(odd - known))
    more = (Blame(frozenset(), chance, unsteady=True),) if chance else ()
    return replace(
        result,
        verdict="different",
        differing=tuple(sorted(odd.union(result.differing))),
        blames=(*result.blames, *more),
        normalisers=(),
    )


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
