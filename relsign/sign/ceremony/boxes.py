"""Numbers in sealed boxes: making them, opening them, and who lied where one does not fit.

Each pair of sender and receiver has a key of its own, so a receiver may give away the
secret of one: then everybody opens that box as the receiver did and judges by the same
rule.  If the number is wrong its sender is to blame, if it is right the complainer is.
What is given away is a number its sender chose, and nothing of anybody else's.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from relsign.crypto.digest import sha256_hex
from relsign.crypto.frost.group import Scalar, parse_scalar
from relsign.crypto.sealing import ReceiverKey, parse_receiver, receiver_key, seal, unseal
from relsign.errors import InputError, VerificationError
from relsign.formats.ceremony import Complaint, Dealing, SealedNumber, parse_sealed_number
from relsign.formats.envelope import decode_base64
from relsign.formats.names import Digest
from relsign.sign.ceremony.charter import Agreed
from relsign.sign.ceremony.secrets import derive_key
from relsign.sign.ceremony.steps import (
    AccusedError,
    Person,
    Table,
    is_accepted,
    sealers,
)

Pair = tuple[str, str]
"""Sender and receiver of a box."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """The sealed boxes of one round."""

    purpose: Literal["share", "contribution"]
    boxes: Mapping[Pair, str]
    """Base64 of each box."""
    dealings: Mapping[str, Dealing]
    """Whose `sealing` holds the keys the boxes are closed to."""
    check: Callable[[str, str, Scalar], None]
    """Given sender, receiver and number, raises VerificationError if it does not fit."""


def sealing_keys(agreed: Agreed, me: Person) -> dict[str, Digest]:
    """Return a public key for each who will seal a number to `me`."""
    return {
        sender: Digest(key_for(agreed, me, sender).public.hex())
        for sender in sealers(agreed.charter, me.name)
    }


def check_sealing_keys(agreed: Agreed, dealing: Dealing) -> None:
    """Raise VerificationError unless there is a good key for each who needs one, no other."""
    owed = sealers(agreed.charter, dealing.sender)
    if sorted(dealing.sealing) != sorted(owed):
        raise VerificationError(
            "not a sealing key for each who needs one",
            expected=", ".join(owed),
            got=", ".join(dealing.sealing),
        )
    for sender, key in dealing.sealing.items():
        parse_receiver(bytes.fromhex(key), f"sealing key for {sender}")
    if len(set(dealing.sealing.values())) != len(dealing.sealing):
        # A complaint about one sender would open another's box too.
        raise VerificationError("one sealing key for two senders")


def seal_number(
    agreed: Agreed,
    me: Person,
    receiver: Dealing,
    purpose: Literal["share", "contribution"],
    number: bytes,
) -> str:
    """Return base64 of a box around a number of `me`, for the sender of a dealing alone."""
    plain = SealedNumber(
        ceremony=agreed.ceremony,
        sender=me.name,
        receiver=receiver.sender,
        purpose=purpose,
        number=Digest(number.hex()),
    ).to_bytes()
    key = receiver.sealing[me.name]
    # Another receiver, another content: another secret, however often this is run.
    ephemeral = derive_key(me.seed, agreed.ceremony, "ephemeral", key, sha256_hex(plain))
    return base64.b64encode(seal(plain, bytes.fromhex(key), ephemeral)).decode()


def open_boxes(table: Table, boxes: Boxes) -> dict[str, Scalar]:
    """Return the numbers sealed to `table.me`, by sender; nothing for anybody else.

    Raises AccusedError where a number does not fit, with the complaint to send, and
    where somebody else complained: it names whoever of the two is wrong.
    """
    numbers: dict[str, Scalar] = {}
    complaints = [] if is_accepted(table) else _complaints(table)
    unsent: list[Complaint] = []
    for sender, receiver in boxes.boxes:
        if table.me is None or receiver != table.me.name:
            continue
        key = key_for(table.agreed, table.me, sender)
        try:
            numbers[sender] = _open(table.agreed, boxes, (sender, receiver), key)
        except VerificationError:
            mine = Complaint(
                ceremony=table.agreed.ceremony,
                sender=receiver,
                accused=sender,
                sealing_secret=Digest(key.secret.hex()),
            )
            if mine not in complaints:
                unsent.append(mine)
    verdicts = [_judge(table.agreed, boxes, each) for each in (*complaints, *unsent)]
    faults = dict(verdict for verdict in verdicts if verdict is not None)
    if faults:
        names = tuple(sorted(faults))
        raise AccusedError("; ".join(faults[name] for name in names), names, tuple(unsent))
    return numbers


def _judge(agreed: Agreed, boxes: Boxes, complaint: Complaint) -> tuple[str, str] | None:
    """Return who is wrong and why; nothing if the complaint is about a later round."""
    accuser, accused = complaint.sender, complaint.accused
    if accused not in sealers(agreed.charter, accuser):
        return accuser, f"{accuser}: complains of {accused}, who sends {accuser} nothing"
    if (accused, accuser) not in boxes.boxes:
        return None
    key = receiver_key(bytes.fromhex(complaint.sealing_secret))
    if key.public.hex() != boxes.dealings[accuser].sealing[accused]:
        return accuser, f"{accuser}: complains of {accused} with another key's secret"
    try:
        _open(agreed, boxes, (accused, accuser), key)
    except VerificationError as error:
        return accused, f"{accused}: sent {accuser} a number that does not fit: {error.what}"
    return accuser, f"{accuser}: complains of {accused}, whose number fits"


def _open(agreed: Agreed, boxes: Boxes, pair: Pair, key: ReceiverKey) -> Scalar:
    """Return the number in a box; raise VerificationError for any other thing in it."""
    sender, receiver = pair
    where = f"{boxes.purpose} from {sender} to {receiver}"
    try:
        sealed = parse_sealed_number(unseal(decode_base64(boxes.boxes[pair], where), key, where))
    except InputError as error:
        raise VerificationError(error.what, where=where) from error
    owed = SealedNumber(
        ceremony=agreed.ceremony,
        sender=sender,
        receiver=receiver,
        purpose=boxes.purpose,
        number=sealed.number,
    )
    if sealed != owed:
        raise VerificationError("a number of somebody else, or for something else", where=where)
    number = parse_scalar(bytes.fromhex(sealed.number), where)
    boxes.check(sender, receiver, number)
    return number


def _complaints(table: Table) -> list[Complaint]:
    return [m for m in table.heard.messages if isinstance(m, Complaint)]


def key_for(agreed: Agreed, me: Person, sender: str) -> ReceiverKey:
    """Return the key by which `me` opens what `sender` seals in this ceremony."""
    return receiver_key(derive_key(me.seed, agreed.ceremony, "sealing", sender))
