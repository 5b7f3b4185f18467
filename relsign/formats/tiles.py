"""Where a log's pieces lie on a static host, to the letter of C2SP tlog-tiles.

    checkpoint                        the newest tree head, a signed note
    tile/0/x001/x234/067              256 leaf hashes, 32 bytes each
    tile/1/000.p/7                    a tile that has only its first 7 hashes yet
    tile/entries/x001/x234/067        256 entries, each after its length in two bytes

Follows https://c2sp.org/tlog-tiles.  A whole tile or bundle never changes; a partial
one is of one width for ever, and is of no more use once the whole one is there.

    >>> Tile(0, 1234067).path
    'tile/0/x001/x234/067'
    >>> Tile(1, 0, 7).path
    'tile/1/000.p/7'
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from relsign.errors import InputError
from relsign.formats.canonical import Value

CHECKPOINT: Final = "checkpoint"
TILE_WIDTH: Final = 256
TILE_HEIGHT: Final = 8
"""A whole tile spans so many levels of the tree."""
MAX_ENTRY: Final = (1 << 16) - 1
"""Bytes of one entry that two bytes can count."""
MAX_BUNDLE_BYTES: Final = TILE_WIDTH * (2 + MAX_ENTRY)
_LENGTH_BYTES = 2
_GROUP = 1000


class Tile(Value, frozen=True):
    """A tile of the tree: `width` hashes of level 8 `level`, from hash 256 `index` on."""

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Return where it lies, below the log's address."""
        return f"tile/{self.level}/{_number(self.index)}{_partial(self.width)}"


class EntryBundle(Value, frozen=True):
    """A file of `width` entries, from entry 256 `index` on."""

    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Return where it lies, below the log's address."""
        return f"tile/entries/{_number(self.index)}{_partial(self.width)}"


def tile_at(level: int, index: int, size: int) -> Tile:
    """Return a tile as it is in a tree of `size`; raise ValueError if the tree has none there."""
    width = min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH)
    if width < 1:
        raise ValueError(f"no tile {level}/{index} in a tree of {size}")
    return Tile(level, index, width)


def tiles_of(size: int, since: int = 0) -> Iterator[Tile]:
    """Yield every tile of a tree of `size` that a tree of `since` does not have, as it is."""
    level = 0
    while size >> (TILE_HEIGHT * level):
        now, before = (n >> (TILE_HEIGHT * level) for n in (size, since))
        if now > before:
            for index in range(before // TILE_WIDTH, -(-now // TILE_WIDTH)):
                yield tile_at(level, index, size)
        level += 1


def bundles_of(size: int, since: int = 0) -> Iterator[EntryBundle]:
    """Yield every bundle of a log of `size` that a log of `since` does not have, as it is."""
    if size > since:
        for index in range(since // TILE_WIDTH, -(-size // TILE_WIDTH)):
            yield EntryBundle(index, min(TILE_WIDTH, size - index * TILE_WIDTH))


def write_bundle(entries: Iterable[bytes]) -> bytes:
    """Return the bytes of a bundle; raise InputError for an entry that is too large."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise InputError(
                "too large for a log",
                expected=f"at most {MAX_ENTRY} bytes",
                got=f"{len(entry)} bytes",
                hint="a log holds digests of documents, not documents",
            )
        parts += (len(entry).to_bytes(_LENGTH_BYTES), entry)
    return b"".join(parts)


def read_bundle(data: bytes, width: int, where: str = "entry bundle") -> tuple[bytes, ...]:
    """Return the `width` entries of a bundle; raise InputError if there are more or fewer."""
    entries: list[bytes] = []
    place = 0
    while place < len(data) and len(entries) <= width:
        start = place + _LENGTH_BYTES
        place = start + int.from_bytes(data[place:start])
        entries.append(data[start:place])
    if place != len(data) or len(entries) != width:
        raise InputError(
            "malformed bundle of entries",
            where=where,
            expected=f"{width} entries and nothing more",
            got=f"{len(data)} bytes",
            hint="the log's files are damaged: take them from another copy of the log",
        )
    return tuple(entries)


def _number(index: int) -> str:
    """Return an index in groups of three digits, all but the last with an x."""
    groups = [f"{index % _GROUP:03}"]
    while index := index // _GROUP:
        groups.append(f"x{index % _GROUP:03}")
    return "/".join(reversed(groups))


def _partial(width: int) -> str:
    return "" if width == TILE_WIDTH else f".p/{width}"
