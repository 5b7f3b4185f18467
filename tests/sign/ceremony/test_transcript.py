"""A ceremony checked again by somebody who was not there."""

from __future__ import annotations

import base64
from collections.abc import Callable

import msgspec
import pytest

from relsign.errors import (
    CulpritError,
    InputError,
    NotEnoughError,
    RelsignError,
    VerificationError,
)
from relsign.formats.ceremony import Acceptance, CeremonyMessage, Proposal, Shares
from relsign.formats.charter import Transcript, parse_transcript
from relsign.sign.ceremony.steps import listen
from relsign.sign.ceremony.transcript import make_transcript, verify_transcript
from tests.sign.ceremony.lies import AA, complaint
from tests.sign.ceremony.people import (
    Room,
    identity,
    keygen_room,
    make_group,
    repair_room,
    reshare_room,
    sign,
)

NAMES = ("ana", "bob", "cleo")
GROUP, SHARES = make_group(NAMES, 2)


def transcript_of(room: Room) -> Transcript:
    return make_transcript(room.agreed.charter, listen(room.agreed, room.said))


def finished(room: Room) -> Room:
    assert {step.step for step in room.finish().values()} == {"done"}
    return room


@pytest.mark.parametrize("kind", ["keygen", "reshare", "repair"])
def test_a_finished_ceremony_gives_its_group_again(kind: str) -> None:
    room = {
        "keygen": lambda: keygen_room(NAMES, 2),
        "reshare": lambda: reshare_room(GROUP, SHARES, ("bob", "dora"), 2, ("ana", "bob")),
        "repair": lambda: repair_room(GROUP, SHARES, "bob", ("ana", "cleo")),
    }[kind]()
    done = finished(room).look(None).done
    assert done is not None
    kept = parse_transcript(transcript_of(room).to_bytes())
    assert verify_transcript(kept, room.agreed.previous) == done.group


def test_what_does_not_count_is_not_kept() -> None:
    room = finished(keygen_room(NAMES, 2))
    whole = transcript_of(room)
    room.said += [b"junk", room.said[0]]
    room.said.append(sign(Acceptance(ceremony=AA, sender="ana", heard=AA, group=AA)))
    assert transcript_of(room) == whole


def test_proposals_are_kept() -> None:
    room = keygen_room(NAMES, 2)
    room.say(Proposal(ceremony=room.agreed.ceremony, sender="bob", charter=room.agreed.charter))
    kept = transcript_of(finished(room))
    assert len(kept.messages) == 10
    assert verify_transcript(kept, None) == room.look("ana").done.group  # type: ignore[union-attr]


# --- what is refused ---------------------------------------------------------------------------


def with_messages(room: Room, messages: list[bytes]) -> Transcript:
    texts = sorted({base64.b64encode(each).decode() for each in messages})
    return Transcript(charter=room.agreed.charter, messages=tuple(texts))


def without_an_acceptance(room: Room) -> Transcript:
    return with_messages(room, room.said[:-1])


def without_a_dealing(room: Room) -> Transcript:
    return with_messages(room, room.said[1:])


def with_nothing(room: Room) -> Transcript:
    return with_messages(room, [])


def with_junk(room: Room) -> Transcript:
    return with_messages(room, [*room.said, b"{}"])


def with_a_strangers_message(room: Room) -> Transcript:
    forged = sign(next(iter(room.spoken(Shares).values())), signer="eve")
    return with_messages(room, [*room.said, forged])


def with_another_acceptance(room: Room) -> Transcript:
    lie = Acceptance(ceremony=room.agreed.ceremony, sender="ana", heard=AA, group=AA)
    return with_messages(room, [*room.said, sign(lie)])


def in_another_wrapping(room: Room) -> Transcript:
    return with_messages(room, [*room.said, room.said[0] + b"\n"])


def under_another_charter(room: Room) -> Transcript:
    charter = msgspec.structs.replace(room.agreed.charter, user_id="Eve")
    return msgspec.structs.replace(transcript_of(room), charter=charter)


def not_base64(room: Room) -> Transcript:
    whole = transcript_of(room)
    return msgspec.structs.replace(whole, messages=(*whole.messages, "zz=="))


REFUSED: list[tuple[Callable[[Room], Transcript], type[RelsignError], str]] = [
    (without_an_acceptance, NotEnoughError, "acceptance: messages are missing .got nothing from"),
    (without_a_dealing, NotEnoughError, "dealing: messages are missing .got nothing from ana"),
    (with_nothing, NotEnoughError, "nothing from ana, bob, cleo"),
    (with_junk, VerificationError, "a message of the transcript does not count"),
    (with_a_strangers_message, VerificationError, "signature does not verify"),
    (with_another_acceptance, CulpritError, "two different messages .* ana"),
    (in_another_wrapping, VerificationError, "one message twice"),
    (under_another_charter, VerificationError, "of another ceremony"),
    (not_base64, InputError, "base64"),
]


@pytest.mark.parametrize(("make", "error", "words"), REFUSED)
def test_a_transcript_that_was_meddled_with_is_refused(
    make: Callable[[Room], Transcript], error: type[RelsignError], words: str
) -> None:
    room = finished(keygen_room(NAMES, 2))
    with pytest.raises(error, match=words):
        verify_transcript(make(room), None)


def test_a_transcript_is_of_one_group() -> None:
    room = finished(reshare_room(GROUP, SHARES, ("bob", "dora"), 2, ("ana", "bob")))
    other, _shares = make_group(NAMES, 3)
    for previous in (None, other):
        with pytest.raises(InputError, match="not the previous of the group before"):
            verify_transcript(transcript_of(room), previous)


def test_a_transcript_with_a_lie_names_the_liar() -> None:
    room = keygen_room(NAMES, 2)

    def lie(message: CeremonyMessage) -> CeremonyMessage:
        if not isinstance(message, Shares):
            return message
        return msgspec.structs.replace(message, sealed={**message.sealed, "ana": ""})

    room.finish({"cleo": lie})
    with pytest.raises(CulpritError, match="cleo: sent ana a number that does not fit") as caught:
        verify_transcript(transcript_of(room), None)
    assert caught.value.culprits == ("cleo",)


def test_a_transcript_with_a_false_complaint_names_the_accuser() -> None:
    room = keygen_room(NAMES, 2)
    for _round in range(2):
        for name in NAMES:
            room.turn(name)
    room.say(complaint(room, "bob", "ana"))
    with pytest.raises(CulpritError) as caught:
        verify_transcript(transcript_of(room), None)
    assert caught.value.culprits == ("bob",)


def test_every_flipped_signature_is_seen() -> None:
    room = finished(keygen_room(NAMES[:2], 2))
    for number, envelope in enumerate(room.said):
        at = envelope.index(b'"sig":"') + 20
        flipped = bytes([envelope[at] ^ 1])
        changed = envelope[:at] + flipped + envelope[at + 1 :]
        others = [each for n, each in enumerate(room.said) if n != number]
        with pytest.raises(VerificationError, match="does not count"):
            verify_transcript(with_messages(room, [*others, changed]), None)


def test_identity_keys_are_those_of_the_charter() -> None:
    room = finished(keygen_room(NAMES, 2))
    assert room.agreed.identities["ana"] == bytes(identity("ana").verify_key)
