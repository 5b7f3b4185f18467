"""Chains of roots: ours and python-tuf's verifier end at the same version, or ours is stricter."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tuf.api._payload import Root as TufRoot
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata
from tuf.api.serialization import DeserializationError
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from relsign.errors import RelsignError
from relsign.formats.names import Digest
from relsign.formats.policy import RevokedKey, Thresholds
from relsign.formats.root import Root, parse_root
from relsign.formats.tuf import TufSignature
from relsign.verify.root import extend_root, open_root
from tests.verify.releases import LATER, make_root, member, public_of, signed_root

Step = tuple[str, int, str]
"""Owners, threshold, and who signs; people are letters."""

CREW = tuple(m for m in make_root().members if "owner" not in m.roles)
NEEDS = Thresholds(owners=1, signers=2, builders=2, organisations=2)


def root(
    version: int, owners: str, threshold: int = 1, expires: datetime = LATER, **changes: object
) -> Root:
    """Return a version whose owners are letters."""
    people = (*(member(letter, letter, "acme", "owner") for letter in owners), *CREW)
    policy: dict[str, object] = {
        "members": tuple(sorted(people, key=lambda m: m.name)),
        "thresholds": msgspec.structs.replace(NEEDS, owners=threshold),
    }
    return make_root(version=version, expires=expires, **{**policy, **changes})


def chain(steps: Iterable[Step]) -> list[bytes]:
    return [
        signed_root(root(version, owners, threshold), signers)
        for version, (owners, threshold, signers) in enumerate(steps, 1)
    ]


def ours(files: Sequence[bytes]) -> int:
    """Return the version that relsign reaches from the first file; 0 if not even that."""
    reached = 0
    try:
        trusted = open_root(files[0])
        reached = trusted.root.version
        for data in files[1:]:
            trusted = extend_root(trusted, data)
            reached = trusted.root.version
    except RelsignError:
        return reached
    return reached


def theirs(files: Sequence[bytes]) -> int:
    """Return the version that python-tuf's client reaches."""
    reached = 0
    try:
        trusted = TrustedMetadataSet(files[0], EnvelopeType.METADATA)
        reached = trusted.root.version
        for data in files[1:]:
            reached = trusted.update_root(data).version
    except (RepositoryError, DeserializationError):
        return reached
    return reached


CHAINS: dict[str, tuple[list[Step], int]] = {
    "one owner": ([("a", 1, "a")], 1),
    "nobody signed": ([("a", 1, "")], 0),
    "a stranger signed": ([("a", 1, "x")], 0),
    "a stranger signed besides": ([("a", 1, "ax")], 1),
    "two of three": ([("abc", 2, "ac")], 1),
    "one of the two needed": ([("abc", 2, "c")], 0),
    "one of the two needed, and a stranger": ([("abc", 2, "cx")], 0),
    "the same again": ([("a", 1, "a"), ("a", 1, "a")], 2),
    "the second is not signed": ([("a", 1, "a"), ("a", 1, "")], 1),
    "an owner comes, the old one signs": ([("a", 1, "a"), ("ab", 1, "a")], 2),
    "an owner comes, the new one signs": ([("a", 1, "a"), ("ab", 1, "b")], 1),
    "an owner leaves, who is left signs": ([("ab", 1, "a"), ("b", 1, "b")], 2),
    "an owner leaves, who left signs": ([("ab", 1, "a"), ("b", 1, "a")], 1),
    "one takes over, both sign": ([("a", 1, "a"), ("b", 1, "ab")], 2),
    "one takes over, only the old signs": ([("a", 1, "a"), ("b", 1, "a")], 1),
    "one takes over, only the new signs": ([("a", 1, "a"), ("b", 1, "b")], 1),
    "the threshold rises and is met": ([("ab", 1, "a"), ("ab", 2, "ab")], 2),
    "the threshold rises and is not met": ([("ab", 1, "a"), ("ab", 2, "a")], 1),
    "the threshold falls, the old one is met": ([("ab", 2, "ab"), ("ab", 1, "ab")], 2),
    "the threshold falls, the old one is not met": ([("ab", 2, "ab"), ("ab", 1, "b")], 1),
    "all are replaced, all sign": ([("ab", 2, "ab"), ("cd", 2, "abcd")], 2),
    "all are replaced, an old one is missing": ([("ab", 2, "ab"), ("cd", 2, "acd")], 1),
    "all are replaced, a new one is missing": ([("ab", 2, "ab"), ("cd", 2, "abc")], 1),
    "one of three is replaced": ([("abc", 2, "ab"), ("bcd", 2, "bc")], 2),
    "who left signs for the version before": ([("abc", 2, "ab"), ("cd", 2, "bcd")], 2),
    "a walk of four": ([("a", 1, "a"), ("b", 1, "ab"), ("c", 1, "bc"), ("d", 1, "cd")], 4),
    "a walk that fails at its end": ([("a", 1, "a"), ("b", 1, "ab"), ("c", 1, "ac")], 2),
}


@pytest.mark.parametrize("case", CHAINS)
def test_both_verifiers_reach_the_same_version(case: str) -> None:
    steps, reached = CHAINS[case]
    files = chain(steps)
    assert (ours(files), theirs(files)) == (reached, reached)


PEOPLE = st.sets(st.sampled_from("abcd"), min_size=1).map(lambda chosen: "".join(sorted(chosen)))
SIGNERS = st.sets(st.sampled_from("abcdx")).map(lambda chosen: "".join(sorted(chosen)))
ANY_STEP = PEOPLE.flatmap(lambda who: st.tuples(st.just(who), st.integers(1, len(who)), SIGNERS))


@settings(max_examples=150)
@given(st.lists(ANY_STEP, min_size=1, max_size=3))
def test_both_verifiers_agree_on_any_chain(steps: list[Step]) -> None:
    files = chain(steps)
    assert ours(files) == theirs(files)


@settings(max_examples=60)
@given(st.lists(ANY_STEP, min_size=2, max_size=2))
def test_both_verifiers_agree_on_any_one_version(steps: list[Step]) -> None:
    """Ask python-tuf's public function as well: N for N, then N for N+1."""
    before, after = chain(steps)
    trusted: Metadata[TufRoot] = Metadata.from_bytes(before)
    following: Metadata[TufRoot] = Metadata.from_bytes(after)
    result = following.signed.get_root_verification_result(
        trusted.signed, following.signed_bytes, following.signatures
    )
    own_first = trusted.signed.get_verification_result(
        "root", trusted.signed_bytes, trusted.signatures
    )
    if own_first.verified:
        assert (ours((before, after)) == 2) is result.verified
    else:
        assert ours((before, after)) == 0
    assert following.signed_bytes == parse_root(after).signed.to_bytes()


def relabelled(file: bytes, keyid: str) -> bytes:
    """Return a root whose one signature bears another label."""
    parsed = parse_root(file)
    (signature,) = parsed.signatures
    other = msgspec.structs.replace(signature, keyid=Digest(keyid))
    return msgspec.structs.replace(parsed, signatures=(other,)).to_bytes()


def with_signature(file: bytes, keyid: str, sig: str) -> bytes:
    parsed = parse_root(file)
    others = tuple(s for s in parsed.signatures if s.keyid != keyid)
    made = TufSignature(keyid=Digest(keyid), sig=sig)
    ordered = tuple(sorted((*others, made), key=lambda s: s.keyid))
    return msgspec.structs.replace(parsed, signatures=ordered).to_bytes()


A, B = (public_of(member(letter, letter, "acme", "owner")) for letter in "ab")
GOOD = signed_root(root(1, "ab"), "a")
SIG_OF_A = parse_root(GOOD).signatures[0].sig

WRONG: dict[str, tuple[list[bytes], int]] = {
    "a version is left out": ([GOOD, signed_root(root(3, "ab"), "ab")], 1),
    "the same version again": ([GOOD, GOOD], 1),
    "another root of the same version": ([GOOD, signed_root(root(1, "a"), "a")], 1),
    "an older version": ([signed_root(root(2, "ab"), "ab"), GOOD], 2),
    "a signature under nobody's label": ([relabelled(GOOD, "f" * 64)], 0),
    "a signature under another owner's label": ([relabelled(GOOD, B)], 0),
    "a false signature": ([with_signature(GOOD, A, "0" * 128)], 0),
    "a false signature besides": ([with_signature(GOOD, B, "0" * 128)], 1),
    "a false signature under nobody's label": ([with_signature(GOOD, "f" * 64, "0" * 128)], 1),
    "a signature of the version before": (
        [GOOD, with_signature(signed_root(root(2, "ab"), ""), A, SIG_OF_A)], 1,
    ),
    "other bytes than were signed": ([GOOD.replace(b'"signers":2', b'"signers":1')], 0),
    "not a root": ([b"{}"], 0),
    "half a root": ([GOOD[: len(GOOD) // 2]], 0),
    "one version has expired": (
        [
            signed_root(root(1, "ab", expires=LATER - timedelta(days=4000)), "a"),
            signed_root(root(2, "ab"), "a"),
        ],
        2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_both_verifiers_stop_at_the_same_fault(case: str) -> None:
    files, reached = WRONG[case]
    assert (ours(files), theirs(files)) == (reached, reached)


# --- where ours is stricter ----------------------------------------------------------------------


def one_person_with_two_keys(version: int) -> bytes:
    """Return a root of two keys and one operator: TUF knows keys only."""
    people = (
        member("a", "anna", "acme", "owner"),
        member("b", "anna", "acme", "owner"),
        *CREW,
    )
    members = tuple(sorted(people, key=lambda m: m.name))
    return signed_root(root(version, "", 2, members=members), "ab")


def one_key_under_two_labels(version: int) -> bytes:
    """Return a root whose threshold of two one key meets with two labels, which TUF counts."""
    signed = root(version, "ab", 2)
    twin = Digest("f" * 64)
    keys = {A: signed.keys[A], twin: signed.keys[A]}
    owning = msgspec.structs.replace(signed.roles.root, keyids=tuple(sorted(keys)))
    roles = msgspec.structs.replace(signed.roles, root=owning)
    signed = msgspec.structs.replace(signed, keys=dict(sorted(keys.items())), roles=roles)
    (good,) = parse_root(signed_root(signed, "a")).signatures
    return with_signature(signed_root(signed, "a"), twin, good.sig)


def one_key_under_two_names(version: int) -> bytes:
    """Return a root in which one key has another name and operator besides."""
    twin = msgspec.structs.replace(member("a", "zoe", "birch", "owner"), name="z")
    people = (member("a", "a", "acme", "owner"), twin, *CREW)
    members = tuple(sorted(people, key=lambda m: m.name))
    signed = root(version, "a")
    policy = msgspec.structs.replace(signed.policy, members=members)
    return signed_root(msgspec.structs.replace(signed, policy=policy), "a")


def tuf_asks_for_fewer(version: int) -> bytes:
    """Return a root whose policy asks for two owners, and its TUF part for one."""
    signed = root(version, "ab", 2)
    owning = msgspec.structs.replace(signed.roles.root, threshold=1)
    roles = msgspec.structs.replace(signed.roles, root=owning)
    return signed_root(msgspec.structs.replace(signed, roles=roles), "a")


def tuf_knows_another_publisher(version: int) -> bytes:
    """Return a root whose TUF part lets an owner publish, and its policy nobody."""
    signed = root(version, "ab")
    publishing = msgspec.structs.replace(signed.roles.targets, keyids=(A,))
    roles = msgspec.structs.replace(signed.roles, targets=publishing)
    return signed_root(msgspec.structs.replace(signed, roles=roles), "a")


def a_revoked_owner(version: int) -> bytes:
    revoked = (RevokedKey(name="a", keyid=A, reason="stolen"),)
    return signed_root(root(version, "ab", revoked_keys=revoked), "a")


def too_few_signers(version: int) -> bytes:
    more = msgspec.structs.replace(NEEDS, signers=4)
    return signed_root(root(version, "ab", thresholds=more), "a")


def other_white_space(version: int) -> bytes:
    return json.dumps(json.loads(signed_root(root(version, "ab"), "a"))).encode()


@pytest.mark.parametrize(
    "make",
    [
        one_person_with_two_keys,
        one_key_under_two_labels,
        one_key_under_two_names,
        tuf_asks_for_fewer,
        tuf_knows_another_publisher,
        a_revoked_owner,
        too_few_signers,
        other_white_space,
    ],
)
def test_ours_refuses_what_python_tuf_believes(make: Callable[[int], bytes]) -> None:
    """As the first version, and as the next one of a good root."""
    assert (ours([make(1)]), theirs([make(1)])) == (0, 1)
    assert (ours([GOOD, make(2)]), theirs([GOOD, make(2)])) == (1, 2)


def test_ours_does_not_follow_to_another_project() -> None:
    files = [GOOD, signed_root(root(2, "ab", project="evil"), "ab")]
    assert (ours(files), theirs(files)) == (1, 2)
