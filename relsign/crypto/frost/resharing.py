"""The same key in other hands: new people, a new threshold, or only new shares (refresh).

A threshold of the old participants deal again: each the polynomial whose constant is
its share times its Lagrange factor, so the constants add up to the old key, and
everybody can see it from the old verifying shares.  Old shares still sign until a
threshold of their holders has destroyed them: resharing takes nothing out of a hand.

    terms = Resharing(old, dealers, threshold, receivers, context)
    polynomial = deal_again(terms, share, seeds)          # then `keygen.deal` and `share_for`
    share, group = combine_again(terms, me, dealings, values)
    assert group.key == old.key
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from relsign.crypto.frost.group import (
    Point,
    Scalar,
    lagrange,
    multiply,
    parse_identifiers,
    parse_threshold,
    times,
    wide_scalar,
)
from relsign.crypto.frost.keygen import (
    Dealing,
    Polynomial,
    combine_shares,
    sort_dealings,
    sum_dealings,
    verify_dealing,
)
from relsign.crypto.frost.signing import GroupShares, SecretShare
from relsign.errors import CulpritError, InputError, VerificationError
from relsign.formats.canonical import Value


class Resharing(Value, frozen=True):
    """The terms of a resharing, agreed to before anyone deals."""

    old: GroupShares
    dealers: tuple[bytes, ...]
    """Exactly a threshold of the old participants."""
    threshold: int
    """The new one."""
    receivers: tuple[bytes, ...]
    """The new participants; dealers may be among them, and need not."""
    context: bytes
    """What this ceremony is and no other."""

    def __post_init__(self) -> None:
        """Raise InputError for a threshold, VerificationError for a dealer or an identifier."""
        parse_threshold(self.threshold, len(self.receivers), "resharing.threshold")
        parse_identifiers(self.receivers, "resharing.receivers")
        check_helpers(self.old, self.dealers, "resharing.dealers")


def refresh_of(old: GroupShares, dealers: Sequence[bytes], context: bytes) -> Resharing:
    """Return the terms of a refresh: the same people and threshold, new shares."""
    return Resharing(old, tuple(dealers), old.threshold, tuple(old.verifying), context)


def check_helpers(group: GroupShares, helpers: Sequence[bytes], where: str) -> None:
    """Raise VerificationError unless `helpers` are exactly a threshold of the group, none twice."""
    if len(helpers) != group.threshold:
        raise VerificationError(
            "not the right number of helpers",
            where=where,
            expected=f"{group.threshold}, the group's threshold",
            got=str(len(helpers)),
            hint="name exactly as many as it takes to sign",
        )
    for each in parse_identifiers(helpers, where):
        if each not in group.verifying:
            raise VerificationError(
                "no participant of the group",
                where=where,
                got=each.hex(),
                hint="only who holds a share can help with it",
            )


def deal_again(terms: Resharing, share: SecretShare, seeds: Sequence[bytes]) -> Polynomial:
    """Return a dealer's new polynomial; it goes through `keygen.deal` and `share_for`.

    `seeds` are 64 random bytes for each of the new threshold - 1 coefficients.  Raises
    InputError for other seeds, VerificationError if the share is not a dealer's.
    """
    if len(seeds) != terms.threshold - 1:
        raise InputError(
            "not the right amount of randomness",
            expected=f"{terms.threshold - 1} times 64 bytes",
            got=f"{len(seeds)} times",
            hint="take 64 random bytes for each coefficient but the constant",
        )
    check_share(terms.old, share)
    constant = times(_factor(terms, share.identifier), Scalar(share.secret))
    return Polynomial(share.identifier, (constant, *(wide_scalar(each) for each in seeds)))


def check_share(group: GroupShares, share: SecretShare) -> None:
    """Raise VerificationError unless `share` is the one the group knows."""
    if group.verifying.get(share.identifier) != share.verifying:
        raise VerificationError(
            "the share is not this group's",
            where="share",
            got=share.verifying.hex(),
            hint="load the share of the latest ceremony: a refresh replaces it",
        )


def verify_dealing_again(terms: Resharing, dealing: Dealing) -> None:
    """Check one dealing: its size, its proof, and that its constant is the dealer's old share.

    Raises CulpritError if one of them does not hold, VerificationError for a stranger.
    """
    factor = _factor(terms, dealing.identifier)
    verify_dealing(dealing, terms.threshold, terms.context)
    owed = multiply(factor, Point(terms.old.verifying[dealing.identifier]))
    if dealing.commitments[0] != owed:
        raise CulpritError(
            "the dealing is not of the dealer's old share",
            culprits=(dealing.identifier.hex(),),
            where="dealing.commitments[0]",
            expected=owed.hex(),
            hint="start a new ceremony without them: it would change the key",
        )


def group_again(terms: Resharing, dealings: Sequence[Dealing]) -> GroupShares:
    """Return the group that dealings make; anyone can, for all of it is public.

    (1) Each dealer dealt, once, and nobody else.  (2) Each dealing is of the dealer's
    old share.  (3) The key is the old one.

    Raises CulpritError for whoever dealt twice or fails (2), NotEnoughError where one
    has not dealt, VerificationError for a stranger or if (3) fails.
    """
    sort_dealings(dealings, terms.dealers)  # (1)
    for each in dealings:  # (2)
        verify_dealing_again(terms, each)
    group = sum_dealings(dealings, terms.receivers)
    if group.key != terms.old.key:  # (3)
        raise VerificationError(
            "the key changed: the old group's shares do not make its key",
            where="resharing.old",
            expected=terms.old.key.hex(),
            got=group.key.hex(),
            hint="take the group's document from another participant and compare",
        )
    return group


def combine_again(
    terms: Resharing, receiver: bytes, dealings: Sequence[Dealing], shares: Mapping[bytes, bytes]
) -> tuple[SecretShare, GroupShares]:
    """Return the receiver's new share of the old key, and the new group.

    `shares` are the values dealt to the receiver by dealer.  Raises as `group_again`
    and `keygen.combine_shares` do.
    """
    group = group_again(terms, dealings)
    return combine_shares(group, receiver, dealings, shares), group


def _factor(terms: Resharing, identifier: bytes) -> Scalar:
    return lagrange(Scalar(identifier), [Scalar(each) for each in terms.dealers])
