"""From a build that came out otherwise to the knobs, places and causes to blame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from relsign.build.explain.causes import Found, find_causes
from relsign.build.explain.compare import compare_files
from relsign.build.explain.difference import Difference
from relsign.build.twin.bisect import Guilt, Trials, find_guilty
from relsign.build.twin.knobs import Setup, hold_clock
from relsign.build.twin.series import NOTHING, KnobSet, Series
from relsign.build.twin.verdict import Blame
from relsign.build.twin.workshop import Made, keep_only

THE_BUILD = "the build"
"""Stands for the artifacts of a build that makes none."""
TIME: KnobSet = frozenset({"time"})
MAX_COMPARED = 8
"""Artifacts of one cause that are looked into; the others are only named."""
SEARCHING = "to find the guilty knob"


def blame_failures(series: Series, knobs: KnobSet) -> tuple[Blame, ...]:
    """Return which of `knobs`, under which the build failed, keep it from ending."""

    def build(tried: KnobSet) -> tuple[str, ...]:
        return (THE_BUILD,) if series.build(tried, "to find what makes it fail").failed else ()

    trials = Trials(sorted(knobs), build)
    trials.learn(NOTHING, ())
    trials.learn(knobs, (THE_BUILD,))
    guilty = find_guilty(trials, (THE_BUILD,))
    return tuple(
        Blame(
            guilt.knobs,
            (),
            failed=series.made[guilt.knobs or knobs].failed,
            unsteady=guilt.unsteady,
        )
        for guilt in guilty
    )


def blame_differences(
    series: Series, knobs: KnobSet, base: Made, varied: Made
) -> tuple[Blame, ...]:
    """Return who is to blame for what `varied`, under all `knobs`, made otherwise than `base`."""
    return _Search(series, knobs, base, varied).blames()


class _Search:
    """The builds around one difference.

    The reference has no knob turned but, if time is one of them, a held clock: what
    else an artifact depends on would otherwise drown in the time it carries.
    """

    def __init__(self, series: Series, knobs: KnobSet, base: Made, varied: Made) -> None:
        """Build the reference, and once more if it is not what was built first."""
        self.knobs, self.base, self.varied = knobs, base, varied
        self.reference, self.is_held, self.series = _make_reference(series, knobs)
        self.series.made[knobs] = varied
        self.again = self.reference
        moved = base.differing(self.reference)
        self.moving = moved
        if moved and self.is_held:
            self.again = self.series.build(NOTHING, "as before, to see what time alone changes")
            self.moving = self.reference.differing(self.again)

    def blames(self) -> tuple[Blame, ...]:
        """Find the guilty knobs and look at their files."""
        trials = Trials(sorted(self.knobs), self._differing)
        trials.learn(NOTHING, self.moving)
        trials.learn(self.knobs, self.reference.differing(self.varied))
        suspects = self.base.differing(self.varied) | self.moving
        guilty = find_guilty(trials, suspects)
        rest = suspects.difference(*(guilt.artifacts for guilt in guilty))
        found: list[Blame] = []
        for guilt in guilty:
            found += self._judge(guilt)
        if rest:
            # They differ from the first build only: by the clock if it was held since.
            found.append(
                self._look(
                    TIME if self.is_held else NOTHING, sorted(rest), self.base, self.reference
                )
            )
        return _merged(found)

    def _differing(self, tried: KnobSet) -> frozenset[str]:
        made = self.series.build(tried, SEARCHING)
        names = self.reference.differing(made)
        keep_only(made, names)
        return names

    def _judge(self, guilt: Guilt) -> Iterator[Blame]:
        if guilt.unsteady:
            yield replace(
                self._look(NOTHING, guilt.artifacts, self.reference, self.varied), unsteady=True
            )
        elif guilt.knobs:
            made = self.series.made[guilt.knobs]
            yield self._look(guilt.knobs, guilt.artifacts, self.reference, made)
        else:
            for name in guilt.artifacts:
                yield from self._judge_moving(name)

    def _judge_moving(self, name: str) -> Iterator[Blame]:
        """Judge an artifact that every build makes otherwise, by what differs in it."""
        pair = (self.reference, self.again) if self.is_held else (self.base, self.reference)
        blame = self._look(NOTHING, (name,), *pair)
        by_time = blame.found and all("time" in found.cause.knobs for found in blame.found)
        yield replace(blame, knobs=TIME) if by_time else blame
        seen = {found.cause.name for found in blame.found}
        for found, differences in self._besides(name):
            if found.cause.name not in seen:
                knobs = found.cause.knobs & self.knobs
                yield Blame(knobs, (name,), differences, (found,), is_seen=True)

    def _besides(self, name: str) -> Iterator[tuple[Found, tuple[Difference, ...]]]:
        """Yield what the varied build shows in a file besides the time."""
        differences = _compare(self.reference, self.varied, (name,))
        # By the bytes alone: of knobs that were told, one would be blamed in any case.
        for found in find_causes(differences):
            if found.cause.knobs & self.knobs and "time" not in found.cause.knobs:
                yield found, tuple(each for each in differences if each.place in found.places)

    def _look(self, knobs: KnobSet, names: Iterable[str], one: Made, two: Made) -> Blame:
        differences = _compare(one, two, tuple(names)[:MAX_COMPARED])
        return Blame(knobs, tuple(names), differences, find_causes(differences, knobs))


def _make_reference(series: Series, knobs: KnobSet) -> tuple[Made, bool, Series]:
    """Return a build with no knob turned, whether its clock is held, and a series of its kind."""
    held = hold_clock(series.setup, series.machine) if knobs >= TIME else None
    if isinstance(held, Setup):
        steady = Series(series.workshop, series.machine, held, series.counter)
        made = steady.build(NOTHING, "with a held clock")
        if not made.failed:
            return made, True, steady
    plain = Series(series.workshop, series.machine, series.setup, series.counter)
    return plain.build(NOTHING, "as always, once more"), False, plain


def _compare(one: Made, two: Made, names: Iterable[str]) -> tuple[Difference, ...]:
    """Return how the named artifacts of two builds differ, those that both have."""
    found: list[Difference] = []
    for name in names:
        left, right = one.looks.get(name), two.looks.get(name)
        if left is None or right is None:
            continue
        if left[1] != right[1]:
            found.append(Difference(name, "mode", left[1], right[1], "file.mode"))
        if left[0] != right[0]:
            found += compare_files(one.folder / name, two.folder / name, name)
    return tuple(found)


def _merged(blames: Iterable[Blame]) -> tuple[Blame, ...]:
    """Return blames of the same knobs as one."""
    merged: dict[tuple[KnobSet, bool, bool], Blame] = {}
    for blame in blames:
        key = (blame.knobs, blame.unsteady, blame.is_seen)
        before = merged.get(key)
        merged[key] = blame if before is None else _joined(before, blame)
    return tuple(merged.values())


def _joined(one: Blame, two: Blame) -> Blame:
    differences = (*one.differences, *two.differences)
    places: dict[str, Found] = {}
    for found in (*one.found, *two.found):
        before = places.get(found.cause.name)
        joined = found.places if before is None else (*before.places, *found.places)
        places[found.cause.name] = Found(found.cause, tuple(dict.fromkeys(joined)))
    names = tuple(sorted({*one.artifacts, *two.artifacts}))
    return replace(one, artifacts=names, differences=differences, found=tuple(places.values()))
