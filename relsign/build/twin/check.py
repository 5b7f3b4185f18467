"""Builds again with every condition changed at once, and names those that show.

(1) A build as always; (2) one under all knobs.  If both made the same bytes, that is
all.  Otherwise (3) a third with no knob but a held clock becomes the reference, so
that the clock alone does not hide the rest; where it differs from the first, (4) a
fourth like it shows whether that was the clock or chance; (5) further builds find the
guilty knobs (`bisect`), and (6) the files of a build under each guilty set, beside the
reference's, show place and cause.

    result = check_subject(workshop, base, machine, left_out={}, on_build=print)
    twin = twin_of(result)

The first build is made anew, never taken from disk: what lies there could be of
another day's recipe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from relsign.build.normalise.apply import same_after
from relsign.build.twin.knobs import KNOB_NAMES, Machine, Setup, derive, hold_clock, obstacles
from relsign.build.twin.probe import observe, unseen
from relsign.build.twin.search import blame_differences, blame_failures
from relsign.build.twin.series import NOTHING, CheckEvent, Counter, KnobSet, Series
from relsign.build.twin.verdict import Blame, Checked
from relsign.build.twin.workshop import Made, Workshop
from relsign.errors import HostError, InputError
from relsign.formats.names import Normaliser

NOT_SEEN = "turned, but a program inside does not see it"
DOES_NOT_RUN = "commands do not run under it here"


def check_subject(
    workshop: Workshop,
    setup: Setup,
    machine: Machine,
    left_out: Mapping[str, str],
    on_build: Callable[[CheckEvent], object],
) -> Checked:
    """Build the workshop's subject twice or more and return what shows.

    `left_out` is knob -> why it is not to be turned.  Raises InputError if already the
    build as always fails or if no knob can be turned, HostError for the machine.
    """
    knobs, not_varied = choose_knobs(workshop, setup, machine, left_out)
    if not knobs:
        raise InputError(
            "no knob can be turned",
            where=workshop.subject.target.name,
            got="; ".join(f"{name}: {why}" for name, why in sorted(not_varied.items()))[:300],
            hint="leave out fewer with --without, or name others with --knob",
        )
    counter = Counter(on_build)
    series = Series(workshop, machine, setup, counter)
    base = series.build(NOTHING, "as always")
    _require_built(base, workshop)
    failures, left, varied = _build_varied(series, knobs)
    differing = base.differing(varied) if varied is not None else frozenset[str]()
    blames = list(failures)
    if varied is not None and differing:
        blames += blame_differences(series, left, base, varied)
    normalisers: tuple[Normaliser, ...] = ()
    if varied is not None and _may_be_normalised(blames, differing):
        normalisers = _normalisers(base, varied, differing, setup.epoch)
    return Checked(
        target=workshop.subject.target.name,
        verdict=_verdict(blames, normalisers),
        varied=tuple(sorted(knobs)),
        not_varied=not_varied,
        looks=base.looks,
        differing=tuple(sorted(differing.union(*(blame.artifacts for blame in blames)))),
        builds=counter.builds,
        blames=tuple(blames),
        normalisers=normalisers,
    )


def choose_knobs(
    workshop: Workshop, setup: Setup, machine: Machine, left_out: Mapping[str, str]
) -> tuple[KnobSet, dict[str, str]]:
    """Return the knobs that can be turned and seen to be, and why the others cannot.

    Each is looked at from inside a container.  Raises HostError if not even the
    unvaried one runs.
    """
    reasons = {name: why for name, why in left_out.items() if name in KNOB_NAMES}
    wanted = [name for name in KNOB_NAMES if name not in reasons]
    reasons |= obstacles(setup, wanted, machine)
    knobs = frozenset(KNOB_NAMES).difference(reasons)
    before = _observe(workshop, _steady(setup, machine, knobs))
    if before is None and "time" in knobs:
        reasons["time"] = "libfaketime of this machine does not run in this environment"
        knobs -= {"time"}
        before = _observe(workshop, setup)
    if before is None:
        raise HostError("commands do not run in the container", hint="try `relsign build -v`")
    after = _observe(workshop, derive(setup, knobs, machine))
    if after is None:
        broken = [n for n in knobs if _observe(workshop, derive(setup, {n}, machine)) is None]
        reasons |= dict.fromkeys(broken, DOES_NOT_RUN)
        knobs = knobs.difference(reasons)
        after = _observe(workshop, derive(setup, knobs, machine)) or {}
    same = unseen(before, after) & knobs
    reasons |= dict.fromkeys(same, NOT_SEEN)
    return knobs - same, dict(sorted(reasons.items()))


def _steady(setup: Setup, machine: Machine, knobs: KnobSet) -> Setup:
    held = hold_clock(setup, machine) if "time" in knobs else setup
    return held if isinstance(held, Setup) else setup


def _observe(workshop: Workshop, setup: Setup) -> dict[str, str] | None:
    engine, image = workshop.subject.room(setup.other_engine)
    return observe(engine, image, setup, workshop.cache)


def _require_built(base: Made, workshop: Workshop) -> None:
    if base.failed:
        raise InputError(
            "the build fails with nothing varied",
            where=workshop.subject.target.name,
            got=base.failed,
            hint="`relsign build -v` shows its log",
        )


def _build_varied(series: Series, knobs: KnobSet) -> tuple[list[Blame], KnobSet, Made | None]:
    """Build under `knobs`, or under those that do not make it fail.

    Returns who is to blame for failures, the knobs left and the build, None if it
    fails by chance.
    """
    blames: list[Blame] = []
    varied = series.build(knobs, "every knob at once")
    while varied.failed:
        found = blame_failures(series, knobs)
        blames += found
        failing = NOTHING.union(*(blame.knobs for blame in found))
        if not failing:
            return blames, knobs, None
        knobs -= failing
        varied = series.build(knobs, "every other knob at once")
    return blames, knobs, varied


def _may_be_normalised(blames: Sequence[Blame], differing: frozenset[str]) -> bool:
    """Say whether the two builds that are compared show all that was found.

    What fails or changes by chance they do not, nor an artifact that they made alike.
    """
    return all(
        blame.knobs
        and not (blame.unsteady or blame.failed)
        and differing.issuperset(blame.artifacts)
        for blame in blames
    )


def _normalisers(
    base: Made, varied: Made, differing: frozenset[str], epoch: int | None
) -> tuple[Normaliser, ...]:
    """Return the normalisers after which the artifacts are the same, none if not all are."""
    needed: set[Normaliser] = set()
    for name in sorted(differing):
        if base.looks[name][1] != varied.looks[name][1]:
            return ()
        names = same_after(base.folder / name, varied.folder / name, epoch)
        if not names:
            return ()
        needed.update(names)
    return tuple(sorted(needed))


def _verdict(
    blames: Sequence[Blame], normalisers: tuple[Normaliser, ...]
) -> Literal["identical", "normalised", "different"]:
    if not blames:
        return "identical"
    return "normalised" if normalisers else "different"
