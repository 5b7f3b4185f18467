"""Signing: any threshold signs, fewer cannot, and whoever lies is named."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nacl.bindings import crypto_core_ed25519_add, crypto_sign_open
from rich.pretty import pretty_repr

from relsign.crypto.frost.group import (
    ORDER,
    Point,
    Scalar,
    add_points,
    base,
    h1,
    h2,
    interpolate,
    lagrange,
    multiply,
    plus,
    scalar_of,
    times,
)
from relsign.crypto.frost.signing import (
    Commitment,
    GroupShares,
    Nonces,
    SecretShare,
    aggregate,
    binding_inputs,
    encode_commitments,
    make_nonces,
    sign_share,
    verify_group,
    verify_share,
)
from relsign.errors import CulpritError, InputError, NotEnoughError, VerificationError
from tests.crypto.frost.groups import (
    NO_POINT,
    NO_SCALAR,
    ORDER_TWO,
    SMALL_ORDER,
    B,
    Dealt,
    Round,
    begin,
    dealt,
    secret,
    seed,
    sign,
)

ROUNDS = 200
MESSAGE = b"release 1.0"
SPKI = bytes.fromhex("302a300506032b6570032100")


@pytest.fixture(scope="module")
def five() -> Dealt:
    """Return 3 of 5."""
    return dealt(3, 5)


@pytest.fixture
def attempt(five: Dealt) -> Round:
    """Return three of five who have committed."""
    return begin(five.group, five.people[1:4], MESSAGE)


def stock_libraries_accept(key: bytes, signature: bytes, message: bytes) -> None:
    Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    assert crypto_sign_open(signature + message, key) == message


def openssl_accepts(key: bytes, signature: bytes, message: bytes, folder: Path) -> None:
    for name, data in (("key", SPKI + key), ("message", message), ("signature", signature)):
        (folder / name).write_bytes(data)
    command = "openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey key -in message -sigfile"
    done = subprocess.run(
        [*command.split(), "signature"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "Signature Verified Successfully\n")


# --- who can sign ------------------------------------------------------------------------------


def test_every_threshold_of_a_group_signs_and_no_fewer(five: Dealt) -> None:
    for signers in combinations(five.people, 3):
        made = sign(five.group, signers, MESSAGE)
        stock_libraries_accept(five.group.key, made, MESSAGE)
    for fewer in combinations(five.people, 2):
        with pytest.raises(NotEnoughError, match="too few commitments"):
            sign(five.group, fewer, MESSAGE)


def test_any_threshold_of_any_group_signs_for_stock_libraries() -> None:
    draw = Random(9591)  # noqa: S311 - the same rounds in every run
    for number in range(ROUNDS):
        participants = draw.randint(2, 10)
        threshold = draw.randint(2, participants)
        people = dealt(threshold, participants, f"round {number}")
        signers = draw.sample(people.people, draw.randint(threshold, participants))
        message = draw.randbytes(draw.randint(0, 200))
        made = sign(people.group, signers, message)
        stock_libraries_accept(people.group.key, made, message)


def test_openssl_accepts_what_a_group_signs(five: Dealt, tmp_path: Path) -> None:
    for signers in combinations(five.people, 3):
        openssl_accepts(five.group.key, sign(five.group, signers, MESSAGE), MESSAGE, tmp_path)


def test_the_largest_group_signs(tmp_path: Path) -> None:
    crowd = dealt(2, 32, "crowd")
    made = sign(crowd.group, crowd.people, MESSAGE)
    stock_libraries_accept(crowd.group.key, made, MESSAGE)
    openssl_accepts(crowd.group.key, made, MESSAGE, tmp_path)


@pytest.mark.parametrize("place", [0, 31, 32, 63], ids=["R", "end of R", "S", "end of S"])
def test_signatures_with_zeros_at_their_ends_occur_and_hold(place: int, tmp_path: Path) -> None:
    # OpenPGP writes R and S as numbers, the first byte first: such a one is short there.
    pair = dealt(2, 2, "pair")
    for number in range(5000):
        message = b"%d" % number
        made = sign(pair.group, pair.people, message)
        if made[place] == 0:
            break
    else:
        pytest.fail("no short signature in 5,000")
    assert len(made) == 64
    stock_libraries_accept(pair.group.key, made, message)
    openssl_accepts(pair.group.key, made, message, tmp_path)


def test_fewer_than_a_threshold_do_not_know_the_key(five: Dealt) -> None:
    points = {Scalar(each): Point(point) for each, point in five.group.verifying.items()}
    for people in combinations(points, 2):
        assert interpolate({each: points[each] for each in people}) != five.group.key
    for enough in combinations(points, 3):
        assert interpolate({each: points[each] for each in enough}) == five.group.key


def test_fewer_than_a_threshold_cannot_sign_as_a_smaller_group(five: Dealt) -> None:
    # They say the threshold is two: everybody's share holds, and the whole does not.
    smaller = GroupShares(five.group.key, 2, five.group.verifying)
    with pytest.raises(VerificationError, match="the group's document is wrong") as caught:
        sign(smaller, five.people[:2], MESSAGE)
    assert not isinstance(caught.value, CulpritError)
    with pytest.raises(VerificationError, match="do not make the group's key"):
        verify_group(smaller)


# --- a lying share -----------------------------------------------------------------------------


def _raised(share: bytes) -> bytes:
    return plus(Scalar(share), scalar_of(1))


def _not_reduced(share: bytes) -> bytes:
    return (int.from_bytes(share, "little") + ORDER).to_bytes(32, "little")


@pytest.mark.parametrize(
    "lie", [_raised, _not_reduced, lambda _: bytes(32), lambda _: b"", lambda each: each + b"\0"]
)
@pytest.mark.parametrize("liars", [(0,), (2,), (0, 1), (0, 1, 2)])
def test_whoever_lies_is_named(
    attempt: Round, lie: Callable[[bytes], bytes], liars: tuple[int, ...]
) -> None:
    answers = attempt.answers()
    names = [attempt.signers[each].identifier for each in liars]
    for name in names:
        answers[name] = lie(answers[name])
    with pytest.raises(CulpritError) as caught:
        aggregate(attempt.group, MESSAGE, attempt.commitments, answers)
    assert caught.value.culprits == tuple(name.hex() for name in names)
    assert caught.value.got == ", ".join(name.hex() for name in names)
    for each in attempt.signers:
        if each.identifier in names:
            with pytest.raises(CulpritError) as caught:
                _verify(attempt, each.identifier, answers[each.identifier])
            assert caught.value.culprits == (each.identifier.hex(),)
        else:
            _verify(attempt, each.identifier, answers[each.identifier])


def _verify(attempt: Round, identifier: bytes, share: bytes) -> None:
    verify_share(attempt.group, identifier, share, attempt.message, attempt.commitments)


def test_two_lies_that_cancel_out_make_a_good_signature(attempt: Round) -> None:
    # Aggregate first, verify the whole: nobody is blamed where nothing is wrong.
    answers = attempt.answers()
    one, two, _ = answers
    honest = aggregate(attempt.group, MESSAGE, attempt.commitments, answers)
    answers[one] = plus(Scalar(answers[one]), scalar_of(5))
    answers[two] = plus(Scalar(answers[two]), scalar_of(-5))
    assert aggregate(attempt.group, MESSAGE, attempt.commitments, answers) == honest


def test_a_share_of_another_signer_does_not_count_for_one(attempt: Round) -> None:
    one, two, _ = answers = attempt.answers()
    with pytest.raises(CulpritError) as caught:
        aggregate(attempt.group, MESSAGE, attempt.commitments, {**answers, one: answers[two]})
    assert caught.value.culprits == (one.hex(),)


def test_a_swapped_message_is_seen(attempt: Round) -> None:
    answers = attempt.answers()
    with pytest.raises(CulpritError) as caught:
        aggregate(attempt.group, b"release 6.6", attempt.commitments, answers)
    assert len(caught.value.culprits) == 3


def test_one_who_signed_another_message_is_named(attempt: Round) -> None:
    answers = attempt.answers()
    name = attempt.signers[1].identifier
    answers[name] = sign_share(
        attempt.signers[1], attempt.group, attempt.nonces[1], b"mine", attempt.commitments
    )
    with pytest.raises(CulpritError) as caught:
        aggregate(attempt.group, MESSAGE, attempt.commitments, answers)
    assert caught.value.culprits == (name.hex(),)


def test_a_list_changed_between_signers_is_seen(five: Dealt, attempt: Round) -> None:
    # The second was shown a list in which the third had other nonces.
    answers = attempt.answers()
    second, third = attempt.signers[1:]
    other = begin(five.group, [third], b"other").commitments
    answers[second.identifier] = sign_share(
        second, five.group, attempt.nonces[1], MESSAGE, [*attempt.commitments[:2], *other]
    )
    with pytest.raises(CulpritError) as caught:
        aggregate(five.group, MESSAGE, attempt.commitments, answers)
    assert caught.value.culprits == (second.identifier.hex(),)


def test_a_replayed_answer_does_not_hold(attempt: Round) -> None:
    answers = attempt.answers()
    again = begin(attempt.group, attempt.signers, b"release 1.1")
    replayed = {**again.answers(), attempt.signers[0].identifier: next(iter(answers.values()))}
    with pytest.raises(CulpritError) as caught:
        aggregate(again.group, again.message, again.commitments, replayed)
    assert caught.value.culprits == (attempt.signers[0].identifier.hex(),)


def test_a_replayed_round_one_is_refused_by_its_owner(attempt: Round) -> None:
    # The coordinator offers an earlier commitment; these nonces are not the ones it stands for.
    fresh = begin(attempt.group, attempt.signers, b"release 1.1")
    with pytest.raises(VerificationError, match="your own commitment is missing or altered"):
        sign_share(attempt.signers[0], attempt.group, fresh.nonces[0], b"x", attempt.commitments)


# --- what is refused before the nonces are used ------------------------------------------------


def _sign_first(attempt: Round, commitments: list[Commitment]) -> bytes:
    return sign_share(
        attempt.signers[0], attempt.group, attempt.nonces[0], attempt.message, commitments
    )


def test_a_list_without_oneself_is_refused(five: Dealt, attempt: Round) -> None:
    others = begin(five.group, [five.people[0], *five.people[2:4]], MESSAGE).commitments
    with pytest.raises(VerificationError, match="your own commitment is missing or altered"):
        _sign_first(attempt, others)


@pytest.mark.parametrize("field", ["hiding", "binding"])
def test_a_list_with_oneself_altered_is_refused(attempt: Round, field: str) -> None:
    mine = attempt.commitments[0]
    points = {"hiding": mine.hiding, "binding": mine.binding, field: base(secret("other"))}
    altered = Commitment(mine.identifier, points["hiding"], points["binding"])
    with pytest.raises(VerificationError, match="your own commitment is missing or altered"):
        _sign_first(attempt, [altered, *attempt.commitments[1:]])


def test_a_list_that_names_one_twice_is_refused(attempt: Round) -> None:
    for number in range(3):
        doubled = [*attempt.commitments, attempt.commitments[number]]
        with pytest.raises(VerificationError, match="one identifier twice"):
            _sign_first(attempt, doubled)
        with pytest.raises(VerificationError, match="one identifier twice"):
            aggregate(attempt.group, MESSAGE, doubled, attempt.answers())


def test_a_list_with_a_stranger_is_refused(attempt: Round) -> None:
    stranger = dealt(2, 2, "strangers").people[0]
    foreign = begin(attempt.group, [stranger], MESSAGE).commitments
    with pytest.raises(VerificationError, match="a commitment of nobody in the group"):
        _sign_first(attempt, [*attempt.commitments, *foreign])


def test_a_list_that_is_too_short_is_refused(attempt: Round) -> None:
    with pytest.raises(NotEnoughError, match="too few commitments") as caught:
        _sign_first(attempt, attempt.commitments[:2])
    assert (caught.value.expected, caught.value.got) == ("at least 3", "2")


def test_a_share_of_another_group_is_refused(attempt: Round) -> None:
    stranger = dealt(2, 2, "strangers").people[0]
    with pytest.raises(VerificationError, match="the share is not this group's"):
        sign_share(stranger, attempt.group, attempt.nonces[0], MESSAGE, attempt.commitments)


def test_a_share_of_another_generation_is_refused(attempt: Round) -> None:
    old = SecretShare(attempt.signers[0].identifier, secret("older"))
    with pytest.raises(VerificationError, match="the share is not this group's") as caught:
        sign_share(old, attempt.group, attempt.nonces[0], MESSAGE, attempt.commitments)
    assert "latest ceremony" in caught.value.hint


# --- what is refused when the answers come in --------------------------------------------------


def test_a_missing_share_is_named(attempt: Round) -> None:
    answers = attempt.answers()
    name = attempt.signers[2].identifier
    del answers[name]
    with pytest.raises(NotEnoughError, match="signature shares are missing") as caught:
        aggregate(attempt.group, MESSAGE, attempt.commitments, answers)
    assert caught.value.got == name.hex()


def test_a_share_of_nobody_in_the_list_is_refused(five: Dealt, attempt: Round) -> None:
    name = five.people[0].identifier
    answers = {**attempt.answers(), name: scalar_of(1)}
    with pytest.raises(VerificationError, match="a signature share of nobody in the list") as got:
        aggregate(attempt.group, MESSAGE, attempt.commitments, answers)
    assert got.value.got == name.hex()


def test_a_share_is_only_held_against_a_participant_of_the_list(
    five: Dealt, attempt: Round
) -> None:
    with pytest.raises(CulpritError, match="no such interpolation"):
        _verify(attempt, five.people[0].identifier, scalar_of(1))


def test_a_group_of_other_shares_is_not_blamed_on_people(attempt: Round) -> None:
    wrong = GroupShares(base(secret("other key")), 3, attempt.group.verifying)
    with pytest.raises(VerificationError, match="the group's document is wrong") as caught:
        sign(wrong, attempt.signers, MESSAGE)
    assert not isinstance(caught.value, CulpritError)


# --- values ------------------------------------------------------------------------------------

BAD_POINTS = [*SMALL_ORDER, *NO_POINT, crypto_core_ed25519_add(B, ORDER_TWO)]


@pytest.mark.parametrize("bad", BAD_POINTS, ids=bytes.hex)
def test_a_bad_point_makes_no_commitment_and_is_blamed_on_its_sender(bad: bytes) -> None:
    for hiding, binding in ((bad, B), (B, bad)):
        with pytest.raises(CulpritError, match="not a point of the group") as caught:
            Commitment(scalar_of(7), hiding, binding)
        assert caught.value.culprits == (scalar_of(7).hex(),)


@pytest.mark.parametrize("bad", BAD_POINTS, ids=bytes.hex)
def test_a_bad_point_makes_no_group(five: Dealt, bad: bytes) -> None:
    verifying = five.group.verifying
    for key, shares in ((bad, verifying), (B, {**verifying, scalar_of(7): bad})):
        with pytest.raises(VerificationError, match="not a point of the group"):
            GroupShares(key, 2, shares)


@pytest.mark.parametrize("bad", NO_SCALAR, ids=bytes.hex)
def test_a_bad_scalar_makes_no_value(bad: bytes) -> None:
    good = scalar_of(7)
    for make in (
        lambda: SecretShare(bad, good),
        lambda: SecretShare(good, bad),
        lambda: Nonces(bad, good),
        lambda: Nonces(good, bad),
        lambda: Commitment(bad, B, B),
        lambda: GroupShares(B, 2, {good: B, bad: B}),
    ):
        with pytest.raises(VerificationError, match="not a scalar of the group"):
            make()


@pytest.mark.parametrize(("threshold", "participants"), [(1, 3), (4, 3), (2, 33), (0, 0)])
def test_a_group_has_a_threshold_between_2_and_its_size(threshold: int, participants: int) -> None:
    people: dict[bytes, bytes] = {scalar_of(n + 1): B for n in range(participants)}
    with pytest.raises(InputError, match="no such group"):
        GroupShares(B, threshold, people)


def test_a_group_is_whole(five: Dealt) -> None:
    verify_group(five.group)
    for name in five.group.verifying:
        spoiled = GroupShares(five.group.key, 3, {**five.group.verifying, name: B})
        with pytest.raises(VerificationError, match="do not make the group's key"):
            verify_group(spoiled)
    with pytest.raises(VerificationError, match="do not make the group's key"):
        verify_group(GroupShares(B, 3, five.group.verifying))


@pytest.mark.parametrize(("one", "two"), [(31, 32), (32, 33), (0, 32)])
def test_seeds_have_32_bytes(five: Dealt, one: int, two: int) -> None:
    with pytest.raises(InputError, match="not a seed"):
        make_nonces(five.people[0], bytes(one), bytes(two))


def test_one_seed_does_not_make_two_nonces(five: Dealt) -> None:
    with pytest.raises(InputError, match="one seed twice"):
        make_nonces(five.people[0], bytes(32), bytes(32))


def test_nonces_depend_on_seed_and_share(five: Dealt) -> None:
    one, two = seed("one", 32), seed("two", 32)
    made = [make_nonces(each, one, two) for each in five.people]
    flat = {part for each in made for part in (each.hiding, each.binding)}
    assert len(flat) == 10
    assert make_nonces(five.people[0], one, two) == made[0]


def test_secrets_do_not_show_themselves(five: Dealt) -> None:
    share = five.people[0]
    nonces = make_nonces(share, seed("one", 32), seed("two", 32))
    for value, fields in (
        (share, (share.secret,)),
        (nonces, (nonces.hiding, nonces.binding)),
    ):
        for shown in (repr(value), f"{value}", pretty_repr(value)):
            assert "hidden" in shown or "()" in shown
            assert all(repr(each)[2:-1] not in shown for each in fields)
            assert all(each.hex() not in shown for each in fields)


def test_a_commitment_list_is_written_by_ascending_number(five: Dealt) -> None:
    commitments = begin(five.group, five.people, MESSAGE).commitments
    written = encode_commitments(commitments[::-1])
    assert written == encode_commitments(commitments)
    names = [written[each : each + 32] for each in range(0, len(written), 96)]
    assert [int.from_bytes(each, "little") for each in names] == sorted(
        int.from_bytes(each.identifier, "little") for each in five.people
    )


# --- why nonces are burned before they are used -------------------------------------------------


def _equation(attempt: Round, message: bytes) -> tuple[list[int], int]:
    """Return what an answer says of its signer's d, e and share: three factors and their sum."""
    signer = attempt.signers[0]
    made = sign_share(signer, attempt.group, attempt.nonces[0], message, attempt.commitments)
    factors = {
        name: h1(data)
        for name, data in binding_inputs(attempt.group.key, message, attempt.commitments).items()
    }
    point = add_points(
        *(
            add_points(Point(each.hiding), multiply(factors[name], Point(each.binding)))
            for each in attempt.commitments
            for name in [Scalar(each.identifier)]
        )
    )
    mine = Scalar(signer.identifier)
    share = times(h2(point + attempt.group.key + message), lagrange(mine, factors))
    row = [scalar_of(1), factors[mine], share]
    return [_number(each) for each in row], _number(made)


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def _determinant(rows: list[list[int]]) -> int:
    (a, b, c), (d, e, f), (g, h, i) = rows
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


def test_nonces_that_answer_again_give_the_share_away(attempt: Round) -> None:
    left, right = zip(*(_equation(attempt, each) for each in (b"a", b"b", b"c")), strict=True)
    above = _determinant([[*row[:2], made] for row, made in zip(left, right, strict=True)])
    found = scalar_of(above * pow(_determinant(list(left)), -1, ORDER))
    assert found == attempt.signers[0].secret
