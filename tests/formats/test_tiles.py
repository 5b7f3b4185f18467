"""Paths, widths and bundles of tlog-tiles, as the specification shows them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.errors import InputError
from relsign.formats.tiles import (
    MAX_ENTRY,
    EntryBundle,
    Tile,
    bundles_of,
    read_bundle,
    tile_at,
    tiles_of,
    write_bundle,
)

SIZE = 70_000
"""The example of the specification: 70,000 entries."""


def test_paths_of_the_specification() -> None:
    assert Tile(0, 1_234_067).path == "tile/0/x001/x234/067"
    assert EntryBundle(1_234_067).path == "tile/entries/x001/x234/067"
    whole = {tile.path for tile in tiles_of(SIZE)}
    # Whole tiles 0 to 272 of level 0 and a partial one, as the specification counts them.
    assert {"tile/0/000", "tile/0/272", "tile/0/273.p/112"} <= whole
    assert {"tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"} <= whole
    assert len(whole) == 273 + 1 + 1 + 1 + 1
    assert [bundle.path for bundle in bundles_of(SIZE)][-1] == "tile/entries/273.p/112"


def test_what_grew_is_what_is_new() -> None:
    assert list(tiles_of(5, since=5)) == []
    assert list(bundles_of(5, since=5)) == []
    assert [bundle.path for bundle in bundles_of(513, since=255)] == [
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/002.p/1",
    ]
    assert [tile.path for tile in tiles_of(513, since=512)] == ["tile/0/002.p/1"]
    assert [tile.path for tile in tiles_of(512, since=511)] == ["tile/0/001", "tile/1/000.p/2"]


def test_a_tile_no_tree_has_is_none() -> None:
    assert tile_at(1, 0, 256) == Tile(1, 0, 1)
    for level, index, size in ((0, 1, 256), (1, 0, 255), (0, 0, 0)):
        with pytest.raises(ValueError, match="no tile"):
            tile_at(level, index, size)


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_a_bundle_reads_as_it_was_written(entries: list[bytes]) -> None:
    assert read_bundle(write_bundle(entries), len(entries)) == tuple(entries)


def test_an_entry_has_a_bound() -> None:
    assert read_bundle(write_bundle([bytes(MAX_ENTRY)]), 1) == (bytes(MAX_ENTRY),)
    with pytest.raises(InputError, match="too large for a log"):
        write_bundle([bytes(MAX_ENTRY + 1)])


@pytest.mark.parametrize(
    ("data", "width"),
    [
        (b"", 1),
        (b"\x00\x01a", 2),
        (b"\x00\x01a\x00\x01b", 1),
        (b"\x00\x01a\x00", 2),
        (b"\x00\x02a", 1),
        (b"\x00", 1),
        (b"\x00\x00", 0),
        (b"\x00\x01ab", 1),
        (b"\x00\x00" * 5, 2),
    ],
)
def test_a_malformed_bundle_is_refused(data: bytes, width: int) -> None:
    with pytest.raises(InputError, match="malformed bundle") as caught:
        read_bundle(data, width)
    assert caught.value.hint


@given(st.binary(max_size=40), st.integers(0, 10))
def test_any_bytes_are_a_bundle_or_refused(data: bytes, width: int) -> None:
    try:
        entries = read_bundle(data, width)
    except InputError:
        return
    assert write_bundle(entries) == data
    assert len(entries) == width
