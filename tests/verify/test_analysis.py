"""What a root withstands: the closed form against every subset, and each finding by name."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import combinations

import msgspec
import pytest

from relsign.crypto.keys import OpenPGPPublic, Party, check_members
from relsign.crypto.openpgp import Certificate, SigningKey
from relsign.errors import InputError
from relsign.formats.log import LogGroup, LogPolicy
from relsign.formats.policy import Diversity, Freshness, Thresholds
from relsign.formats.root import Root
from relsign.formats.roster import Member, Role
from relsign.verify.analysis import Analysis, analyse
from relsign.verify.findings import Gravity, of_dates
from relsign.verify.tolerance import MANY_ORGANISATIONS, Duty, duties, tolerance
from tests.verify.releases import LATER, NOW, make_root, member, root_of

Person = tuple[str, str, str, Role]


def people(role: Role, *who: str) -> tuple[Person, ...]:
    """Return members of a role, each written ``operator/organisation`` or ``key:operator/...``."""
    found: list[Person] = []
    for number, text in enumerate(who):
        operator, organisation = text.split("/")
        found.append((f"{role}-{number}", operator, organisation, role))
    return tuple(found)


OWNERS = people("owner", "olga/acme", "otto/birch", "oona/cedar")
SIGNERS = people("signer", "sam/acme", "sven/birch", "sara/cedar")
BUILDERS = people("builder", "ma/acme", "mb/birch", "mc/cedar")
LOGS = people("log", "lena/dune")
WITNESSES = people("witness", "wa/acme", "wb/birch", "wc/cedar", "wd/elm", "we/elm")


Need = tuple[int, int, int, int]


def root_with(*groups: Iterable[Person], need: Need = (2, 2, 2, 2), **changes: object) -> Root:
    """Return a root of these people, who need so many owners, signers, builders, organisations."""
    members = tuple(member(*person) for group in groups for person in group)
    policy = msgspec.structs.replace(
        make_root().policy,
        members=tuple(sorted(members, key=lambda m: m.name)),
        thresholds=Thresholds(
            owners=need[0], signers=need[1], builders=need[2], organisations=need[3]
        ),
        **changes,
    )
    return root_of(policy)


def log_policy(quorum: str = "none", *groups: LogGroup) -> LogPolicy:
    return LogPolicy(origin="log.example/demo", members=("log-0",), group=groups, quorum=quorum)


def group(name: str, need: int | str, *of: str) -> LogGroup:
    return msgspec.convert({"name": name, "need": need, "of": of}, LogGroup)


def duty_of(root: Root, role: Role) -> Duty:
    parties = check_members(root.members, "test", share_roles=True)
    return next(duty for duty in duties(root.policy, parties) if duty.role == role)


def subsets(duty: Duty) -> Iterable[tuple[Party, ...]]:
    for size in range(len(duty.parties) + 1):
        yield from combinations(duty.parties, size)


# --- the closed form, against every subset ------------------------------------------------------

LAYOUTS: dict[str, tuple[tuple[str, ...], int, int]] = {
    "three of three places": (("a/x", "b/y", "c/z"), 2, 2),
    "one is enough": (("a/x", "b/y"), 1, 1),
    "all are needed": (("a/x", "b/x", "c/y"), 3, 2),
    "one place has all but one": (("a/x", "b/x", "c/x", "d/y"), 2, 2),
    "one place is enough": (("a/x", "b/x", "c/x", "d/y"), 3, 1),
    "twins": (("a/x", "a/x", "a/x", "b/y", "c/z"), 2, 2),
    "twins in one place": (("a/x", "a/x", "b/x", "b/x", "c/y"), 2, 1),
    "many of a small quorum": (("a/u", "b/v", "c/w", "d/x", "e/y", "f/z"), 3, 3),
    "alone": (("a/x",), 1, 1),
    "wide but shallow": (("a/x", "b/x", "c/y", "d/y", "e/z"), 4, 2),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_numbers_of_builders_are_those_of_every_subset(name: str) -> None:
    who, need, places = LAYOUTS[name]
    root = root_with(OWNERS, SIGNERS, people("builder", *who), need=(2, 2, need, places))
    assert_counted(duty_of(root, "builder"))


QUORUMS: dict[str, tuple[str, tuple[LogGroup, ...]]] = {
    "one witness": ("witness-1", ()),
    "two of three": ("two", (group("two", 2, "witness-0", "witness-1", "witness-2"),)),
    "any": ("any-one", (group("any-one", "any", "witness-0", "witness-1", "witness-2"),)),
    "all": ("each", (group("each", "all", "witness-0", "witness-1", "witness-2"),)),
    "nested": (
        "both",
        (
            group("x", 2, "witness-0", "witness-1", "witness-2"),
            group("y", "any", "witness-3", "witness-4"),
            group("both", "all", "x", "y"),
        ),
    ),
    "a group counts as one": (
        "top",
        (
            group("y", "all", "witness-3", "witness-4"),
            group("top", 2, "y", "witness-0", "witness-1"),
        ),
    ),
    "either group": (
        "top",
        (
            group("x", "all", "witness-0", "witness-1"),
            group("y", 1, "witness-3", "witness-4"),
            group("top", "any", "x", "y"),
        ),
    ),
    "a group nobody asks": (
        "x",
        (group("x", 1, "witness-0"), group("y", 1, "witness-3", "witness-4")),
    ),
}


@pytest.mark.parametrize("name", QUORUMS)
@pytest.mark.parametrize("twins", [False, True])
def test_numbers_of_witnesses_are_those_of_every_subset(name: str, *, twins: bool) -> None:
    quorum, groups = QUORUMS[name]
    witnesses = list(WITNESSES)
    if twins:
        # The last two machines stand in one group in every quorum here.
        witnesses[4] = ("witness-4", "wd", "elm", "witness")
    root = root_with(OWNERS, SIGNERS, BUILDERS, LOGS, witnesses, log=log_policy(quorum, *groups))
    assert_counted(duty_of(root, "witness"))


def assert_counted(duty: Duty) -> None:
    """Compare the numbers of a role with what every subset of its keys shows."""
    numbers = tolerance(duty)
    stuck = [len(lost) for lost in subsets(duty) if not duty.without(lost)]
    forged = [len(stolen) for stolen in subsets(duty) if duty.acts(stolen)]
    assert numbers.may_be_lost == min(stuck) - 1
    assert numbers.stolen_to_forge == min(forged)
    places = sorted({party.organisation for party in duty.parties})
    together = [
        count
        for count in range(len(places) + 1)
        for some in combinations(places, count)
        if duty.acts([party for party in duty.parties if party.organisation in some])
    ]
    assert numbers.organisations_to_forge == min(together)
    assert numbers.keys == len(duty.parties)
    assert numbers.people == len({party.operator for party in duty.parties})
    assert numbers.organisations == len(places)


def test_organisations_of_witnesses_are_counted_up_to_three() -> None:
    places = tuple(f"w{number}/place-{number}" for number in range(5))
    witnesses = people("witness", *places)
    every = group("every", "all", *(person[0] for person in witnesses))
    root = root_with(OWNERS, SIGNERS, BUILDERS, LOGS, witnesses, log=log_policy("every", every))
    assert tolerance(duty_of(root, "witness")).organisations_to_forge == MANY_ORGANISATIONS


# --- findings -----------------------------------------------------------------------------------


def found(analysis: Analysis) -> dict[str, list[str]]:
    """Return what is said under each code."""
    said: dict[str, list[str]] = {}
    for finding in analysis.findings:
        said.setdefault(finding.code, []).append(f"{finding.gravity.name}: {finding.what}")
    return said


def test_a_sound_root_is_told_only_what_every_root_of_its_kind_is() -> None:
    owners = people("owner", "oa/acme", "ob/birch", "oc/cedar")
    signers = people("signer", "sa/acme", "sb/birch", "sc/cedar")
    builders = people("builder", "ma/acme", "mb/birch", "mc/cedar")
    publishers = people("publisher", "pa/acme", "pb/birch")
    logs = (*people("log", "la/dune"), ("log-1", "lb", "elm", "log"))
    witnesses = people("witness", "wa/acme", "wb/birch", "wc/cedar")
    two = group("two", 2, *(person[0] for person in witnesses))
    policy = msgspec.structs.replace(log_policy("two", two), members=("log-0", "log-1"))
    root = root_with(
        owners, signers, builders, publishers, logs, witnesses,
        log=policy, commit=True, dissent="record", diversity=Diversity(engines=2),
    )  # fmt: skip
    analysis = analyse(root, NOW)
    assert list(found(analysis)) == ["one-publisher-hides"]
    assert (analysis.project, analysis.version) == ("demo", 1)
    assert [(r.role, r.may_be_lost, r.stolen_to_forge) for r in analysis.roles] == [
        ("owner", 1, 2), ("signer", 1, 2), ("builder", 1, 2),
        ("publisher", 1, 1), ("log", 1, 1), ("witness", 1, 2),
    ]  # fmt: skip


FINDINGS: dict[str, tuple[Root, str, str]] = {
    "one owner's theft": (
        root_with(OWNERS, SIGNERS, BUILDERS, need=(1, 2, 2, 2)),
        "one-theft",
        "GRAVE: one stolen owner's key can replace the root",
    ),
    "one signer's theft": (
        root_with(OWNERS, SIGNERS, BUILDERS, need=(2, 1, 2, 2)),
        "one-theft",
        "SERIOUS: one stolen signer's key",
    ),
    "one builder's theft": (
        root_with(OWNERS, SIGNERS, BUILDERS, need=(2, 2, 1, 1)),
        "one-theft",
        "GRAVE: one stolen builder's key can say what bytes",
    ),
    "every owner is needed": (
        root_with(OWNERS, SIGNERS, BUILDERS, need=(3, 2, 2, 2)),
        "one-loss",
        "SERIOUS: if any one of olga, otto, oona is lost, no root",
    ),
    "one machine of the only second organisation": (
        root_with(OWNERS, SIGNERS, people("builder", "ma/acme", "mb/birch", "mc/birch")),
        "one-loss",
        "SERIOUS: if ma is lost, no release has its quorum",
    ),
    "all owners in one organisation": (
        root_with(people("owner", "oa/acme", "ob/acme", "oc/acme"), SIGNERS, BUILDERS),
        "one-organisation-acts",
        "GRAVE: all owners are of acme, which alone can replace the root",
    ),
    "an organisation with a threshold of signers": (
        root_with(OWNERS, people("signer", "sa/acme", "sb/acme", "sc/birch"), BUILDERS),
        "one-organisation-acts",
        "SERIOUS: acme alone can sign a release",
    ),
    "an organisation that may leave": (
        root_with(people("owner", "oa/acme", "ob/acme", "oc/birch"), SIGNERS, BUILDERS),
        "one-organisation-stops",
        "ADVICE: if acme leaves, no root",
    ),
    "an organisation with everything": (
        root_with(
            people("owner", "oa/acme", "ob/acme"),
            people("signer", "sa/acme", "sb/acme"),
            people("builder", "ma/acme", "mb/acme"),
            need=(2, 2, 2, 1),
        ),
        "one-organisation-releases",
        "GRAVE: acme alone can approve, build and sign",
    ),
    "one person in two roles": (
        root_with(OWNERS, people("signer", "olga/acme", "sven/birch", "sara/cedar"), BUILDERS),
        "one-operator-several-roles",
        "SERIOUS: olga is owner and signer",
    ),
    "one person with two machines": (
        root_with(OWNERS, SIGNERS, people("builder", "ma/acme", "ma/acme", "mb/birch")),
        "one-operator-several-keys",
        "ADVICE: ma runs builder-0 and builder-1 as builder",
    ),
    "one publisher": (
        root_with(OWNERS, SIGNERS, BUILDERS, people("publisher", "pa/acme")),
        "one-loss",
        "SERIOUS: if pa is lost, the listing expires",
    ),
    "no publisher": (
        root_with(OWNERS, SIGNERS, BUILDERS),
        "no-publisher",
        "ADVICE: nobody says which release is the newest",
    ),
    "no publisher, and one is required": (
        root_with(OWNERS, SIGNERS, BUILDERS, freshness=Freshness(required=True)),
        "no-publisher",
        "SERIOUS: freshness is required and nobody can attest it",
    ),
    "no log": (root_with(OWNERS, SIGNERS, BUILDERS), "no-log", "ADVICE: a release made with"),
    "a log without witnesses": (
        root_with(OWNERS, SIGNERS, BUILDERS, LOGS, log=log_policy()),
        "no-witnesses",
        "SERIOUS: the log log.example/demo can show two people two histories",
    ),
    "one log": (
        root_with(OWNERS, SIGNERS, BUILDERS, LOGS, log=log_policy()),
        "one-loss",
        "SERIOUS: if lena is lost, no release can be logged",
    ),
    "one witness is enough": (
        root_with(
            OWNERS, SIGNERS, BUILDERS, LOGS, WITNESSES,
            log=log_policy("one", group("one", 1, "witness-0", "witness-1")),
        ),
        "one-theft",
        "SERIOUS: one stolen witness's key can make the log's quorum",
    ),
    "one witness can block": (
        root_with(
            OWNERS, SIGNERS, BUILDERS, LOGS, WITNESSES,
            log=log_policy("every", group("every", "all", "witness-0", "witness-1")),
        ),
        "one-loss",
        "SERIOUS: if any one of wa, wb is lost, no release gets its log proof",
    ),
    "an organisation with the quorum": (
        root_with(
            OWNERS, SIGNERS, BUILDERS, LOGS, WITNESSES,
            log=log_policy("two", group("two", 2, "witness-0", "witness-3", "witness-4")),
        ),
        "one-organisation-acts",
        "SERIOUS: elm alone can make the log's quorum",
    ),
    "a witness of the log's organisation": (
        root_with(
            OWNERS, SIGNERS, BUILDERS, LOGS, people("witness", "wa/dune", "wb/birch"),
            log=log_policy("one", group("one", 1, "witness-0", "witness-1")),
        ),
        "log-watches-itself",
        "ADVICE: the witness witness-0 is of dune",
    ),
    "no diversity": (
        root_with(OWNERS, SIGNERS, BUILDERS),
        "no-diversity",
        "ADVICE: builders may all run the same engine",
    ),
    "builders of one organisation may do": (
        root_with(OWNERS, SIGNERS, BUILDERS, need=(2, 2, 2, 1)),
        "no-organisations",
        "ADVICE: builders of one organisation may make the whole quorum",
    ),
    "no commitments": (root_with(OWNERS, SIGNERS, BUILDERS), "no-commitments", "ADVICE: a builder"),
    "one dissenter": (root_with(OWNERS, SIGNERS, BUILDERS), "one-dissenter-stops", "ADVICE: one"),
    "an expiry that is near": (
        make_root(expires=NOW + timedelta(days=59)),
        "root-expires",
        "SERIOUS: the root expires on 2027-01-19: after that every verdict is REFUSED",
    ),
    "an expiry that is past": (
        make_root(expires=NOW - timedelta(days=1)),
        "root-expires",
        "GRAVE: the root expired on 2026-11-20",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FINDINGS)
def test_each_single_point_of_failure_is_named(name: str) -> None:
    root, code, words = FINDINGS[name]
    analysis = analyse(root, NOW)
    assert any(said.startswith(words) for said in found(analysis)[code]), found(analysis)
    assert all(finding.todo for finding in analysis.findings)


SOUND_IN: dict[str, tuple[Root, str]] = {
    "two thefts": (root_with(OWNERS, SIGNERS, BUILDERS), "one-theft"),
    "one to spare": (root_with(OWNERS, SIGNERS, BUILDERS), "one-loss"),
    "nobody meets a threshold alone": (
        root_with(OWNERS, SIGNERS, BUILDERS),
        "one-organisation-acts",
    ),
    "nobody may release alone": (root_with(OWNERS, SIGNERS, BUILDERS), "one-organisation-releases"),
    "anybody may leave": (root_with(OWNERS, SIGNERS, BUILDERS), "one-organisation-stops"),
    "one role each": (root_with(OWNERS, SIGNERS, BUILDERS), "one-operator-several-roles"),
    "one key each": (root_with(OWNERS, SIGNERS, BUILDERS), "one-operator-several-keys"),
    "two publishers": (
        root_with(OWNERS, SIGNERS, BUILDERS, people("publisher", "pa/acme", "pb/birch")),
        "one-loss",
    ),
    "a publisher": (
        root_with(OWNERS, SIGNERS, BUILDERS, people("publisher", "pa/acme")),
        "no-publisher",
    ),
    "one publisher alone is no theft to name": (
        root_with(OWNERS, SIGNERS, BUILDERS, people("publisher", "pa/acme")),
        "one-theft",
    ),
    "diverse": (
        root_with(OWNERS, SIGNERS, BUILDERS, diversity=Diversity(platforms=2)),
        "no-diversity",
    ),
    "one builder has no quorum to fill": (
        root_with(OWNERS, SIGNERS, BUILDERS, need=(2, 2, 1, 1)),
        "no-organisations",
    ),
    "committed": (root_with(OWNERS, SIGNERS, BUILDERS, commit=True), "no-commitments"),
    "recorded": (root_with(OWNERS, SIGNERS, BUILDERS, dissent="record"), "one-dissenter-stops"),
    "far from its end": (make_root(expires=NOW + timedelta(days=60)), "root-expires"),
    "a witness of another organisation": (
        root_with(
            OWNERS, SIGNERS, BUILDERS, LOGS, WITNESSES,
            log=log_policy("one", group("one", 1, "witness-0", "witness-1")),
        ),
        "log-watches-itself",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SOUND_IN)
def test_what_holds_is_not_named(name: str) -> None:
    root, code = SOUND_IN[name]
    assert code not in found(analyse(root, NOW))


def test_the_gravest_comes_first() -> None:
    root = root_with(OWNERS, SIGNERS, BUILDERS, need=(1, 1, 2, 2))
    gravities = [finding.gravity for finding in analyse(root, NOW).findings]
    assert gravities == sorted(gravities)
    assert gravities[0] is Gravity.GRAVE
    assert gravities[-1] is Gravity.ADVICE


def test_one_key_in_two_roles_is_named() -> None:
    shared = msgspec.structs.replace(
        member("olga", "olga", "acme", "owner"), roles=("owner", "signer")
    )
    others: tuple[Member, ...] = tuple(
        member(*person) for person in (*OWNERS[1:], *SIGNERS, *BUILDERS)
    )
    members = tuple(sorted((shared, *others), key=lambda m: m.name))
    said = found(analyse(make_root(members=members, share_roles=True), NOW))
    assert said["one-key-several-roles"] == [
        "SERIOUS: the key of olga is owner and signer: one theft takes all of them"
    ]
    assert "one-operator-several-roles" not in said


def test_a_root_that_cannot_stand_is_not_analysed() -> None:
    with pytest.raises(InputError, match="larger than the role"):
        analyse(root_with(OWNERS, SIGNERS, BUILDERS, need=(4, 2, 2, 2)), NOW)


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (4, False),
        (3, True),
        (-1, True),
    ],
)
def test_a_listing_near_its_end_is_named(days: int, *, said: bool) -> None:
    root = make_root(freshness=Freshness(days=7))
    analysis = analyse(root, NOW, NOW + timedelta(days=days))
    assert ("listing-expires" in found(analysis)) is said


def signing_key(expires_at: datetime | None, *, revoked: bool = False) -> SigningKey:
    return SigningKey("A" * 40, "ed25519", b"k", NOW, expires_at, revoked)


NEAR, FAR = NOW + timedelta(days=30), NOW + timedelta(days=300)


@pytest.mark.parametrize(
    ("primary", "keys", "words"),
    [
        (None, (signing_key(None),), ""),
        (FAR, (signing_key(FAR),), ""),
        (NEAR, (signing_key(None),), "expires on 2026-12-21"),
        (None, (signing_key(NEAR),), "expires on 2026-12-21"),
        (None, (signing_key(NEAR), signing_key(FAR)), ""),
        (None, (signing_key(NEAR), signing_key(None)), ""),
        (None, (signing_key(NEAR), signing_key(None, revoked=True)), "expires on 2026-12-21"),
        (NOW - timedelta(days=1), (signing_key(FAR),), "expired on 2026-11-20"),
    ],
)
def test_an_openpgp_key_is_named_when_its_last_signing_key_ends(
    primary: datetime | None, keys: tuple[SigningKey, ...], words: str
) -> None:
    certificate = Certificate("A" * 40, b"k", (), NOW, primary, revoked=False, signing_keys=keys)
    key = OpenPGPPublic(certificate, b"")
    party = Party(name="sam", operator="sam", organisation="acme", roles=("signer",), key=key)
    said = [f.what for f in of_dates(make_root(expires=LATER), (party,), None, NOW)]
    assert [text for text in said if words in text] == said
    assert len(said) == (1 if words else 0)
