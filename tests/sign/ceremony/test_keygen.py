"""A new key: who deals, who lies, and that a lie has a name."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from relsign.crypto.frost import keygen as arithmetic
from relsign.crypto.frost.group import (
    ORDER,
    Point,
    Scalar,
    add_points,
    base,
    multiply,
    scalar_of,
    times,
    wide_scalar,
)
from relsign.errors import InputError
from relsign.formats.ceremony import Acceptance, CeremonyMessage, Dealing, Shares
from relsign.formats.names import Digest
from relsign.sign.ceremony.group import shares_of
from relsign.sign.ceremony.steps import Person, listen
from relsign.sign.ceremony.transcript import next_step
from tests.sign.ceremony.lies import AA, IDENTITY, TWICE_THE_ORDER, culprits, reason
from tests.sign.ceremony.people import Room, digest, keygen_room, sign

NAMES = ("ana", "bob", "cleo")


def room_of(*names: str) -> Room:
    return keygen_room(names or NAMES, 2)


# --- all goes well -----------------------------------------------------------------------------


@pytest.mark.parametrize(("names", "threshold"), [(NAMES[:2], 2), (NAMES, 2), (NAMES, 3)])
def test_everybody_ends_with_a_share_of_one_key(names: tuple[str, ...], threshold: int) -> None:
    room = keygen_room(names, threshold)
    steps = room.finish()
    group, *others = [step.done.group for step in steps.values() if step.done is not None]
    assert others == [group] * (len(names) - 1)
    assert (group.threshold, [holder.name for holder in group.holders]) == (threshold, [*names])
    assert (group.ceremony, group.previous) == (room.agreed.ceremony, None)
    public = shares_of(group)
    for name, step in steps.items():
        assert step.done is not None
        assert step.done.share is not None
        assert step.done.share.identifier == room.agreed.identifiers[name]
        assert public.verifying[step.done.share.identifier] == step.done.share.verifying
        assert (step.to_send, step.awaiting, step.lines) == ((), (), ())


def test_each_round_waits_for_all_and_names_who_is_missing() -> None:
    room = room_of()
    seen = []
    for kind in (Dealing, Shares, Acceptance):
        for name in NAMES:
            step = room.turn(name)
            assert [type(message) for message in step.to_send] == [kind]
            assert step.done is None
            seen.append((step.step, step.awaiting))
    assert seen[:3] == [
        ("dealing", ("ana", "bob", "cleo")),
        ("dealing", ("bob", "cleo")),
        ("dealing", ("cleo",)),
    ]
    assert [step for step, _ in seen[3:]] == ["shares"] * 3 + ["acceptance"] * 3
    assert room.turn("ana").step == "done"


def test_nobody_has_a_share_before_all_have_accepted() -> None:
    room = room_of()
    room.finish()
    for missing in NAMES:
        seen = [sign(m) for m in room.spoken(Dealing).values()]
        seen += [sign(m) for m in room.spoken(Shares).values()]
        seen += [sign(m) for n, m in room.spoken(Acceptance).items() if n != missing]
        for name in NAMES:
            step = room.look(name, seen)
            assert (step.step, step.awaiting, step.done) == ("acceptance", (missing,), None)


def test_whoever_never_comes_is_awaited_by_name() -> None:
    room = room_of()
    steps = room.finish(names=("ana", "cleo"))
    assert {step.awaiting for step in steps.values()} == {("bob",)}
    assert room.look(None).awaiting == ("bob",)


def test_who_runs_again_after_a_crash_says_the_same_bytes() -> None:
    room = room_of()
    for _ in range(3):
        for name in NAMES:
            first, again = room.look(name), room.look(name)
            assert [m.to_bytes() for m in first.to_send] == [m.to_bytes() for m in again.to_send]
            room.say(*again.to_send, *first.to_send)
    assert {step.step for step in room.finish().values()} == {"done"}


def test_another_ceremony_makes_another_key_with_other_secrets() -> None:
    one, two = keygen_room(NAMES, 2), keygen_room(NAMES, 3)
    one.finish()
    two.finish()
    for kind in (Dealing, Shares):
        assert not {m.to_bytes() for m in one.spoken(kind).values()} & {
            m.to_bytes() for m in two.spoken(kind).values()
        }
    keys = [
        key for r in (one, two) for d in r.spoken(Dealing).values() for key in d.sealing.values()
    ]
    assert len(set(keys)) == len(keys) == 12


def test_an_onlooker_sees_how_it_stands_and_says_nothing() -> None:
    room = room_of()
    room.turn("ana")
    step = room.look(None)
    assert (step.step, step.awaiting, step.to_send) == ("dealing", ("bob", "cleo"), ())
    room.finish()
    done = room.look(None).done
    assert done is not None
    assert done.share is None


@pytest.mark.parametrize("size", [0, 31, 64])
def test_a_seed_of_another_length_is_refused(size: int) -> None:
    room = room_of()
    with pytest.raises(InputError, match="not a seed"):
        next_step(room.agreed, listen(room.agreed, ()), Person("ana", bytes(size)))


# --- lies in dealings --------------------------------------------------------------------------


def altered(message: Dealing, **fields: object) -> Dealing:
    return msgspec.structs.replace(message, **fields)


def with_commitments(*commitments: str) -> Callable[[Room, Dealing], Dealing]:
    return lambda _room, message: altered(message, commitments=commitments)


def one_more(_room: Room, message: Dealing) -> Dealing:
    return altered(message, commitments=(*message.commitments, message.commitments[1]))


def one_less(_room: Room, message: Dealing) -> Dealing:
    return altered(message, commitments=message.commitments[:1])


def bad_point(point: Digest) -> Callable[[Room, Dealing], Dealing]:
    return lambda _room, message: altered(message, commitments=(message.commitments[0], point))


def with_keys(
    change: Callable[[dict[str, Digest]], dict[str, str]],
) -> Callable[[Room, Dealing], Dealing]:
    return lambda _room, message: altered(message, sealing=change(dict(message.sealing)))


def proof_for_another_ceremony(room: Room, message: Dealing) -> Dealing:
    mine = room.agreed.identifiers[message.sender]
    seeds = [digest("liar") + digest(str(n)) for n in range(2)]
    made = arithmetic.deal(arithmetic.polynomial_of(mine, seeds), digest("k"), digest("other"))
    return altered(
        message,
        commitments=tuple(Digest(point.hex()) for point in made.commitments),
        proof=made.proof.hex(),
    )


def rogue_key(room: Room, message: Dealing) -> Dealing:
    """Deal so that the group's key is one's own: the others' constants taken off again."""
    wanted = base(scalar_of(7))
    others = [m for name, m in room.spoken(Dealing).items() if name != message.sender]
    points = [Point(bytes.fromhex(m.commitments[0])) for m in others]
    constant = add_points(wanted, multiply(scalar_of(-1), add_points(*points)))
    commitments = (Digest(constant.hex()), message.commitments[1])
    return altered(message, commitments=commitments)


def copied(room: Room, message: Dealing) -> Dealing:
    other = room.spoken(Dealing)["ana"]
    return altered(message, commitments=other.commitments, proof=other.proof)


DEALINGS: list[tuple[str, Callable[[Room, Dealing], Dealing], str]] = [
    ("proof of another ceremony", proof_for_another_ceremony, "proof of possession"),
    ("rogue key", rogue_key, "proof of possession"),
    ("copied from another dealer", copied, "proof of possession"),
    ("one commitment too many", one_more, "a dealing of 3 commitments"),
    ("one too few", one_less, "not a dealing"),
    ("none", with_commitments(), "without commitments or proof"),
    ("no proof", lambda _room, m: altered(m, proof=None), "without commitments or proof"),
    ("order 2L", bad_point(TWICE_THE_ORDER), "not a point of the group"),
    ("identity", bad_point(IDENTITY), "not a point of the group"),
    ("no point", bad_point(Digest("ff" * 32)), "not a point of the group"),
    ("no scalar", lambda _room, m: altered(m, proof=AA + "ff" * 32), "not a"),
    ("no sealing key", with_keys(lambda _keys: {}), "not a sealing key for each"),
    ("one too few keys", with_keys(lambda k: {"ana": k["ana"]}), "not a sealing key for each"),
    ("a key for oneself", with_keys(lambda k: {**k, "cleo": AA}), "not a sealing key for each"),
    ("of small order", with_keys(lambda k: {**k, "ana": "00" * 32}), "small order"),
    ("two forms", with_keys(lambda k: {**k, "ana": "ff" * 31 + "7f"}), "one form"),
    ("one key for two", with_keys(lambda k: dict.fromkeys(k, k["ana"])), "one sealing key for two"),
]


@pytest.mark.parametrize(
    ("lie", "words"), [row[1:] for row in DEALINGS], ids=[r[0] for r in DEALINGS]
)
def test_a_wrong_dealing_names_its_dealer(
    lie: Callable[[Room, Dealing], Dealing], words: str
) -> None:
    room = room_of()

    def twist(message: CeremonyMessage) -> CeremonyMessage:
        assert isinstance(message, Dealing)
        return lie(room, message)

    steps = room.finish({"cleo": twist})
    assert culprits(steps, {"cleo"}) == ("cleo",)
    assert words in reason(steps)
    assert not room.spoken(Shares)


def test_all_who_deal_wrongly_are_named_at_once() -> None:
    room = room_of()

    def lie(message: CeremonyMessage) -> CeremonyMessage:
        return msgspec.structs.replace(message, proof=None)

    for name in NAMES:
        room.turn(name, seen=(), twist=None if name == "ana" else lie)
    steps = room.finish()
    assert culprits(steps, {"bob", "cleo"}) == ("bob", "cleo")


def test_dealers_whose_constants_cancel_out_make_no_group() -> None:
    room = room_of("ana", "bob")
    constant = wide_scalar(digest("constant") * 2)
    for name, sign_of in (("ana", 1), ("bob", ORDER - 1)):
        mine = room.agreed.identifiers[name]
        number = Scalar(times(constant, scalar_of(sign_of)))
        polynomial = arithmetic.Polynomial(mine, (number, scalar_of(3)))
        made = arithmetic.deal(polynomial, digest("k"), bytes.fromhex(room.agreed.ceremony))
        message = room.look(name).to_send[0]
        room.say(
            msgspec.structs.replace(
                message,
                commitments=tuple(Digest(point.hex()) for point in made.commitments),
                proof=made.proof.hex(),
            )
        )
    stopped = room.look(None).stopped
    assert stopped is not None
    assert (stopped.reason, stopped.culprits) == ("the dealings cancel each other out", ())
