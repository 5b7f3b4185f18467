"""Shares from one hand that knows the whole key: for vectors, rehearsals and moving a key in.

The dealer can sign alone for ever after, which is what a group is meant to prevent;
hence the word in the function's name.  Use `relsign.crypto.frost.keygen` instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from relsign.crypto.frost.group import (
    base,
    evaluate,
    parse_identifiers,
    parse_scalar,
    parse_threshold,
    wide_scalar,
)
from relsign.crypto.frost.signing import GroupShares, SecretShare
from relsign.errors import InputError


def unsafe_deal(
    secret: bytes, threshold: int, identifiers: Sequence[bytes], randomness: Sequence[bytes]
) -> tuple[GroupShares, dict[bytes, SecretShare]]:
    """Return a group and each participant's share of `secret`, a scalar (RFC 9591, C).

    `randomness` is 64 bytes for each of the threshold - 1 coefficients.  Raises
    InputError for a threshold or randomness that does not fit, VerificationError for
    a bad scalar or an identifier twice.
    """
    participants = parse_identifiers(identifiers, "identifiers")
    parse_threshold(threshold, len(participants), "threshold")
    if len(randomness) != threshold - 1:
        raise InputError(
            "not the right amount of randomness",
            expected=f"{threshold - 1} times 64 bytes",
            got=f"{len(randomness)} times",
            hint="take 64 random bytes for each coefficient but the secret",
        )
    key = parse_scalar(secret, "secret")
    coefficients = (key, *(wide_scalar(each) for each in randomness))
    shares: dict[bytes, SecretShare] = {
        each: SecretShare(each, evaluate(coefficients, each)) for each in participants
    }
    verifying: dict[bytes, bytes] = {each: share.verifying for each, share in shares.items()}
    return GroupShares(base(key), threshold, verifying), shares
