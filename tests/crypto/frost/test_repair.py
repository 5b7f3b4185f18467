"""A lost share made again: it is the same share, and whoever lies about it is named."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import NamedTuple

import pytest
from nacl.bindings import crypto_core_ed25519_add
from rich.pretty import pretty_repr

from relsign.crypto.frost.group import Scalar, base, plus, scalar_of
from relsign.crypto.frost.repair import (
    DeltaPoints,
    Deltas,
    Repair,
    delta_for,
    delta_points,
    gather,
    recover,
    split,
    verify_delta,
    verify_delta_points,
)
from relsign.crypto.frost.signing import GroupShares, SecretShare
from relsign.errors import CulpritError, InputError, NotEnoughError, VerificationError
from tests.crypto.frost.groups import (
    NO_POINT,
    NO_SCALAR,
    ORDER_TWO,
    SMALL_ORDER,
    B,
    Dealt,
    dealt,
    secret,
    seeds,
)

LIES: list[Callable[[bytes], bytes]] = [
    lambda value: plus(Scalar(value), scalar_of(1)),
    lambda _: bytes(32),
    lambda _: b"\xff" * 32,
    lambda value: value + b"\0",
    lambda _: b"",
]


class Mending(NamedTuple):
    """A repair with everybody's secrets in one hand."""

    terms: Repair
    deltas: list[Deltas]
    points: list[DeltaPoints]

    def values(self, receiver: bytes) -> dict[bytes, bytes]:
        """Return the parts that are for a helper, by sender."""
        return {each.helper: delta_for(self.terms, each, receiver) for each in self.deltas}

    def sigmas(self) -> dict[bytes, bytes]:
        """Return each helper's honest sigma."""
        return {
            each: gather(self.terms, each, self.points, self.values(each))
            for each in self.terms.helpers
        }

    def with_points(self, made: DeltaPoints) -> list[DeltaPoints]:
        """Return the published points, one helper's replaced."""
        return [made if each.helper == made.helper else each for each in self.points]


def mending(group: GroupShares, lost: bytes, helpers: tuple[SecretShare, ...]) -> Mending:
    terms = Repair(group, lost, tuple(each.identifier for each in helpers))
    deltas = [
        split(terms, each, seeds(f"part {each.identifier.hex()}", len(helpers) - 1))
        for each in helpers
    ]
    return Mending(terms, deltas, [delta_points(each) for each in deltas])


@pytest.fixture(scope="module")
def five() -> Dealt:
    """Return 3 of 5."""
    return dealt(3, 5)


@pytest.fixture(scope="module")
def mend(five: Dealt) -> Mending:
    """Return the repair of the first share by the next three, named in no order."""
    two, three, four = five.people[1:4]
    return mending(five.group, five.people[0].identifier, (three, two, four))


def _lost(people: Dealt) -> bytes:
    return people.people[0].identifier


# --- good repairs ------------------------------------------------------------------------------


@pytest.mark.parametrize(("threshold", "participants"), [(2, 3), (3, 4), (3, 5), (7, 10)])
def test_the_share_that_was_lost_comes_back(threshold: int, participants: int) -> None:
    made = dealt(threshold, participants, "mended")
    for lost, share in list(made.shares.items())[:3]:
        others = [each for each in made.people if each.identifier != lost]
        for helpers in list(combinations(others, threshold))[:4]:
            work = mending(made.group, lost, helpers)
            assert recover(work.terms, work.points, work.sigmas()) == share


def test_neither_parts_nor_sums_tell_a_share(five: Dealt, mend: Mending) -> None:
    secrets = {each.secret for each in five.people}
    parts = [part for each in mend.deltas for part in each.parts]
    seen = {*parts, *mend.sigmas().values()}
    assert len(seen) == 9 + 3
    assert not seen & secrets


def test_parts_do_not_show_themselves(mend: Mending) -> None:
    for shown in (repr(mend.deltas[0]), f"{mend.deltas[0]}", pretty_repr(mend.deltas[0])):
        assert shown.startswith("Deltas(")
        assert "parts" not in shown
        assert "\\x" not in shown


# --- a lie in round 1 --------------------------------------------------------------------------


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("liars", [(0,), (2,), (0, 1), (0, 1, 2)])
def test_who_sends_a_wrong_part_is_named(
    mend: Mending, lie: Callable[[bytes], bytes], liars: tuple[int, ...]
) -> None:
    me = mend.terms.order[1]
    values = mend.values(me)
    names = [mend.terms.order[each] for each in liars]
    for name in names:
        values[name] = lie(values[name])
    with pytest.raises(CulpritError, match="not the one its sender published") as caught:
        gather(mend.terms, me, mend.points, values)
    assert caught.value.culprits == tuple(name.hex() for name in names)
    for each in mend.points:
        if each.helper in names:
            with pytest.raises(CulpritError) as caught:
                verify_delta(mend.terms, each, me, values[each.helper])
            assert caught.value.culprits == (each.helper.hex(),)
        else:
            verify_delta(mend.terms, each, me, values[each.helper])


def test_who_publishes_parts_of_something_else_is_named(five: Dealt, mend: Mending) -> None:
    first = mend.deltas[0]
    for parts in (
        (plus(Scalar(first.parts[0]), scalar_of(1)), *first.parts[1:]),
        first.parts[:2],
        (*first.parts, scalar_of(1)),
        mend.deltas[1].parts,
        (),
    ):
        made = delta_points(Deltas(first.helper, parts))
        with pytest.raises(CulpritError, match="not of the helper's share") as caught:
            verify_delta_points(mend.terms, made)
        assert caught.value.culprits == (first.helper.hex(),)
        if not made.points:
            with pytest.raises(CulpritError, match="not the one its sender published"):
                verify_delta(mend.terms, made, first.helper, first.parts[0])
        for use in (
            lambda lied: gather(mend.terms, first.helper, lied, mend.values(first.helper)),
            lambda lied: recover(mend.terms, lied, mend.sigmas()),
        ):
            with pytest.raises(CulpritError, match="not of the helper's share"):
                use(mend.with_points(made))
    assert first.helper in five.shares


@pytest.mark.parametrize(
    "bad", [*SMALL_ORDER, *NO_POINT, crypto_core_ed25519_add(B, ORDER_TWO)], ids=bytes.hex
)
def test_a_bad_point_is_blamed_on_its_helper(bad: bytes) -> None:
    with pytest.raises(CulpritError, match="not a point of the group") as caught:
        DeltaPoints(scalar_of(7), (B, bad))
    assert caught.value.culprits == (scalar_of(7).hex(),)


@pytest.mark.parametrize("bad", NO_SCALAR, ids=bytes.hex)
def test_a_bad_scalar_makes_no_value(bad: bytes) -> None:
    for make in (
        lambda: Deltas(bad, (scalar_of(1),)),
        lambda: Deltas(scalar_of(1), (scalar_of(1), bad)),
        lambda: DeltaPoints(bad, (B,)),
    ):
        with pytest.raises(VerificationError, match="not a scalar of the group"):
            make()


# --- a lie in round 2 --------------------------------------------------------------------------


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("liars", [(0,), (2,), (0, 1), (0, 1, 2)])
def test_who_sends_a_wrong_sigma_is_named(
    mend: Mending, lie: Callable[[bytes], bytes], liars: tuple[int, ...]
) -> None:
    sigmas = mend.sigmas()
    names = [mend.terms.order[each] for each in liars]
    for name in names:
        sigmas[name] = lie(sigmas[name])
    with pytest.raises(CulpritError, match="not the sum of what its helper was sent") as caught:
        recover(mend.terms, mend.points, sigmas)
    assert caught.value.culprits == tuple(name.hex() for name in names)


def test_a_group_whose_shares_fit_no_polynomial_blames_nobody(five: Dealt, mend: Mending) -> None:
    other = {**five.group.verifying, _lost(five): base(secret("other"))}
    wrong = GroupShares(five.group.key, 3, other)
    terms = Repair(wrong, mend.terms.lost, mend.terms.helpers)
    with pytest.raises(VerificationError, match="the group's document is wrong") as caught:
        recover(terms, mend.points, mend.sigmas())
    assert not isinstance(caught.value, CulpritError)


# --- what is missing, and who is a stranger ----------------------------------------------------


def test_what_is_missing_is_named(mend: Mending) -> None:
    name = mend.terms.helpers[0]
    sigmas, values = mend.sigmas(), mend.values(name)
    del sigmas[name], values[name]
    fewer = [each for each in mend.points if each.helper != name]
    for use in (
        lambda: recover(mend.terms, mend.points, sigmas),
        lambda: recover(mend.terms, fewer, mend.sigmas()),
        lambda: gather(mend.terms, name, mend.points, values),
        lambda: gather(mend.terms, name, fewer, mend.values(name)),
    ):
        with pytest.raises(NotEnoughError, match="values are missing") as caught:
            use()
        assert caught.value.got == name.hex()


def test_a_stranger_has_no_part_in_it(five: Dealt, mend: Mending) -> None:
    stranger = five.people[4]
    name = stranger.identifier
    points = DeltaPoints(name, mend.points[0].points)
    values = mend.values(mend.terms.helpers[0])
    for use in (
        lambda: recover(mend.terms, mend.points, {**mend.sigmas(), name: scalar_of(1)}),
        lambda: recover(mend.terms, [*mend.points, points], mend.sigmas()),
        lambda: gather(mend.terms, name, mend.points, values),
        lambda: gather(
            mend.terms, mend.terms.helpers[0], mend.points, {**values, name: scalar_of(1)}
        ),
        lambda: split(mend.terms, stranger, seeds("stranger", 2)),
        lambda: delta_for(mend.terms, mend.deltas[0], name),
        lambda: verify_delta(mend.terms, mend.points[0], name, scalar_of(1)),
        lambda: verify_delta_points(mend.terms, points),
    ):
        with pytest.raises(VerificationError, match=r"nobody who owes|no helper|no such interpol"):
            use()


def test_one_who_publishes_twice_is_refused(mend: Mending) -> None:
    twice = [*mend.points, mend.points[0]]
    with pytest.raises(VerificationError, match="one identifier twice"):
        recover(mend.terms, twice, mend.sigmas())


@pytest.mark.parametrize("count", [0, 2, 4])
def test_exactly_a_threshold_helps(five: Dealt, count: int) -> None:
    helpers = tuple(each.identifier for each in five.people[1 : 1 + count])
    with pytest.raises(VerificationError, match="not the right number of helpers"):
        Repair(five.group, _lost(five), helpers)


def test_the_loser_does_not_help_and_is_of_the_group(five: Dealt) -> None:
    names = tuple(each.identifier for each in five.people)
    for lost in (names[0], scalar_of(7)):
        with pytest.raises(VerificationError, match="not a share the helpers can repair"):
            Repair(five.group, lost, names[:3])


def test_a_helper_is_of_the_group_and_counts_once(five: Dealt) -> None:
    names = tuple(each.identifier for each in five.people)
    with pytest.raises(VerificationError, match="no participant of the group"):
        Repair(five.group, names[0], (*names[1:3], scalar_of(7)))
    with pytest.raises(VerificationError, match="one identifier twice"):
        Repair(five.group, names[0], (*names[1:3], names[1]))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_randomness_is_for_each_part_but_one(five: Dealt, mend: Mending, count: int) -> None:
    with pytest.raises(InputError, match="not the right amount of randomness"):
        split(mend.terms, five.people[1], seeds("part", count))


def test_an_older_share_is_not_split(five: Dealt, mend: Mending) -> None:
    older = SecretShare(five.people[1].identifier, secret("older"))
    with pytest.raises(VerificationError, match="the share is not this group's"):
        split(mend.terms, older, seeds("part", 2))
