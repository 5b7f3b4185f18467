"""A group's key from everybody's random numbers: Pedersen's key generation (FROST, figure 1).

Each participant deals a polynomial: commitments and a proof of possession to all,
one value to each other.  The key is the sum of the constants, and nobody ever holds
it.  A proof is bound to a context, the ceremony, so that none can be taken from
another.  What this leaves to `relsign.sign.ceremony`: that all saw the same
dealings, that values travel sealed, that nobody uses a share before all have agreed.

    polynomial = polynomial_of(me, seeds)
    terms = Keygen(threshold, participants, context)
    mine = deal(polynomial, proof_seed, context)               # round 1: to all
    value = share_for(polynomial, other)                       # round 2: sealed to each
    share, group = combine(terms, me, dealings, values)
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from relsign.crypto.frost.group import (
    MAX_PARTICIPANTS,
    MIN_THRESHOLD,
    Point,
    Scalar,
    Secret,
    add_points,
    base,
    blaming,
    check_seed,
    evaluate,
    evaluate_points,
    h3,
    hdkg,
    multiply,
    parse_identifiers,
    parse_point,
    parse_scalar,
    parse_threshold,
    plus,
    times,
    wide_scalar,
)
from relsign.crypto.frost.signing import GroupShares, SecretShare
from relsign.errors import CulpritError, NotEnoughError, VerificationError
from relsign.formats.canonical import Value

_POINT_BYTES = 32


class Polynomial(Secret, frozen=True):
    """What a dealer keeps to itself: its identifier and its coefficients, the constant first."""

    identifier: bytes
    coefficients: tuple[bytes, ...]

    def __post_init__(self) -> None:
        """Raise VerificationError unless all are scalars, InputError unless 2 to 32 of them."""
        parse_scalar(self.identifier, "polynomial.identifier")
        parse_threshold(len(self.coefficients), MAX_PARTICIPANTS, "polynomial.coefficients")
        for each in self.coefficients:
            parse_scalar(each, "polynomial.coefficients")


class Dealing(Value, frozen=True):
    """What a dealer publishes: its coefficients times the base point, and proof of the constant."""

    identifier: bytes
    commitments: tuple[bytes, ...]
    proof: bytes
    """R and mu, 64 bytes."""

    def __post_init__(self) -> None:
        """Raise CulpritError unless there are 2 to 32 commitments and all in it is good."""
        with blaming(self.identifier):
            parse_scalar(self.identifier, "dealing.identifier")
            if not MIN_THRESHOLD <= len(self.commitments) <= MAX_PARTICIPANTS:
                raise VerificationError(
                    "not a dealing",
                    where="dealing.commitments",
                    expected=f"{MIN_THRESHOLD} to {MAX_PARTICIPANTS}",
                    hint="start a new ceremony without them",
                )
            for each in self.commitments:
                parse_point(each, "dealing.commitments")
            parse_point(self.proof[:_POINT_BYTES], "dealing.proof")
            parse_scalar(self.proof[_POINT_BYTES:], "dealing.proof")


class Keygen(Value, frozen=True):
    """The terms all participants agreed to before anyone dealt."""

    threshold: int
    participants: tuple[bytes, ...]
    context: bytes
    """What this ceremony is and no other; empty only in others' vectors."""

    def __post_init__(self) -> None:
        """Raise InputError for a threshold, VerificationError for an identifier."""
        parse_threshold(self.threshold, len(self.participants), "keygen.threshold")
        parse_identifiers(self.participants, "keygen.participants")


# --- what a dealer makes -----------------------------------------------------------------------


def polynomial_of(identifier: bytes, seeds: Sequence[bytes]) -> Polynomial:
    """Return a new polynomial from 64 random bytes for each of a threshold of coefficients.

    Raises InputError for a seed of another length.
    """
    return Polynomial(identifier, tuple(wide_scalar(each) for each in seeds))


def deal(polynomial: Polynomial, proof_seed: bytes, context: bytes) -> Dealing:
    """Return what the dealer publishes; `proof_seed` is 32 random bytes, used once.

    Raises InputError for a seed of another length.
    """
    check_seed(proof_seed)
    commitments = tuple(base(each) for each in _scalars(polynomial))
    constant = _scalars(polynomial)[0]
    # Bound to the context as well: two ceremonies never share a nonce, whatever the seed.
    nonce = h3(proof_seed + constant + context)
    point = base(nonce)
    challenge = _challenge(polynomial.identifier, commitments[0], point, context)
    proof = point + plus(nonce, times(constant, challenge))
    return Dealing(polynomial.identifier, commitments, proof)


def share_for(polynomial: Polynomial, receiver: bytes) -> bytes:
    """Return the secret value a dealer sends to `receiver`; VerificationError for a bad one."""
    place = parse_scalar(receiver, "receiver")
    return parse_scalar(evaluate(_scalars(polynomial), place), "dealt share")


def _scalars(polynomial: Polynomial) -> list[Scalar]:
    return [Scalar(each) for each in polynomial.coefficients]


# --- what everybody checks ---------------------------------------------------------------------


def verify_proof(dealing: Dealing, context: bytes) -> None:
    """Check that a dealer knows its constant, and proved it for this context.

    Raises CulpritError if not: without it, whoever deals last chooses the key.
    """
    constant = Point(dealing.commitments[0])
    point, mu = Point(dealing.proof[:_POINT_BYTES]), Scalar(dealing.proof[_POINT_BYTES:])
    challenge = _challenge(dealing.identifier, constant, point, context)
    # R + c phi_0 = mu B says the same as R = mu B - c phi_0.
    if add_points(point, multiply(challenge, constant)) != base(mu):
        raise CulpritError(
            "the proof of possession does not hold",
            culprits=(dealing.identifier.hex(),),
            where="dealing.proof",
            hint="start a new ceremony without them: it was made for another, or by a cheat",
        )


def verify_dealing(dealing: Dealing, threshold: int, context: bytes) -> None:
    """Check one dealing: as many commitments as the threshold, and its proof.

    Raises CulpritError if one of them does not hold.
    """
    if len(dealing.commitments) != threshold:
        # One more would raise the threshold for everybody, in secret.
        raise CulpritError(
            f"a dealing of {len(dealing.commitments)} commitments",
            culprits=(dealing.identifier.hex(),),
            where="dealing.commitments",
            expected=f"{threshold}, the threshold",
            hint="start a new ceremony without them",
        )
    verify_proof(dealing, context)


def verify_dealt_share(dealing: Dealing, receiver: bytes, share: bytes) -> None:
    """Check the value a dealer sent to `receiver` against what the dealer published.

    Raises CulpritError naming the dealer if it is another, VerificationError for a
    bad receiver.
    """
    place = parse_scalar(receiver, "receiver")
    with blaming(dealing.identifier):
        value = parse_scalar(share, "dealt share")
    if base(value) != evaluate_points(_points(dealing), place):
        raise CulpritError(
            "a dealt share is not what its dealer committed to",
            culprits=(dealing.identifier.hex(),),
            where="dealt share",
            hint="publish it with the dealer's signature, and start a new ceremony without them",
        )


def group_of(terms: Keygen, dealings: Sequence[Dealing]) -> GroupShares:
    """Return the group that dealings make; anyone can, for all of it is public.

    (1) Each participant dealt, once, and nobody else.  (2) Each dealing has a
    threshold of commitments and a proof for this context.  (3) Neither the key nor a
    verifying share is the identity.

    Raises CulpritError for whoever dealt twice or fails (2), NotEnoughError where one
    has not dealt, VerificationError for a stranger or if (3) fails.
    """
    sort_dealings(dealings, terms.participants)  # (1)
    for each in dealings:  # (2)
        verify_dealing(each, terms.threshold, terms.context)
    return sum_dealings(dealings, terms.participants)  # (3)


def combine(
    terms: Keygen, receiver: bytes, dealings: Sequence[Dealing], shares: Mapping[bytes, bytes]
) -> tuple[SecretShare, GroupShares]:
    """Return the receiver's share of the key, and the group.

    `shares` are the values dealt to the receiver, its own among them, by dealer.
    Raises as `group_of` and `combine_shares` do.
    """
    group = group_of(terms, dealings)
    return combine_shares(group, receiver, dealings, shares), group


# --- what key generation and resharing have in common ------------------------------------------


def sort_dealings(dealings: Iterable[Dealing], dealers: Collection[bytes]) -> dict[bytes, Dealing]:
    """Return the dealing of each dealer.

    Raises CulpritError for one that dealt twice, VerificationError for a stranger,
    NotEnoughError where one is missing.
    """
    found: dict[bytes, Dealing] = {}
    for each in dealings:
        if each.identifier not in dealers:
            raise VerificationError(
                "a dealing of nobody in this ceremony",
                where="dealings",
                got=each.identifier.hex(),
                hint="leave it out: the dealers were fixed before anyone dealt",
            )
        if each.identifier in found:
            raise CulpritError(
                "one dealer dealt twice",
                culprits=(each.identifier.hex(),),
                where="dealings",
                hint="start a new ceremony without them: they may tell each person another thing",
            )
        found[each.identifier] = each
    if missing := [each.hex() for each in dealers if each not in found]:
        raise NotEnoughError(
            "dealings are missing",
            where="dealings",
            got=", ".join(missing),
            hint="wait for them, or start a new ceremony without them",
        )
    return found


def sum_dealings(dealings: Sequence[Dealing], receivers: Sequence[bytes]) -> GroupShares:
    """Return the group of verified dealings; VerificationError if a sum is the identity."""
    columns = zip(*(_points(each) for each in dealings), strict=True)
    line = [add_points(*column) for column in columns]
    places = parse_identifiers(receivers, "receivers")
    verifying: dict[bytes, bytes] = {each: evaluate_points(line, each) for each in places}
    return GroupShares(line[0], len(line), verifying)


def combine_shares(
    group: GroupShares, receiver: bytes, dealings: Sequence[Dealing], shares: Mapping[bytes, bytes]
) -> SecretShare:
    """Return the sum of dealt shares, once it fits the receiver's verifying share.

    Only where it does not are the dealt shares tried one by one.  Raises CulpritError
    naming every dealer that lied, NotEnoughError for a share that is missing,
    VerificationError for a receiver outside the group or a share of no dealer.
    """
    if receiver not in group.verifying:
        raise VerificationError(
            "no participant of this group",
            where="receiver",
            got=receiver.hex(),
            hint="ask who was to be in the group: its people were fixed before anyone dealt",
        )
    check_senders(shares, [each.identifier for each in dealings], "dealt shares")
    try:
        values = [parse_scalar(each, "dealt share") for each in shares.values()]
        made = SecretShare(receiver, plus(*values))
    except VerificationError as error:
        raise _blame(receiver, dealings, shares) from error
    if made.verifying != group.verifying[receiver]:
        raise _blame(receiver, dealings, shares)
    return made


def check_senders(found: Collection[bytes], wanted: Collection[bytes], where: str) -> None:
    """Raise VerificationError for a value of nobody who owes one, NotEnoughError for none."""
    if strange := set(found) - set(wanted):
        raise VerificationError(
            "a value of nobody who owes one",
            where=where,
            got=", ".join(sorted(each.hex() for each in strange)),
            hint="leave it out: who takes part was fixed before",
        )
    if missing := [each.hex() for each in wanted if each not in found]:
        raise NotEnoughError(
            "values are missing",
            where=where,
            got=", ".join(missing),
            hint="wait for them, or start a new ceremony without them",
        )


def _blame(
    receiver: bytes, dealings: Sequence[Dealing], shares: Mapping[bytes, bytes]
) -> CulpritError:
    """Return the error that names every dealer whose share does not hold."""
    culprits: list[str] = []
    for each in dealings:
        try:
            verify_dealt_share(each, receiver, shares[each.identifier])
        except CulpritError as error:
            culprits += error.culprits
    return CulpritError(
        "a dealt share is not what its dealer committed to",
        culprits=tuple(culprits),
        where="dealt shares",
        hint="publish it with the dealer's signature, and start a new ceremony without them",
    )


def _points(dealing: Dealing) -> list[Point]:
    return [Point(each) for each in dealing.commitments]


def _challenge(identifier: bytes, constant: Point, point: Point, context: bytes) -> Scalar:
    return hdkg(identifier + constant + point + context)
