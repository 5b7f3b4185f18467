"""What was seen: one form, checked against damage, and joining never forgets."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.errors import InputError
from relsign.formats.memory import (
    MAX_SEEN,
    Memory,
    NewestRoot,
    Seen,
    join_memories,
    new_memory,
    parse_memory,
    with_release,
    with_root,
)
from relsign.formats.names import Digest
from tests.formats.bad_names import BAD_NAMES
from tests.formats.samples import (
    AA,
    BAD_DIGESTS,
    BAD_INTEGERS,
    BAD_TIMES,
    BB,
    NOON,
    REMOVE,
    Path,
    Row,
    assert_refused,
    change,
    dump,
    plain,
    refusal,
)

ROOT = NewestRoot(version=2, sha256=AA)
ZEROS = "0" * 64


def entry(sequence: int, **changes: object) -> Seen:
    made = Seen(
        sequence=sequence,
        version=f"1.{sequence}",
        statement_sha256=Digest(f"{sequence:064x}"),
        seen_at=NOON,
    )
    return msgspec.structs.replace(made, **changes)


def memory(*entries: Seen, project: str = "demo", root: NewestRoot = ROOT) -> Memory:
    made = new_memory(project, root)
    for one in entries:
        made = with_release(made, one)
    return made


MEMORY = memory(entry(1), entry(2))
WHOLE = plain(MEMORY)


def sealed(value: object) -> bytes:
    """Return canonical bytes with a checksum that fits, as a forger would make them."""
    fields = change(value, ("checksum",), ZEROS)
    return dump(change(fields, ("checksum",), hashlib.sha256(dump(fields)).hexdigest()))


def test_it_comes_back_as_it_was() -> None:
    assert parse_memory(MEMORY.to_bytes()) == MEMORY
    assert sealed(WHOLE) == MEMORY.to_bytes()


ONE, TWO = plain(entry(1)), plain(entry(2))
ROWS: list[Row] = [
    (("format",), "relsign/memory/2", "format", "expected relsign/memory/1"),
    (("note",), "", "", "unknown field (got note)"),
    (("high_water",), REMOVE, "", "field missing (expected high_water)"),
    (("high_water",), 1, "", "seen does not reach high_water"),
    (("high_water",), 3, "", "seen does not reach high_water"),
    (("seen",), [ONE], "", "seen does not reach high_water"),
    (("seen",), [], "", "seen does not reach high_water"),
    (("seen",), [TWO, ONE], "", "not sorted by sequence"),
    (("seen",), [ONE, ONE, TWO], "", "names a release twice"),
    (("seen",), [ONE] * 1001, "seen", "length <= 1000"),
    (("root", "version"), 0, "root.version", ">= 1, got 0"),
    (("root",), REMOVE, "", "field missing (expected root)"),
    (("seen", 0, "version"), "1/2", "seen[0].version", "up to 64"),
    *((("seen", 0, "sequence"), bad, "seen[0].sequence", "") for bad in (0, *BAD_INTEGERS)),
    *((("high_water",), bad, "high_water", "") for bad in BAD_INTEGERS),
    *((("project",), bad, "project", "up to 64") for bad in BAD_NAMES),
    *((("root", "sha256"), bad, "root.sha256", "64 digits") for bad in BAD_DIGESTS),
    *(
        (("seen", 0, "statement_sha256"), bad, "seen[0].statement_sha256", "64 digits")
        for bad in BAD_DIGESTS
    ),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), ROWS)
def test_wrong_fields_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"memory.json: {where}" if where else "memory.json"
    assert_refused(parse_memory, sealed(change(WHOLE, path, new)), place, words)


@pytest.mark.parametrize("time", BAD_TIMES)
def test_a_time_has_one_form(time: object) -> None:
    refusal(parse_memory, sealed(change(WHOLE, ("seen", 0, "seen_at"), time)))


def test_a_changed_byte_is_noticed() -> None:
    data = MEMORY.to_bytes()
    for place in range(len(data)):
        for bit in (1, 32):
            spoiled = data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
            refusal(parse_memory, spoiled)


def test_no_checksum_is_no_way_round_it() -> None:
    data = dump(change(WHOLE, ("checksum",), ZEROS))
    assert_refused(parse_memory, data, "memory.json", "checksum does not fit")


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_with_our_error(data: bytes) -> None:
    refusal(parse_memory, data)


def test_the_first_time_a_release_was_seen_stays() -> None:
    later = entry(2, seen_at=NOON + timedelta(days=1))
    assert with_release(MEMORY, later) == MEMORY
    assert memory(entry(1), later, entry(2)) == MEMORY


def test_an_older_release_lowers_nothing() -> None:
    assert with_release(memory(entry(2)), entry(1)) == MEMORY
    assert MEMORY.high_water == 2


def test_two_releases_of_one_sequence_are_both_kept() -> None:
    rival = entry(2, statement_sha256=BB)
    assert with_release(MEMORY, rival).seen == (entry(1), entry(2), rival)


def test_the_newest_thousand_are_kept() -> None:
    full = join_memories(memory(), parse_memory(_many(range(2, MAX_SEEN + 2))))
    assert len(full.seen) == MAX_SEEN
    more = with_release(full, entry(5000))
    assert (len(more.seen), more.high_water, more.seen[0].sequence) == (MAX_SEEN, 5000, 3)
    assert with_release(full, entry(1)) == full


def _many(sequences: range) -> bytes:
    fields = change(WHOLE, ("seen",), [plain(entry(n)) for n in sequences])
    return sealed(change(fields, ("high_water",), sequences[-1]))


releases = st.lists(st.integers(1, 9).map(entry), max_size=6)


@given(releases, releases)
def test_joining_remembers_what_either_does(left: list[Seen], right: list[Seen]) -> None:
    one, two = memory(*left), memory(*right)
    both = join_memories(one, two)
    assert both == join_memories(two, one) == parse_memory(both.to_bytes())
    assert set(both.seen) == {*left, *right}
    assert both.high_water == max(one.high_water, two.high_water)
    assert join_memories(both, one) == both


def test_joining_keeps_the_newer_root() -> None:
    newer = NewestRoot(version=3, sha256=BB)
    assert join_memories(MEMORY, memory(root=newer)).root == newer
    assert join_memories(memory(root=newer), MEMORY).root == newer
    assert with_root(MEMORY, newer).root == newer
    assert with_root(MEMORY, ROOT) == MEMORY


def test_what_cannot_be_one_memory_is_refused() -> None:
    with pytest.raises(InputError, match="another project"):
        join_memories(MEMORY, memory(project="Demo"))
    with pytest.raises(InputError, match="two roots of one version"):
        join_memories(MEMORY, memory(root=NewestRoot(version=2, sha256=BB)))
    with pytest.raises(InputError, match="older one"):
        with_root(MEMORY, NewestRoot(version=1, sha256=BB))
