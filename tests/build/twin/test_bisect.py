"""Guilty knobs are all found, and with few builds, against builds that are only simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.build.twin.bisect import Guilt, KnobSet, Trials, find_guilty

KNOBS = tuple("abcdefghijklmno")
Causes = Mapping[str, Sequence[KnobSet]]


class Simulated:
    """A build in which an artifact changes as soon as all knobs of one of its causes are turned."""

    def __init__(self, causes: Causes) -> None:
        self.causes = causes
        self.asked: list[KnobSet] = []

    def __call__(self, knobs: KnobSet) -> frozenset[str]:
        self.asked.append(knobs)
        return frozenset(
            name for name, causes in self.causes.items() if any(c <= knobs for c in causes)
        )


def smallest(causes: Sequence[KnobSet]) -> set[KnobSet]:
    return {c for c in causes if not any(other < c for other in causes)}


def solve(causes: Causes, knobs: Sequence[str] = KNOBS) -> tuple[tuple[Guilt, ...], Simulated]:
    """Find what is guilty, knowing of the first build and the varied one, as a check does."""
    build = Simulated(causes)
    trials = Trials(knobs, build)
    trials.learn(knobs, build(frozenset(knobs)))
    build.asked.clear()
    found = find_guilty(trials, causes)
    assert trials.builds == len(build.asked)
    # The files of a build with each guilty set alone are looked at afterwards.
    assert all(guilt.knobs in {*build.asked, frozenset(knobs)} for guilt in found)
    return found, build


def allowed(found: Sequence[Guilt], count: int) -> int:
    """Return how many builds may be spent: per guilty knob, and one with nothing turned.

    Where several artifacts differ, one search is shared, and a wrong guess costs a
    build; where they share knobs in more ways than there are knobs, each way must be
    shown to be complete.
    """
    each = ceil(log2(count)) + 2
    named = {artifact for guilt in found for artifact in guilt.artifacts}
    turned = sum(len(knobs) for knobs in {guilt.knobs for guilt in found})
    ways = {
        frozenset(g.knobs for g in found if artifact in g.artifacts)
        for guilt in found
        for artifact in guilt.artifacts
    }
    shared = ceil(log2(count)) + len(ways) if len(named) > 1 else 0
    return 1 + turned * each + shared + max(0, len(ways) - turned)


def sets(size: int) -> st.SearchStrategy[KnobSet]:
    return st.frozensets(st.sampled_from(KNOBS), min_size=1, max_size=size)


@pytest.mark.parametrize("knob", KNOBS)
def test_one_guilty_knob_costs_log2_n_and_two_builds(knob: str) -> None:
    found, build = solve({"x": [frozenset(knob)]})
    assert found == (Guilt(frozenset(knob), ("x",)),)
    # One more with nothing turned: whether it differs by itself.
    assert len(build.asked) <= 1 + ceil(log2(len(KNOBS))) + 2


@pytest.mark.parametrize("count", range(1, len(KNOBS) + 1))
def test_the_count_holds_for_any_number_of_knobs(count: int) -> None:
    knobs = KNOBS[:count]
    for knob in knobs:
        found, build = solve({"x": [frozenset(knob)]}, knobs)
        assert found == (Guilt(frozenset(knob), ("x",)),)
        assert len(build.asked) <= 1 + ceil(log2(count)) + 2


def test_one_cause_each_of_eight_artifacts_shares_the_search() -> None:
    found, build = solve(
        {name: [frozenset(knob)] for name, knob in zip("stuvwxyz", "acegikmo", strict=True)}
    )
    assert len(found) == 8
    # With nothing turned; four to spell them; each alone; all but each.
    assert len(build.asked) <= 1 + 4 + 8 + 8


def test_what_differs_by_itself_costs_one_build() -> None:
    found, build = solve({"x": [frozenset()], "y": [frozenset("c")]})
    assert found[0] == Guilt(frozenset(), ("x",))
    assert found[1] == Guilt(frozenset("c"), ("y",))
    assert build.asked.count(frozenset()) == 1
    alone, build = solve({"x": [frozenset()]})
    assert (len(alone), build.asked) == (1, [frozenset()])


def test_two_that_only_differ_together_are_named_together() -> None:
    found, build = solve({"x": [frozenset("bk")]})
    assert found == (Guilt(frozenset("bk"), ("x",)),)
    assert len(build.asked) <= allowed(found, len(KNOBS))


def test_overlapping_pairs_are_all_found() -> None:
    found, _ = solve({"x": [frozenset("ab"), frozenset("ac"), frozenset("d")]})
    assert {guilt.knobs for guilt in found} == {
        frozenset("ab"), frozenset("ac"), frozenset("d"),
    }  # fmt: skip


def test_nothing_differs_and_nothing_is_built() -> None:
    found, build = solve({"x": []})
    assert (found, build.asked) == ((), [])


@given(st.dictionaries(st.sampled_from("stuvwxyz"), st.lists(sets(1), max_size=5), max_size=8))
def test_any_single_causes_are_all_found_within_the_count(causes: dict[str, list[KnobSet]]) -> None:
    found, build = solve(causes)
    for name, planted in causes.items():
        assert {g.knobs for g in found if name in g.artifacts} == smallest(planted)
    assert len(build.asked) <= allowed(found, len(KNOBS))
    assert len(set(build.asked)) == len(build.asked)


@given(st.dictionaries(st.sampled_from("xyz"), st.lists(sets(3), max_size=3), max_size=3))
def test_interactions_are_all_found(causes: dict[str, list[KnobSet]]) -> None:
    found, build = solve(causes)
    for name, planted in causes.items():
        assert {g.knobs for g in found if name in g.artifacts} == smallest(planted)
    assert not any(guilt.unsteady for guilt in found)
    assert len(set(build.asked)) == len(build.asked)


@given(sets(3))
def test_one_interaction_costs_its_knobs_searches(cause: KnobSet) -> None:
    found, build = solve({"x": [cause]})
    assert found == (Guilt(cause, ("x",)),)
    assert len(build.asked) <= allowed(found, len(KNOBS))


@given(st.randoms(use_true_random=False))
def test_chance_ends_and_blames_nobody_it_saw_contradicted(chance: object) -> None:
    coin = getattr(chance, "random")  # noqa: B009 - hypothesis types its random as an object
    trials = Trials(KNOBS, lambda _knobs: frozenset({"x"} if coin() < 0.5 else ()))
    trials.learn(KNOBS, {"x"})
    for guilt in find_guilty(trials, {"x"}):
        assert guilt.artifacts == ("x",)
        assert guilt.unsteady == trials.is_unsteady("x")
        assert not (guilt.unsteady and guilt.knobs)
    assert trials.builds <= len(KNOBS) ** 2


def test_a_contradiction_is_seen() -> None:
    answers = iter([frozenset(), frozenset({"x"}), frozenset(), frozenset()])
    trials = Trials(("a", "b"), lambda _knobs: next(answers, frozenset({"x"})))
    trials.learn("ab", {"x"})
    trials.learn("a", {"x"})
    trials.learn("abc", frozenset())
    assert trials.is_unsteady("x")
    assert find_guilty(trials, {"x"}) == (Guilt(frozenset(), ("x",), unsteady=True),)
