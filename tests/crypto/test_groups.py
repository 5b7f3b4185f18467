"""Groups in a roster: whose key it is, what its certificate may say, and who is in it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from relsign.crypto.keys import (
    Ed25519Public,
    GroupPublic,
    check_members,
    parse_member,
    possible_keyids,
)
from relsign.crypto.openpgp import parse_certificate
from relsign.errors import InputError
from relsign.formats.roster import Ed25519Key, FrostKey, Member, Role
from tests.crypto.openpgp_maker import (
    binding,
    ed25519,
    packet,
    revocation,
    simple,
)
from tests.crypto.roster_keys import certified, openpgp_key, openpgp_member, person
from tests.verify.releases import group_member, member, secret

PEOPLE = tuple(member(name, name, "acme", "signer") for name in ("sam", "sara", "sven"))
OWNERS = tuple(member(name, name, "acme", "owner") for name in ("olga", "otto"))


def check(*members: Member, share_roles: bool = False) -> tuple[str, ...]:
    parties = check_members(members, "roster", share_roles=share_roles)
    return tuple(party.name for party in parties)


# --- one key -----------------------------------------------------------------------------------


def test_a_group_is_an_ed25519_key_to_whoever_verifies() -> None:
    party = parse_member(group_member(), "here")
    assert isinstance(party.key, GroupPublic)
    raw = secret("team").verify_key.encode()
    assert (party.key.raw, party.keyid) == (raw, Ed25519Public(raw).keyid)
    assert (party.key.threshold, party.key.participants) == (2, ("sam", "sara", "sven"))
    assert (party.key.certificate, party.key.fingerprint) == (None, "")
    assert possible_keyids(party.key) == {party.keyid}


def test_a_group_with_a_certificate_of_its_own_key() -> None:
    data = simple(openpgp_key("team"))
    party = parse_member(certified(data), "here")
    assert isinstance(party.key, GroupPublic)
    assert party.key.certificate == data
    fingerprint = parse_certificate(data, "x").fingerprint.lower()
    assert party.key.fingerprint == fingerprint
    assert possible_keyids(party.key) == {party.keyid, fingerprint}
    assert party.key.materials == {party.key.raw}


def with_subkey() -> bytes:
    primary, subkey = openpgp_key("team"), ed25519(77)
    return simple(primary) + packet(14, subkey.body) + binding(primary, subkey)


def revoked_by_itself() -> bytes:
    key = openpgp_key("team")
    return revocation(0x20, key, key.hashed)


CERTIFICATES: dict[str, tuple[Callable[[], bytes], str]] = {
    "of another key": (lambda: simple(openpgp_key("sam")), "is of another key than the group's"),
    "of a subkey that may sign": (with_subkey, "lets another key sign"),
    "that may not sign": (lambda: simple(openpgp_key("team"), flag_byte=0x01), "or its own not"),
    "that is revoked": (
        lambda: simple(openpgp_key("team")) + revoked_by_itself(),
        "is revoked",
    ),
    "of two keys": (lambda: simple(openpgp_key("team")) * 2, "not one OpenPGP certificate"),
    "without a user id": (lambda: packet(6, openpgp_key("team").body), "no valid self-signature"),
    "that is none": (lambda: b"not a certificate, but long enough", "certificate|packet"),
}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_a_certificate_that_says_something_else_is_refused(name: str) -> None:
    make, words = CERTIFICATES[name]
    with pytest.raises(InputError, match=words) as caught:
        parse_member(certified(make()), "here")
    assert caught.value.where.startswith("here.key.certificate")


def test_a_group_s_point_is_checked_as_every_other() -> None:
    small = FrostKey(public="01" + "00" * 31, threshold=2, participants=("sam", "sara"))
    with pytest.raises(InputError, match="not an acceptable Ed25519") as caught:
        parse_member(person("team", small, "release"), "here")
    assert caught.value.where == "here.key.public"


@pytest.mark.parametrize(
    "twin",
    [
        group_member("other", key_of="team"),
        openpgp_member(openpgp_key("team")),
        person("plain", Ed25519Key(public=secret("team").verify_key.encode().hex())),
    ],
)
def test_a_twin_of_a_group_is_seen_across_kinds(twin: Member) -> None:
    with pytest.raises(InputError, match="one key under two names"):
        check(*PEOPLE, group_member(), twin)
    with pytest.raises(InputError, match="one key under two names"):
        check(*PEOPLE, certified(simple(openpgp_key("team"))), twin)


# --- roles -------------------------------------------------------------------------------------


def plain_member(*roles: Role) -> Member:
    return msgspec.structs.replace(member("team", "team", "acme", "signer"), roles=roles)


@pytest.mark.parametrize(
    "wrong",
    [
        group_member(roles=("signer",)),
        group_member(roles=("builder",)),
        group_member(roles=("release", "signer")),
        group_member(roles=("owner", "publisher")),
        plain_member("release", "signer"),
        plain_member("release", "owner", "log"),
    ],
)
def test_a_release_key_has_no_other_role_than_owner(wrong: Member) -> None:
    with pytest.raises(InputError, match="has another role") as caught:
        parse_member(wrong, "here")
    assert caught.value.where == "here.roles"
    assert caught.value.hint


@pytest.mark.parametrize(
    "member_of",
    [
        group_member(),
        group_member(roles=("owner",)),
        group_member(roles=("owner", "release")),
        member("team", "team", "acme", "release"),
    ],
)
def test_who_may_hold_the_release_key(member_of: Member) -> None:
    assert "team" in check(*PEOPLE, *OWNERS, member_of, share_roles=True)


def test_one_key_has_one_role_in_a_group_too() -> None:
    with pytest.raises(InputError, match="two roles"):
        check(*PEOPLE, group_member(roles=("owner", "release")))


# --- people ------------------------------------------------------------------------------------

TWO = group_member("two", participants=("olga", "sam"))
WRONG: dict[str, tuple[tuple[Member, ...], str, str]] = {
    "two release keys": ((*PEOPLE, group_member(), group_member("two")), "two release keys", ""),
    "a group and a plain release key": (
        (*PEOPLE, group_member(), member("r", "r", "acme", "release")),
        "two release keys",
        "",
    ),
    "a participant who is no member": (
        (*PEOPLE[:2], group_member()),
        "a participant is no member",
        "sven",
    ),
    "a release key shared by somebody who signs nothing": (
        (*PEOPLE, *OWNERS, group_member("two", participants=("olga", "sam"))),
        "shares the release key and is no signer",
        "olga",
    ),
    "a group shared by nobody": ((group_member(),), "a participant is no member", "sam"),
    "a group in itself": (
        (*PEOPLE, group_member(participants=("sam", "team"))),
        "no ed25519 key of its own",
        "team",
    ),
    "a group in a group": (
        (
            *PEOPLE,
            group_member("inner", roles=("owner",)),
            group_member(participants=("inner", "sam")),
        ),
        "no ed25519 key of its own",
        "inner",
    ),
    "a participant with an OpenPGP key": (
        (*PEOPLE, openpgp_member(ed25519(41)), group_member(participants=("petra", "sam"))),
        "no ed25519 key of its own",
        "petra",
    ),
    "a person with two shares": (
        (PEOPLE[0], member("sara", "sam", "acme", "signer"), PEOPLE[2], group_member()),
        "sam would hold two shares",
        "sam and sara",
    ),
    "a group operated by one of its people": (
        (*PEOPLE, msgspec.structs.replace(group_member(), operator="sara")),
        "the group has the operator of sara",
        "sara",
    ),
    "an owner in a group of owners": (
        (*PEOPLE, *OWNERS, group_member("two", participants=("olga", "sam"), roles=("owner",))),
        "olga would count as two owners",
        "two and olga",
    ),
    "an owner by another key in a group of owners": (
        (
            *PEOPLE,
            member("boss", "sam", "acme", "owner"),
            group_member(roles=("owner",)),
        ),
        "sam would count as two owners",
        "team and boss",
    ),
    "a person in two groups of owners": (
        (
            *PEOPLE,
            *(member(n, n, "acme", "signer") for n in ("tim", "tom")),
            group_member(roles=("owner",)),
            group_member("two", participants=("sam", "tim", "tom"), roles=("owner",)),
        ),
        "sam would count as two owners",
        "team and two",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_nobody_counts_twice_through_a_group(name: str) -> None:
    members, words, got = WRONG[name]
    with pytest.raises(InputError, match=words) as caught:
        check(*members)
    assert got in caught.value.got
    assert caught.value.hint


GOOD: dict[str, tuple[Member, ...]] = {
    "an owner group beside other owners": (*PEOPLE, *OWNERS, group_member(roles=("owner",))),
    "two groups, one the release key": (
        *PEOPLE, *OWNERS, group_member(), group_member("two", roles=("owner",)),
    ),
    "two owner groups apart from each other": (
        *PEOPLE,
        *(member(n, n, "acme", "signer") for n in ("tim", "tom")),
        group_member(roles=("owner",)),
        group_member("two", participants=("tim", "tom"), roles=("owner",)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_groups_that_stand(name: str) -> None:
    assert len(check(*GOOD[name])) == len(GOOD[name])
