"""Key generation: the group that comes out signs, and whoever cheats is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from nacl.bindings import crypto_core_ed25519_add, crypto_core_ed25519_sub
from rich.pretty import pretty_repr

from relsign.crypto.frost.group import Point, Scalar, add_points, base, plus, scalar_of
from relsign.crypto.frost.keygen import (
    Dealing,
    Keygen,
    Polynomial,
    combine,
    deal,
    group_of,
    polynomial_of,
    share_for,
    verify_dealing,
    verify_dealt_share,
    verify_proof,
)
from relsign.crypto.frost.signing import GroupShares, SecretShare, verify_group
from relsign.crypto.keys import parse_ed25519
from relsign.crypto.signatures import verify_ed25519
from relsign.errors import CulpritError, InputError, NotEnoughError, VerificationError
from tests.crypto.frost.groups import (
    NO_POINT,
    NO_SCALAR,
    ORDER_TWO,
    SMALL_ORDER,
    B,
    secret,
    seed,
    seeds,
    sign,
    vector,
)

ZF = vector("zf-dkg.json")["inputs"]
CONTEXT = b"ceremony 1"
BAD_POINTS = [*SMALL_ORDER, *NO_POINT, crypto_core_ed25519_add(B, ORDER_TWO)]


class Ceremony(NamedTuple):
    """A key generation with everybody's secrets in one hand."""

    terms: Keygen
    polynomials: list[Polynomial]
    dealings: list[Dealing]

    def shares(self, receiver: bytes) -> dict[bytes, bytes]:
        """Return what was dealt to a receiver."""
        return {each.identifier: share_for(each, receiver) for each in self.polynomials}

    def end(self) -> tuple[GroupShares, list[SecretShare]]:
        """Return what all participants come to."""
        ends = [
            combine(self.terms, me, self.dealings, self.shares(me))
            for me in self.terms.participants
        ]
        assert all(group == ends[0][1] for _, group in ends)
        return ends[0][1], [share for share, _ in ends]

    def with_dealing(self, made: Dealing) -> list[Dealing]:
        """Return the dealings, one replaced."""
        return [made if each.identifier == made.identifier else each for each in self.dealings]


def ceremony(threshold: int, participants: int, label: str = "ceremony") -> Ceremony:
    people = tuple(secret(f"{label} {number}") for number in range(participants))
    lines = [polynomial_of(each, seeds(f"{label} {each.hex()}", threshold)) for each in people]
    dealings = [deal(each, seed(f"{label} proof", 32), CONTEXT) for each in lines]
    return Ceremony(Keygen(threshold, people, CONTEXT), lines, dealings)


@pytest.fixture(scope="module")
def three() -> Ceremony:
    """Return 2 of 3."""
    return ceremony(2, 3)


def blamed(*identifiers: bytes) -> tuple[str, ...]:
    return tuple(each.hex() for each in identifiers)


# --- reference figures -------------------------------------------------------------------------

NUMBERS = ("1", "2", "3")


def zf_dealing(number: str) -> Dealing:
    row = ZF[number]
    return Dealing(
        scalar_of(row["identifier"]),
        tuple(bytes.fromhex(text) for text in row["vss_commitments"]),
        bytes.fromhex(row["proof_of_knowledge"]),
    )


def zf_polynomial(number: str) -> Polynomial:
    row: dict[str, Any] = ZF[number]
    line = (bytes.fromhex(row["signing_key"]), bytes.fromhex(row["coefficient"]))
    return Polynomial(scalar_of(row["identifier"]), line)


@pytest.mark.parametrize("number", NUMBERS)
def test_zf_dealings(number: str) -> None:
    # A proof's nonce is not among the figures, so the proofs are checked, not made again.
    theirs = zf_dealing(number)
    ours = deal(zf_polynomial(number), seed("proof", 32), b"")
    assert ours.commitments == theirs.commitments
    verify_dealing(theirs, 2, b"")
    verify_dealing(ours, 2, b"")
    with pytest.raises(CulpritError, match="proof of possession"):
        verify_proof(theirs, CONTEXT)


@pytest.mark.parametrize("receiver", NUMBERS)
@pytest.mark.parametrize("dealer", NUMBERS)
def test_zf_dealt_shares(dealer: str, receiver: str) -> None:
    # A receiver's row holds what the others dealt to it, by dealer.
    made = share_for(zf_polynomial(dealer), scalar_of(int(receiver)))
    if dealer != receiver:
        assert made.hex() == ZF[receiver]["signing_shares"][dealer]
    verify_dealt_share(zf_dealing(dealer), scalar_of(int(receiver)), made)


@pytest.mark.parametrize("number", NUMBERS)
def test_zf_result(number: str) -> None:
    me = scalar_of(int(number))
    terms = Keygen(2, tuple(scalar_of(int(each)) for each in NUMBERS), b"")
    dealt: dict[bytes, bytes] = {
        scalar_of(int(each)): bytes.fromhex(text)
        for each, text in ZF[number]["signing_shares"].items()
    }
    dealt[me] = share_for(zf_polynomial(number), me)
    share, group = combine(terms, me, [zf_dealing(each) for each in NUMBERS], dealt)
    assert share.secret.hex() == ZF[number]["signing_share"]
    assert group.key.hex() == ZF["verifying_key"]
    for each in NUMBERS:
        assert group.verifying[scalar_of(int(each))].hex() == ZF[each]["verifying_share"]
    constants = [Scalar(zf_polynomial(each).coefficients[0]) for each in NUMBERS]
    # The figures named "secret" fit no other figure of the file; see its README.
    assert base(plus(*constants)).hex() == ZF["verifying_key"]


# --- a good ceremony ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("threshold", "participants"), [(2, 2), (2, 3), (3, 3), (3, 5), (7, 10), (2, 32)]
)
def test_a_group_that_was_generated_signs(threshold: int, participants: int) -> None:
    group, shares = ceremony(threshold, participants).end()
    assert (group.threshold, len(group.verifying)) == (threshold, participants)
    verify_group(group)
    made = sign(group, shares[-threshold:], b"x")
    verify_ed25519(parse_ed25519(group.key, "key"), made, b"x")


def test_anyone_can_tell_the_group_without_a_secret(three: Ceremony) -> None:
    group, shares = three.end()
    assert group_of(three.terms, three.dealings[::-1]) == group
    assert {each.identifier: each.verifying for each in shares} == group.verifying
    assert group.key == add_points(*(Point(each.commitments[0]) for each in three.dealings))


def test_a_polynomial_and_its_parts_do_not_show_themselves(three: Ceremony) -> None:
    held = three.polynomials[0]
    for shown in (repr(held), f"{held}", pretty_repr(held)):
        assert shown.startswith("Polynomial(")
        assert "coefficients" not in shown
        assert "\\x" not in shown


def test_one_seed_makes_different_nonces_in_two_ceremonies(three: Ceremony) -> None:
    # Two proofs with one nonce would give the constant away.
    one = deal(three.polynomials[0], seed("proof", 32), b"one")
    two = deal(three.polynomials[0], seed("proof", 32), b"two")
    assert one.commitments == two.commitments
    assert one.proof[:32] != two.proof[:32]


# --- a cheat in round 1 ------------------------------------------------------------------------


def test_a_rogue_key_has_no_proof(three: Ceremony) -> None:
    # The last to deal wants the key to be its own: its constant is that minus all others.
    *others, last = three.dealings
    mine = base(secret("the rogue's own key"))
    constant: bytes = mine
    for each in others:
        constant = crypto_core_ed25519_sub(constant, each.commitments[0])
    honest = three.polynomials[-1]
    for proof in (
        last.proof,
        deal(Polynomial(last.identifier, (secret("the rogue's own key"), B[:31] + b"\x01")),
             seed("proof", 32), CONTEXT).proof,
        others[0].proof,
    ):  # fmt: skip
        rogue = Dealing(honest.identifier, (constant, *last.commitments[1:]), proof)
        key = add_points(*(Point(each.commitments[0]) for each in [*others, rogue]))
        assert key == mine
        with pytest.raises(CulpritError, match="proof of possession") as caught:
            group_of(three.terms, [*others, rogue])
        assert caught.value.culprits == blamed(last.identifier)


def test_a_constant_copied_from_another_has_no_proof(three: Ceremony) -> None:
    one, two, _ = three.dealings
    copied = Dealing(two.identifier, one.commitments, one.proof)
    with pytest.raises(CulpritError, match="proof of possession") as caught:
        group_of(three.terms, three.with_dealing(copied))
    assert caught.value.culprits == blamed(two.identifier)


@pytest.mark.parametrize("context", [b"", b"ceremony 2", b"ceremony 1 ", b"ceremony "])
def test_a_proof_from_another_ceremony_is_refused(three: Ceremony, context: bytes) -> None:
    replayed = deal(three.polynomials[1], seed("proof", 32), context)
    with pytest.raises(CulpritError, match="proof of possession") as caught:
        group_of(three.terms, three.with_dealing(replayed))
    assert caught.value.culprits == blamed(replayed.identifier)


@pytest.mark.parametrize("count", [1, 3, 4, 32, 33])
def test_a_list_of_any_other_length_is_refused(three: Ceremony, count: int) -> None:
    # A longer one would raise the threshold for everybody, though its proof holds.
    name = three.dealings[1].identifier
    line = [*three.dealings[1].commitments, *(base(secret(f"{n}")) for n in range(40))][:count]
    with pytest.raises(CulpritError, match="dealing") as caught:
        group_of(
            three.terms,
            three.with_dealing(Dealing(name, tuple(line), three.dealings[1].proof)),
        )
    assert caught.value.culprits == blamed(name)


def test_no_commitments_are_no_dealing() -> None:
    with pytest.raises(CulpritError, match="not a dealing") as caught:
        Dealing(scalar_of(7), (), B + scalar_of(1))
    assert caught.value.culprits == blamed(scalar_of(7))


def test_a_longer_dealing_with_a_good_proof_is_refused(three: Ceremony) -> None:
    name = three.dealings[0].identifier
    longer = deal(polynomial_of(name, seeds("longer", 3)), seed("proof", 32), CONTEXT)
    verify_proof(longer, CONTEXT)
    with pytest.raises(CulpritError, match="a dealing of 3 commitments") as caught:
        group_of(three.terms, three.with_dealing(longer))
    assert (caught.value.expected, caught.value.culprits) == ("2, the threshold", blamed(name))


@pytest.mark.parametrize("bad", BAD_POINTS, ids=bytes.hex)
def test_a_bad_point_is_blamed_on_its_dealer(bad: bytes) -> None:
    proof = B + scalar_of(1)
    for commitments, shown in (((bad, B), proof), ((B, bad), proof), ((B, B), bad + proof[32:])):
        with pytest.raises(CulpritError, match=r"not a point|not a scalar") as caught:
            Dealing(scalar_of(7), commitments, shown)
        assert caught.value.culprits == blamed(scalar_of(7))


@pytest.mark.parametrize("bad", NO_SCALAR, ids=bytes.hex)
def test_a_bad_scalar_makes_no_value(bad: bytes) -> None:
    good = scalar_of(7)
    for make in (
        lambda: Dealing(good, (B, B), B + bad),
        lambda: Dealing(bad, (B, B), B + good),
        lambda: Polynomial(bad, (good, good)),
        lambda: Polynomial(good, (bad, good)),
        lambda: Polynomial(good, (good, bad)),
        lambda: Keygen(2, (good, bad), CONTEXT),
        lambda: share_for(Polynomial(good, (good, good)), bad),
    ):
        with pytest.raises(VerificationError, match="not a scalar of the group"):
            make()


@pytest.mark.parametrize(("threshold", "participants"), [(1, 3), (4, 3), (2, 33), (1, 1)])
def test_terms_have_a_threshold_between_2_and_their_people(
    threshold: int, participants: int
) -> None:
    with pytest.raises(InputError, match="no such group"):
        Keygen(threshold, tuple(scalar_of(n + 1) for n in range(participants)), CONTEXT)


@pytest.mark.parametrize("count", [0, 1, 33])
def test_a_polynomial_has_2_to_32_coefficients(count: int) -> None:
    with pytest.raises(InputError, match="no such group"):
        polynomial_of(scalar_of(1), seeds("line", count))


def test_terms_name_each_participant_once() -> None:
    with pytest.raises(VerificationError, match="one identifier twice"):
        Keygen(2, (scalar_of(1), scalar_of(2), scalar_of(1)), CONTEXT)


@pytest.mark.parametrize("size", [0, 31, 64])
def test_a_proof_seed_has_32_bytes(three: Ceremony, size: int) -> None:
    with pytest.raises(InputError, match="not a seed"):
        deal(three.polynomials[0], bytes(size), CONTEXT)


def test_one_who_dealt_twice_is_named(three: Ceremony) -> None:
    again = deal(polynomial_of(three.dealings[0].identifier, seeds("b", 2)), bytes(32), CONTEXT)
    with pytest.raises(CulpritError, match="one dealer dealt twice") as caught:
        group_of(three.terms, [*three.dealings, again])
    assert caught.value.culprits == blamed(again.identifier)


def test_one_who_has_not_dealt_is_named(three: Ceremony) -> None:
    with pytest.raises(NotEnoughError, match="dealings are missing") as caught:
        group_of(three.terms, three.dealings[1:])
    assert caught.value.got == three.dealings[0].identifier.hex()


def test_a_stranger_does_not_deal(three: Ceremony) -> None:
    stranger = deal(polynomial_of(scalar_of(7), seeds("stranger", 2)), bytes(32), CONTEXT)
    with pytest.raises(VerificationError, match="a dealing of nobody") as caught:
        group_of(three.terms, [*three.dealings, stranger])
    assert caught.value.got == scalar_of(7).hex()


def test_a_key_that_is_the_identity_is_refused() -> None:
    # Two who work together choose constants that cancel out; both proofs hold.
    people = (scalar_of(1), scalar_of(2))
    lines = [
        Polynomial(people[0], (secret("a"), secret("b"))),
        Polynomial(people[1], (scalar_of(-int.from_bytes(secret("a"), "little")), secret("c"))),
    ]
    dealings = [deal(each, seed("proof", 32), CONTEXT) for each in lines]
    with pytest.raises(VerificationError, match=r"^group\.key: not a point of the group"):
        group_of(Keygen(2, people, CONTEXT), dealings)


def test_a_verifying_share_that_is_the_identity_is_refused() -> None:
    # f(1) = (3 - 1) + (2 - 4) = 0, though the key is a good one.
    people = (scalar_of(1), scalar_of(2))
    lines = [
        Polynomial(people[0], (scalar_of(3), scalar_of(-1))),
        Polynomial(people[1], (scalar_of(2), scalar_of(-4))),
    ]
    dealings = [deal(each, seed("proof", 32), CONTEXT) for each in lines]
    with pytest.raises(VerificationError, match=r"^group\.verifying: not a point of the group"):
        group_of(Keygen(2, people, CONTEXT), dealings)


def test_slopes_that_cancel_out_make_a_group_nobody_is_safe_in() -> None:
    # All participants together could do this; then every share is the key, and verifies.
    people = (scalar_of(1), scalar_of(2))
    slope = int.from_bytes(secret("slope"), "little")
    lines = [
        Polynomial(people[0], (secret("a"), scalar_of(slope))),
        Polynomial(people[1], (secret("b"), scalar_of(-slope))),
    ]
    dealings = [deal(each, seed("proof", 32), CONTEXT) for each in lines]
    group = group_of(Keygen(2, people, CONTEXT), dealings)
    assert set(group.verifying.values()) == {group.key}


# --- a cheat in round 2 ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lie",
    [
        lambda share: plus(Scalar(share), scalar_of(1)),
        lambda _: bytes(32),
        lambda _: b"\xff" * 32,
        lambda share: share + b"\0",
        lambda _: b"",
    ],
)
@pytest.mark.parametrize("liars", [(0,), (2,), (0, 1), (0, 1, 2)])
def test_a_dealer_that_lies_to_one_is_named(
    three: Ceremony, lie: Callable[[bytes], bytes], liars: tuple[int, ...]
) -> None:
    me = three.terms.participants[1]
    dealt = three.shares(me)
    names = [three.dealings[each].identifier for each in liars]
    for name in names:
        dealt[name] = lie(dealt[name])
    with pytest.raises(CulpritError, match="not what its dealer committed to") as caught:
        combine(three.terms, me, three.dealings, dealt)
    assert caught.value.culprits == blamed(*names)
    for dealing in three.dealings:
        if dealing.identifier in names:
            with pytest.raises(CulpritError) as caught:
                verify_dealt_share(dealing, me, dealt[dealing.identifier])
            assert caught.value.culprits == blamed(dealing.identifier)
        else:
            verify_dealt_share(dealing, me, dealt[dealing.identifier])


def test_a_share_dealt_to_another_is_refused(three: Ceremony) -> None:
    me, other, _ = three.terms.participants
    with pytest.raises(CulpritError, match="committed to") as caught:
        combine(three.terms, me, three.dealings, three.shares(other))
    assert len(caught.value.culprits) == 3


def test_shares_that_add_up_to_zero_are_refused(three: Ceremony) -> None:
    me = three.terms.participants[0]
    one, two, three_ = three.shares(me)
    dealt: dict[bytes, bytes] = {one: scalar_of(5), two: scalar_of(-2), three_: scalar_of(-3)}
    with pytest.raises(CulpritError) as caught:
        combine(three.terms, me, three.dealings, dealt)
    assert len(caught.value.culprits) == 3


def test_a_missing_share_is_named(three: Ceremony) -> None:
    me = three.terms.participants[0]
    dealt = three.shares(me)
    del dealt[three.dealings[2].identifier]
    with pytest.raises(NotEnoughError, match="values are missing") as caught:
        combine(three.terms, me, three.dealings, dealt)
    assert caught.value.got == three.dealings[2].identifier.hex()


def test_a_share_of_a_stranger_is_refused(three: Ceremony) -> None:
    me = three.terms.participants[0]
    with pytest.raises(VerificationError, match="a value of nobody who owes one"):
        combine(three.terms, me, three.dealings, {**three.shares(me), scalar_of(7): B})


def test_a_stranger_receives_nothing(three: Ceremony) -> None:
    stranger = scalar_of(7)
    with pytest.raises(VerificationError, match="no participant of this group"):
        combine(three.terms, stranger, three.dealings, three.shares(stranger))
