"""The public half of a shared key: the document, and the arithmetic behind it."""

from __future__ import annotations

from relsign.crypto.digest import sha256_hex
from relsign.crypto.frost.group import (
    Point,
    Scalar,
    identifier_of,
    interpolate,
    parse_point,
)
from relsign.crypto.frost.signing import GroupShares
from relsign.errors import VerificationError
from relsign.formats.charter import Charter, Group, Holder
from relsign.formats.names import Digest


def group_digest(group: Group) -> Digest:
    """Return what every participant signed to accept the group."""
    return sha256_hex(group.to_bytes())


def shares_of(group: Group) -> GroupShares:
    """Return the arithmetic's view of a group, by identifier.

    Raises VerificationError unless every point is good and all verifying shares lie on
    one polynomial of the threshold's degree whose constant is the key: then any
    threshold of holders, and no fewer, can sign.
    """
    verifying: dict[Scalar, Point] = {}
    for holder in group.holders:
        where = f"group: {holder.name}"
        point = parse_point(bytes.fromhex(holder.verifying), where)
        verifying[identifier_of(bytes.fromhex(holder.identity))] = point
    key = parse_point(bytes.fromhex(group.key), "group.key")
    some = dict(list(verifying.items())[: group.threshold])
    fewer = dict(list(some.items())[:-1])
    others = {at: point for at, point in verifying.items() if at not in some}
    enough = interpolate(some) == key and all(
        interpolate(some, at) == point for at, point in others.items()
    )
    if not enough or interpolate(fewer) == key:
        raise VerificationError(
            "verifying shares do not make the group's key with its threshold",
            where="group",
            hint="take the group's document from another participant and compare",
        )
    return GroupShares(
        key=key, threshold=group.threshold, verifying={bytes(k): p for k, p in verifying.items()}
    )


def make_group(charter: Charter, shares: GroupShares, previous: Group | None) -> Group:
    """Return the document of a group that was just dealt."""
    return Group(
        project=charter.project,
        name=charter.group,
        role=charter.role,
        key=Digest(shares.key.hex()),
        threshold=charter.threshold,
        holders=tuple(
            Holder(name=p.name, identity=p.identity, verifying=_verifying(shares, p.identity))
            for p in charter.participants
        ),
        user_id=charter.user_id,
        created=charter.created,
        ceremony=sha256_hex(charter.to_bytes()),
        previous=None if previous is None else group_digest(previous),
    )


def _verifying(shares: GroupShares, identity: str) -> Digest:
    return Digest(shares.verifying[identifier_of(bytes.fromhex(identity))].hex())
