"""Whatever order messages come in, and whoever sees which of them when: one result."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relsign.formats.ceremony import CeremonyMessage, Shares
from relsign.sign.ceremony.steps import listen
from tests.sign.ceremony.lies import culprits
from tests.sign.ceremony.people import (
    Room,
    Twist,
    keygen_room,
    make_group,
    repair_room,
    reshare_room,
)

NAMES = ("ana", "bob", "cleo")
GROUP, SHARES = make_group(NAMES, 2)

ROOMS: Mapping[str, Callable[[], Room]] = {
    "keygen": lambda: keygen_room(NAMES, 2),
    "reshare": lambda: reshare_room(GROUP, SHARES, ("bob", "dora"), 2, ("ana", "bob")),
    "repair": lambda: repair_room(GROUP, SHARES, "bob", ("ana", "cleo")),
}
LIAR = "ana"
"""Deals in all three of them."""

visits = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2**20), st.booleans()), max_size=24)
"""Who comes, which of the messages it is shown, and whether they are turned round."""


def spoil(message: CeremonyMessage) -> CeremonyMessage:
    """Return shares none of which opens."""
    if not isinstance(message, Shares):
        return message
    return msgspec.structs.replace(message, sealed=dict.fromkeys(message.sealed, ""))


def visit(room: Room, plan: list[tuple[int, int, bool]], lies: Mapping[str, Twist]) -> None:
    """Let people come in any order, each shown a part of what was said."""
    for who, mask, turned in plan:
        name = room.names[who % len(room.names)]
        seen = [each for n, each in enumerate(room.said) if mask >> n % 20 & 1]
        step = room.turn(name, seen[::-1] if turned else seen, lies.get(name))
        assert step.stopped is None or lies, step


def outcomes(room: Room) -> dict[str, object]:
    return {name: step.done for name, step in room.finish().items()}


@pytest.mark.parametrize("kind", ROOMS)
@settings(max_examples=12, deadline=None)
@given(plan=visits)
def test_honest_people_end_with_the_same_whatever_they_were_shown(
    kind: str, plan: list[tuple[int, int, bool]]
) -> None:
    room = ROOMS[kind]()
    visit(room, plan, {})
    assert listen(room.agreed, room.said).two_tongued == ()
    straight = outcomes(ROOMS[kind]())
    assert None not in straight.values()
    assert outcomes(room) == straight


@pytest.mark.parametrize("kind", ROOMS)
@settings(max_examples=12, deadline=None)
@given(plan=visits)
def test_a_liar_is_named_by_all_whatever_they_were_shown(
    kind: str, plan: list[tuple[int, int, bool]]
) -> None:
    room = ROOMS[kind]()
    visit(room, plan, {LIAR: spoil})
    steps = room.finish({LIAR: spoil})
    assert culprits(steps, {LIAR}) == (LIAR,)
    assert all(step.done is None for step in steps.values())
