"""The same key in other hands: new people, new thresholds, refreshed shares, named cheats."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from random import Random
from typing import NamedTuple

import pytest

from relsign.crypto.frost.group import Point, Scalar, base, interpolate, plus, scalar_of
from relsign.crypto.frost.keygen import Dealing, Polynomial, deal, polynomial_of, share_for
from relsign.crypto.frost.resharing import (
    Resharing,
    combine_again,
    deal_again,
    group_again,
    refresh_of,
    verify_dealing_again,
)
from relsign.crypto.frost.signing import GroupShares, SecretShare, verify_group
from relsign.crypto.keys import parse_ed25519
from relsign.crypto.signatures import verify_ed25519
from relsign.errors import CulpritError, InputError, NotEnoughError, VerificationError
from tests.crypto.frost.groups import Dealt, dealt, secret, seed, seeds, sign

CONTEXT = b"resharing 1"


class Again(NamedTuple):
    """A resharing with everybody's secrets in one hand."""

    terms: Resharing
    polynomials: list[Polynomial]
    dealings: list[Dealing]

    def shares(self, receiver: bytes) -> dict[bytes, bytes]:
        """Return what was dealt to a receiver."""
        return {each.identifier: share_for(each, receiver) for each in self.polynomials}

    def end(self) -> Dealt:
        """Return what all receivers come to."""
        ends = {
            me: combine_again(self.terms, me, self.dealings, self.shares(me))
            for me in self.terms.receivers
        }
        groups = [group for _, group in ends.values()]
        assert all(group == groups[0] for group in groups)
        return Dealt(groups[0], {me: share for me, (share, _) in ends.items()})

    def with_dealing(self, made: Dealing) -> list[Dealing]:
        """Return the dealings, one replaced."""
        return [made if each.identifier == made.identifier else each for each in self.dealings]


def again(terms: Resharing, dealers: Sequence[SecretShare], label: str = "again") -> Again:
    count = terms.threshold - 1
    lines = [
        deal_again(terms, each, seeds(f"{label} {each.identifier.hex()}", count))
        for each in dealers
    ]
    dealings = [deal(each, seed(f"{label} proof", 32), terms.context) for each in lines]
    return Again(terms, lines, dealings)


def names(shares: Sequence[SecretShare]) -> tuple[bytes, ...]:
    return tuple(each.identifier for each in shares)


def people(count: int, label: str = "new") -> tuple[bytes, ...]:
    return tuple(secret(f"{label} person {number}") for number in range(count))


def signs(made: Dealt, key: bytes) -> None:
    """Check that the last threshold of people sign for a key."""
    signature = sign(made.group, made.people[-made.group.threshold :], b"x")
    verify_ed25519(parse_ed25519(key, "key"), signature, b"x")


@pytest.fixture(scope="module")
def old() -> Dealt:
    """Return 2 of 3."""
    return dealt(2, 3, "old")


@pytest.fixture(scope="module")
def move(old: Dealt) -> Again:
    """Return the move of that group to 3 of 4: two who stay, two who are new."""
    receivers = (*names(old.people[:2]), *people(2))
    return again(Resharing(old.group, names(old.people[:2]), 3, receivers, CONTEXT), old.people[:2])


# --- good resharings ---------------------------------------------------------------------------


def test_any_group_can_become_any_other() -> None:
    draw = Random(7)  # noqa: S311 - the same groups in every run
    for number in range(25):
        before, after = draw.randint(2, 7), draw.randint(2, 7)
        made = dealt(draw.randint(2, before), before, f"old {number}")
        dealers = draw.sample(made.people, made.group.threshold)
        stay = names(draw.sample(made.people, draw.randint(0, min(before, after))))
        receivers = (*stay, *people(after - len(stay), f"{number}"))
        threshold = draw.randint(2, after)
        terms = Resharing(made.group, names(dealers), threshold, receivers, CONTEXT)
        new = again(terms, dealers, f"again {number}").end()
        assert new.group.key == made.group.key
        assert new.group.threshold == threshold
        assert set(new.group.verifying) == set(receivers)
        verify_group(new.group)
        signs(new, made.group.key)


def test_a_member_is_replaced_and_signs_no_more_with_the_new(old: Dealt, move: Again) -> None:
    new = move.end()
    signs(new, old.group.key)
    removed = old.people[2]
    assert removed.identifier not in new.group.verifying
    with pytest.raises(VerificationError):
        sign(new.group, [removed, *new.people[:2]], b"x")


def test_anyone_can_tell_the_new_group_without_a_secret(move: Again) -> None:
    assert group_again(move.terms, move.dealings[::-1]) == move.end().group


def test_a_refresh_changes_every_share_and_nothing_else(old: Dealt) -> None:
    for dealers in combinations(old.people, 2):
        terms = refresh_of(old.group, names(dealers), CONTEXT)
        new = again(terms, dealers).end()
        assert new.group.key == old.group.key
        assert new.group.threshold == old.group.threshold
        assert list(new.group.verifying) == list(old.group.verifying)
        for me, share in old.shares.items():
            assert new.shares[me].secret != share.secret
            assert new.group.verifying[me] != old.group.verifying[me]
        signs(new, old.group.key)


def test_old_and_new_shares_do_not_mix(old: Dealt) -> None:
    new = again(refresh_of(old.group, names(old.people[:2]), CONTEXT), old.people[:2]).end()
    with pytest.raises(VerificationError, match="the share is not this group's"):
        sign(new.group, [old.people[0], new.people[1]], b"x")
    one, two = (Scalar(each.identifier) for each in old.people[:2])
    mixed = {
        one: Point(old.group.verifying[one]),
        two: Point(new.group.verifying[two]),
    }
    assert interpolate(mixed) != old.group.key


def test_old_shares_still_sign_until_they_are_destroyed(old: Dealt, move: Again) -> None:
    # What the user must be told: a resharing takes nothing out of anybody's hand.
    assert move.end().group.key == old.group.key
    signs(old, old.group.key)


# --- a cheat -----------------------------------------------------------------------------------


def test_a_dealer_cannot_change_the_key(old: Dealt, move: Again) -> None:
    name = old.people[1].identifier
    for constant in (
        secret("another constant"),
        Scalar(old.people[1].secret),  # the share itself, without its Lagrange factor
        plus(Scalar(move.polynomials[1].coefficients[0]), scalar_of(1)),
    ):
        line = Polynomial(name, (constant, *move.polynomials[1].coefficients[1:]))
        lie = deal(line, seed("proof", 32), CONTEXT)
        with pytest.raises(CulpritError, match="not of the dealer's old share") as caught:
            group_again(move.terms, move.with_dealing(lie))
        assert caught.value.culprits == (name.hex(),)


def test_two_dealers_cannot_move_a_part_between_them(move: Again) -> None:
    # The key would be the old one; yet both are named, for neither dealt its share.
    lies = []
    for line, shift in zip(move.polynomials, (1, -1), strict=True):
        constant = plus(Scalar(line.coefficients[0]), scalar_of(shift))
        moved = Polynomial(line.identifier, (constant, *line.coefficients[1:]))
        lies.append(deal(moved, seed("proof", 32), CONTEXT))
    for lie in lies:
        with pytest.raises(CulpritError, match="old share") as caught:
            verify_dealing_again(move.terms, lie)
        assert caught.value.culprits == (lie.identifier.hex(),)


def test_a_dealing_for_other_dealers_is_refused(old: Dealt, move: Again) -> None:
    # The Lagrange factor is that of who deals together, so a dealing fits one set only.
    other = Resharing(old.group, names(old.people[1:]), 3, move.terms.receivers, move.terms.context)
    with pytest.raises(CulpritError, match="old share"):
        verify_dealing_again(other, move.dealings[1])


@pytest.mark.parametrize("context", [b"", b"resharing 2"])
def test_a_dealing_from_another_resharing_is_refused(move: Again, context: bytes) -> None:
    replayed = deal(move.polynomials[0], seed("proof", 32), context)
    with pytest.raises(CulpritError, match="proof of possession") as caught:
        group_again(move.terms, move.with_dealing(replayed))
    assert caught.value.culprits == (replayed.identifier.hex(),)


@pytest.mark.parametrize("count", [2, 4])
def test_a_dealing_of_another_length_is_refused(move: Again, count: int) -> None:
    first = move.polynomials[0]
    line = (*first.coefficients, secret("more"))[:count]
    made = deal(Polynomial(first.identifier, line), seed("proof", 32), CONTEXT)
    with pytest.raises(CulpritError, match=f"a dealing of {count} commitments") as caught:
        group_again(move.terms, move.with_dealing(made))
    assert caught.value.culprits == (first.identifier.hex(),)


def test_a_dealer_that_lies_to_one_is_named(move: Again) -> None:
    me = move.terms.receivers[-1]
    values = move.shares(me)
    liar = move.dealings[1].identifier
    values[liar] = plus(Scalar(values[liar]), scalar_of(1))
    with pytest.raises(CulpritError, match="committed to") as caught:
        combine_again(move.terms, me, move.dealings, values)
    assert caught.value.culprits == (liar.hex(),)


def test_who_deals_twice_or_not_at_all_is_named(move: Again) -> None:
    with pytest.raises(CulpritError, match="one dealer dealt twice") as caught:
        group_again(move.terms, [*move.dealings, move.dealings[0]])
    assert caught.value.culprits == (move.dealings[0].identifier.hex(),)
    with pytest.raises(NotEnoughError, match="dealings are missing") as missing:
        group_again(move.terms, move.dealings[:1])
    assert missing.value.got == move.dealings[1].identifier.hex()


def test_a_participant_who_is_no_dealer_does_not_deal(old: Dealt, move: Again) -> None:
    name = old.people[2].identifier
    made = deal(polynomial_of(name, seeds("third", 3)), seed("proof", 32), CONTEXT)
    with pytest.raises(VerificationError, match="a dealing of nobody"):
        group_again(move.terms, [*move.dealings, made])
    with pytest.raises(VerificationError, match="no such interpolation"):
        verify_dealing_again(move.terms, made)
    with pytest.raises(VerificationError, match="no such interpolation"):
        deal_again(move.terms, old.people[2], seeds("third", 2))


def test_a_group_whose_shares_do_not_make_its_key_is_not_moved(old: Dealt) -> None:
    wrong = GroupShares(base(secret("other key")), 2, old.group.verifying)
    terms = refresh_of(wrong, names(old.people[:2]), CONTEXT)
    with pytest.raises(VerificationError, match="the key changed") as caught:
        group_again(terms, again(terms, old.people[:2]).dealings)
    assert not isinstance(caught.value, CulpritError)


# --- terms -------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 3])
def test_exactly_a_threshold_deals(old: Dealt, count: int) -> None:
    with pytest.raises(VerificationError, match="not the right number of helpers"):
        refresh_of(old.group, names(old.people[:count]), CONTEXT)


def test_a_dealer_counts_once(old: Dealt) -> None:
    with pytest.raises(VerificationError, match="one identifier twice"):
        refresh_of(old.group, names([old.people[0]] * 2), CONTEXT)


def test_a_stranger_is_no_dealer(old: Dealt) -> None:
    with pytest.raises(VerificationError, match="no participant of the group") as caught:
        refresh_of(old.group, (old.people[0].identifier, scalar_of(7)), CONTEXT)
    assert caught.value.got == scalar_of(7).hex()


def test_receivers_are_named_once(old: Dealt) -> None:
    twice = (*people(2), people(1)[0])
    with pytest.raises(VerificationError, match="one identifier twice"):
        Resharing(old.group, names(old.people[:2]), 2, twice, CONTEXT)


@pytest.mark.parametrize(("threshold", "count"), [(1, 3), (4, 3), (2, 33)])
def test_the_new_threshold_fits(old: Dealt, threshold: int, count: int) -> None:
    with pytest.raises(InputError, match="no such group"):
        Resharing(old.group, names(old.people[:2]), threshold, people(count), CONTEXT)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_randomness_is_for_each_coefficient_but_the_constant(
    old: Dealt, move: Again, count: int
) -> None:
    with pytest.raises(InputError, match="not the right amount of randomness"):
        deal_again(move.terms, old.people[0], seeds("line", count))


def test_an_older_share_is_not_dealt(old: Dealt, move: Again) -> None:
    older = SecretShare(old.people[0].identifier, secret("older"))
    with pytest.raises(VerificationError, match="the share is not this group's"):
        deal_again(move.terms, older, seeds("line", 2))
