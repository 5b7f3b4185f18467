"""What key generation and resharing have in common, once the dealings are there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Protocol

from relsign.crypto.frost import keygen as arithmetic
from relsign.crypto.frost.group import Scalar
from relsign.crypto.frost.keygen import Polynomial, combine_shares, share_for, verify_dealt_share
from relsign.crypto.frost.signing import GroupShares, SecretShare
from relsign.errors import VerificationError
from relsign.formats.ceremony import Dealing, Shares
from relsign.formats.names import Digest
from relsign.sign.ceremony.boxes import (
    Boxes,
    check_sealing_keys,
    open_boxes,
    seal_number,
    sealing_keys,
)
from relsign.sign.ceremony.charter import Agreed
from relsign.sign.ceremony.group import make_group
from relsign.sign.ceremony.secrets import derive, derive_key
from relsign.sign.ceremony.steps import (
    Outcome,
    Person,
    Table,
    accept,
    check_heard,
    everything,
    gather,
)


class Rules(Protocol):
    """In what the two ceremonies differ."""

    def polynomial(self, me: Person) -> Polynomial:
        """Return what `me` deals; raise InputError without the share it takes."""

    def verify(self, dealing: arithmetic.Dealing) -> None:
        """Check a dealing on its own; raise VerificationError if it does not fit."""

    def group(self, dealings: list[arithmetic.Dealing]) -> GroupShares:
        """Return the group that verified dealings make; raise VerificationError if none."""


def run(table: Table, rules: Rules) -> Outcome:
    """Deal, hand out shares, accept; raises AwaitedError or CulpritError on the way."""
    agreed = table.agreed
    said = gather(table, Dealing, partial(_check, agreed, rules), partial(_say, agreed, rules))
    dealings = {name: _parse(agreed, said[name]) for name in agreed.charter.dealers}
    try:
        shares = rules.group(list(dealings.values()))
    except VerificationError as error:
        raise VerificationError(
            "the dealings cancel each other out",
            where="ceremony",
            hint="begin a new ceremony; if it happens again, the dealers do it on purpose",
        ) from error
    handed = _hand_out(table, rules, said)
    numbers = open_boxes(table, _boxes(agreed, said, handed, dealings))
    share = _share(table, rules, (dealings, shares), numbers)
    group = make_group(agreed.charter, shares, agreed.previous)
    accept(table, group, everything(said, handed))
    return Outcome(group, share)


# --- dealings ----------------------------------------------------------------------------------


def deals(agreed: Agreed, name: str) -> bool:
    """Say whether a participant deals, or only receives."""
    return name in agreed.charter.dealers


def context_of(agreed: Agreed) -> bytes:
    """Return what proofs of possession are bound to."""
    return bytes.fromhex(agreed.ceremony)


def seeds_of(agreed: Agreed, me: Person, count: int) -> list[bytes]:
    """Return 64 secret bytes for each of `count` coefficients."""
    return [derive(me.seed, agreed.ceremony, "coefficient", str(n)) for n in range(count)]


def _say(agreed: Agreed, rules: Rules, me: Person) -> Dealing:
    commitments: tuple[Digest, ...] = ()
    proof = None
    if deals(agreed, me.name):
        seed = derive_key(me.seed, agreed.ceremony, "proof")
        made = arithmetic.deal(rules.polynomial(me), seed, context_of(agreed))
        commitments = tuple(Digest(each.hex()) for each in made.commitments)
        proof = made.proof.hex()
    return Dealing(
        ceremony=agreed.ceremony,
        sender=me.name,
        sealing=sealing_keys(agreed, me),
        commitments=commitments,
        proof=proof,
    )


def _check(agreed: Agreed, rules: Rules, message: Dealing) -> None:
    check_sealing_keys(agreed, message)
    if deals(agreed, message.sender):
        rules.verify(_parse(agreed, message))
    elif message.commitments or message.proof is not None:
        raise VerificationError("dealt, and is no dealer")


def _parse(agreed: Agreed, message: Dealing) -> arithmetic.Dealing:
    """Return a dealing by its sender's number; raise VerificationError for bad points."""
    if message.proof is None or not message.commitments:
        raise VerificationError("a dealing without commitments or proof")
    return arithmetic.Dealing(
        agreed.identifiers[message.sender],
        tuple(bytes.fromhex(each) for each in message.commitments),
        bytes.fromhex(message.proof),
    )


# --- shares ------------------------------------------------------------------------------------


def _hand_out(table: Table, rules: Rules, said: Mapping[str, Dealing]) -> dict[str, Shares]:
    agreed, before = table.agreed, everything(said)
    holders = [p.name for p in agreed.charter.participants]

    def check(message: Shares) -> None:
        check_heard(message.heard, before)
        if set(message.sealed) != set(holders) - {message.sender} or message.points:
            raise VerificationError("not one share for everybody else")

    def say(me: Person) -> Shares:
        polynomial = rules.polynomial(me)
        sealed = {
            name: seal_number(
                agreed, me, said[name], "share", share_for(polynomial, agreed.identifiers[name])
            )
            for name in holders
            if name != me.name
        }
        return Shares(
            ceremony=agreed.ceremony, sender=me.name, heard=before, sealed=sealed, points={}
        )

    return gather(table, Shares, check, say)


def _boxes(
    agreed: Agreed,
    said: Mapping[str, Dealing],
    handed: Mapping[str, Shares],
    dealings: Mapping[str, arithmetic.Dealing],
) -> Boxes:
    def check(sender: str, receiver: str, number: Scalar) -> None:
        verify_dealt_share(dealings[sender], agreed.identifiers[receiver], number)

    boxes = {
        (sender, name): box
        for sender, shares in handed.items()
        for name, box in shares.sealed.items()
    }
    return Boxes("share", boxes, said, check)


def _share(
    table: Table,
    rules: Rules,
    public: tuple[Mapping[str, arithmetic.Dealing], GroupShares],
    numbers: Mapping[str, Scalar],
) -> SecretShare | None:
    """Return the sum of what was dealt to `table.me`, its own value among it."""
    agreed, me = table.agreed, table.me
    if me is None or me.name not in agreed.charter.identities():
        return None
    found = {bytes(agreed.identifiers[name]): bytes(number) for name, number in numbers.items()}
    mine = bytes(agreed.identifiers[me.name])
    if deals(agreed, me.name):
        found[mine] = share_for(rules.polynomial(me), mine)
    dealings, shares = public
    return combine_shares(shares, mine, list(dealings.values()), found)
