"""Scalars, points and interpolation: every bad encoding is refused, every sum is right."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.bindings import crypto_core_ed25519_add, crypto_core_ed25519_is_valid_point
from rich.pretty import pretty_repr

from relsign.crypto.frost.group import (
    IDENTITY,
    ORDER,
    ZERO,
    Point,
    Scalar,
    Secret,
    add_points,
    base,
    blaming,
    evaluate,
    evaluate_points,
    hid,
    identifier_of,
    interpolate,
    lagrange,
    multiply,
    parse_identifiers,
    parse_point,
    parse_scalar,
    parse_threshold,
    plus,
    scalar_of,
    self_test,
    times,
    wide_scalar,
)
from relsign.errors import CulpritError, HostError, InputError, VerificationError
from tests.crypto.frost.groups import (
    FIELD,
    NO_POINT,
    NO_SCALAR,
    ORDER_TWO,
    SMALL_ORDER,
    B,
    secret,
    seed,
    seeds,
)

Scalars = st.integers(0, ORDER - 1)
SOME_POINTS = [B, *(base(secret(f"point {number}")) for number in range(5))]


class Held(Secret, frozen=True):
    """A secret of these tests."""

    words: bytes


# --- points ------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", SOME_POINTS)
def test_a_point_of_the_group_is_taken_as_it_is(raw: bytes) -> None:
    assert parse_point(raw, "x") == raw


@pytest.mark.parametrize("raw", [*SMALL_ORDER, *NO_POINT], ids=bytes.hex)
def test_what_is_no_point_of_the_group_is_refused(raw: bytes) -> None:
    with pytest.raises(VerificationError, match=r"^here: not a point of the group") as caught:
        parse_point(raw, "here")
    assert caught.value.hint


@pytest.mark.parametrize("torsion", SMALL_ORDER[1:2] + SMALL_ORDER[4:], ids=bytes.hex)
@pytest.mark.parametrize("good", SOME_POINTS, ids=bytes.hex)
def test_a_point_of_order_2l_and_its_like_is_refused(good: bytes, torsion: bytes) -> None:
    # Such a point is on the curve, canonical and of no small order: only its order is wrong.
    bad = crypto_core_ed25519_add(good, torsion)
    with pytest.raises(VerificationError):
        parse_point(bad, "x")


@pytest.mark.parametrize("good", SOME_POINTS, ids=bytes.hex)
def test_a_point_of_order_2l_is_what_its_name_says(good: bytes) -> None:
    # Twice the bad point is twice the good one, so nothing but its order gives it away.
    bad = crypto_core_ed25519_add(good, ORDER_TWO)
    assert bad != good
    assert crypto_core_ed25519_add(bad, bad) == crypto_core_ed25519_add(good, good)


@given(st.binary(min_size=31, max_size=33))
def test_any_bytes_are_a_point_or_refused(raw: bytes) -> None:
    try:
        point = parse_point(raw, "x")
    except VerificationError:
        return
    # [L-1]P + P, which is how the order of a point is told without asking libsodium for it.
    assert add_points(multiply(scalar_of(-1), point), point) == IDENTITY
    assert int.from_bytes(raw, "little") % 2**255 < FIELD


def test_this_libsodium_passes_the_self_test() -> None:
    self_test()


def test_no_point_is_believed_before_the_self_test() -> None:
    self_test.cache_clear()
    parse_point(B, "x")
    parse_point(B, "x")
    assert (self_test.cache_info().misses, self_test.cache_info().hits) == (1, 1)


def _before_the_fix(point: bytes) -> bool:
    """Judge as libsodium did until 1.0.20: L times the point has x = 0, whatever its y."""
    twin = crypto_core_ed25519_add(point, ORDER_TWO)
    return crypto_core_ed25519_is_valid_point(point) or crypto_core_ed25519_is_valid_point(twin)


@pytest.mark.parametrize(
    "is_valid_point", [_before_the_fix, lambda _: True, lambda _: False], ids=["old", "all", "none"]
)
def test_a_libsodium_that_cannot_tell_points_is_refused(
    is_valid_point: Callable[[bytes], bool],
) -> None:
    with pytest.raises(HostError, match="cannot tell good points") as caught:
        self_test(is_valid_point)
    assert "PyNaCl" in caught.value.hint


# --- scalars -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, ORDER - 1, ORDER // 2])
def test_a_scalar_is_taken_as_it_is(number: int) -> None:
    raw = number.to_bytes(32, "little")
    assert parse_scalar(raw, "x") == raw == scalar_of(number)


@pytest.mark.parametrize("raw", NO_SCALAR, ids=bytes.hex)
def test_what_is_no_scalar_is_refused_and_not_shown(raw: bytes) -> None:
    with pytest.raises(VerificationError, match=r"^here: not a scalar of the group") as caught:
        parse_scalar(raw, "here")
    assert caught.value.got == ""
    assert caught.value.hint


@given(Scalars, Scalars, Scalars)
def test_sums_and_products_are_those_of_integers(one: int, two: int, three: int) -> None:
    a, b, c = scalar_of(one), scalar_of(two), scalar_of(three)
    assert plus(a, b, c) == scalar_of(one + two + three)
    assert times(a, b) == scalar_of(one * two)
    assert evaluate([a, b, c], a) == scalar_of(one + two * one + three * one * one)


@given(Scalars, Scalars)
def test_points_add_up_as_scalars_do(one: int, two: int) -> None:
    a, b = scalar_of(one), scalar_of(two)
    assert add_points(base(a), base(b)) == base(plus(a, b))
    assert multiply(a, base(b)) == base(times(a, b))


def test_zero_and_the_identity_are_reckoned_with_inside() -> None:
    assert base(ZERO) == IDENTITY
    assert multiply(ZERO, Point(B)) == IDENTITY
    assert multiply(scalar_of(7), IDENTITY) == IDENTITY
    assert add_points(Point(B), IDENTITY) == B


@pytest.mark.parametrize("size", [0, 32, 63, 65])
def test_a_seed_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(InputError, match="not a seed"):
        wide_scalar(bytes(size))


def test_a_seed_becomes_the_scalar_of_its_number() -> None:
    assert wide_scalar(b"\xff" * 64) == scalar_of(2**512 - 1)


# --- identifiers -------------------------------------------------------------------------------


def test_an_identifier_is_a_hash_of_the_identity_key() -> None:
    assert identifier_of(B) == hid(B)
    assert identifier_of(B) != identifier_of(SOME_POINTS[1])


def test_identifiers_are_put_in_order_of_their_numbers() -> None:
    # By bytes the first would come last: the encoding is little-endian.
    few, many = scalar_of(255), scalar_of(256)
    assert few > many
    assert parse_identifiers([many, few], "x") == (few, many)


@pytest.mark.parametrize("raw", NO_SCALAR, ids=bytes.hex)
def test_a_bad_identifier_is_refused(raw: bytes) -> None:
    with pytest.raises(VerificationError, match="not a scalar"):
        parse_identifiers([scalar_of(1), raw], "x")


def test_one_identifier_twice_is_refused() -> None:
    with pytest.raises(VerificationError, match="one identifier twice"):
        parse_identifiers([scalar_of(2), scalar_of(1), scalar_of(2)], "x")


@pytest.mark.parametrize(("threshold", "participants"), [(2, 2), (2, 32), (32, 32), (3, 5)])
def test_a_threshold_that_fits_is_taken(threshold: int, participants: int) -> None:
    assert parse_threshold(threshold, participants, "x") == threshold


@pytest.mark.parametrize(
    ("threshold", "participants"), [(1, 1), (1, 3), (0, 3), (-2, 3), (4, 3), (2, 33), (33, 33)]
)
def test_a_threshold_that_does_not_fit_is_refused(threshold: int, participants: int) -> None:
    with pytest.raises(InputError, match="no such group"):
        parse_threshold(threshold, participants, "x")


# --- interpolation -----------------------------------------------------------------------------


def test_any_threshold_of_points_makes_the_polynomial() -> None:
    coefficients = [wide_scalar(each) for each in seeds("line", 3)]
    commitments = [base(each) for each in coefficients]
    places = [secret(f"place {number}") for number in range(5)]
    points = {each: base(evaluate(coefficients, each)) for each in places}
    assert points == {each: evaluate_points(commitments, each) for each in places}
    for three in combinations(places, 3):
        some = {each: points[each] for each in three}
        assert interpolate(some) == commitments[0]
        assert all(interpolate(some, each) == points[each] for each in places)
    for two in combinations(places, 2):
        assert interpolate({each: points[each] for each in two}) != commitments[0]


@pytest.mark.parametrize(
    "among",
    [(), (scalar_of(2),), (scalar_of(1), scalar_of(1)), (scalar_of(1), scalar_of(2), scalar_of(2))],
)
def test_interpolation_wants_each_once(among: tuple[Scalar, ...]) -> None:
    with pytest.raises(VerificationError, match="no such interpolation"):
        lagrange(scalar_of(1), among)


# --- secrets and culprits ----------------------------------------------------------------------


def test_a_secret_does_not_show_itself() -> None:
    held = Held(b"open sesame")
    for shown in (repr(held), str(held), f"{held}", pretty_repr(held), repr([held])):
        assert "sesame" not in shown
        assert "Held" in shown


def test_a_refusal_is_given_its_culprit() -> None:
    with pytest.raises(CulpritError) as caught, blaming(b"\x0a" * 32):
        parse_point(seed("no point", 31), "commitment.hiding")
    error = caught.value
    assert error.culprits == (error.got,) == ("0a" * 32,)
    assert error.where == "commitment.hiding"
    assert error.exit_code == 1
    assert isinstance(error.__cause__, VerificationError)
