"""A lost share made again: the same share, and nobody but its owner has it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from relsign.crypto.frost.group import base, scalar_of
from relsign.crypto.frost.signing import SecretShare
from relsign.crypto.sealing import receiver_key, unseal
from relsign.errors import InputError, VerificationError
from relsign.formats.ceremony import (
    Acceptance,
    CeremonyMessage,
    Complaint,
    Contribution,
    Dealing,
    Shares,
)
from relsign.formats.envelope import decode_base64
from relsign.formats.names import Digest
from tests.sign.ceremony.lies import AA, IDENTITY, boxed, complaint, culprits, reason
from tests.sign.ceremony.people import Room, make_group, repair_room

NAMES = ("ana", "bob", "cleo", "dora")
GROUP, SHARES = make_group(NAMES, 3)
HELPERS = ("ana", "bob", "cleo")


def room_of() -> Room:
    """Return a room in which dora's share is made again."""
    return repair_room(GROUP, SHARES, "dora", HELPERS)


def in_steps(room: Room, *kinds: type[CeremonyMessage]) -> None:
    """Let everybody say what is due until these kinds are said."""
    for _kind in kinds:
        for name in room.names:
            room.turn(name)


@pytest.mark.parametrize(("lost", "helpers"), [("dora", HELPERS), ("ana", ("bob", "cleo", "dora"))])
def test_the_same_share_comes_back_to_its_owner_alone(lost: str, helpers: tuple[str, ...]) -> None:
    room = repair_room(GROUP, SHARES, lost, helpers)
    steps = room.finish()
    for name, step in steps.items():
        assert step.done is not None
        assert step.done.group == GROUP
        assert step.done.share == (SHARES[lost] if name == lost else None)
    assert set(room.spoken(Acceptance)) == {lost}


def test_a_smaller_group_is_mended_too() -> None:
    group, shares = make_group(("ana", "bob", "cleo"), 2)
    done = repair_room(group, shares, "bob", ("ana", "cleo")).finish()["bob"].done
    assert done is not None
    assert done.share == shares["bob"]


def test_who_neither_helps_nor_lost_anything_looks_on() -> None:
    group, shares = make_group(NAMES, 2)
    room = repair_room(group, shares, "dora", ("ana", "bob"))
    assert room.look("cleo").to_send == ()
    room.finish()
    step = room.look("cleo")
    assert step.done is not None
    assert (step.done.share, step.to_send) == (None, ())


def test_the_parts_on_show_do_not_make_the_share() -> None:
    room = room_of()
    room.finish()
    points = [p for m in room.spoken(Shares).values() for p in m.points.values()]
    assert len(set(points)) == 9
    assert SHARES["dora"].verifying.hex() not in points
    for name in HELPERS:
        assert set(room.spoken(Shares)[name].sealed) == set(HELPERS) - {name}
        assert set(room.spoken(Dealing)[name].sealing) == set(HELPERS) - {name}
    assert set(room.spoken(Dealing)["dora"].sealing) == set(HELPERS)


def test_a_helper_needs_its_own_share() -> None:
    room = repair_room(GROUP, {}, "dora", HELPERS)
    for name in room.names:
        room.turn(name)
    with pytest.raises(InputError, match="no share to deal from"):
        room.look("ana")
    room.shares = {"ana": SecretShare(SHARES["ana"].identifier, scalar_of(9))}
    with pytest.raises(InputError, match="the share is not this group's"):
        room.look("ana")


# --- lies --------------------------------------------------------------------------------------


def replaced(message: CeremonyMessage, **fields: object) -> CeremonyMessage:
    return msgspec.structs.replace(message, **fields)


def points_moved(message: Shares) -> CeremonyMessage:
    """Return points that still add up, two of them moved: then the boxes do not fit."""
    moved = dict(message.points)
    moved["ana"], moved["bob"] = moved["bob"], moved["ana"]
    return replaced(message, points=moved)


def points_of_another_share(message: Shares) -> CeremonyMessage:
    point = Digest(base(scalar_of(3)).hex())
    return replaced(message, points=dict.fromkeys(message.points, point))


SHARES_LIES: list[tuple[str, Callable[[Shares], CeremonyMessage], str]] = [
    ("of another share", points_of_another_share, "not of the helper's share"),
    ("moved", points_moved, "sent ana a number that does not fit"),
    ("no points", lambda m: replaced(m, points={}), "not a point for each helper"),
    ("identity", lambda m: replaced(m, points={**m.points, "bob": IDENTITY}), "not a point of"),
    ("no parts", lambda m: replaced(m, sealed={}), "not one part for every other helper"),
    ("heard others", lambda m: replaced(m, heard=AA), "heard other messages"),
]


@pytest.mark.parametrize(
    ("lie", "words"), [row[1:] for row in SHARES_LIES], ids=[row[0] for row in SHARES_LIES]
)
def test_wrong_parts_name_their_helper(
    lie: Callable[[Shares], CeremonyMessage], words: str
) -> None:
    room = room_of()
    steps = room.finish({"cleo": lambda m: lie(m) if isinstance(m, Shares) else m})
    assert culprits(steps, {"cleo"}) == ("cleo",)
    assert words in reason(steps, "dora")
    assert not room.spoken(Acceptance)


def test_a_part_that_does_not_fit_names_its_helper() -> None:
    room = room_of()

    def lie(message: CeremonyMessage) -> CeremonyMessage:
        if not isinstance(message, Shares):
            return message
        return replaced(message, sealed={**message.sealed, "ana": boxed(room, "ana", "cleo")})

    steps = room.finish({"cleo": lie})
    assert culprits(steps, {"cleo"}) == ("cleo",)
    assert "not the one its sender published" in reason(steps, "dora")
    assert set(room.spoken(Complaint)) == {"ana"}


def contribution(room: Room, **fields: str) -> Callable[[CeremonyMessage], CeremonyMessage]:
    def lie(message: CeremonyMessage) -> CeremonyMessage:
        if not isinstance(message, Contribution):
            return message
        box = boxed(room, "dora", "cleo", **{"purpose": "contribution", **fields})
        return replaced(message, sealed=box)

    return lie


CONTRIBUTIONS: list[tuple[dict[str, str], str]] = [
    ({}, "not the sum of what this helper was given"),
    ({"purpose": "share"}, "of somebody else, or for something else"),
    ({"ceremony": AA}, "of somebody else, or for something else"),
    ({"sender": "bob"}, "of somebody else, or for something else"),
    ({"number": "00" * 32}, "not a scalar"),
]


@pytest.mark.parametrize(("fields", "words"), CONTRIBUTIONS)
def test_a_contribution_that_does_not_fit_names_its_helper(
    fields: dict[str, str], words: str
) -> None:
    room = room_of()
    steps = room.finish({"cleo": contribution(room, **fields)})
    assert culprits(steps, {"cleo"}) == ("cleo",)
    assert words in reason(steps)
    assert set(room.spoken(Complaint)) == {"dora"}


@pytest.mark.parametrize("field", ["heard", "group"])
def test_an_acceptance_of_something_else_names_the_loser(field: str) -> None:
    room = room_of()

    def lie(message: CeremonyMessage) -> CeremonyMessage:
        return replaced(message, **{field: AA}) if isinstance(message, Acceptance) else message

    assert culprits(room.finish({"dora": lie}), {"dora"}) == ("dora",)


def test_a_contribution_by_who_heard_others_is_named() -> None:
    room = room_of()

    def lie(message: CeremonyMessage) -> CeremonyMessage:
        return replaced(message, heard=AA) if isinstance(message, Contribution) else message

    assert culprits(room.finish({"cleo": lie}), {"cleo"}) == ("cleo",)


def test_who_deals_where_nothing_is_dealt_is_named() -> None:
    room = room_of()
    steps = room.finish({"cleo": lambda m: replaced(m, commitments=(AA,))})
    assert culprits(steps, {"cleo"}) == ("cleo",)
    assert "dealt, where nothing is dealt" in reason(steps)


# --- complaints --------------------------------------------------------------------------------


def test_a_false_complaint_about_a_part_names_the_accuser() -> None:
    room = room_of()
    in_steps(room, Dealing, Shares)
    room.say(complaint(room, "cleo", "bob"))
    assert culprits(room.finish(), ()) == ("cleo",)


def test_a_false_complaint_about_a_contribution_names_the_loser() -> None:
    room = room_of()
    in_steps(room, Dealing, Shares)
    room.say(complaint(room, "dora", "bob"))
    # There is nothing to judge yet: the complaint is about what comes next.
    assert room.look("ana").step == "contribution"
    in_steps(room, Contribution)
    assert culprits(room.finish(), ()) == ("dora",)


def test_a_complaint_opens_no_other_helpers_contribution() -> None:
    room = room_of()
    room.finish({"cleo": contribution(room)})
    key = receiver_key(bytes.fromhex(room.spoken(Complaint)["dora"].sealing_secret))
    given = room.spoken(Contribution)
    unseal(decode_base64(given["cleo"].sealed, "box"), key, "box")
    for name in ("ana", "bob"):
        with pytest.raises(VerificationError, match="does not open"):
            unseal(decode_base64(given[name].sealed, "box"), key, "box")
