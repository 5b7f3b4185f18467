"""Charters: which fit the group before them, and which nobody should agree to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest

from relsign.errors import InputError, VerificationError
from relsign.formats.charter import Charter, Group, Holder
from relsign.formats.names import Digest
from relsign.sign.ceremony.charter import (
    agree,
    ceremony_id,
    check_charter,
    keygen_charter,
    repair_charter,
    reshare_charter,
)
from relsign.sign.ceremony.group import group_digest, shares_of
from tests.sign.ceremony.people import CREATED, EXPIRES, TERMS, digest, make_group, public

GROUP, SHARES = make_group(("ana", "bob", "cleo"), 2)
KEYGEN = keygen_charter(TERMS, public("ana", "bob"), 2, digest("n"))
RESHARE = reshare_charter(
    GROUP, public("bob", "dora"), 2, ("bob", "ana"), expires=EXPIRES, nonce=digest("n")
)
REPAIR = repair_charter(GROUP, "cleo", ("ana", "bob"), expires=EXPIRES, nonce=digest("n"))
NOBODY = "01" + "00" * 31
"""The identity: no key."""


def people(**identities: str) -> list[dict[str, str]]:
    return [{"name": name, "identity": raw} for name, raw in sorted(identities.items())]


def key(name: str) -> str:
    return public(name)[name].hex()


def changed(charter: Charter, **fields: object) -> Charter:
    value = {**msgspec.to_builtins(charter), **fields}
    return msgspec.convert(value, Charter)


def test_a_charter_is_its_ceremonys_name() -> None:
    agreed = agree(KEYGEN, None)
    assert agreed.ceremony == ceremony_id(KEYGEN)
    assert list(agreed.identities) == ["ana", "bob"]
    assert KEYGEN.dealers == ("ana", "bob")
    assert ceremony_id(changed(KEYGEN, nonce="ab" * 32)) != agreed.ceremony


def test_who_leaves_may_still_speak() -> None:
    agreed = agree(RESHARE, GROUP)
    assert agreed.identities == public("ana", "bob", "dora")
    assert agreed.before() == GROUP
    assert RESHARE.created == GROUP.created


def test_a_repair_keeps_all_people() -> None:
    assert agree(REPAIR, GROUP).identities == public("ana", "bob", "cleo")


def test_nothing_comes_before_a_keygen() -> None:
    with pytest.raises(InputError, match="no group comes before a keygen"):
        agree(KEYGEN, None).before()


REFUSED: list[tuple[Charter, Group | None, str, str]] = [
    (KEYGEN, GROUP, "charter.previous", "expected"),
    (RESHARE, None, "charter.previous", "expected nothing"),
    (changed(RESHARE, previous="ab" * 32), GROUP, "charter.previous", "got ababab"),
    (changed(RESHARE, project="other"), GROUP, "charter.project", "expected demo, got other"),
    (changed(RESHARE, group="other"), GROUP, "charter.group", "not the group of"),
    (changed(RESHARE, role="owner"), GROUP, "charter.role", "got owner"),
    (changed(RESHARE, user_id="Eve"), GROUP, "charter.user_id", "got Eve"),
    (
        changed(RESHARE, created=CREATED - timedelta(seconds=1)),
        GROUP,
        "charter.created",
        "got 2026-11-20T11:59:59",
    ),
    (changed(RESHARE, dealers=["bob", "dora"]), GROUP, "charter.dealers", "without a share"),
    (
        changed(RESHARE, dealers=["ana", "bob", "cleo"]),
        GROUP,
        "charter.dealers",
        "expected 2, got 3",
    ),
    (
        changed(RESHARE, participants=people(bob=key("eve"), dora=key("dora"))),
        GROUP,
        "charter.participants",
        "got bob: ",
    ),
    (
        changed(RESHARE, participants=people(anna=key("ana"), dora=key("dora"))),
        GROUP,
        "charter.participants",
        "one key under two names (got ana, anna)",
    ),
    (
        changed(RESHARE, participants=people(bob=key("bob"), dora=NOBODY)),
        GROUP,
        "charter: dora",
        "not an acceptable Ed25519 public key",
    ),
    (changed(REPAIR, threshold=3), GROUP, "charter.threshold", "expected 2, got 3"),
    (
        changed(REPAIR, participants=people(ana=key("ana"), bob=key("bob"), cleo=key("eve"))),
        GROUP,
        "charter.participants",
        "a repair changes no people",
    ),
]


@pytest.mark.parametrize(("charter", "previous", "where", "words"), REFUSED)
def test_a_charter_that_does_not_fit_is_refused(
    charter: Charter, previous: Group | None, where: str, words: str
) -> None:
    with pytest.raises(InputError) as caught:
        check_charter(charter, previous)
    assert caught.value.where == where
    assert words in str(caught.value)
    assert caught.value.hint


def test_a_holder_who_does_not_deal_may_come_back_with_a_new_key() -> None:
    charter = changed(
        RESHARE, participants=people(ana=key("ana"), bob=key("bob"), cleo=key("cleo-2"))
    )
    assert agree(charter, GROUP).identities["cleo"] == public("cleo-2")["cleo-2"]


MAKERS: list[tuple[Callable[[], Charter], str]] = [
    (lambda: keygen_charter(TERMS, public("ana"), 2, digest("n")), "length >= 2"),
    (lambda: keygen_charter(TERMS, public("ana", "bob"), 3, digest("n")), "threshold is larger"),
    (lambda: keygen_charter(TERMS, public("ana", "bob"), 2, b"short"), "64 digits"),
    (
        lambda: keygen_charter(
            replace(TERMS, expires=CREATED), public("ana", "bob"), 2, digest("n")
        ),
        "expires is not after created",
    ),
    (
        lambda: reshare_charter(
            GROUP, public("ana", "bob"), 2, ("ana",), expires=EXPIRES, nonce=digest("n")
        ),
        "fewer than two dealers",
    ),
    (
        lambda: reshare_charter(
            GROUP, public("ana", "bob"), 2, ("ana", "eve"), expires=EXPIRES, nonce=digest("n")
        ),
        "dealer without a share",
    ),
    (
        lambda: repair_charter(GROUP, "eve", ("ana", "bob"), expires=EXPIRES, nonce=digest("n")),
        "lost and dealers",
    ),
    (
        lambda: repair_charter(GROUP, "ana", ("ana", "bob"), expires=EXPIRES, nonce=digest("n")),
        "lost and dealers",
    ),
]


@pytest.mark.parametrize(("make", "words"), MAKERS)
def test_no_charter_is_made_that_could_not_be_carried_out(
    make: Callable[[], Charter], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        make()


# --- the group before --------------------------------------------------------------------------


def holders(*verifying: str) -> tuple[Holder, ...]:
    return tuple(
        msgspec.structs.replace(holder, verifying=Digest(point))
        for holder, point in zip(GROUP.holders, verifying, strict=True)
    )


POINTS = [holder.verifying for holder in GROUP.holders]
WRONG_GROUPS = [
    (msgspec.structs.replace(GROUP, key=Digest(POINTS[0])), "do not make the group's key"),
    (msgspec.structs.replace(GROUP, key=Digest(NOBODY)), "not a point of the group"),
    (
        msgspec.structs.replace(GROUP, holders=holders(POINTS[0], POINTS[1], POINTS[1])),
        "do not make the group's key",
    ),
    (
        msgspec.structs.replace(GROUP, holders=holders(POINTS[0], POINTS[1], NOBODY)),
        "not a point of the group",
    ),
    (msgspec.structs.replace(GROUP, threshold=3), "with its threshold"),
]


def test_a_group_answers_to_its_shares() -> None:
    shares = shares_of(GROUP)
    assert shares.key.hex() == GROUP.key
    assert {share.verifying for share in SHARES.values()} == set(shares.verifying.values())


@pytest.mark.parametrize(("group", "words"), WRONG_GROUPS)
def test_a_group_that_contradicts_itself_is_followed_by_nothing(group: Group, words: str) -> None:
    dealers = ["ana", "bob", "cleo"][: group.threshold]
    charter = changed(RESHARE, previous=group_digest(group), dealers=dealers)
    with pytest.raises(VerificationError, match=words):
        check_charter(charter, group)
