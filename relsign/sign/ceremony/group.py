"""The public half of a shared key: the document, and the arithmetic behind it."""

from __future__ import annotations

from relsign.crypto.digest import sha256_hex
from relsign.crypto.frost.group import identifier_of
from relsign.crypto.frost.signing import GroupShares, verify_group
from relsign.formats.charter import Charter, Group, Holder
from relsign.formats.names import Digest


def group_digest(group: Group) -> Digest:
    """Return what every participant signed to accept the group."""
    return sha256_hex(group.to_bytes())


def as_shares(group: Group) -> GroupShares:
    """Return the arithmetic's view of a group, by identifier.

    Raises VerificationError for a point that is none; `shares_of` checks the rest.
    """
    return GroupShares(
        key=bytes.fromhex(group.key),
        threshold=group.threshold,
        verifying={
            identifier_of(bytes.fromhex(h.identity)): bytes.fromhex(h.verifying)
            for h in group.holders
        },
    )


def shares_of(group: Group) -> GroupShares:
    """Return the arithmetic's view of a group that was read, and not made, here.

    Raises VerificationError unless every point is good and the verifying shares make the
    key with exactly this threshold (`relsign.crypto.frost.signing.verify_group`).
    """
    shares = as_shares(group)
    verify_group(shares)
    return shares


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
