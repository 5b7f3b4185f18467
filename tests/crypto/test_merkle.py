"""Merkle proofs: every tree of up to forty entries, against RFC 6962's own definitions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import cache

import pytest

from relsign.crypto.merkle import (
    EMPTY_ROOT,
    leaf_hash,
    node_hash,
    verify_consistency_proof,
    verify_inclusion_proof,
)
from relsign.errors import VerificationError
from tests.verify.logs import audit_path, consistency_path, tree_root

SIZES = 40
ENTRIES = [bytes([n]) * n for n in range(SIZES)]
OTHER = hashlib.sha256(b"another").digest()

# Leaves and roots of Certificate Transparency's reference tree
# (transparency-dev/merkle, testonly/constants.go, Apache-2.0).
REFERENCE = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
REFERENCE_ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


@cache
def root(size: int) -> bytes:
    return tree_root(ENTRIES[:size])


def spoiled(path: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Yield proofs near a right one: a hash changed, lost, doubled, swapped, added."""
    whole = list(path)
    for place, each in enumerate(whole):
        before, after = whole[:place], whole[place + 1 :]
        yield [*before, OTHER, *after]
        yield [*before, each[:-1] + bytes([each[-1] ^ 1]), *after]
        yield [*before, *after]
        yield [*before, each, each, *after]
        if after and after[0] != each:
            yield [*before, after[0], each, *after[1:]]
    yield [*whole, OTHER]
    yield [OTHER, *whole]
    yield [*whole, *whole, OTHER]


def refused_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], head: bytes
) -> bool:
    try:
        verify_inclusion_proof(leaf, index, size, path, head)
    except VerificationError:
        return True
    return False


def refused_consistency(
    old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]
) -> bool:
    try:
        verify_consistency_proof(old, old_root, new, new_root, path)
    except VerificationError:
        return True
    return False


@pytest.mark.parametrize("size", range(len(REFERENCE_ROOTS)))
def test_the_reference_tree_has_its_known_roots(size: int) -> None:
    assert tree_root(REFERENCE[:size]).hex() == REFERENCE_ROOTS[size]


def test_hashes_are_those_of_the_reference_tree() -> None:
    one, two = leaf_hash(REFERENCE[0]), leaf_hash(REFERENCE[1])
    assert one.hex() == REFERENCE_ROOTS[1]
    assert node_hash(one, two).hex() == REFERENCE_ROOTS[2]
    assert EMPTY_ROOT.hex() == REFERENCE_ROOTS[0]


def test_the_proofs_of_the_reference_tree_hold() -> None:
    last = bytes.fromhex(REFERENCE_ROOTS[8])
    for size in range(1, 9):
        old = bytes.fromhex(REFERENCE_ROOTS[size])
        verify_consistency_proof(size, old, 8, last, consistency_path(size, REFERENCE))
        path = audit_path(size - 1, REFERENCE)
        verify_inclusion_proof(leaf_hash(REFERENCE[size - 1]), size - 1, 8, path, last)


@pytest.mark.parametrize("size", range(1, SIZES + 1))
def test_every_entry_is_proved_and_nothing_else_is(size: int) -> None:
    entries, head = ENTRIES[:size], root(size)
    for index in range(size):
        path, leaf = audit_path(index, entries), leaf_hash(entries[index])
        verify_inclusion_proof(leaf, index, size, path, head)
        for wrong in spoiled(path):
            assert refused_inclusion(leaf, index, size, wrong, head)
        for other in range(-1, size + 1):
            if other != index:
                assert refused_inclusion(leaf, other, size, path, head)
        assert refused_inclusion(OTHER, index, size, path, head)
        assert refused_inclusion(leaf, index, size, path, OTHER)
        assert refused_inclusion(head, index, size, [], head) == (size > 1)


@pytest.mark.parametrize("new", range(SIZES + 1))
def test_every_older_tree_is_proved_and_no_other_is(new: int) -> None:
    head = root(new)
    for old in range(new + 1):
        path = consistency_path(old, ENTRIES[:new])
        verify_consistency_proof(old, root(old), new, head, path)
        for wrong in spoiled(path):
            assert refused_consistency(old, root(old), new, head, wrong)
        assert refused_consistency(old, OTHER, new, head, path)
        if old:
            assert refused_consistency(old, root(old), new, OTHER, path)
        for other in range(1, SIZES + 2):
            if other != old:
                assert refused_consistency(other, root(old), new, head, path)
        if old < new:
            assert refused_consistency(new, head, old, root(old), path)
            assert refused_consistency(old, root(old), new, head, []) == (old > 0)


@pytest.mark.parametrize("size", range(2, SIZES))
def test_a_tree_is_not_proved_in_one_of_another_size(size: int) -> None:
    # The algorithm must read sizes, not only follow hashes: a path may fit two shapes.
    for index in range(size):
        path, leaf = audit_path(index, ENTRIES[:size]), leaf_hash(ENTRIES[index])
        for other in {size - 1, size + 1}:
            assert refused_inclusion(leaf, index, other, path, root(other))


WRONG: dict[str, tuple[int, bytes, int, bytes, list[bytes], str]] = {
    "the log went back": (3, root(3), 2, root(2), [], "went back"),
    "the log went back to nothing": (3, root(3), 0, EMPTY_ROOT, [], "went back"),
    "a size below zero": (-1, EMPTY_ROOT, 2, root(2), [], "went back"),
    "one size, two roots": (3, root(3), 3, OTHER, [], "two histories of one size"),
    "one size, one root, a proof": (3, root(3), 3, root(3), [OTHER], "where none can be"),
    "old and empty, garbage root": (0, OTHER, 3, root(3), [], "empty log with another root"),
    "old and empty, a proof": (0, EMPTY_ROOT, 3, root(3), [OTHER], "where none can be"),
    "both empty, a proof": (0, EMPTY_ROOT, 0, EMPTY_ROOT, [OTHER], "where none can be"),
    "both empty, one garbage root": (0, OTHER, 0, OTHER, [], "empty log with another root"),
    "both empty, new garbage root": (0, EMPTY_ROOT, 0, OTHER, [], "empty log with another root"),
    "no proof": (3, root(3), 4, root(4), [], "too short"),
    "no proof from a complete tree": (2, root(2), 4, root(4), [], "too short"),
    "a hash too many": (1, root(1), 2, root(2), [leaf_hash(ENTRIES[1]), OTHER], "too long"),
    "another history": (1, root(1), 2, root(2), [OTHER], "does not hold"),
}


@pytest.mark.parametrize("name", WRONG)
def test_why_growth_is_not_believed(name: str) -> None:
    old, old_root, new, new_root, path, words = WRONG[name]
    with pytest.raises(VerificationError, match=words):
        verify_consistency_proof(old, old_root, new, new_root, path)


@pytest.mark.parametrize(
    ("index", "size", "path", "words"),
    [
        (0, 0, [], "no such entry"),
        (1, 1, [], "no such entry"),
        (-1, 1, [], "no such entry"),
        (0, 2, [], "too short"),
        (0, 1, [OTHER], "too long"),
        (0, 2, [OTHER], "does not hold"),
    ],
)
def test_why_an_entry_is_not_believed(index: int, size: int, path: list[bytes], words: str) -> None:
    with pytest.raises(VerificationError, match=words):
        verify_inclusion_proof(leaf_hash(b""), index, size, path, EMPTY_ROOT)


def test_an_empty_tree_holds_nothing() -> None:
    assert refused_inclusion(EMPTY_ROOT, 0, 0, [], EMPTY_ROOT)


def test_an_inner_node_is_no_entry() -> None:
    # Without the two prefixes, the hashes of two leaves would pass for an entry.
    left, right = leaf_hash(ENTRIES[0]), leaf_hash(ENTRIES[1])
    assert refused_inclusion(leaf_hash(left + right), 0, 2, [root(4)], root(4))
    assert node_hash(left, right) != leaf_hash(left + right)
