"""Who makes a quorum: groups of groups, operators that count once, names that exist."""

from __future__ import annotations

import msgspec
import pytest

from relsign.crypto.keys import Ed25519Public, Party, check_members
from relsign.crypto.notes import NOTE_ED25519, key_id
from relsign.errors import InputError, NotEnoughError
from relsign.formats.log import LogGroup, LogPolicy
from relsign.verify.inclusion import Inclusion, verify_inclusion
from relsign.verify.witnesses import check_log
from tests.verify.logs import (
    NOW,
    ORIGIN,
    POLICY,
    MemoryLog,
    log_members,
    log_parties,
    make_policy,
    party,
    secret,
)

LOG = MemoryLog()
PARTIES = log_parties()


def ask(cosigned: tuple[str, ...], policy: LogPolicy, parties: tuple[Party, ...]) -> Inclusion:
    """Ask about the log's first entry, cosigned now by witnesses of these names."""
    proof = LOG.proof(0, cosigned=dict.fromkeys(cosigned, NOW)).to_bytes()
    return verify_inclusion(policy, parties, proof, LOG.entries[0], NOW)


NESTED = make_policy(
    group=(
        LogGroup(name="x", need=2, of=("wanda", "wilma", "wes")),
        LogGroup(name="y", need="any", of=("yana", "yuri")),
        LogGroup(name="both", need="all", of=("x", "y")),
    ),
    quorum="both",
)
COUNTED = make_policy(
    group=(*NESTED.group[:2], LogGroup(name="one", need=1, of=("x", "y"))), quorum="one"
)
ALL = make_policy(group=(LogGroup(name="every", need="all", of=("wanda", "wilma")),))
MORE = (
    *PARTIES,
    party("yana", "yana", "dune", "witness"),
    party("yuri", "yuri", "dune", "witness"),
)


@pytest.mark.parametrize(
    ("policy", "names", "enough"),
    [
        (NESTED, ("wanda", "wes", "yuri"), True),
        (NESTED, ("wanda", "wilma", "wes", "yana", "yuri"), True),
        (NESTED, ("wanda", "yana", "yuri"), False),
        (NESTED, ("wanda", "wilma", "wes"), False),
        (NESTED, ("yana",), False),
        (COUNTED, ("yana",), True),
        (COUNTED, ("wanda", "wes"), True),
        (COUNTED, ("wanda",), False),
        (msgspec.structs.replace(ALL, quorum="every"), ("wanda", "wilma"), True),
        (msgspec.structs.replace(ALL, quorum="every"), ("wanda", "wes"), False),
        (msgspec.structs.replace(NESTED, quorum="wes"), ("wes",), True),
        (msgspec.structs.replace(NESTED, quorum="wes"), ("wanda", "wilma", "yana"), False),
    ],
)
def test_groups_of_groups(policy: LogPolicy, names: tuple[str, ...], *, enough: bool) -> None:
    if enough:
        assert ask(names, policy, MORE).witnesses == tuple(sorted(names))
    else:
        with pytest.raises(NotEnoughError, match="too few witnesses"):
            ask(names, policy, MORE)


TWINS = (
    *PARTIES[:4],
    party("wendy", "wanda", "acme", "witness"),
    party("wes", "wes", "cedar", "witness"),
)


def test_two_witnesses_of_one_operator_count_once() -> None:
    policy = make_policy(
        group=(LogGroup(name="two", need=2, of=("wanda", "wendy", "wilma")),),
    )
    with pytest.raises(NotEnoughError, match="got wanda, wendy"):
        ask(("wanda", "wendy"), policy, TWINS)
    assert ask(("wendy", "wilma"), policy, TWINS).witnesses == ("wendy", "wilma")


# --- policies that cannot stand ---------------------------------------------------------------


def grouped(need: int, *names: str) -> LogPolicy:
    return make_policy(group=(LogGroup(name="two", need=need, of=names),))


def colliding(seed: int) -> Party:
    """Return one of two log keys found to share the four bytes of their key id."""
    # Two of the keys whose seed is SHA-256 of this text; a search of three seconds found them.
    raw = secret(f"collide {seed}").verify_key.encode()
    name = f"log-{seed}"
    return Party(name, name, "acme", ("log",), Ed25519Public(raw))


def test_the_colliding_keys_collide() -> None:
    ids = {
        key_id(ORIGIN, NOTE_ED25519, key)
        for seed in (70149, 110831)
        for key in colliding(seed).key.materials
    }
    assert len(ids) == 1


BAD_POLICIES: dict[str, tuple[LogPolicy, tuple[Party, ...], str]] = {
    "no such log": (make_policy(members=("log-z",)), PARTIES, "role log .*got log-z"),
    "a witness as the log": (make_policy(members=("wanda",)), PARTIES, "role log .*got wanda"),
    "no such witness": (grouped(1, "wanda", "mallory"), PARTIES, "role witness .*got mallory"),
    "a log as witness": (grouped(1, "log-a"), PARTIES, "role witness .*got log-a"),
    "unknown quorum": (make_policy(quorum="three"), PARTIES, "role witness .*got three"),
    "a log as quorum": (make_policy(quorum="log-a"), PARTIES, "role witness .*got log-a"),
    "group named as a member": (
        make_policy(group=(LogGroup(name="wes", need=1, of=("wanda",)),), quorum="wes"),
        PARTIES,
        "group named as a member",
    ),
    "witness that is no key name": (
        grouped(1, "w+w"),
        (*PARTIES, party("w+w", "w", "acme", "witness")),
        "not a key name",
    ),
    "two log keys with one label": (
        make_policy(members=("log-70149", "log-110831")),
        (*PARTIES, colliding(70149), colliding(110831)),
        "two log keys with one key id",
    ),
    "one key as log and witness": (
        grouped(1, "log-a"),
        (*PARTIES[1:], party("log-a", "machine-l", "acme", "log", "witness")),
        "a witness is run by the log's own operator",
    ),
    "the log's operator as witness": (
        grouped(1, "own"),
        (*PARTIES, party("own", "machine-m", "acme", "witness")),
        "a witness is run by the log's own operator",
    ),
    "one operator in two groups": (
        make_policy(
            group=(
                LogGroup(name="x", need=1, of=("wanda",)),
                LogGroup(name="y", need=1, of=("wendy",)),
                LogGroup(name="two", need=2, of=("x", "y")),
            )
        ),
        TWINS,
        "witnesses in two groups .*got wanda in x and y",
    ),
    "more needed than there are operators": (
        grouped(2, "wanda", "wendy"),
        TWINS,
        "needs more operators than it has .*expected at most 1, got 2",
    ),
}


@pytest.mark.parametrize("name", BAD_POLICIES)
def test_policies_that_cannot_stand(name: str) -> None:
    policy, parties, words = BAD_POLICIES[name]
    with pytest.raises(InputError, match=words) as caught:
        check_log(policy, parties, "root.json: log")
    assert caught.value.where.startswith("root.json: log")
    assert caught.value.hint
    with pytest.raises(InputError, match=words):
        ask(("wanda", "wilma"), policy, parties)


def test_a_policy_that_stands() -> None:
    keys = check_log(POLICY, check_members(log_members(), "test", share_roles=False))
    assert [log.name for log in keys.logs] == ["log-a", "log-b"]
    assert [witness.name for witness in keys.witnesses] == ["wanda", "wilma", "wes"]
    assert {log.key.name for log in keys.logs} == {ORIGIN}
    assert len(check_log(NESTED, MORE).witnesses) == 5
