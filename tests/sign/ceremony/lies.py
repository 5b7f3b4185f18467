"""What liars say, and whom the others name for it."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping

import msgspec

from relsign.crypto.sealing import seal
from relsign.formats.ceremony import Complaint, Dealing, SealedNumber
from relsign.formats.names import Digest
from relsign.sign.ceremony.boxes import key_for
from relsign.sign.ceremony.steps import Step
from tests.sign.ceremony.people import Room, digest

TWICE_THE_ORDER = Digest("95" + "99" * 31)
"""The base point and a point of order 2: CVE-2025-69277."""
IDENTITY = Digest("01" + "00" * 31)
AA = Digest("aa" * 32)


def culprits(steps: Mapping[str, Step], liars: Collection[str]) -> tuple[str, ...]:
    """Return whom the honest people name, having looked that all name the same."""
    honest = [step for name, step in steps.items() if name not in liars]
    named = {step.stopped.culprits for step in honest if step.stopped is not None}
    assert all(step.stopped for step in honest), steps
    assert len(named) == 1, steps
    return named.pop()


def reason(steps: Mapping[str, Step], name: str = "ana") -> str:
    """Return why a person says the ceremony is stopped."""
    stopped = steps[name].stopped
    assert stopped is not None, steps
    return stopped.reason


def boxed(room: Room, opener: str, maker: str, **fields: str) -> str:
    """Return a box of `maker` that opens for `opener`, around whatever a liar puts in."""
    plain = {
        "ceremony": room.agreed.ceremony,
        "sender": maker,
        "receiver": opener,
        "purpose": "share",
        "number": "05" + "00" * 31,
        **fields,
    }
    return sealed(room, opener, maker, msgspec.convert(plain, SealedNumber).to_bytes())


def sealed(room: Room, receiver: str, sender: str, plain: bytes) -> str:
    """Return any bytes closed to the key that `receiver` has for `sender`."""
    key = room.spoken(Dealing)[receiver].sealing[sender]
    return base64.b64encode(seal(plain, bytes.fromhex(key), digest("e"))).decode()


def complaint(room: Room, sender: str, accused: str, secret: bytes | None = None) -> Complaint:
    """Return a complaint, with the secret that belongs to it unless another is given."""
    right = key_for(room.agreed, room.person(sender), accused).secret
    return Complaint(
        ceremony=room.agreed.ceremony,
        sender=sender,
        accused=accused,
        sealing_secret=Digest((right if secret is None else secret).hex()),
    )
