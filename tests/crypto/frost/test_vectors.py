"""Reference figures, at every intermediate value they give; sources in tests/vectors/frost."""

from __future__ import annotations

from typing import Any

import pytest

from relsign.crypto.frost.dealer import unsafe_deal
from relsign.crypto.frost.group import base, evaluate, h1, scalar_of
from relsign.crypto.frost.signing import (
    Commitment,
    GroupShares,
    Nonces,
    SecretShare,
    aggregate,
    binding_inputs,
    commit,
    make_nonces,
    sign_share,
    verify_group,
    verify_share,
)
from tests.crypto.frost.groups import vector

RFC = vector("rfc9591-e1.json")
INPUTS = RFC["inputs"]
FIRST = RFC["round_one_outputs"]["outputs"]
SECOND = RFC["round_two_outputs"]["outputs"]
MESSAGE = bytes.fromhex(INPUTS["message"])


def raw(text: str) -> bytes:
    return bytes.fromhex(text)


def rfc_group() -> tuple[GroupShares, dict[bytes, SecretShare]]:
    """Deal the RFC's group again from its secret and its one coefficient."""
    # A coefficient is a scalar already; as a number of 64 bytes it reduces to itself.
    coefficients = [raw(text) + bytes(32) for text in INPUTS["share_polynomial_coefficients"]]
    people = [scalar_of(each["identifier"]) for each in INPUTS["participant_shares"]]
    return unsafe_deal(raw(INPUTS["group_secret_key"]), 2, people, coefficients)


def rfc_commitments() -> list[Commitment]:
    return [
        Commitment(
            scalar_of(row["identifier"]),
            raw(row["hiding_nonce_commitment"]),
            raw(row["binding_nonce_commitment"]),
        )
        for row in FIRST
    ]


def test_rfc_dealing() -> None:
    group, shares = rfc_group()
    assert group.key.hex() == INPUTS["group_public_key"]
    for row in INPUTS["participant_shares"]:
        assert shares[scalar_of(row["identifier"])].secret.hex() == row["participant_share"]
    verify_group(group)


@pytest.mark.parametrize("row", FIRST, ids=lambda row: str(row["identifier"]))
def test_rfc_round_one(row: dict[str, Any]) -> None:
    _, shares = rfc_group()
    share = shares[scalar_of(row["identifier"])]
    nonces = make_nonces(
        share, raw(row["hiding_nonce_randomness"]), raw(row["binding_nonce_randomness"])
    )
    assert nonces.hiding.hex() == row["hiding_nonce"]
    assert nonces.binding.hex() == row["binding_nonce"]
    made = commit(share, nonces)
    assert made.hiding.hex() == row["hiding_nonce_commitment"]
    assert made.binding.hex() == row["binding_nonce_commitment"]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("row", FIRST, ids=lambda row: str(row["identifier"]))
def test_rfc_binding_factors(row: dict[str, Any], *, backwards: bool) -> None:
    # The order in which a list arrives does not matter: it is sorted before it is hashed.
    commitments = rfc_commitments()[:: -1 if backwards else 1]
    made = binding_inputs(raw(INPUTS["group_public_key"]), MESSAGE, commitments)
    data = made[scalar_of(row["identifier"])]
    assert data.hex() == row["binding_factor_input"]
    assert h1(data).hex() == row["binding_factor"]


@pytest.mark.parametrize("row", SECOND, ids=lambda row: str(row["identifier"]))
def test_rfc_round_two(row: dict[str, Any]) -> None:
    group, shares = rfc_group()
    identifier = scalar_of(row["identifier"])
    (first,) = (each for each in FIRST if each["identifier"] == row["identifier"])
    nonces = Nonces(raw(first["hiding_nonce"]), raw(first["binding_nonce"]))
    made = sign_share(shares[identifier], group, nonces, MESSAGE, rfc_commitments())
    assert made.hex() == row["sig_share"]
    verify_share(group, identifier, made, MESSAGE, rfc_commitments())


def test_rfc_signature() -> None:
    group, _ = rfc_group()
    answers: dict[bytes, bytes] = {
        scalar_of(row["identifier"]): raw(row["sig_share"]) for row in SECOND
    }
    made = aggregate(group, MESSAGE, rfc_commitments(), answers)
    assert made.hex() == RFC["final_output"]["sig"]


def test_rfc_shares_are_points_of_its_polynomial() -> None:
    line = [
        scalar_of(int.from_bytes(raw(text), "little"))
        for text in (INPUTS["group_secret_key"], *INPUTS["share_polynomial_coefficients"])
    ]
    group, _ = rfc_group()
    for row in INPUTS["participant_shares"]:
        x = scalar_of(row["identifier"])
        assert evaluate(line, x).hex() == row["participant_share"]
        assert group.verifying[x] == base(evaluate(line, x))
