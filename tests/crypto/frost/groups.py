"""Groups, seeds and bad points for the tests of FROST; nothing here is random."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from relsign.crypto.frost.dealer import unsafe_deal
from relsign.crypto.frost.group import ORDER, Scalar, scalar_of
from relsign.crypto.frost.signing import (
    Commitment,
    GroupShares,
    Nonces,
    SecretShare,
    aggregate,
    commit,
    make_nonces,
    sign_share,
)

VECTORS = Path(__file__).resolve().parents[2] / "vectors/frost"
FIELD = 2**255 - 19
B = bytes.fromhex("58" + "66" * 31)

# The eight points of small order, in their canonical encodings.
SMALL_ORDER = [
    bytes.fromhex(text)
    for text in (
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    )
]
ORDER_TWO = SMALL_ORDER[1]
# y that is no y of a curve point (2), y of 255 bits that is not below the field's size, the
# identity and the point of order 2 with the sign of an x that is zero, nothing, and too much.
NO_POINT = [
    b"\x02" + bytes(31),
    (FIELD + 1).to_bytes(32, "little"),
    (FIELD + 3).to_bytes(32, "little"),
    (FIELD + 4 + 2**255).to_bytes(32, "little"),
    b"\xff" * 32,
    b"\x01" + bytes(30) + b"\x80",
    b"\xec" + b"\xff" * 31,
    b"",
    B[:31],
    B + b"\x00",
]
NO_SCALAR = [
    bytes(32),
    ORDER.to_bytes(32, "little"),
    (ORDER + 1).to_bytes(32, "little"),
    (2**253).to_bytes(32, "little"),
    b"\xff" * 32,
    b"",
    b"\x01" + bytes(30),
    b"\x01" + bytes(32),
]


def seed(label: str, size: int = 64) -> bytes:
    """Return up to 64 bytes that only look random."""
    return hashlib.sha512(label.encode()).digest()[:size]


def seeds(label: str, count: int) -> list[bytes]:
    """Return `count` times 64 such bytes."""
    return [seed(f"{label} {number}") for number in range(count)]


def secret(label: str) -> Scalar:
    """Return a scalar that only looks random."""
    return scalar_of(int.from_bytes(seed(label), "little"))


@cache
def vector(name: str) -> Any:  # noqa: ANN401 - figures of others, read by tests only
    """Return a file of reference figures."""
    return json.loads((VECTORS / name).read_text())


class Dealt(NamedTuple):
    """A group with everybody's secrets in one hand."""

    group: GroupShares
    shares: dict[bytes, SecretShare]

    @property
    def people(self) -> list[SecretShare]:
        """The shares, in ascending order of identifier."""
        return list(self.shares.values())


def dealt(threshold: int, participants: int, label: str = "group") -> Dealt:
    """Return a group of `participants` people."""
    names = [secret(f"{label} {number}") for number in range(participants)]
    return Dealt(
        *unsafe_deal(secret(label), threshold, names, seeds(f"{label} line", threshold - 1))
    )


class Round(NamedTuple):
    """One attempt to sign, after round 1."""

    group: GroupShares
    signers: list[SecretShare]
    nonces: list[Nonces]
    commitments: list[Commitment]
    message: bytes

    def answers(self) -> dict[bytes, bytes]:
        """Return everybody's honest signature share."""
        return {
            share.identifier: sign_share(share, self.group, mine, self.message, self.commitments)
            for share, mine in zip(self.signers, self.nonces, strict=True)
        }


def begin(group: GroupShares, signers: Sequence[SecretShare], message: bytes) -> Round:
    """Return the attempt of `signers`, everybody's commitment in it."""
    label = f"{message.hex()} {group.key.hex()}"
    nonces = [
        make_nonces(
            each,
            seed(f"{label} hiding {each.identifier.hex()}", 32),
            seed(f"{label} binding {each.identifier.hex()}", 32),
        )
        for each in signers
    ]
    commitments = [commit(share, mine) for share, mine in zip(signers, nonces, strict=True)]
    return Round(group, list(signers), nonces, commitments, message)


def sign(group: GroupShares, signers: Sequence[SecretShare], message: bytes) -> bytes:
    """Return the signature of honest signers."""
    attempt = begin(group, signers, message)
    return aggregate(group, message, attempt.commitments, attempt.answers())


def hexes(identifiers: Collection[bytes]) -> set[str]:
    """Return identifiers as errors name them."""
    return {each.hex() for each in identifiers}
