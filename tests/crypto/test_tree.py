"""Trees in tiles, against RFC 6962's own definitions and against the proofs' verifier."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.crypto.merkle import (
    EMPTY_ROOT,
    leaf_hash,
    verify_consistency_proof,
    verify_inclusion_proof,
)
from relsign.crypto.tree import GrowingTree, consistency_hashes, inclusion_hashes, tree_root
from relsign.errors import InputError, VerificationError
from relsign.formats.tiles import Tile, tiles_of
from tests.verify import logs

LARGE = 65_536 + 256 + 3
"""Entries enough for a whole tile above a whole tile, and partial ones beside both."""


class Tiles(dict[Tile, bytes]):
    """Every tile of a tree, partial ones of each width it ever had, too."""

    def __init__(self) -> None:
        super().__init__()
        self.tree = GrowingTree()

    def grow(self, entries: Iterable[bytes]) -> None:
        self.update(self.tree.grow(map(leaf_hash, entries)))
        self.update(self.tree.edge())

    def read(self, tile: Tile) -> bytes:
        """Return a tile; a partial one is a part of the whole that replaced it."""
        if tile in self:
            return self[tile]
        return self[Tile(tile.level, tile.index)][: tile.width * 32]


def made(entries: list[bytes]) -> Tiles:
    tiles = Tiles()
    tiles.grow(entries)
    return tiles


def numbered(count: int) -> list[bytes]:
    return [b"entry %d" % number for number in range(count)]


@pytest.fixture(scope="module")
def large() -> Tiles:
    return made(numbered(LARGE))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 8, 255, 256, 257, 511, 512, 513, 1000])
def test_roots_and_proofs_are_those_of_the_definition(size: int) -> None:
    entries = numbered(size)
    tiles = made(entries)
    if not size:
        assert tiles.tree.root() == tree_root(0, tiles.read) == EMPTY_ROOT
        return
    assert tiles.tree.root() == tree_root(size, tiles.read) == logs.tree_root(entries)
    for index in {0, size // 3, size // 2, size - 1}:
        wanted = logs.audit_path(index, entries)
        assert list(inclusion_hashes(index, size, tiles.read)) == wanted
    for old in {0, 1, size // 3, size // 2, max(size - 1, 0), size}:
        wanted = logs.consistency_path(old, entries)
        assert list(consistency_hashes(old, size, tiles.read)) == wanted


def test_every_pair_of_small_sizes_is_consistent() -> None:
    tiles = Tiles()
    roots = [EMPTY_ROOT]
    for entry in numbered(70):
        tiles.grow([entry])
        roots.append(tiles.tree.root())
    for new, root in enumerate(roots):
        for old in range(new + 1):
            hashes = consistency_hashes(old, new, tiles.read)
            verify_consistency_proof(old, roots[old], new, root, hashes)


@given(st.data())
def test_proofs_of_a_large_tree_hold(large: Tiles, data: st.DataObject) -> None:
    root = large.tree.root()
    assert tree_root(LARGE, large.read) == root
    index = data.draw(st.integers(0, LARGE - 1))
    hashes = inclusion_hashes(index, LARGE, large.read)
    verify_inclusion_proof(leaf_hash(b"entry %d" % index), index, LARGE, hashes, root)
    old = data.draw(st.integers(1, LARGE))
    between = consistency_hashes(old, LARGE, large.read)
    verify_consistency_proof(old, tree_root(old, large.read), LARGE, root, between)


@given(st.lists(st.integers(0, 600), max_size=5))
def test_growing_in_pieces_and_anew_is_the_same(pieces: list[int]) -> None:
    entries = numbered(sum(pieces))
    tiles = Tiles()
    done = 0
    for piece in pieces:
        # Each time as another process would: from the tiles alone.
        tiles.tree = GrowingTree(done, tiles.read)
        tiles.grow(entries[done : done + piece])
        done += piece
    whole = made(entries)
    assert tiles.tree.root() == whole.tree.root()
    for tile in tiles_of(done):
        assert tiles.read(tile) == whole[tile]


def test_the_tiles_made_are_the_tiles_a_tree_has(large: Tiles) -> None:
    assert set(large) == set(tiles_of(LARGE))
    assert max(tile.level for tile in large) == 2
    known = set(tiles_of(LARGE - 5))
    assert set(tiles_of(LARGE, since=LARGE - 5)) == set(tiles_of(LARGE)) - known


def test_a_proof_reads_few_tiles(large: Tiles) -> None:
    asked: list[Tile] = []

    def read(tile: Tile) -> bytes:
        asked.append(tile)
        return large.read(tile)

    inclusion_hashes(40_000, LARGE, read)
    assert len(asked) <= 6


@pytest.mark.parametrize("index", [-1, 5, 6])
def test_there_is_no_proof_of_what_is_not_there(index: int) -> None:
    tiles = made(numbered(5))
    with pytest.raises(ValueError, match="no entry"):
        inclusion_hashes(index, 5, tiles.read)


@pytest.mark.parametrize("old", [-1, 6])
def test_a_tree_does_not_begin_with_what_it_is_not(old: int) -> None:
    with pytest.raises(ValueError, match="does not begin"):
        consistency_hashes(old, 5, made(numbered(5)).read)


def test_a_tree_with_entries_is_not_made_of_nothing() -> None:
    with pytest.raises(ValueError, match="from its tiles"):
        GrowingTree(5)


@pytest.mark.parametrize("data", [b"", bytes(31), bytes(5 * 32 + 1)])
def test_a_tile_of_another_length_is_refused(data: bytes) -> None:
    for ask in (lambda: tree_root(5, lambda _: data), lambda: GrowingTree(5, lambda _: data)):
        with pytest.raises(InputError, match="malformed tile") as caught:
            ask()
        assert caught.value.hint


def test_a_false_tile_makes_a_proof_that_does_not_hold() -> None:
    tiles = made(numbered(300))
    root = tiles.tree.root()
    tile = Tile(0, 0)
    tiles[tile] = hashlib.sha256(b"false").digest() + tiles[tile][32:]
    hashes = inclusion_hashes(1, 300, tiles.read)
    with pytest.raises(VerificationError, match="does not hold"):
        verify_inclusion_proof(leaf_hash(b"entry 1"), 1, 300, hashes, root)
