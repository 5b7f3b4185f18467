"""A Merkle tree of RFC 6962 that is kept in tiles: its root, its proofs, and how it grows.

A proof reads a handful of tiles, whatever the size of the tree; growing keeps one tile
per level in memory and makes each hash once.  Tiles are read unproven: a proof made
from false ones does not hold against a signed root, which `relsign.crypto.merkle` says.

    >>> tree = GrowingTree()
    >>> list(tree.grow([leaf_hash(b"only")])), [tile.path for tile, _ in tree.edge()]
    ([], ['tile/0/000.p/1'])
    >>> tree.root() == leaf_hash(b"only")
    True
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from relsign.crypto.merkle import EMPTY_ROOT, leaf_hash, node_hash
from relsign.errors import InputError
from relsign.formats.checkpoint import HASH_BYTES
from relsign.formats.tiles import TILE_HEIGHT, TILE_WIDTH, Tile, tile_at

__all__ = [
    "GrowingTree",
    "Read",
    "consistency_hashes",
    "inclusion_hashes",
    "leaf_hash",
    "tree_root",
]

Read = Callable[[Tile], bytes]
"""Returns a tile's hashes one after the other; raises what it likes where it has none."""

_PAIR = 2 * HASH_BYTES
_WHOLE = TILE_WIDTH * HASH_BYTES


class GrowingTree:
    """A tree that only grows: of each level it holds the hashes no whole tile has yet."""

    def __init__(self, size: int = 0, read: Read | None = None) -> None:
        """Take up a tree of `size` whose last, partial tiles `read` returns.

        Raises ValueError for a size without `read`, InputError for a malformed tile.
        """
        if size and read is None:
            raise ValueError("a tree that has entries is taken up from its tiles")
        self.size = size
        self._edge: list[bytearray] = []
        level = 0
        while read and (count := size >> (TILE_HEIGHT * level)):
            partial = count % TILE_WIDTH
            tile = Tile(level, count // TILE_WIDTH, partial)
            self._edge.append(bytearray(_hashes(tile, read) if partial else b""))
            level += 1

    def grow(self, leaves: Iterable[bytes]) -> Iterator[tuple[Tile, bytes]]:
        """Add leaf hashes; yield every tile that becomes whole, and its hashes."""
        for leaf in leaves:
            self.size += 1
            yield from self._add(0, leaf)

    def edge(self) -> Iterator[tuple[Tile, bytes]]:
        """Yield the partial tiles of the tree as it is, and their hashes."""
        for level, hashes in enumerate(self._edge):
            if hashes:
                index = (self.size >> (TILE_HEIGHT * level)) // TILE_WIDTH
                yield Tile(level, index, len(hashes) // HASH_BYTES), bytes(hashes)

    def root(self) -> bytes:
        """Return the root, 32 bytes (RFC 6962, 2.1)."""
        root: bytes | None = None
        for hashes in self._edge:
            count = len(hashes) // HASH_BYTES
            # From the right: the complete subtrees are as large as the bits of the count.
            for height in range(TILE_HEIGHT):
                if count >> height & 1:
                    end = count >> height << height
                    part = hashes[(end - (1 << height)) * HASH_BYTES : end * HASH_BYTES]
                    subtree = _fold(bytes(part))
                    root = subtree if root is None else node_hash(subtree, root)
        return EMPTY_ROOT if root is None else root

    def _add(self, level: int, hashed: bytes) -> Iterator[tuple[Tile, bytes]]:
        if level == len(self._edge):
            self._edge.append(bytearray())
        hashes = self._edge[level]
        hashes += hashed
        if len(hashes) == _WHOLE:
            whole = bytes(hashes)
            hashes.clear()
            yield Tile(level, (self.size >> (TILE_HEIGHT * level)) // TILE_WIDTH - 1), whole
            yield from self._add(level + 1, _fold(whole))


def tree_root(size: int, read: Read) -> bytes:
    """Return the root of a tree in tiles, 32 bytes; raise InputError for a malformed tile."""
    return _span(0, size, size, cache(read)) if size else EMPTY_ROOT


def inclusion_hashes(index: int, size: int, read: Read) -> tuple[bytes, ...]:
    """Return the proof that an entry stands at `index`, from its sibling up (RFC 6962, 2.1.1).

    Raises ValueError unless ``0 <= index < size``, InputError for a malformed tile.
    """
    if not 0 <= index < size:
        raise ValueError(f"no entry {index} in a tree of {size}")
    read = cache(read)
    start, end = 0, size
    path: list[bytes] = []
    while end - start > 1:
        middle = start + _largest_below(end - start)
        if index < middle:
            path.append(_span(middle, end, size, read))
            end = middle
        else:
            path.append(_span(start, middle, size, read))
            start = middle
    return tuple(reversed(path))


def consistency_hashes(old: int, size: int, read: Read) -> tuple[bytes, ...]:
    """Return the proof that a tree begins with that of `old` entries (RFC 6962, 2.1.2).

    None is needed for the empty and for the same tree.  Raises ValueError unless
    ``0 <= old <= size``, InputError for a malformed tile.
    """
    if not 0 <= old <= size:
        raise ValueError(f"a tree of {size} does not begin with one of {old}")
    if old in {0, size}:
        return ()
    read = cache(read)
    start, end = 0, size
    path: list[bytes] = []
    while old != end:
        middle = start + _largest_below(end - start)
        if old <= middle:
            path.append(_span(middle, end, size, read))
            end = middle
        else:
            path.append(_span(start, middle, size, read))
            start = middle
    if start:
        # Where the old tree is a subtree of the new one, its root is known and left out.
        path.append(_span(start, end, size, read))
    return tuple(reversed(path))


def _span(start: int, end: int, size: int, read: Read) -> bytes:
    """Return the root over some entries of a tree, as it stands in the tree."""
    count = end - start
    if count & (count - 1):
        middle = start + _largest_below(count)
        return node_hash(_span(start, middle, size, read), _span(middle, end, size, read))
    level, height = divmod(count.bit_length() - 1, TILE_HEIGHT)
    first = start >> (TILE_HEIGHT * level)
    hashes = _hashes(tile_at(level, first // TILE_WIDTH, size), read)
    place = first % TILE_WIDTH * HASH_BYTES
    return _fold(hashes[place : place + (HASH_BYTES << height)])


def _hashes(tile: Tile, read: Read) -> bytes:
    hashes = read(tile)
    if len(hashes) != tile.width * HASH_BYTES:
        raise InputError(
            "malformed tile",
            where=tile.path,
            expected=f"{tile.width * HASH_BYTES} bytes",
            got=f"{len(hashes)} bytes",
            hint="the log's files are damaged: take them from another copy of the log",
        )
    return hashes


def _fold(hashes: bytes) -> bytes:
    """Return the root over a power of two of hashes."""
    sha256 = hashlib.sha256
    while len(hashes) > HASH_BYTES:
        # Two neighbours lie in one piece already, as `node_hash` would put them together.
        pairs = range(0, len(hashes), _PAIR)
        hashes = b"".join([sha256(b"\x01" + hashes[at : at + _PAIR]).digest() for at in pairs])
    return hashes


def _largest_below(count: int) -> int:
    """Return the largest power of two below `count`, which is at least 2."""
    return 1 << (count - 1).bit_length() - 1
