"""Who counts, and how often: Ed25519 people, operators, twin keys; the second half of the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from relsign.errors import InputError, NotEnoughError, RelsignError, VerificationError
from relsign.formats.bundle import LAYOUT_FILE, STATEMENT_FILE, make_bundle
from relsign.formats.envelope import Signature
from relsign.formats.link import ReleaseBinding, link_file_name
from relsign.formats.roster import Member, Role
from relsign.formats.sums_policy import parse_sums_policy
from relsign.sign.evidence.links import make_links
from relsign.sign.status import release_status
from relsign.system.files import make_folder
from relsign.system.workspace import ReleaseFolder
from relsign.verify.agreement import find_agreement, read_reports
from relsign.verify.layout import check_layout
from relsign.verify.release import open_evidence, verify_signers
from relsign.verify.root import TrustedRoot, open_root
from relsign.verify.sums_people import enrol, read_key_file
from tests.counting import (
    PRIMARY,
    STRANGER,
    SUB_ONE,
    SUB_TWO,
    ZOE,
    envelope,
    label,
    ours,
    trusted,
    zoe,
)
from tests.crypto.openpgp_maker import (
    CREATED,
    DAY,
    Key,
    binding,
    ed25519,
    packet,
    simple,
)
from tests.verify.releases import (
    NOW,
    PEOPLE,
    Release,
    link_files,
    make_fingerprint,
    make_root,
    member,
    parties,
    secret,
    signed_root,
)

# --- Ed25519, at every place -------------------------------------------------------------------

Counter = Callable[[TrustedRoot, Callable[[bytes], Sequence[Signature]], int], object]


def count_signers(
    root: TrustedRoot, sign: Callable[[bytes], Sequence[Signature]], need: int
) -> object:
    payload = Release().statement().to_bytes()
    files = {**Release().files(), STATEMENT_FILE: envelope(payload, sign(payload))}
    evidence = open_evidence(make_bundle("demo", "1.0", files).to_bytes())
    return verify_signers(root, evidence, NOW, need)


def count_owners(
    root: TrustedRoot, sign: Callable[[bytes], Sequence[Signature]], need: int
) -> object:
    release = Release()
    payload = release.compiled_layout().to_bytes()
    thresholds = msgspec.structs.replace(root.root.policy.thresholds, owners=need)
    policy = msgspec.structs.replace(root.root.policy, thresholds=thresholds)
    asked = msgspec.structs.replace(root, root=msgspec.structs.replace(root.root, policy=policy))
    statement = release.statement()
    artifacts = tuple(statement.digests())
    data = envelope(payload, sign(payload))
    return check_layout(asked, data, statement.predicate, NOW, artifacts)


ROLES: dict[str, tuple[Role, Counter, tuple[str, str, str]]] = {
    "signers": ("signer", count_signers, ("sam", "sven", "sara")),
    "owners": ("owner", count_owners, ("olga", "oona", "otto")),
}


def twice(name: str, root: TrustedRoot, payload: bytes) -> list[Signature]:
    """Return one person's signature under their own label, another's, and none."""
    (one,) = ours(root, payload, name)
    others = [party.keyid for party in root.parties if party.name != name][:3]
    return [one, one, *(Signature(keyid=other, sig=one.sig) for other in (*others[:2], ""))]


@pytest.mark.parametrize("place", ROLES)
def test_a_signature_under_many_labels_is_one_person_s(place: str) -> None:
    _, count, (name, *_) = ROLES[place]
    root = trusted()
    count(root, lambda payload: twice(name, root, payload), 1)
    with pytest.raises(RelsignError, match="1 of the 2"):
        count(root, lambda payload: twice(name, root, payload), 2)


@pytest.mark.parametrize("place", ROLES)
def test_labels_that_collide_decide_nothing(place: str) -> None:
    """Two people's signatures under one label are two people's; under swapped ones too."""
    _, count, (one, two, _) = ROLES[place]
    root = trusted()

    def same(payload: bytes) -> list[Signature]:
        return [Signature(keyid=label(root, one), sig=s.sig) for s in ours(root, payload, one, two)]

    def swapped(payload: bytes) -> list[Signature]:
        first, second = ours(root, payload, one, two)
        return [
            Signature(keyid=second.keyid, sig=first.sig),
            Signature(keyid=first.keyid, sig=second.sig),
        ]

    count(root, same, 2)
    count(root, swapped, 2)
    with pytest.raises(RelsignError, match="2 of the 3"):
        count(root, swapped, 3)


@pytest.mark.parametrize("place", ROLES)
def test_one_good_and_one_false_signature_is_one_and_a_contradiction(place: str) -> None:
    _, count, (one, two, _) = ROLES[place]
    root = trusted()

    def sign(payload: bytes) -> list[Signature]:
        (good,) = ours(root, payload, one)
        (false,) = ours(root, payload + b" ", two)
        return [good, false]

    count(root, sign, 1)
    with pytest.raises(VerificationError, match=f"1 of the 2 {place} needed; {two}: "):
        count(root, sign, 2)


def test_one_operator_s_two_keys_are_one_signer_to_verifier_and_status(tmp_path: Path) -> None:
    root = trusted(member("sam-again", "sam", "acme", "signer"))

    def sign(payload: bytes) -> list[Signature]:
        return ours(root, payload, "sam", "sam-again")

    count_signers(root, sign, 1)
    with pytest.raises(NotEnoughError, match="1 of the 2 signers needed"):
        count_signers(root, sign, 2)
    release = ReleaseFolder(tmp_path / "demo-1.0", "demo", "1.0")
    make_folder(release.folder)
    payload = Release().statement().to_bytes()
    release.layout_file.write_bytes(Release().files()[LAYOUT_FILE])
    release.statement_file.write_bytes(envelope(payload, sign(payload)))
    _, owners, signers = release_status(release, root, NOW).stages
    assert (signers.have, signers.need, signers.is_met) == (("sam",), 2, False)
    assert (owners.have, owners.is_met) == (("olga", "oona"), True)


def test_one_operator_s_two_builders_are_one() -> None:
    again = member("builder-z", "machine-a", "acme", "builder")
    root = trusted(again)
    fingerprint = make_fingerprint()
    files = link_files(fingerprint, "builder-a") | _links_of(root, "builder-z")
    binding_ = ReleaseBinding(project="demo", version="1.0")
    reports = read_reports(files, root.having("builder"), binding_, NOW)
    assert len(reports.standing) == 4
    agreed = find_agreement("build", reports, 1, 1)
    assert [party.name for party in agreed.builders] == ["builder-a"]
    with pytest.raises(NotEnoughError, match="1 builders reported"):
        find_agreement("build", reports, 2, 1)


def _links_of(root: TrustedRoot, builder: str) -> dict[str, bytes]:
    return {
        link_file_name(link.name, label(root, builder)): envelope(
            link.to_bytes(), ours(root, link.to_bytes(), builder)
        )
        for link in make_links((make_fingerprint(),))
    }


# --- keys that are not whose they seem ---------------------------------------------------------


def twin(name: str, of: str, role: Role) -> Member:
    """Return a member with somebody else's key."""
    raw = secret(of).verify_key.encode().hex()
    mine = member(name, name, "acme", role)
    return msgspec.structs.replace(mine, key=msgspec.structs.replace(mine.key, public=raw))


@pytest.mark.parametrize(("name", "role"), [(p[0], p[3]) for p in PEOPLE])
def test_twin_keys_under_two_names_make_no_root(name: str, role: Role) -> None:
    with pytest.raises(InputError, match="one key under two names"):
        trusted(twin("zz", name, role))


@pytest.mark.parametrize("key", [PRIMARY, SUB_ONE, SUB_TWO], ids=["primary", "one", "two"])
def test_a_key_of_a_certificate_is_no_second_person(key: Key) -> None:
    raw = key.body[-32:].hex()
    mine = member("zz", "zz", "acme", "signer")
    again = msgspec.structs.replace(mine, key=msgspec.structs.replace(mine.key, public=raw))
    with pytest.raises(InputError, match="one key under two names"):
        trusted(zoe(ZOE), again)


def test_two_certificates_with_one_signing_subkey_are_no_two_people() -> None:
    other = simple(STRANGER) + packet(14, SUB_ONE.body) + binding(STRANGER, SUB_ONE)
    second = msgspec.structs.replace(zoe(other), name="zz", operator="zz")
    with pytest.raises(InputError, match="one key under two names"):
        trusted(zoe(ZOE), second)


def test_one_operator_holds_one_owner_key() -> None:
    with pytest.raises(InputError, match="olga holds two owner keys"):
        trusted(member("olga-again", "olga", "acme", "owner"))


def test_a_root_counts_each_owner_once_whatever_stands_beside_the_signature() -> None:
    root = make_root()
    with pytest.raises(NotEnoughError, match="signed by 1 of its own owners"):
        open_root(signed_root(root, ("olga",)))
    with pytest.raises(NotEnoughError, match="signed by 1 of its own owners"):
        open_root(signed_root(root, ("olga", "sam", "stranger")))
    assert {party.name for party in open_root(signed_root(root)).parties} == set(parties(root))


# --- third parties -----------------------------------------------------------------------------

AGAIN = ed25519(1, created=PRIMARY.created + DAY)
"""The numbers of zoe's primary key under another fingerprint."""
ALONE = simple(STRANGER)


@pytest.mark.parametrize(
    ("policy", "files", "people"),
    [
        ("", {"ann": ZOE, "ben": ALONE}, 2),
        ("", {"ann": ZOE, "ben": ZOE}, 1),
        ("", {"ann": ZOE, "ben": simple(AGAIN)}, 1),
        ("", {"ann": ZOE, "ben": simple(SUB_ONE)}, 1),
        ("", {"ann": ZOE + ALONE, "ben": ALONE}, 1),
        ('[[builder]]\nname = "ann"\noperator = "x"\n[[builder]]\nname = "ben"\noperator = "x"\n',
         {"ann": ZOE, "ben": ALONE}, 1),
    ],
    ids=["two", "one key", "twin numbers", "a subkey as a primary", "chained", "one operator"],
)  # fmt: skip
def test_third_parties_who_share_a_key_or_operator_are_one(
    policy: str, files: dict[str, bytes], people: int
) -> None:
    rings = {name: read_key_file(data, name) for name, data in files.items()}
    found = enrol(parse_sums_policy(f"threshold = 1\n{policy}".encode()), rings)
    assert len(set(found.person.values())) == people


def test_the_cases_are_asked_about_at_a_time_when_they_differ() -> None:
    made = datetime.fromtimestamp(CREATED + 10 * DAY, UTC)
    assert made < datetime.fromtimestamp(CREATED + 15 * DAY, UTC) < NOW - timedelta(days=1)
