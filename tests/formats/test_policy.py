"""Policies: how many must agree, as numbers that mean what they say."""

from __future__ import annotations

import pytest

from relsign.formats.policy import parse_policy
from tests.formats.samples import (
    AA,
    BAD_DIGESTS,
    POLICY,
    REMOVE,
    Path,
    Row,
    assert_refused,
    change,
    dump_toml,
)

ROLES = ("owners", "signers", "builders", "organisations")
ROWS: list[Row] = [
    *(
        (("thresholds", role), number, f"thresholds.{role}", words)
        for role in ROLES
        for number, words in (
            (0, ">= 1, got 0"),
            (-1, ">= 1, got -1"),
            (65, "<= 64, got 65"),
            (True, "expected an integer, got true"),
            ("2", "expected an integer, got '2'"),
            (2.0, "expected an integer, got 2.0"),
            ([2], "expected an integer, got a list"),
            (2**64, "<= 64, got an integer of 65 bits"),
        )
    ),
    *((("thresholds", role), REMOVE, "thresholds", f"expected {role}") for role in ROLES),
    (("thresholds",), REMOVE, "", "field missing (expected thresholds)"),
    (("thresholds",), 2, "thresholds", "expected a table, got 2"),
    (("thresholds", "witnesses"), 1, "thresholds", "unknown field (got witnesses)"),
    (("thresholds", "organisations"), 4, "thresholds", "organisations is larger than builders"),
    (("dissent",), "ignore", "dissent", "expected record or refuse, got 'ignore'"),
    (("dissent",), False, "dissent", "got false"),
    (("release_key",), "no", "release_key", "expected optional or required, got 'no'"),
    (("release_key",), False, "release_key", "got false"),
    (("share_roles",), "yes", "share_roles", "expected true or false, got 'yes'"),
    (("share_roles",), 1, "share_roles", "expected true or false, got 1"),
    (("layout_days",), 0, "layout_days", ">= 1, got 0"),
    (("root_days",), 3661, "root_days", "<= 3660, got 3661"),
    (("revoked", 0, "reason"), "", "revoked[0].reason", "one line"),
    (("revoked", 0, "reason"), "a\u00adb", "revoked[0].reason", "got 'a\\\\xadb'"),
    (("revoked", 0, "reason"), "a\u202eb", "revoked[0].reason", "got 'a\\\\u202eb'"),
    (("revoked", 0, "by"), "ana", "revoked[0]", "unknown field (got by)"),
    *(
        (("revoked", 0, "statement_sha256"), bad, "revoked[0].statement_sha256", "64 digits")
        for bad in BAD_DIGESTS
    ),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), ROWS)
def test_wrong_fields_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = "policies/release.toml" + (f": {where}" if where else "")
    assert_refused(parse_policy, dump_toml(change(POLICY, path, new)), place, words)


@pytest.mark.parametrize("number", ["0x" + "f" * 5_000, "1e400", "nan", "0b1", "1_0", "+3"])
def test_numbers_of_every_spelling_are_read_or_refused(number: str) -> None:
    text = dump_toml(POLICY).replace(b"layout_days = 30", f"layout_days = {number}".encode())
    if number in {"0b1", "1_0", "+3"}:
        assert parse_policy(text).layout_days in {1, 10, 3}
    else:
        assert_refused(parse_policy, text, "policies/release.toml: layout_days", "an integer")


def test_what_is_left_out_is_the_strict_choice() -> None:
    policy = parse_policy(dump_toml({"thresholds": POLICY["thresholds"]}))
    assert (policy.dissent, policy.share_roles, policy.revoked) == ("refuse", False, ())


def test_a_policy_says_what_it_says() -> None:
    policy = parse_policy(dump_toml(POLICY))
    assert (policy.dissent, policy.share_roles, policy.layout_days) == ("record", True, 30)
    assert policy.revoked[0].statement_sha256 == AA
