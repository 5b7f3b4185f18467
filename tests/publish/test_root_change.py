"""The lines that tell one root from the one before."""

from __future__ import annotations

import msgspec
import pytest

from relsign.formats.log import LogGroup, LogPolicy
from relsign.formats.names import Digest
from relsign.formats.policy import (
    Diversity,
    Freshness,
    Revocation,
    RevokedKey,
    Thresholds,
    Vouched,
)
from relsign.formats.roster import Ed25519Key
from relsign.publish.roots import describe_change, root_rules
from tests.verify.releases import LATER, NOW, group_root, make_root, member


def test_every_difference_has_its_line() -> None:
    zoe = member("zoe", "zoe", "birch", "signer")
    gone = Revocation(statement_sha256=Digest("a" * 64), reason="mistake")
    new_one = Revocation(statement_sha256=Digest("b" * 64), reason="stolen key")
    old = make_root(revoked=(gone,))
    other_key = Ed25519Key(public="c" * 64)
    members = [
        msgspec.structs.replace(m, key=other_key) if m.name == "sam"
        else msgspec.structs.replace(m, operator="olaf") if m.name == "otto"
        else m
        for m in old.members if m.name != "sara"
    ]  # fmt: skip
    new = make_root(
        version=2,
        expires=NOW,
        members=(*members, zoe),
        thresholds=Thresholds(owners=1, signers=2, builders=2, organisations=1),
        dissent="record",
        share_roles=True,
        revoked=(new_one,),
    )
    change = describe_change(old, new)
    assert change.version == 2
    assert change.lines == (
        "version 1 → 2",
        "thresholds.owners 2 → 1",
        "thresholds.organisations 2 → 1",
        "dissent refuse → record",
        "share_roles no → yes",
        f"expires {LATER.date()} → {NOW.date()}",
        "added zoe (signer; zoe, birch)",
        "removed sara (signer)",
        "changed otto: roles or operator",
        "changed sam: another key",
        "revoked statement bbbbbbbbbbbbbbbb: stolen key",
        "NO LONGER revoked statement aaaaaaaaaaaaaaaa: mistake",
    )


LOG = LogPolicy(
    origin="log.example/relsign",
    members=("log-a",),
    quorum="two",
    group=(LogGroup(name="two", need=2, of=("wanda", "wilma", "wes")),),
    max_age_days=90,
)
DIGEST = Digest("a" * 64)
IN_WORDS: list[tuple[dict[str, object], str, str]] = [
    (
        {"revoked": (Revocation(version="1.1", reason="tampered", replacement="1.2"),)},
        "revoked release 1.1: tampered; use 1.2",
        "NO LONGER revoked release 1.1: tampered; use 1.2",
    ),
    (
        {"revoked_keys": (RevokedKey(name="olaf", keyid="c" * 64, reason="lost"),)},
        "revoked key olaf cccccccccccccccc: lost",
        "NO LONGER revoked key olaf cccccccccccccccc: lost",
    ),
    (
        {
            "revoked_keys": (
                RevokedKey(name="olaf", keyid="c" * 64, reason="lost", replacement="ole"),
            )
        },
        "revoked key olaf cccccccccccccccc: lost; ole takes its place",
        "NO LONGER revoked key olaf cccccccccccccccc: lost; ole takes its place",
    ),
    (
        {"vouched": (Vouched(version="1.0", statement_sha256=DIGEST, root_sha256=DIGEST),)},
        "vouches for 1.0, statement aaaaaaaaaaaaaaaa, made under root aaaaaaaaaaaaaaaa",
        "NO LONGER vouches for 1.0, statement aaaaaaaaaaaaaaaa, made under root aaaaaaaaaaaaaaaa",
    ),
    ({"commit": True}, "commit no → yes", "commit yes → no"),
    (
        {"freshness": Freshness(required=True, days=3)},
        (
            "freshness not required, a listing is fresh for 7 days → "
            "required, a listing is fresh for 3 days"
        ),
        (
            "freshness required, a listing is fresh for 3 days → "
            "not required, a listing is fresh for 7 days"
        ),
    ),
    (
        {"diversity": Diversity(engines=2)},
        ("diversity 1 engine, 1 platform, 1 environment → 2 engines, 1 platform, 1 environment"),
        ("diversity 2 engines, 1 platform, 1 environment → 1 engine, 1 platform, 1 environment"),
    ),
    (
        {"log": LOG},
        (
            "log none → log.example/relsign kept by log-a, witnessed by two; "
            "two is 2 of wanda, wilma, wes; not older than 90 days"
        ),
        (
            "log log.example/relsign kept by log-a, witnessed by two; "
            "two is 2 of wanda, wilma, wes; not older than 90 days → none"
        ),
    ),
]


@pytest.mark.parametrize(("changes", "there", "back"), IN_WORDS)
def test_changes_are_words_and_no_document(
    changes: dict[str, object], there: str, back: str
) -> None:
    old, new = make_root(), make_root(expires=LATER, version=2, **changes)
    assert describe_change(old, new).lines == ("version 1 → 2", there)
    assert describe_change(new, old).lines == ("version 2 → 1", back)


def test_two_that_begin_alike_are_two() -> None:
    one, other = (
        make_root(revoked=(Revocation(statement_sha256=Digest("a" * 63 + end), reason="x"),))
        for end in "bc"
    )
    words = "revoked statement aaaaaaaaaaaaaaaa: x"
    assert describe_change(one, other).lines[1:] == (words, f"NO LONGER {words}")


def test_what_a_root_asks_for_is_said() -> None:
    assert root_rules(make_root()) == (
        "thresholds: 2 owners, 2 signers, 2 builders of 2 organisations",
        "dissent: refuse",
        "share_roles: no",
        "commit: no",
        "freshness: not required, a listing is fresh for 7 days",
        "diversity: 1 engine, 1 platform, 1 environment",
        "log: none",
    )
    alone = Thresholds(owners=1, signers=1, builders=1, organisations=1)
    assert root_rules(make_root(thresholds=alone))[0] == (
        "thresholds: 1 owner, 1 signer, 1 builder of 1 organisation"
    )


def test_the_first_root_has_nothing_to_differ_from() -> None:
    assert describe_change(None, make_root()).lines == ("version 1, the first root here",)


def test_what_becomes_of_the_release_key_is_told() -> None:
    before, after = make_root(), group_root()
    optional = group_root(release_key="optional")
    assert "release_key none → required, held by team" in describe_change(before, after).lines
    assert "release_key required, held by team → optional, held by team" in (
        describe_change(after, optional).lines
    )
    assert "release_key: optional, held by team" in root_rules(optional)
    assert not any(line.startswith("release_key") for line in root_rules(before))
