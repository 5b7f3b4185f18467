"""A check's verdict is told of the release's bytes, or it is `different`."""

from __future__ import annotations

from typing import Literal

import pytest

from relsign.build.explain.causes import CAUSES, Found
from relsign.build.twin.verdict import Blame, Checked, beside_release, twin_of
from relsign.build.twin.workshop import Look
from relsign.formats.names import Digest, Normaliser

ONE: Look = (Digest("1" * 64), "0644")
TWO: Look = (Digest("2" * 64), "0644")
LOOKS = {"a": ONE, "b": ONE}
TIME = Blame(frozenset({"time"}), ("a",), found=(Found(CAUSES["zip-time"], ("a > x",)),))
UMASK = Blame(frozenset({"umask"}), ("a",), found=(Found(CAUSES["umask-modes"], ("a > x",)),))
CHANCE = Blame(frozenset(), ("a",))


def checked(*blames: Blame, normalisers: tuple[Normaliser, ...] = ()) -> Checked:
    verdict: Literal["identical", "normalised", "different"] = "different"
    if not blames:
        verdict = "identical"
    elif normalisers:
        verdict = "normalised"
    differing = tuple(sorted({name for blame in blames for name in blame.artifacts}))
    return Checked("t", verdict, ("time", "umask"), {}, LOOKS, differing, 2, blames, normalisers)


@pytest.mark.parametrize(
    "result",
    [checked(), checked(TIME), checked(UMASK), checked(TIME, normalisers=("zip-1",))],
)
def test_the_same_bytes_leave_a_verdict_as_it_is(result: Checked) -> None:
    assert beside_release(result, dict(LOOKS)) == result


@pytest.mark.parametrize(
    ("result", "built", "differing", "causes"),
    [
        (checked(), {"a": ONE, "b": TWO}, ("b",), ("unknown",)),
        (checked(), {"a": ONE, "b": (ONE[0], "0755")}, ("b",), ("unknown",)),
        (checked(), {"a": ONE}, ("b",), ("unknown",)),
        (checked(), {**LOOKS, "c": ONE}, ("c",), ("unknown",)),
        # What carries the time is another one in each build, and what chance makes, too.
        (checked(TIME), {"a": TWO, "b": ONE}, ("a",), ("zip-time",)),
        (checked(TIME, normalisers=("zip-1",)), {"a": TWO, "b": ONE}, ("a",), ("zip-time",)),
        (checked(CHANCE), {"a": TWO, "b": ONE}, ("a",), ("unknown",)),
        # A knob that was not turned for either explains nothing.
        (checked(UMASK), {"a": TWO, "b": ONE}, ("a",), ("umask-modes", "unknown")),
        (checked(TIME), {"a": TWO, "b": TWO}, ("a", "b"), ("unknown", "zip-time")),
    ],
)
def test_other_bytes_are_different_whatever_the_builds_of_the_check_have_in_common(
    result: Checked, built: dict[str, Look], differing: tuple[str, ...], causes: tuple[str, ...]
) -> None:
    beside = beside_release(result, built)
    twin = twin_of(beside)
    assert (twin.verdict, twin.normalisers, twin.causes) == ("different", (), causes)
    assert beside.differing == differing


def test_what_no_knob_explains_is_said_to_change_at_some_times_only() -> None:
    (blame,) = beside_release(checked(), {"a": ONE, "b": TWO}).blames
    assert (blame.knobs, blame.artifacts, blame.unsteady) == (frozenset(), ("b",), True)
