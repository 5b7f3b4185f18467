"""Whatever bytes arrive, the answer is a value or one of our errors."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from relsign.crypto.frost.group import (
    identifier_of,
    parse_identifiers,
    parse_point,
    parse_scalar,
    scalar_of,
)
from relsign.crypto.frost.keygen import Dealing, Keygen, group_of, verify_dealt_share
from relsign.crypto.frost.repair import DeltaPoints, Repair, verify_delta, verify_delta_points
from relsign.crypto.frost.resharing import refresh_of, verify_dealing_again
from relsign.crypto.frost.signing import Commitment, GroupShares, aggregate, verify_group
from relsign.errors import RelsignError, VerificationError
from tests.crypto.frost.groups import NO_POINT, NO_SCALAR, SMALL_ORDER, B, begin, dealt, secret

GROUP = dealt(2, 3)
ONE, TWO, THREE = GROUP.people
NAMES = [each.identifier for each in GROUP.people]
Bytes = st.one_of(
    st.binary(max_size=70),
    st.binary(min_size=32, max_size=32),
    st.sampled_from([*SMALL_ORDER, *NO_POINT, *NO_SCALAR, B, B + secret("x"), *NAMES]),
    st.sampled_from([*GROUP.group.verifying.values(), scalar_of(1), ONE.secret]),
)
Few = st.lists(Bytes, max_size=4).map(tuple)


def tried(make: Callable[[], object]) -> None:
    with suppress(RelsignError):
        make()


@given(Bytes)
def test_parsers(raw: bytes) -> None:
    for make in (parse_point, parse_scalar):
        try:
            assert make(raw, "x") == raw
        except VerificationError as error:
            assert error.hint  # noqa: PT017 - either of the two ends is right
    tried(lambda: identifier_of(raw))
    tried(lambda: parse_identifiers([raw, ONE.identifier], "x"))


@given(Bytes, Bytes, Bytes, st.lists(st.tuples(Bytes, Bytes), max_size=4))
def test_signing(one: bytes, two: bytes, three: bytes, rows: list[tuple[bytes, bytes]]) -> None:
    attempt = begin(GROUP.group, [ONE, TWO], b"x")
    tried(lambda: Commitment(one, two, three))
    tried(lambda: verify_group(GroupShares(one, 2, dict(rows))))
    tried(lambda: aggregate(GROUP.group, b"x", attempt.commitments, dict(rows)))
    answers = {ONE.identifier: one, TWO.identifier: two}
    tried(lambda: aggregate(GROUP.group, b"x", attempt.commitments, answers))


@given(Bytes, Few, Bytes, Bytes, st.integers(-1, 40))
def test_dealing(one: bytes, points: tuple[bytes, ...], proof: bytes, two: bytes, t: int) -> None:
    tried(lambda: Keygen(t, points, one))
    tried(lambda: group_of(Keygen(2, tuple(NAMES), b""), [Dealing(one, points, proof)]))
    tried(lambda: verify_dealt_share(Dealing(one, points, proof), two, proof))
    terms = refresh_of(GROUP.group, NAMES[:2], b"")
    tried(lambda: verify_dealing_again(terms, Dealing(one, points, proof)))


@given(Bytes, Few, Bytes, Bytes)
def test_repair(one: bytes, points: tuple[bytes, ...], two: bytes, three: bytes) -> None:
    terms = Repair(GROUP.group, NAMES[0], tuple(NAMES[1:]))
    tried(lambda: Repair(GROUP.group, one, points))
    tried(lambda: verify_delta_points(terms, DeltaPoints(one, points)))
    tried(lambda: verify_delta(terms, DeltaPoints(one, points), two, three))
