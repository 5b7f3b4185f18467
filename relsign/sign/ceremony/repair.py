"""A lost share made again by as many helpers as it takes; the group stays what it is.

Each helper splits its part of the lost share among the helpers, and each of them sends
the sum of what it was given to whoever lost it.  No helper learns the share, or
another's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from relsign.crypto.frost import repair as arithmetic
from relsign.crypto.frost.group import Point, Scalar, add_points, base
from relsign.crypto.frost.repair import (
    DeltaPoints,
    Deltas,
    Repair,
    delta_for,
    delta_points,
    split,
    verify_delta,
    verify_delta_points,
)
from relsign.errors import VerificationError
from relsign.formats.ceremony import Contribution, Dealing, Shares
from relsign.formats.charter import Group
from relsign.formats.names import Digest
from relsign.sign.ceremony.boxes import (
    Boxes,
    check_sealing_keys,
    open_boxes,
    seal_number,
    sealing_keys,
)
from relsign.sign.ceremony.charter import Agreed
from relsign.sign.ceremony.group import shares_of
from relsign.sign.ceremony.reshare import old_share
from relsign.sign.ceremony.secrets import derive
from relsign.sign.ceremony.steps import (
    Outcome,
    Person,
    Table,
    accept,
    check_heard,
    everything,
    gather,
    receivers,
)


@dataclass(frozen=True, slots=True)
class _Mending:
    """A repair with names beside its numbers."""

    agreed: Agreed
    group: Group
    lost: str
    terms: Repair

    def deltas(self, me: Person) -> Deltas:
        """Return the parts that `me`, a helper, splits the lost share into."""
        count = len(self.terms.helpers) - 1
        seeds = [derive(me.seed, self.agreed.ceremony, "delta", str(n)) for n in range(count)]
        return split(self.terms, old_share(self.agreed, self.terms.group, me), seeds)

    def in_order(self) -> list[str]:
        """Return the helpers' names as the arithmetic sorts them."""
        names = {self.agreed.identifiers[name]: name for name in self.agreed.charter.dealers}
        return [names[each] for each in self.terms.order]

    def points(self, message: Shares) -> DeltaPoints:
        """Return what a helper published; raise VerificationError for anything but points."""
        if set(message.points) != set(self.agreed.charter.dealers):
            raise VerificationError("not a point for each helper")
        found = tuple(bytes.fromhex(message.points[name]) for name in self.in_order())
        return DeltaPoints(self.agreed.identifiers[message.sender], found)


def repair(table: Table) -> Outcome:
    """Run a repair as far as it goes.

    Raises AwaitedError where a message is missing, CulpritError for whoever said what
    does not fit, InputError where a helper asks without its share.
    """
    mending = _mending(table.agreed)
    dealings = _keys(table)
    shares = _split(table, mending, dealings)
    points = {name: mending.points(message) for name, message in shares.items()}
    parts = open_boxes(table, _part_boxes(mending, dealings, shares, points))
    given = _contribute(table, mending, (dealings, shares, points), parts)
    sums = open_boxes(table, _sum_boxes(mending, dealings, given, points))
    share = None
    if table.me is not None and table.me.name == mending.lost:
        identifiers = table.agreed.identifiers
        found = {bytes(identifiers[name]): bytes(number) for name, number in sums.items()}
        share = arithmetic.recover(mending.terms, list(points.values()), found)
    accept(table, mending.group, everything(dealings, shares, given))
    return Outcome(mending.group, share)


def _mending(agreed: Agreed) -> _Mending:
    # Whoever receives and does not deal has lost the share.
    group, (lost,) = agreed.before(), set(receivers(agreed.charter)) - set(agreed.charter.dealers)
    helpers = agreed.numbers(agreed.charter.dealers)
    return _Mending(
        agreed, group, lost, Repair(shares_of(group), agreed.identifiers[lost], helpers)
    )


# --- dealings: keys to receive with ------------------------------------------------------------


def _keys(table: Table) -> dict[str, Dealing]:
    agreed = table.agreed

    def check(message: Dealing) -> None:
        check_sealing_keys(agreed, message)
        if message.commitments or message.proof is not None:
            raise VerificationError("dealt, where nothing is dealt")

    def say(me: Person) -> Dealing:
        return Dealing(
            ceremony=agreed.ceremony,
            sender=me.name,
            sealing=sealing_keys(agreed, me),
            commitments=(),
            proof=None,
        )

    return gather(table, Dealing, check, say)


# --- shares: each helper's parts ---------------------------------------------------------------


def _split(table: Table, mending: _Mending, said: Mapping[str, Dealing]) -> dict[str, Shares]:
    agreed, before, helpers = table.agreed, everything(said), table.agreed.charter.dealers

    def check(message: Shares) -> None:
        check_heard(message.heard, before)
        verify_delta_points(mending.terms, mending.points(message))
        if set(message.sealed) != set(helpers) - {message.sender}:
            raise VerificationError("not one part for every other helper")

    def say(me: Person) -> Shares:
        deltas = mending.deltas(me)
        published = zip(mending.in_order(), delta_points(deltas).points, strict=True)
        sealed = {
            name: seal_number(
                agreed,
                me,
                said[name],
                "share",
                delta_for(mending.terms, deltas, agreed.identifiers[name]),
            )
            for name in helpers
            if name != me.name
        }
        return Shares(
            ceremony=agreed.ceremony,
            sender=me.name,
            heard=before,
            sealed=sealed,
            points={name: Digest(point.hex()) for name, point in published},
        )

    return gather(table, Shares, check, say)


def _part_boxes(
    mending: _Mending,
    said: Mapping[str, Dealing],
    shares: Mapping[str, Shares],
    points: Mapping[str, DeltaPoints],
) -> Boxes:
    def check(sender: str, receiver: str, number: Scalar) -> None:
        verify_delta(mending.terms, points[sender], mending.agreed.identifiers[receiver], number)

    boxes = {
        (sender, name): box for sender, made in shares.items() for name, box in made.sealed.items()
    }
    return Boxes("share", boxes, said, check)


# --- contributions: each helper's sum, to whoever lost the share -------------------------------


def _contribute(
    table: Table,
    mending: _Mending,
    heard: tuple[Mapping[str, Dealing], Mapping[str, Shares], Mapping[str, DeltaPoints]],
    parts: Mapping[str, Scalar],
) -> dict[str, Contribution]:
    agreed = table.agreed
    said, shares, points = heard
    before = everything(said, shares)

    def check(message: Contribution) -> None:
        check_heard(message.heard, before)

    def say(me: Person) -> Contribution:
        mine = agreed.identifiers[me.name]
        found = {bytes(agreed.identifiers[name]): bytes(part) for name, part in parts.items()}
        found[mine] = delta_for(mending.terms, mending.deltas(me), mine)
        made = arithmetic.gather(mending.terms, mine, list(points.values()), found)
        sealed = seal_number(agreed, me, said[mending.lost], "contribution", made)
        return Contribution(ceremony=agreed.ceremony, sender=me.name, heard=before, sealed=sealed)

    return gather(table, Contribution, check, say)


def _sum_boxes(
    mending: _Mending,
    said: Mapping[str, Dealing],
    given: Mapping[str, Contribution],
    points: Mapping[str, DeltaPoints],
) -> Boxes:
    def check(sender: str, _receiver: str, number: Scalar) -> None:
        place = mending.in_order().index(sender)
        if base(number) != add_points(*(Point(p.points[place]) for p in points.values())):
            raise VerificationError("not the sum of what this helper was given")

    boxes = {(sender, mending.lost): message.sealed for sender, message in given.items()}
    return Boxes("contribution", boxes, said, check)
