"""TUF's reference client and ours, on the same chains of roots.

The verdicts are equal, but for a list of named cases in which ours is stricter; each of
those is shown to pass there and to be refused here.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest
from tuf.api._payload import Root as TufRoot
from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import Metadata
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.names import Digest
from relsign.formats.policy import RevokedKey, Thresholds
from relsign.formats.root import Root, RootPolicy, TufKey, TufPublic
from relsign.formats.roster import Member
from relsign.verify.root import extend_root, open_root, require_unexpired, walk_roots
from tests.verify.releases import (
    NOW,
    make_root,
    member,
    public_of,
    root_of,
    secret,
    sign_by,
    signed_root,
)

CHAINS = 300
OTHERS = tuple(m for m in make_root().members if "owner" not in m.roles)
NAMES = tuple(f"owner{number}" for number in range(8))
SOON = NOW + timedelta(days=90)


# What each says of a chain: the number of the version it stops at, and how it ends.


def we_say(chain: list[bytes]) -> str:
    """Return "good", or where we stopped."""
    at = 1
    try:
        trusted = open_root(chain[0])
        for data in chain[1:]:
            at += 1
            trusted = extend_root(trusted, data)
    except (InputError, VerificationError, NotEnoughError):
        return f"stops at {at}"
    try:
        require_unexpired(trusted, NOW)
    except VerificationError:
        return "expired"
    return "good"


def tuf_says(chain: list[bytes]) -> str:
    """Return the same of python-tuf."""
    at = 1
    try:
        trusted = TrustedMetadataSet(chain[0], EnvelopeType.METADATA)
        for data in chain[1:]:
            at += 1
            trusted.update_root(data)
    except RepositoryError:
        return f"stops at {at}"
    return "expired" if trusted.root.is_expired(NOW) else "good"


def tuf_verifies(older: bytes, newer: bytes) -> bool:
    """Say whether the older root's owners signed the newer one, by the low-level call."""
    one, two = (Metadata[TufRoot].from_bytes(data) for data in (older, newer))
    try:
        one.signed.verify_delegate("root", two.signed_bytes, two.signatures)
    except UnsignedMetadataError:
        return False
    return True


# Chains by chance.


def root_with(owners: list[str], need: int, version: int, *, expired: bool = False) -> Root:
    """Return a root of these owners."""
    people = tuple(member(name, name, "acme", "owner") for name in owners)
    policy = RootPolicy(
        project="demo",
        members=tuple(sorted((*OTHERS, *people), key=lambda m: m.name)),
        thresholds=Thresholds(owners=need, signers=1, builders=1, organisations=1),
        dissent="refuse",
        share_roles=False,
    )
    return root_of(policy, version, NOW if expired else SOON)


def written(table: object) -> bytes:
    """Return canonical JSON."""
    return json.dumps(table, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def resigned(data: bytes, change: Callable[[list[dict[str, str]]], None]) -> bytes:
    """Return a root file with its list of signatures changed."""
    table = json.loads(data)
    change(table["signatures"])
    table["signatures"].sort(key=lambda signature: signature["keyid"])
    return written(table)


def random_chain(chance: random.Random) -> list[bytes]:
    """Return one to five roots, each made from the one before, most of them signed rightly."""
    owners = chance.sample(NAMES, chance.randint(1, 4))
    need, version, chain, before = chance.randint(1, len(owners)), 1, [], [*owners]
    for _ in range(chance.randint(1, 5)):
        expired = chance.random() < 0.15
        root = root_with(sorted(owners), need, version, expired=expired)
        signers = {*before[: chance.randint(1, 4)], *owners[: chance.randint(1, 4)]}
        if chance.random() < 0.7:
            signers |= {*before, *owners}
        if chance.random() < 0.2:
            signers |= {chance.choice(NAMES)}
        chain.append(_spoiled(signed_root(root, signers), chance))
        before = [*owners]
        if chance.random() < 0.6:  # keys rotated
            owners = [*owners[1:], chance.choice([n for n in NAMES if n not in owners])]
        elif chance.random() < 0.3:
            owners = chance.sample(NAMES, chance.randint(1, 4))
        # Thresholds raised or lowered, now and then above what anybody can meet.
        need = chance.randint(1, len(owners) + (chance.random() < 0.1))
        version += 1 if chance.random() < 0.93 else chance.choice((0, 2, 3))
    return chain


def _spoiled(data: bytes, chance: random.Random) -> bytes:
    """Return a root, one of its signatures sometimes gone, false, or another's."""
    kind = chance.randrange(24)

    def change(signatures: list[dict[str, str]]) -> None:
        at = chance.randrange(len(signatures))
        other = signatures[at - 1]["sig"]
        if kind == 0:
            del signatures[at]
        elif kind == 1:
            signatures[at]["sig"] = "00" * 64
        elif kind == 2:
            signatures[at]["sig"] = other
        elif kind == 3:
            signatures.append(dict(signatures[at]))

    return resigned(data, change)


def test_the_same_verdict_on_every_chain() -> None:
    said: Counter[str] = Counter()
    for number in range(CHAINS):
        chain = random_chain(random.Random(f"chain {number}"))  # noqa: S311 - the same each run
        assert we_say(chain) == tuf_says(chain), number
        said[we_say(chain)] += 1
    assert CHAINS >= 150
    assert said["good"] >= 50, said
    assert said["expired"] >= 10, said
    assert sum(count for word, count in said.items() if word.startswith("stops")) >= 50, said


CHAIN = [root_with(["owner0", "owner1"], 2, 1), root_with(["owner1", "owner2"], 2, 2)]
BOTH = ("owner0", "owner1", "owner2")


@pytest.mark.parametrize(
    ("second", "says"),
    [
        (signed_root(CHAIN[1], BOTH), "good"),
        (signed_root(CHAIN[1], ("owner0", "owner1")), "stops at 2"),
        (signed_root(CHAIN[1], ("owner1", "owner2")), "stops at 2"),
        (signed_root(CHAIN[1], ()), "stops at 2"),
        (signed_root(root_with(["owner1", "owner2"], 2, 1), BOTH), "stops at 2"),
        (signed_root(root_with(["owner1", "owner2"], 2, 3), BOTH), "stops at 2"),
        (signed_root(root_with(["owner1", "owner2"], 3, 2), BOTH), "stops at 2"),
        (signed_root(root_with(["owner1", "owner2"], 1, 2), BOTH[:2]), "good"),
        (signed_root(root_with(["owner1", "owner2"], 2, 2, expired=True), BOTH), "expired"),
        (resigned(signed_root(CHAIN[1], BOTH), lambda s: s.append(s[0])), "stops at 2"),
        (signed_root(CHAIN[1], BOTH).replace(b'"_type":"root"', b'"_type":"boot"'), "stops at 2"),
        (signed_root(CHAIN[1], BOTH)[:-1], "stops at 2"),
        (b"", "stops at 2"),
    ],
)  # fmt: skip
def test_the_same_verdict_on_one_step(second: bytes, says: str) -> None:
    chain = [signed_root(CHAIN[0], BOTH), second]
    assert (we_say(chain), tuf_says(chain)) == (says, says)


def test_only_the_last_expiry_counts_for_both() -> None:
    middle = root_with(["owner1", "owner2"], 2, 2, expired=True)
    last = root_with(["owner2"], 1, 3)
    chain = [signed_root(r, BOTH) for r in (CHAIN[0], middle, last)]
    assert (we_say(chain), tuf_says(chain)) == ("good", "good")
    assert (we_say(chain[:2]), tuf_says(chain[:2])) == ("expired", "expired")


def test_the_low_level_count_is_the_same() -> None:
    one = signed_root(CHAIN[0], BOTH)
    for signers in ((), ("owner0",), ("owner0", "owner2"), ("owner0", "owner1"), BOTH):
        two = signed_root(CHAIN[1], signers)
        ours = {"owner0", "owner1"} <= set(signers)
        itself = {"owner1", "owner2"} <= set(signers)
        assert tuf_verifies(one, two) == ours
        assert tuf_verifies(two, two) == itself
        assert (we_say([one, two]) == "good") == (ours and itself)


# Where ours is stricter.


def loose(root: Root, signers: tuple[str, ...], **labels: str) -> bytes:
    """Return a root with signatures under labels of the maker's choice: label -> name."""
    message = root.to_bytes()
    signatures = {str(public_of(_owner(name))): sign_by(name, message).hex() for name in signers}
    signatures |= {label: sign_by(name, message).hex() for label, name in labels.items()}
    table = {
        "signatures": [{"keyid": k, "sig": signatures[k]} for k in sorted(signatures)],
        "signed": json.loads(message),
    }
    return written(table)


def _owner(name: str) -> Member:
    return member(name, name, "acme", "owner")


def twin_material() -> bytes:
    """Return a root in which one key stands under two keyids and meets a threshold of two."""
    root = root_with(["owner0", "owner1"], 2, 1)
    raw, twin = Digest(secret("owner0").verify_key.encode().hex()), Digest("e" * 64)
    gone = public_of(_owner("owner1"))
    kept = {keyid: key for keyid, key in root.keys.items() if keyid != gone}
    owning = msgspec.structs.replace(
        root.roles.root, keyids=tuple(sorted((public_of(_owner("owner0")), twin)))
    )
    changed = msgspec.structs.replace(
        root,
        keys={**kept, twin: TufKey(keyval=TufPublic(public=raw))},
        roles=msgspec.structs.replace(root.roles, root=owning),
    )
    return loose(changed, ("owner0",), **{twin: "owner0"})


def twin_members() -> bytes:
    """Return the same with the twin in the policy as well, as another person."""
    made = msgspec.json.decode(twin_material(), type=dict[str, object])
    signed = msgspec.convert(made["signed"], Root)
    mine = _owner("owner0")
    twin = msgspec.structs.replace(mine, name="owner1", operator="owner1")
    members = tuple(twin if m.name == "owner1" else m for m in signed.members)
    policy = msgspec.structs.replace(signed.policy, members=members)
    return loose(
        msgspec.structs.replace(signed, policy=policy), ("owner0",), **{"e" * 64: "owner0"}
    )


def one_person_twice() -> bytes:
    """Return a root in which one operator with two owner keys meets a threshold of two."""
    root = root_with(["owner0", "owner1", "owner2"], 2, 1)
    members = tuple(
        msgspec.structs.replace(m, operator="owner0") if m.name == "owner1" else m
        for m in root.members
    )
    return signed_root(
        root_of(msgspec.structs.replace(root.policy, members=members), 1, SOON),
        ("owner0", "owner1"),
    )


def white_space() -> bytes:
    """Return a root that is not canonical JSON."""
    return json.dumps(json.loads(signed_root(CHAIN[0], BOTH)), indent=1).encode()


def unsorted_signatures() -> bytes:
    """Return a root whose signatures stand in another order."""
    table = json.loads(signed_root(CHAIN[0], BOTH))
    table["signatures"].reverse()
    return written(table)


def not_derived() -> bytes:
    """Return a root in which TUF's threshold is lower than the policy's."""
    root = root_with(["owner0", "owner1"], 2, 1)
    owning = msgspec.structs.replace(root.roles.root, threshold=1)
    return loose(
        msgspec.structs.replace(root, roles=msgspec.structs.replace(root.roles, root=owning)),
        ("owner0",),
    )


def another_project() -> bytes:
    """Return a next root that is about another project."""
    policy = msgspec.structs.replace(CHAIN[1].policy, project="fork")
    return signed_root(root_of(policy, 2, SOON), BOTH)


def unknown_field() -> bytes:
    """Return a root with a field more."""
    table = json.loads(root_with(["owner0"], 1, 1).to_bytes())
    table["x-other"] = 1
    message = written(table)
    signature = {"keyid": public_of(_owner("owner0")), "sig": sign_by("owner0", message).hex()}
    whole = {"signatures": [signature], "signed": table}
    return written(whole)


def revoked_and_enrolled() -> bytes:
    """Return a root that enrols a key it calls revoked."""
    root = root_with(["owner0", "owner1"], 2, 1)
    revoked = RevokedKey(name="owner0", keyid=public_of(_owner("owner0")), reason="stolen")
    policy = msgspec.structs.replace(root.policy, revoked_keys=(revoked,))
    return signed_root(root_of(policy, 1, SOON), BOTH)


def too_few_signers() -> bytes:
    """Return a root whose other roles cannot meet their thresholds."""
    root = root_with(["owner0"], 1, 1)
    thresholds = msgspec.structs.replace(root.policy.thresholds, signers=64)
    return signed_root(
        root_of(msgspec.structs.replace(root.policy, thresholds=thresholds), 1, SOON), BOTH
    )


def small_order_key() -> bytes:
    """Return a root that also enrols a key whose signatures hold for many messages."""
    root = root_with(["owner0", "owner1"], 1, 1)
    weak = "01" + "00" * 31
    members = tuple(
        msgspec.structs.replace(m, key=msgspec.structs.replace(m.key, public=weak))
        if m.name == "owner1" else m
        for m in root.members
    )  # fmt: skip
    policy = msgspec.structs.replace(root.policy, members=members)
    return signed_root(root_of(policy, 1, SOON), ("owner0",))


STRICTER: dict[str, tuple[list[bytes], str]] = {
    "one key under two keyids": ([twin_material()], "do not follow from the members"),
    "one key under two names": ([twin_members()], "one key under two names"),
    "two owner keys of one person": ([one_person_twice()], "holds two owner keys"),
    "bytes that are not canonical": ([white_space()], "not in canonical form"),
    "signatures in another order": ([unsorted_signatures()], "not sorted"),
    "roles that do not follow from the members": (
        [not_derived()], "do not follow from the members",
    ),
    "a next root of another project": (
        [signed_root(CHAIN[0], BOTH), another_project()], "a root of another project",
    ),
    "an unknown field": ([unknown_field()], "unknown field"),
    "a revoked key enrolled": ([revoked_and_enrolled()], "is revoked"),
    "a threshold nobody can meet in another role": ([too_few_signers()], "larger than the role"),
    "a key of small order": ([small_order_key()], "not an acceptable Ed25519 public key"),
}  # fmt: skip


@pytest.mark.parametrize("name", STRICTER)
def test_ours_is_stricter_by_name(name: str) -> None:
    chain, words = STRICTER[name]
    assert tuf_says(chain) == "good"
    assert we_say(chain) == f"stops at {len(chain)}"
    with pytest.raises((InputError, VerificationError), match=words):
        _walk(chain)


def _walk(chain: list[bytes]) -> None:
    trusted = open_root(chain[0])
    for data in chain[1:]:
        trusted = extend_root(trusted, data)


def test_versions_that_are_known_are_passed_over_only_by_the_walk() -> None:
    """A whole chain may be handed in again; TUF clients never ask for those versions."""
    chain = [signed_root(CHAIN[0], BOTH), signed_root(CHAIN[1], BOTH)]
    assert walk_roots(open_root(chain[1]), chain).root.version == 2
    assert tuf_says([chain[1], chain[0]]) == "stops at 2"
    assert we_say([chain[1], chain[0]]) == "stops at 2"
