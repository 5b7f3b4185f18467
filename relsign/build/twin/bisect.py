"""Which knobs make a build come out otherwise: found with as few builds as can be.

A build under a set of knobs tells for every artifact whether it is another one than
the reference, which has none turned.  From such answers `find_guilty` finds, for each
artifact, every smallest set of knobs that changes it: one knob mostly, two where only
both together show, none where it changes by itself.

It takes for granted that a set with more knobs changes at least as much.  Where an
answer contradicts that, the artifact changes by chance and is reported as `unsteady`.

With n knobs, each guilty one costs at most ceil(log2 n) + 2 builds: the search, one with
it alone, one with all others.  Where several artifacts differ, the first ceil(log2 n)
builds are shared: each knob has a number, a build turns those with one bit set, and an
artifact with one cause spells its number.

    >>> def build(knobs):
    ...     return frozenset({"a.txt"} if "umask" in knobs else ())
    >>> trials = Trials(("locale", "time", "umask"), build)
    >>> [(sorted(g.knobs), g.artifacts) for g in find_guilty(trials, ("a.txt",))]
    [(['umask'], ('a.txt',))]
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

KnobSet = frozenset[str]
Build = Callable[[KnobSet], Collection[str]]
"""Builds under exactly these knobs; returns the artifacts that differ from the reference."""


@dataclass(frozen=True, slots=True)
class Guilt:
    """A smallest set of knobs that changes these artifacts; empty: they change by themselves."""

    knobs: KnobSet
    artifacts: tuple[str, ...]
    unsteady: bool = False
    """Whether answers contradicted each other: it changes at some times only."""


class Trials:
    """Builds at most once under a set of knobs, and concludes what it can without."""

    def __init__(self, knobs: Sequence[str], build: Build) -> None:
        """Search among `knobs`, in this order."""
        self.knobs = tuple(knobs)
        self._build = build
        self._answers: dict[KnobSet, frozenset[str]] = {}
        self.builds = 0
        self.guilty: list[KnobSet] = []
        """Causes of any artifact so far; a build with each alone was made."""

    def learn(self, knobs: Iterable[str], differing: Collection[str]) -> None:
        """Take over what is known of a build that was made already."""
        self._answers[frozenset(knobs)] = frozenset(differing)

    def differs(self, artifact: str, knobs: Iterable[str]) -> bool:
        """Say whether the artifact is another one under `knobs`; builds only if it must."""
        wanted = frozenset(knobs)
        known = self._concluded(artifact, wanted)
        if known is None:
            self.builds += 1
            self.learn(wanted, self._build(wanted))
            known = artifact in self._answers[wanted]
        return known

    def already_guilty(self, artifact: str) -> list[KnobSet]:
        """Return the causes of other artifacts known, without a build, to be this one's too."""
        return [
            cause
            for cause in self.guilty
            if self._concluded(artifact, cause) is True
            and all(self._concluded(artifact, cause - {knob}) is False for knob in cause)
        ]

    def is_unsteady(self, artifact: str) -> bool:
        """Say whether more knobs ever changed less."""
        dirty = [k for k, found in self._answers.items() if artifact in found]
        clean = [k for k, found in self._answers.items() if artifact not in found]
        return any(less < more for less in dirty for more in clean)

    def _concluded(self, artifact: str, wanted: KnobSet) -> bool | None:
        if wanted in self._answers:
            return artifact in self._answers[wanted]
        for knobs, differing in self._answers.items():
            if artifact in differing and knobs < wanted:
                return True
            if artifact not in differing and wanted < knobs:
                return False
        return None


def find_guilty(trials: Trials, artifacts: Iterable[str]) -> tuple[Guilt, ...]:
    """Return every smallest guilty set with the artifacts it changes, fewest knobs first.

    Artifacts that do not differ under all knobs are in none.
    """
    found: dict[tuple[KnobSet, bool], list[str]] = {}
    names = sorted(set(artifacts))
    if len(names) > 1:
        _spell(trials, names)
    for artifact in names:
        causes = _causes_of(trials, artifact)
        unsteady = trials.is_unsteady(artifact)
        for cause in {frozenset[str]()} if unsteady else causes:
            found.setdefault((cause, unsteady), []).append(artifact)
    return tuple(
        Guilt(knobs, tuple(changed), unsteady)
        for (knobs, unsteady), changed in sorted(
            found.items(), key=lambda item: (len(item[0][0]), sorted(item[0][0]), item[0][1])
        )
    )


def _spell(trials: Trials, artifacts: Sequence[str]) -> None:
    """Guess the one cause of each artifact from shared builds, and try the guesses alone.

    Adds those that prove right to what `Trials.already_guilty` offers.
    """
    open_ones = [
        name
        for name in artifacts
        if trials.differs(name, trials.knobs) and not trials.differs(name, ())
    ]
    if not open_ones:
        return
    bits = range((len(trials.knobs) - 1).bit_length())
    turned = [
        frozenset(knob for number, knob in enumerate(trials.knobs) if number >> bit & 1)
        for bit in bits
    ]
    for name in open_ones:
        number = sum(trials.differs(name, turned[bit]) << bit for bit in bits)
        guess = frozenset(trials.knobs[number : number + 1])
        if guess and guess not in trials.guilty and trials.differs(name, guess):
            trials.guilty.append(guess)


def _causes_of(trials: Trials, artifact: str) -> tuple[KnobSet, ...]:
    """Return all smallest sets of knobs that change the artifact."""
    if not trials.differs(artifact, trials.knobs):
        return ()
    if trials.differs(artifact, ()):
        return (frozenset(),)
    causes = trials.already_guilty(artifact)
    # Chance makes up causes without end; an artifact has no more real ones than there are knobs.
    while len(causes) < len(trials.knobs) and not trials.is_unsteady(artifact):
        rest = _unexplained(trials, artifact, causes)
        if rest is None:
            break
        cause = _smallest(trials, artifact, rest)
        causes.append(cause)
        if cause not in trials.guilty:
            trials.guilty.append(cause)
    return tuple(causes)


def _unexplained(
    trials: Trials, artifact: str, causes: Sequence[KnobSet]
) -> tuple[str, ...] | None:
    """Return knobs that hold none of `causes` whole and change the artifact, or None."""
    for taken in _hitting_sets(causes):
        rest = tuple(knob for knob in trials.knobs if knob not in taken)
        if trials.differs(artifact, rest):
            return rest
    return None


def _hitting_sets(causes: Sequence[KnobSet]) -> tuple[KnobSet, ...]:
    """Return the smallest sets that take at least one knob out of every cause, few knobs first."""
    sets = {frozenset[str]()}
    for cause in causes:
        longer = {taken if taken & cause else taken | {knob} for taken in sets for knob in cause}
        sets = {taken for taken in longer if not any(other < taken for other in longer)}
    return tuple(sorted(sets, key=lambda taken: (len(taken), sorted(taken))))


def _smallest(trials: Trials, artifact: str, knobs: Sequence[str]) -> KnobSet:
    """Return a smallest set within `knobs`, which change the artifact, that still does.

    One knob at a time: the one with which the first knobs, besides those found
    already, begin to show.
    """
    found: list[str] = []
    left = list(knobs)
    while True:
        low, high = 0, len(left)
        while high - low > 1:
            middle = (low + high) // 2
            if trials.differs(artifact, (*found, *left[:middle])):
                high = middle
            else:
                low = middle
        found.append(left[high - 1])
        left = left[:low]
        if not left or trials.differs(artifact, found):
            return frozenset(found)
