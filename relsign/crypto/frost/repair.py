"""One lost share made again by a threshold of helpers, who learn nothing of it or each other's.

Each helper splits its part of the lost share into random deltas, one for each helper
(repairable threshold signatures; Laing and Stinson, the enrolment protocol).  Beyond
that protocol each also publishes its deltas times the base point, so that a lie in
either round has a name.  Deltas and sigmas travel sealed and signed; the person they
are for is known by the identity key, or the helpers would make a share for a stranger.

    terms = Repair(group, lost, helpers)
    deltas = split(terms, share, seeds)                 # each helper
    points = delta_points(deltas)                       # round 1: to all
    value = delta_for(terms, deltas, other)             # round 1: sealed to each helper
    sigma = gather(terms, me, all_points, values)       # round 2: sealed to the loser
    share = recover(terms, all_points, sigmas)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from relsign.crypto.frost.group import (
    Point,
    Scalar,
    Secret,
    add_points,
    base,
    blaming,
    lagrange,
    multiply,
    parse_identifiers,
    parse_point,
    parse_scalar,
    plus,
    scalar_of,
    times,
    wide_scalar,
)
from relsign.crypto.frost.keygen import check_senders
from relsign.crypto.frost.resharing import check_helpers, check_share
from relsign.crypto.frost.signing import GroupShares, SecretShare
from relsign.errors import CulpritError, InputError, VerificationError
from relsign.formats.canonical import Value

_MINUS_ONE = scalar_of(-1)


class Repair(Value, frozen=True):
    """The terms of a repair: whose share is lost, and exactly a threshold of others to help."""

    group: GroupShares
    lost: bytes
    helpers: tuple[bytes, ...]

    def __post_init__(self) -> None:
        """Raise VerificationError for a stranger, a repeat, another number, or the loser."""
        check_helpers(self.group, self.helpers, "repair.helpers")
        if self.lost not in self.group.verifying or self.lost in self.helpers:
            raise VerificationError(
                "not a share the helpers can repair",
                where="repair.lost",
                expected="another participant of the group",
                got=self.lost.hex(),
                hint="name whoever lost a share; for a new person, reshare",
            )

    @property
    def order(self) -> tuple[Scalar, ...]:
        """The helpers in ascending order: the order of deltas and delta points."""
        return parse_identifiers(self.helpers, "repair.helpers")


class Deltas(Secret, frozen=True):
    """A helper's secret parts, one for each helper in ascending order."""

    helper: bytes
    parts: tuple[bytes, ...]

    def __post_init__(self) -> None:
        """Raise VerificationError unless all are scalars."""
        parse_scalar(self.helper, "deltas.helper")
        for each in self.parts:
            parse_scalar(each, "deltas.parts")


class DeltaPoints(Value, frozen=True):
    """A helper's parts times the base point, published."""

    helper: bytes
    points: tuple[bytes, ...]

    def __post_init__(self) -> None:
        """Raise CulpritError unless all points are good."""
        with blaming(self.helper):
            parse_scalar(self.helper, "delta points.helper")
            for each in self.points:
                parse_point(each, "delta points")


# --- round 1 -----------------------------------------------------------------------------------


def split(terms: Repair, share: SecretShare, seeds: Sequence[bytes]) -> Deltas:
    """Return a helper's parts of the lost share.

    `seeds` are 64 random bytes for each of threshold - 1 parts; the last part is what
    is left.  Raises InputError for other seeds, VerificationError if the share is not
    a helper's.
    """
    if len(seeds) != len(terms.helpers) - 1:
        raise InputError(
            "not the right amount of randomness",
            expected=f"{len(terms.helpers) - 1} times 64 bytes",
            got=f"{len(seeds)} times",
            hint="take 64 random bytes for each helper but one",
        )
    check_share(terms.group, share)
    whole = times(_factor(terms, share.identifier), Scalar(share.secret))
    parts = [wide_scalar(each) for each in seeds]
    rest = plus(whole, times(_MINUS_ONE, plus(*parts)))
    return Deltas(share.identifier, (*parts, rest))


def delta_points(deltas: Deltas) -> DeltaPoints:
    """Return what a helper publishes, so that its parts can be checked."""
    return DeltaPoints(deltas.helper, tuple(base(Scalar(each)) for each in deltas.parts))


def delta_for(terms: Repair, deltas: Deltas, receiver: bytes) -> bytes:
    """Return the part that is sealed to `receiver`; VerificationError if that is no helper."""
    return deltas.parts[_place(terms, receiver)]


def verify_delta_points(terms: Repair, found: DeltaPoints) -> None:
    """Check that published parts add up to what the helper owes of the lost share.

    Raises CulpritError if they do not, VerificationError for one that is no helper.
    """
    factor = _factor(terms, found.helper)
    owed = multiply(factor, Point(terms.group.verifying[found.helper]))
    fits = len(found.points) == len(terms.helpers)
    if not fits or add_points(*(Point(each) for each in found.points)) != owed:
        raise CulpritError(
            "the published parts are not of the helper's share",
            culprits=(found.helper.hex(),),
            where="delta points",
            expected=f"{len(terms.helpers)} points that add up to {owed.hex()}",
            hint="start a new ceremony without them",
        )


def verify_delta(terms: Repair, found: DeltaPoints, receiver: bytes, delta: bytes) -> None:
    """Check a part that was sealed to `receiver` against the point its sender published.

    Raises CulpritError naming the sender if it is another, VerificationError for a
    receiver that is no helper.
    """
    with blaming(found.helper):
        value = parse_scalar(delta, "delta")
    place = _place(terms, receiver)
    if found.points[place : place + 1] != (base(value),):
        raise _lie("a part is not the one its sender published", (found.helper.hex(),))


# --- round 2 -----------------------------------------------------------------------------------


def gather(
    terms: Repair, helper: bytes, points: Sequence[DeltaPoints], deltas: Mapping[bytes, bytes]
) -> bytes:
    """Return a helper's sigma, the sum of the parts it was sent, its own among them.

    `deltas` are by sender.  Raises CulpritError naming every sender that lied,
    NotEnoughError where something is missing, VerificationError for a stranger.
    """
    found = _verified(terms, points)
    owed = _sigma_point(terms, found, helper)
    check_senders(deltas, terms.helpers, "deltas")
    made = _sum(deltas)
    if made is None or base(made) != owed:
        culprits: list[str] = []
        for sender in terms.order:
            try:
                verify_delta(terms, found[sender], helper, deltas[sender])
            except CulpritError as error:
                culprits += error.culprits
        raise _lie("a part is not the one its sender published", tuple(culprits))
    return made


def recover(
    terms: Repair, points: Sequence[DeltaPoints], sigmas: Mapping[bytes, bytes]
) -> SecretShare:
    """Return the lost share, the sum of the sigmas, once it fits its verifying share.

    `sigmas` are by helper.  Raises CulpritError naming every helper that lied,
    NotEnoughError where something is missing, VerificationError for a stranger or a
    group whose shares do not lie on one polynomial.
    """
    found = _verified(terms, points)
    check_senders(sigmas, terms.helpers, "sigmas")
    made = _sum(sigmas)
    if made is not None and base(made) == terms.group.verifying[terms.lost]:
        return SecretShare(terms.lost, made)
    culprits = tuple(
        each.hex() for each in terms.order if not _holds(terms, found, each, sigmas[each])
    )
    if not culprits:
        raise VerificationError(
            "every sigma holds and the share does not: the group's document is wrong",
            where="repair.group",
            hint="take the group's document from another participant and compare",
        )
    raise _lie("a sigma is not the sum of what its helper was sent", culprits)


def _verified(terms: Repair, points: Sequence[DeltaPoints]) -> dict[bytes, DeltaPoints]:
    """Return delta points by helper, each checked; raises as its callers say."""
    parse_identifiers([each.helper for each in points], "delta points")
    found = {each.helper: each for each in points}
    check_senders(found, terms.helpers, "delta points")
    for each in points:
        verify_delta_points(terms, each)
    return found


def _holds(terms: Repair, found: Mapping[bytes, DeltaPoints], helper: bytes, sigma: bytes) -> bool:
    try:
        value = parse_scalar(sigma, "sigma")
    except VerificationError:
        return False
    return base(value) == _sigma_point(terms, found, helper)


def _sigma_point(terms: Repair, found: Mapping[bytes, DeltaPoints], helper: bytes) -> Point:
    place = _place(terms, helper)
    return add_points(*(Point(each.points[place]) for each in found.values()))


def _sum(values: Mapping[bytes, bytes]) -> Scalar | None:
    """Return the sum of secret values; nothing if one of them is no scalar, or it is zero."""
    try:
        parsed = [parse_scalar(each, "value") for each in values.values()]
        return parse_scalar(plus(*parsed), "sum")
    except VerificationError:
        return None


def _place(terms: Repair, helper: bytes) -> int:
    if helper not in terms.helpers:
        raise VerificationError(
            "no helper of this repair",
            where="repair.helpers",
            got=helper.hex(),
            hint="its helpers were fixed before it began",
        )
    return terms.order.index(Scalar(helper))


def _factor(terms: Repair, helper: bytes) -> Scalar:
    """Return the Lagrange factor of a helper's share in the lost one."""
    return lagrange(Scalar(helper), terms.order, Scalar(terms.lost))


def _lie(what: str, culprits: tuple[str, ...]) -> CulpritError:
    return CulpritError(
        what,
        culprits=culprits,
        where="repair",
        hint="publish it with the sender's signature, and start a new ceremony without them",
    )
