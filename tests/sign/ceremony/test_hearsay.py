"""What is heard: two tongues, other ceremonies, strangers, and who heard something else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest

from relsign.formats.ceremony import (
    Acceptance,
    CeremonyMessage,
    Contribution,
    Dealing,
    Proposal,
    Shares,
)
from relsign.sign.ceremony.charter import agree, reshare_charter
from relsign.sign.ceremony.steps import listen
from relsign.sign.ceremony.transcript import next_step
from tests.sign.ceremony.lies import AA, culprits, reason
from tests.sign.ceremony.people import (
    EXPIRES,
    Room,
    digest,
    keygen_room,
    make_group,
    public,
    reshare_room,
    sign,
)

NAMES = ("ana", "bob", "cleo")


def another_dealing(room: Room, name: str) -> Dealing:
    """Return a second good dealing of a person: from another seed."""
    other = replace(room.person(name), seed=digest("another seed", name))
    (message,) = next_step(room.agreed, listen(room.agreed, ()), other).to_send
    assert isinstance(message, Dealing)
    return message


# --- two tongues -------------------------------------------------------------------------------


def test_who_deals_twice_is_named_by_all() -> None:
    room = keygen_room(NAMES, 2)
    room.finish(names=("cleo",))
    room.say(another_dealing(room, "cleo"))
    steps = room.finish(names=("ana", "bob"))
    assert culprits(steps, ()) == ("cleo",)
    assert reason(steps) == "two different messages where one was due: cleo"
    assert not room.spoken(Shares)


def test_who_shows_each_another_dealing_is_found_before_anybody_has_a_share() -> None:
    room = keygen_room(NAMES, 2)
    for name in ("ana", "bob"):
        room.turn(name)
    common = list(room.said)
    first, second = sign(room.look("cleo").to_send[0]), sign(another_dealing(room, "cleo"))
    to_ana = room.look("ana", [*common, first]).to_send
    to_bob = room.look("bob", [*common, second]).to_send
    assert [type(m) for m in (*to_ana, *to_bob)] == [Shares, Shares]
    room.say(*to_ana, *to_bob)
    # As long as cleo keeps the two apart, they name each other: one of them is lied to.
    stopped = room.look("ana", [*room.said, first]).stopped
    assert stopped is not None
    assert (stopped.reason, stopped.culprits) == ("bob: heard other messages", ("bob",))
    # Once both see all, it is cleo.
    room.said += [first, second]
    steps = {name: room.look(name) for name in ("ana", "bob")}
    assert culprits(steps, ()) == ("cleo",)


def test_one_message_sent_twice_or_signed_anew_is_one_message() -> None:
    room = keygen_room(NAMES, 2)
    for _round in range(3):
        for name in NAMES:
            room.turn(name)
        room.said += room.said
    assert {step.step for step in room.finish().values()} == {"done"}


def test_a_message_of_ones_own_that_one_did_not_send_stops_it() -> None:
    room = keygen_room(NAMES, 2)
    room.say(another_dealing(room, "ana"))
    step = room.look("ana")
    assert step.to_send == ()
    assert step.stopped is not None
    assert step.stopped.reason == "another dealing message in your name is there"
    assert step.stopped.culprits == ("ana",)


# --- what does not count -----------------------------------------------------------------------


def of_another_ceremony(room: Room) -> bytes:
    other = keygen_room(NAMES, 3)
    assert other.agreed.ceremony != room.agreed.ceremony
    return sign(other.look("cleo").to_send[0])


def by_a_stranger(room: Room) -> bytes:
    return sign(msgspec.structs.replace(room.look("cleo").to_send[0], sender="eve"))


def not_signed_by_its_sender(room: Room) -> bytes:
    return sign(room.look("cleo").to_send[0], signer="bob")


def not_its_to_say(room: Room) -> bytes:
    return sign(Contribution(ceremony=room.agreed.ceremony, sender="cleo", heard=AA, sealed="QQ=="))


def with_another_charter(room: Room) -> bytes:
    other = keygen_room(NAMES, 3).agreed.charter
    return sign(Proposal(ceremony=room.agreed.ceremony, sender="cleo", charter=other))


IGNORED: list[tuple[Callable[[Room], bytes], str]] = [
    (of_another_ceremony, "of another ceremony"),
    (by_a_stranger, "sent by nobody of this group"),
    (not_signed_by_its_sender, "signature does not verify"),
    (not_its_to_say, "not what its sender has to say here"),
    (with_another_charter, "of another ceremony"),
    (lambda _room: b"\x00", "not valid JSON"),
]


@pytest.mark.parametrize(("make", "words"), IGNORED)
def test_what_does_not_count_is_named_and_changes_nothing(
    make: Callable[[Room], bytes], words: str
) -> None:
    room = keygen_room(NAMES, 2)
    room.said.append(make(room))
    step = room.look("ana")
    assert len(step.lines) == 1
    assert words in step.lines[0]
    assert (step.step, step.awaiting) == ("dealing", NAMES)
    assert {step.step for step in room.finish().values()} == {"done"}


def test_a_dealing_made_for_another_ceremony_does_not_fit_under_this_ones_name() -> None:
    room = keygen_room(NAMES, 3)
    other = keygen_room(("ana", "cleo", "dora"), 3)
    other.turn("cleo")
    message = other.spoken(Dealing)["cleo"]
    room.say(
        msgspec.structs.replace(
            message,
            ceremony=room.agreed.ceremony,
            sealing={"ana": message.sealing["ana"], "bob": message.sealing["dora"]},
        )
    )
    stopped = room.look("ana").stopped
    assert stopped is not None
    assert stopped.reason == "cleo: the proof of possession does not hold"


def test_a_proposal_is_heard_and_changes_nothing() -> None:
    room = keygen_room(NAMES, 2)
    room.say(Proposal(ceremony=room.agreed.ceremony, sender="ana", charter=room.agreed.charter))
    assert room.look("bob").lines == ()
    assert {step.step for step in room.finish().values()} == {"done"}


def test_who_leaves_has_nothing_to_accept() -> None:
    group, shares = make_group(NAMES, 2)
    room = reshare_room(group, shares, ("bob", "dora"), 2, ("ana", "bob"))
    room.say(Acceptance(ceremony=room.agreed.ceremony, sender="ana", heard=AA, group=AA))
    steps = room.finish()
    assert {step.step for step in steps.values()} == {"done"}
    assert "not what its sender has to say here" in steps["bob"].lines[0]


def test_a_message_of_an_earlier_reshare_is_of_another_ceremony() -> None:
    group, shares = make_group(NAMES, 2)
    rooms = []
    for nonce in ("one", "two"):
        charter = reshare_charter(
            group, public(*NAMES), 2, ("ana", "bob"), expires=EXPIRES, nonce=digest(nonce)
        )
        rooms.append(Room(agree(charter, group), shares))
    rooms[0].finish()
    rooms[1].said += rooms[0].said
    step = rooms[1].look("ana")
    assert (step.step, step.awaiting, len(step.lines)) == ("dealing", NAMES, 8)


# --- acceptances -------------------------------------------------------------------------------

ACCEPTANCES = [("heard", "heard other messages"), ("group", "accepted another group")]


@pytest.mark.parametrize(("field", "words"), ACCEPTANCES)
def test_who_accepts_something_else_is_named(field: str, words: str) -> None:
    room = keygen_room(NAMES, 2)

    def lie(message: CeremonyMessage) -> CeremonyMessage:
        if not isinstance(message, Acceptance):
            return message
        return msgspec.structs.replace(message, **{field: AA})

    steps = room.finish({"cleo": lie})
    assert culprits(steps, {"cleo"}) == ("cleo",)
    assert reason(steps) == f"cleo: {words}"
