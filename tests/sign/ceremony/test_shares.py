"""Sealed shares that do not fit, complaints about them, and complaints without a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import pytest

from relsign.crypto.sealing import receiver_key, unseal
from relsign.errors import VerificationError
from relsign.formats.ceremony import Acceptance, CeremonyMessage, Complaint, Dealing, Shares
from relsign.formats.envelope import decode_base64
from tests.sign.ceremony.lies import AA, boxed, complaint, culprits, reason, sealed
from tests.sign.ceremony.people import Room, digest, keygen_room, make_group, reshare_room

NAMES = ("ana", "bob", "cleo")

BOXES: list[tuple[str, Callable[[Room, Mapping[str, str]], str], str]] = [
    ("another number", lambda r, _: boxed(r, "ana", "cleo"), "not what its dealer committed to"),
    ("zero", lambda r, _: boxed(r, "ana", "cleo", number="00" * 32), "not a scalar"),
    ("above the order", lambda r, _: boxed(r, "ana", "cleo", number="ff" * 32), "not a scalar"),
    ("of another ceremony", lambda r, _: boxed(r, "ana", "cleo", ceremony=AA), "of somebody else"),
    ("of another sender", lambda r, _: boxed(r, "ana", "cleo", sender="bob"), "of somebody else"),
    ("for another", lambda r, _: boxed(r, "ana", "cleo", receiver="bob"), "of somebody else"),
    (
        "for another purpose",
        lambda r, _: boxed(r, "ana", "cleo", purpose="signature"),
        "somebody else",
    ),
    (
        "for a contribution",
        lambda r, _: boxed(r, "ana", "cleo", purpose="contribution"),
        "somebody else",
    ),
    ("no number", lambda r, _: sealed(r, "ana", "cleo", b"{}"), "missing"),
    ("no JSON", lambda r, _: sealed(r, "ana", "cleo", b"\xff"), "UTF-8"),
    ("another's box", lambda _, s: s["bob"], "does not open"),
    ("a copied box", lambda r, _: r.spoken(Shares)["bob"].sealed["ana"], "does not open"),
    ("empty", lambda _r, _s: "", "not a sealed message"),
    ("junk", lambda _r, _s: "QR==", "not canonical base64"),
    ("half", lambda _, s: s["ana"][:64], "does not open"),
]


@pytest.mark.parametrize(("lie", "words"), [row[1:] for row in BOXES], ids=[r[0] for r in BOXES])
def test_a_share_that_does_not_fit_names_its_dealer(
    lie: Callable[[Room, Mapping[str, str]], str], words: str
) -> None:
    room = keygen_room(NAMES, 2)

    def twist(message: CeremonyMessage) -> CeremonyMessage:
        if not isinstance(message, Shares):
            return message
        wrong = {**message.sealed, "ana": lie(room, message.sealed)}
        return msgspec.structs.replace(message, sealed=wrong)

    steps = room.finish({"cleo": twist})
    (complaint,) = room.spoken(Complaint).values()
    assert (complaint.sender, complaint.accused) == ("ana", "cleo")
    assert culprits(steps, {"cleo"}) == ("cleo",)
    assert words in reason(steps)
    assert reason(steps, "bob") == reason(steps)
    assert len(room.spoken(Acceptance)) < len(NAMES)


def test_the_complaint_goes_out_with_the_step_that_stops() -> None:
    room = keygen_room(NAMES, 2)
    for name in NAMES:
        room.turn(name)
    for name in NAMES:
        room.turn(name, twist=_spoil if name == "cleo" else None)
    step = room.look("ana")
    assert step.step == "stopped"
    assert [type(message) for message in step.to_send] == [Complaint]
    room.say(*step.to_send)
    assert room.look("ana").to_send == ()
    assert room.look("ana").stopped == step.stopped


def _spoil(message: CeremonyMessage) -> CeremonyMessage:
    assert isinstance(message, Shares)
    return msgspec.structs.replace(message, sealed={**message.sealed, "ana": ""})


def without_bob(message: Shares) -> Shares:
    return msgspec.structs.replace(message, sealed={"ana": message.sealed["ana"]})


SHARES: list[tuple[str, Callable[[Shares], Shares], str]] = [
    ("one missing", without_bob, "not one share for everybody else"),
    (
        "one for oneself",
        lambda m: msgspec.structs.replace(m, sealed={**m.sealed, "cleo": ""}),
        "not one share for everybody else",
    ),
    (
        "points",
        lambda m: msgspec.structs.replace(m, points={"ana": AA}),
        "not one share for everybody else",
    ),
    ("heard others", lambda m: msgspec.structs.replace(m, heard=AA), "heard other messages"),
]


@pytest.mark.parametrize(("lie", "words"), [row[1:] for row in SHARES], ids=[r[0] for r in SHARES])
def test_a_wrong_shares_message_names_its_sender(
    lie: Callable[[Shares], Shares], words: str
) -> None:
    room = keygen_room(NAMES, 2)
    steps = room.finish({"cleo": lambda m: lie(m) if isinstance(m, Shares) else m})
    assert culprits(steps, {"cleo"}) == ("cleo",)
    assert words in reason(steps)


# --- complaints --------------------------------------------------------------------------------


def shared_room() -> Room:
    """Return a room in which all shares are handed out and fit."""
    room = keygen_room(NAMES, 2)
    for _round in range(2):
        for name in NAMES:
            room.turn(name)
    return room


FALSE: list[tuple[str, Callable[[Room], Complaint], str]] = [
    (
        "the share fits",
        lambda r: complaint(r, "cleo", "bob"),
        "complains of bob, whose number fits",
    ),
    (
        "another secret",
        lambda r: complaint(r, "cleo", "bob", digest("x")),
        "complains of bob with another key's secret",
    ),
    (
        "the secret for another",
        lambda r: msgspec.structs.replace(complaint(r, "cleo", "ana"), accused="bob"),
        "complains of bob with another key's secret",
    ),
    ("oneself", lambda r: complaint(r, "cleo", "cleo"), "who sends cleo nothing"),
    ("a stranger", lambda r: complaint(r, "cleo", "eve"), "who sends cleo nothing"),
]


@pytest.mark.parametrize(("make", "words"), [row[1:] for row in FALSE], ids=[r[0] for r in FALSE])
def test_a_false_complaint_names_the_accuser(make: Callable[[Room], Complaint], words: str) -> None:
    room = shared_room()
    room.say(make(room))
    steps = room.finish()
    assert culprits(steps, ()) == ("cleo",)
    assert words in reason(steps)


def test_a_complaint_from_before_the_shares_waits_for_them() -> None:
    room = keygen_room(NAMES, 2)
    for name in NAMES:
        room.turn(name)
    room.say(complaint(room, "cleo", "bob"))
    assert room.look("ana").step == "shares"


def test_true_and_false_complaints_are_told_apart_at_once() -> None:
    room = keygen_room(NAMES, 2)
    for name in NAMES:
        room.turn(name)
    for name in NAMES:
        room.turn(name, twist=_spoil if name == "cleo" else None)
    room.say(complaint(room, "bob", "cleo"))
    steps = room.finish()
    assert culprits(steps, {"cleo"}) == ("bob", "cleo")
    assert reason(steps) == (
        "bob: complains of cleo, whose number fits; "
        "cleo: sent ana a number that does not fit: not a sealed message"
    )


def test_nothing_is_undone_by_a_complaint_after_all_have_accepted() -> None:
    room = keygen_room(NAMES, 2)
    room.finish()
    room.say(complaint(room, "cleo", "bob"))
    assert {step.step for step in room.finish().values()} == {"done"}


def test_a_complaint_gives_away_no_honest_dealers_number() -> None:
    group, shares = make_group(NAMES, 2)
    room = reshare_room(group, shares, ("dora", "eve"), 2, ("ana", "bob"))

    def lie(message: CeremonyMessage) -> CeremonyMessage:
        if not isinstance(message, Shares):
            return message
        return msgspec.structs.replace(message, sealed={**message.sealed, "dora": ""})

    steps = room.finish({"bob": lie})
    assert culprits(steps, {"bob"}) == ("bob",)
    secret = receiver_key(bytes.fromhex(room.spoken(Complaint)["dora"].sealing_secret))
    # One key for all boxes would open ana's too: with it, whoever bob is in league with
    # has as many points of ana's line as it takes, and with them her share.
    box = decode_base64(room.spoken(Shares)["ana"].sealed["dora"], "box")
    with pytest.raises(VerificationError, match="does not open"):
        unseal(box, secret, "box")
    assert secret.public.hex() == room.spoken(Dealing)["dora"].sealing["bob"]
