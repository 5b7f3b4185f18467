"""The dealer that knows the whole key: what it deals signs, and what it refuses."""

from __future__ import annotations

import pytest

from relsign.crypto.frost.dealer import unsafe_deal
from relsign.crypto.frost.group import base, scalar_of
from relsign.errors import InputError, VerificationError
from tests.crypto.frost.groups import NO_SCALAR, secret, seeds

PEOPLE = [scalar_of(each) for each in (1, 2, 3)]


def test_the_key_is_that_of_the_secret() -> None:
    group, shares = unsafe_deal(secret("key"), 2, PEOPLE, seeds("line", 1))
    assert group.key == base(secret("key"))
    assert {each: share.verifying for each, share in shares.items()} == group.verifying


@pytest.mark.parametrize(("threshold", "count"), [(2, 0), (2, 2), (3, 1)])
def test_randomness_is_for_each_coefficient_but_the_secret(threshold: int, count: int) -> None:
    with pytest.raises(InputError, match="not the right amount of randomness"):
        unsafe_deal(secret("key"), threshold, PEOPLE, seeds("line", count))


@pytest.mark.parametrize("threshold", [0, 1, 4])
def test_a_threshold_is_between_2_and_the_people(threshold: int) -> None:
    with pytest.raises(InputError, match="no such group"):
        unsafe_deal(secret("key"), threshold, PEOPLE, seeds("line", max(threshold - 1, 0)))


@pytest.mark.parametrize("bad", NO_SCALAR, ids=bytes.hex)
def test_a_bad_scalar_is_refused(bad: bytes) -> None:
    with pytest.raises(VerificationError, match="not a scalar"):
        unsafe_deal(bad, 2, PEOPLE, seeds("line", 1))
    with pytest.raises(VerificationError, match="not a scalar"):
        unsafe_deal(secret("key"), 2, [*PEOPLE, bad], seeds("line", 1))


def test_one_identifier_twice_is_refused() -> None:
    with pytest.raises(VerificationError, match="one identifier twice"):
        unsafe_deal(secret("key"), 2, [*PEOPLE, PEOPLE[0]], seeds("line", 1))
