"""Groups in what a root withstands: a shared key is as strong as its threshold of shares."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from relsign.formats.root import Root
from relsign.formats.roster import FrostKey, Member, Role
from relsign.verify.analysis import analyse
from tests.crypto.openpgp_maker import CREATED, DAY, lasts, simple
from tests.crypto.roster_keys import certified, openpgp_key
from tests.verify.releases import NOW, group_member, member, root_of
from tests.verify.test_analysis import (
    BUILDERS,
    OWNERS,
    SIGNERS,
    Person,
    assert_counted,
    duty_of,
    found,
    people,
    root_with,
)


def with_group(group: Member, *groups: Iterable[Person], **changes: object) -> Root:
    """Return a root with a group besides."""
    root = root_with(*(groups or (OWNERS, SIGNERS, BUILDERS)), **changes)  # type: ignore[arg-type]
    members = tuple(sorted((*root.members, group), key=lambda m: m.name))
    return root_of(msgspec.structs.replace(root.policy, members=members))


SHARERS = ("signer-0", "signer-1", "signer-2")
GROUPS: dict[str, tuple[Root, Role]] = {
    "a release key of two in three": (with_group(group_member(participants=SHARERS)), "release"),
    "a release key that needs all": (
        with_group(group_member(participants=SHARERS, threshold=3)),
        "release",
    ),
    "a plain release key": (with_group(member("team", "team", "acme", "release")), "release"),
    "an owner that is a group": (
        with_group(group_member(participants=SHARERS, roles=("owner",))),
        "owner",
    ),
    "a group among owners who are all needed": (
        with_group(group_member(participants=SHARERS, roles=("owner",)), need=(4, 2, 2, 2)),
        "owner",
    ),
    "a group that alone is owner enough": (
        with_group(group_member(participants=SHARERS, roles=("owner",)), need=(1, 2, 2, 2)),
        "owner",
    ),
    "a group that needs all, among owners who need two": (
        with_group(
            group_member(participants=SHARERS, threshold=3, roles=("owner",)),
            people("owner", "olga/acme"), SIGNERS, BUILDERS,
        ),
        "owner",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GROUPS)
def test_numbers_of_groups_are_those_of_every_subset_of_shares(name: str) -> None:
    root, role = GROUPS[name]
    assert_counted(duty_of(root, role))


def test_a_release_key_is_as_many_keys_as_it_has_shares() -> None:
    root = with_group(group_member(participants=SHARERS))
    (said,) = (role for role in analyse(root, NOW).roles if role.role == "release")
    assert (said.keys, said.people, said.organisations, said.need) == (3, 3, 3, 2)
    assert (said.may_be_lost, said.stolen_to_forge, said.organisations_to_forge) == (1, 2, 2)


def test_a_group_s_people_stand_in_its_place() -> None:
    duty = duty_of(with_group(group_member(participants=SHARERS, roles=("owner",))), "owner")
    assert "team" not in [party.name for party in duty.parties]
    assert len(duty.parties) == len(OWNERS) + len(SHARERS)
    assert "team" in [party.name for party in duty.holders]


RELEASE_FINDINGS: dict[str, tuple[Root, str, str]] = {
    "a key of one": (
        GROUPS["a plain release key"][0],
        "one-theft",
        "SERIOUS: one stolen release key can sign what gpg, minisign and other tools",
    ),
    "a key of one that is lost": (
        GROUPS["a plain release key"][0],
        "one-loss",
        "SERIOUS: if team is lost, nothing can be signed with the release key, which people may",
    ),
    "a share that all wait for": (
        GROUPS["a release key that needs all"][0],
        "one-loss",
        "SERIOUS: if any one of sam, sven, sara is lost, nothing can be signed with the release",
    ),
    "one organisation has the threshold": (
        with_group(
            group_member(participants=SHARERS),
            OWNERS, people("signer", "sa/acme", "sb/acme", "sc/birch"), BUILDERS,
        ),
        "one-organisation-acts",
        "SERIOUS: acme alone can sign what gpg",
    ),
    "one organisation has every share": (
        with_group(
            group_member(participants=SHARERS),
            OWNERS, people("signer", "sa/acme", "sb/acme", "sc/acme"), BUILDERS,
        ),
        "one-organisation-acts",
        "SERIOUS: all holders of the release key are of acme, which alone can sign what gpg",
    ),
    "one organisation that may leave": (
        with_group(
            group_member(participants=SHARERS),
            OWNERS, people("signer", "sa/acme", "sb/acme", "sc/birch"), BUILDERS,
        ),
        "one-organisation-stops",
        "ADVICE: if acme leaves, nothing can be signed with the release key",
    ),
    "a threshold below the signers'": (
        with_group(group_member(participants=SHARERS), need=(2, 3, 2, 2)),
        "release-key-is-weaker",
        "ADVICE: 2 stolen shares of team can sign what gpg, minisign and other tools then take",
    ),
    "a release key nobody needs": (
        with_group(group_member(participants=SHARERS), release_key="optional"),
        "release-key-is-optional",
        "ADVICE: a release verifies without the signature of team",
    ),
    "a group of one organisation among owners": (
        with_group(
            group_member(participants=SHARERS, roles=("owner",)),
            OWNERS, people("signer", "sa/acme", "sb/acme", "sc/birch"), BUILDERS,
        ),
        "one-organisation-acts",
        "GRAVE: acme alone can replace the root",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RELEASE_FINDINGS)
def test_what_a_release_key_does_not_withstand_is_named(name: str) -> None:
    root, code, words = RELEASE_FINDINGS[name]
    analysis = analyse(root, NOW)
    assert any(said.startswith(words) for said in found(analysis)[code]), found(analysis)
    assert all(finding.todo for finding in analysis.findings)


@pytest.mark.parametrize(
    ("root", "code"),
    [
        (with_group(group_member(participants=SHARERS)), "release-key-is-weaker"),
        (with_group(group_member(participants=SHARERS)), "release-key-is-optional"),
        (with_group(group_member(participants=SHARERS)), "one-theft"),
        (with_group(group_member(participants=SHARERS)), "one-loss"),
        (GROUPS["a plain release key"][0], "release-key-is-weaker"),
    ],
)
def test_what_a_release_key_withstands_is_not_named(root: Root, code: str) -> None:
    assert code not in found(analyse(root, NOW))


def test_who_can_make_a_release_alone_needs_the_release_key_too() -> None:
    groups = (
        people("owner", "oa/acme", "ob/acme"),
        people("signer", "sa/acme", "sb/acme", "sc/birch", "sd/birch"),
        people("builder", "ma/acme", "mb/acme"),
    )
    others = group_member(participants=("signer-2", "signer-3"))
    for word, alone in ((msgspec.UNSET, False), ("optional", True)):
        root = with_group(others, *groups, need=(2, 2, 2, 1), release_key=word)
        said = found(analyse(root, NOW))
        assert ("one-organisation-releases" in said) is alone


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (300, ""),
        (30, "the OpenPGP key of team expires on"),
        (-1, "the OpenPGP key of team expired"),
    ],
)
def test_a_group_s_certificate_is_named_before_it_expires(days: int, words: str) -> None:
    seconds = int(NOW.timestamp()) - CREATED + days * DAY
    made = certified(simple(openpgp_key("team"), lasts(seconds)))
    key = made.key
    assert isinstance(key, FrostKey)
    group = msgspec.structs.replace(made, key=msgspec.structs.replace(key, participants=SHARERS))
    said = found(analyse(with_group(group), NOW)).get("key-expires", [])
    assert len(said) == (1 if words else 0)
    assert all(words in line and "gpg" in line for line in said)
