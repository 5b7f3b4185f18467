"""New shares of one key: refresh, new people, a new threshold, and dealers who lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
import pytest

from relsign.crypto.frost import keygen as arithmetic
from relsign.crypto.frost.group import Scalar, interpolate, scalar_of, wide_scalar
from relsign.crypto.frost.resharing import Resharing, deal_again
from relsign.crypto.frost.signing import SecretShare
from relsign.errors import InputError
from relsign.formats.ceremony import CeremonyMessage, Complaint, Dealing, Shares
from relsign.formats.charter import Group
from relsign.formats.names import Digest
from relsign.sign.ceremony.group import group_digest, shares_of
from relsign.sign.ceremony.steps import Step
from tests.sign.ceremony.lies import AA, IDENTITY, TWICE_THE_ORDER, boxed, culprits, reason
from tests.sign.ceremony.people import Room, digest, make_group, reshare_room

GROUP, SHARES = make_group(("ana", "bob", "cleo"), 2)
NEW = ("bob", "dora", "eve")


def room_of() -> Room:
    """Return a room in which ana, who leaves, and bob deal to bob, dora and eve."""
    return reshare_room(GROUP, SHARES, NEW, 2, ("ana", "bob"))


def outcome(steps: dict[str, Step]) -> tuple[Group, dict[str, SecretShare]]:
    done = {name: step.done for name, step in steps.items() if step.done is not None}
    assert done.keys() == steps.keys(), steps
    groups = [each.group for each in done.values()]
    assert groups == groups[:1] * len(groups)
    return groups[0], {n: each.share for n, each in done.items() if each.share is not None}


WAYS: list[tuple[str, Sequence[str], int, Sequence[str]]] = [
    ("refresh", ("ana", "bob", "cleo"), 2, ("ana", "cleo")),
    ("a member replaced", ("ana", "bob", "dora"), 2, ("ana", "bob")),
    ("a higher threshold", ("ana", "bob", "cleo", "dora"), 3, ("bob", "cleo")),
    ("nobody stays", ("dora", "eve"), 2, ("ana", "bob")),
]


@pytest.mark.parametrize(
    ("names", "threshold", "dealers"), [w[1:] for w in WAYS], ids=[w[0] for w in WAYS]
)
def test_the_key_stays_and_the_shares_are_new(
    names: Sequence[str], threshold: int, dealers: Sequence[str]
) -> None:
    group, shares = outcome(reshare_room(GROUP, SHARES, names, threshold, dealers).finish())
    assert group.key == GROUP.key
    assert group.previous == group_digest(GROUP)
    assert (group.threshold, [h.name for h in group.holders]) == (threshold, sorted(names))
    assert set(shares) == set(names)
    public = shares_of(group)
    some = {Scalar(s.identifier): s.verifying for s in list(shares.values())[:threshold]}
    assert interpolate(some) == public.key
    old = {share.verifying for share in SHARES.values()}
    assert not old & {share.verifying for share in shares.values()}


def test_a_reshared_group_is_reshared_again() -> None:
    group, shares = outcome(room_of().finish())
    again, _shares = outcome(
        reshare_room(group, shares, ("ana", "dora"), 2, ("dora", "eve")).finish()
    )
    assert (again.key, again.previous) == (GROUP.key, group_digest(group))


def test_who_leaves_deals_and_gets_nothing() -> None:
    room = room_of()
    steps = room.finish()
    dealings = room.spoken(Dealing)
    assert dealings["ana"].sealing == {}
    assert (dealings["dora"].commitments, dealings["dora"].proof) == ((), None)
    assert set(dealings["dora"].sealing) == {"ana", "bob"}
    assert set(dealings["bob"].sealing) == {"ana"}
    assert set(room.spoken(Shares)) == {"ana", "bob"}
    assert steps["ana"].done is not None
    assert steps["ana"].done.share is None


def test_old_holders_who_neither_deal_nor_stay_look_on() -> None:
    room = room_of()
    assert "cleo" not in room.names
    assert room.look("cleo").to_send == ()
    room.finish()
    done = room.look("cleo").done
    assert done is not None
    assert done.share is None


SHARE_FAULTS = [
    (None, "no share to deal from"),
    (SHARES["cleo"], "the share is somebody else's"),
    (SecretShare(SHARES["ana"].identifier, scalar_of(5)), "the share is not this group's"),
]


@pytest.mark.parametrize(("share", "words"), SHARE_FAULTS)
def test_a_dealer_needs_its_own_share_of_the_group(share: SecretShare | None, words: str) -> None:
    room = room_of()
    shares = {**SHARES, "ana": share} if share else {"bob": SHARES["bob"]}
    with pytest.raises(InputError, match=words) as caught:
        replace(room, shares=shares).look("ana")
    assert caught.value.hint


# --- lies --------------------------------------------------------------------------------------


def terms_of(room: Room, threshold: int = 2) -> Resharing:
    agreed = room.agreed
    return Resharing(
        shares_of(GROUP),
        agreed.numbers(("ana", "bob")),
        threshold,
        agreed.numbers(NEW),
        bytes.fromhex(agreed.ceremony),
    )


def dealt(room: Room, message: Dealing, polynomial: arithmetic.Polynomial) -> Dealing:
    """Return a dealing of another polynomial, its proof good."""
    made = arithmetic.deal(polynomial, digest("k"), bytes.fromhex(room.agreed.ceremony))
    return msgspec.structs.replace(
        message,
        commitments=tuple(Digest(point.hex()) for point in made.commitments),
        proof=made.proof.hex(),
    )


def of_another_constant(room: Room, message: Dealing) -> Dealing:
    mine = room.agreed.identifiers["bob"]
    seeds = [digest("liar") + digest(str(n)) for n in range(2)]
    return dealt(room, message, arithmetic.polynomial_of(mine, seeds))


def of_the_share_itself(room: Room, message: Dealing) -> Dealing:
    mine, constant = room.agreed.identifiers["bob"], SHARES["bob"].secret
    slope = wide_scalar(digest("a") + digest("b"))
    return dealt(room, message, arithmetic.Polynomial(mine, (constant, slope)))


def of_a_higher_degree(room: Room, message: Dealing) -> Dealing:
    seeds = [digest("a") + digest(str(n)) for n in range(2)]
    return dealt(room, message, deal_again(terms_of(room, 3), SHARES["bob"], seeds))


def with_point(point: Digest) -> Callable[[Room, Dealing], Dealing]:
    return lambda _room, m: msgspec.structs.replace(m, commitments=(m.commitments[0], point))


DEALINGS: list[tuple[str, Callable[[Room, Dealing], Dealing], str]] = [
    ("another constant", of_another_constant, "not of the dealer's old share"),
    ("the share without its factor", of_the_share_itself, "not of the dealer's old share"),
    ("a higher degree", of_a_higher_degree, "a dealing of 3 commitments"),
    ("order 2L", with_point(TWICE_THE_ORDER), "not a point of the group"),
    ("identity", with_point(IDENTITY), "not a point of the group"),
    (
        "nothing",
        lambda _r, m: msgspec.structs.replace(m, commitments=(), proof=None),
        "without commitments or proof",
    ),
    ("no keys", lambda _r, m: msgspec.structs.replace(m, sealing={}), "not a sealing key"),
]


@pytest.mark.parametrize(
    ("lie", "words"), [row[1:] for row in DEALINGS], ids=[row[0] for row in DEALINGS]
)
def test_a_dealing_that_would_change_the_key_names_its_dealer(
    lie: Callable[[Room, Dealing], Dealing], words: str
) -> None:
    room = room_of()
    steps = room.finish({"bob": lambda m: lie(room, m) if isinstance(m, Dealing) else m})
    assert culprits(steps, {"bob"}) == ("bob",)
    assert words in reason(steps)


OTHERS: list[tuple[str, str, dict[str, object], str]] = [
    ("who only receives, deals", "dora", {"commitments": (AA,)}, "dealt, and is no dealer"),
    ("proves something", "dora", {"proof": AA + AA}, "dealt, and is no dealer"),
    ("who leaves, wants to receive", "ana", {"sealing": {"bob": AA}}, "not a sealing key for"),
]


@pytest.mark.parametrize(
    ("liar", "fields", "words"), [row[1:] for row in OTHERS], ids=[row[0] for row in OTHERS]
)
def test_nobody_deals_or_receives_who_should_not(
    liar: str, fields: dict[str, object], words: str
) -> None:
    room = room_of()
    steps = room.finish({liar: lambda message: msgspec.structs.replace(message, **fields)})
    assert culprits(steps, {liar}) == (liar,)
    assert words in reason(steps, "eve")


def test_a_share_that_does_not_fit_names_a_dealer_who_leaves() -> None:
    room = room_of()

    def lie(message: CeremonyMessage) -> CeremonyMessage:
        if not isinstance(message, Shares):
            return message
        wrong = {**message.sealed, "eve": boxed(room, "eve", "ana")}
        return msgspec.structs.replace(message, sealed=wrong)

    steps = room.finish({"ana": lie})
    assert culprits(steps, {"ana"}) == ("ana",)
    assert reason(steps, "dora").startswith("ana: sent eve a number that does not fit")
    assert set(room.spoken(Complaint)) == {"eve"}
