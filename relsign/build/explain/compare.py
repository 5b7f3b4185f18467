"""Compare two files down to the member, section, line or byte that differs.

Both are opened alike, layer by layer, as long as their first bytes say what they
are; entries with the same packed bytes are not looked into.  Whatever is damaged,
too deep or too large is compared as plain bytes: a hostile file costs bounded time
and room, and never an error of its own.

    compare_files(Path("a.tar"), Path("b.tar"), "a.tar")
    # (Difference(place='a.tar > bin/x > section .comment > string 1', kind='text', ...),)
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from relsign.build.explain import ars, elfs, streams, tars, zips
from relsign.build.explain.blobs import add_bytes, compare_blobs, compare_code
from relsign.build.explain.difference import (
    MAX_EXCERPT,
    Difference,
    join_place,
    order_excerpts,
    text_excerpts,
)
from relsign.build.explain.entry import Entry, Facts, Opened
from relsign.build.explain.layers import unpack
from relsign.build.explain.names import Key, paired_names
from relsign.build.explain.order import ordering
from relsign.build.explain.piece import Bounds, Piece, Work, same_bytes
from relsign.build.explain.pyc import compare_pyc, is_pyc
from relsign.build.explain.texts import compare_texts, is_text
from relsign.errors import InputError
from relsign.formats.canonical import shorten
from relsign.system.files import host_error, open_regular

Opener = Callable[[Piece, Work], Opened]
HEAD_BYTES = 512


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was found, and how many differences more of the same kinds there are."""

    differences: tuple[Difference, ...]
    dropped: int


def compare_files(one: Path, two: Path, name: str) -> tuple[Difference, ...]:
    """Return how two regular files differ, nothing if they are the same bytes.

    Raises NotEnoughError or InputError for a path that is no regular file (links are
    not followed), InputError for a file that changes meanwhile, HostError if the system
    refuses; never for what a file holds.
    """
    return compare(one, two, name).differences


def compare(one: Path, two: Path, name: str, bounds: Bounds | None = None) -> Comparison:
    """Return `compare_files` within other bounds, and how much was left out."""
    work = Work(bounds or Bounds())
    compare_into(one, two, name, work)
    return Comparison(tuple(work.found), work.dropped)


def compare_into(one: Path, two: Path, name: str, work: Work) -> bool:
    """Add the differences of two regular files to `work`; return whether there are any."""
    before = work.count
    with _whole(one) as left, _whole(two) as right:
        _compare(left, right, shorten(name, MAX_EXCERPT), work, 0)
    return before != work.count


@contextmanager
def _whole(path: Path) -> Iterator[Piece]:
    """Open a file as a piece; raise InputError where it was not one file from start to end."""
    with open_regular(path) as stream:
        descriptor = stream.fileno()
        try:
            first = os.fstat(descriptor)
            yield Piece(descriptor, 0, first.st_size)
            last = os.fstat(descriptor)
            changed = (first.st_size, first.st_mtime_ns) != (last.st_size, last.st_mtime_ns)
            # A file of the kernel's own holds more than the nothing that it says.
            if changed or os.pread(descriptor, 1, first.st_size):
                raise InputError(
                    "file changed while it was read",
                    where=os.fspath(path),
                    hint="compare copies of it that nobody writes to",
                )
        except OSError as error:
            raise host_error(error, path) from error


def _compare(one: Piece, two: Piece, place: str, work: Work, depth: int) -> None:
    if same_bytes(one, two):
        return
    before = work.count
    try:
        work.check_time()
        _look_inside(one, two, place, work, depth)
    except InputError as error:
        sides = (shorten(str(error), MAX_EXCERPT), "")
        work.add(place, place, "bytes", sides, "unopened")
        add_bytes(one, two, place, work, "bytes")
    if before == work.count:
        add_bytes(one, two, place, work, "bytes")


def _look_inside(one: Piece, two: Piece, place: str, work: Work, depth: int) -> None:
    left, right = (_open(piece, work, depth) for piece in (one, two))
    if left is not None and right is not None and left.format == right.format:
        _compare_opened(left, right, place, work, depth)
    elif left is not None or right is not None:
        sides = (left.format if left else "data", right.format if right else "data")
        work.add(place, place, "type", sides, "type")
    else:
        _compare_leaves(one, two, place, work)


def _compare_leaves(one: Piece, two: Piece, place: str, work: Work) -> None:
    if is_pyc(one, place) and is_pyc(two, place):
        compare_pyc(one, two, place, work)
    elif is_text(one) and is_text(two):
        compare_texts(one, two, place, work)
    else:
        compare_blobs(one, two, place, work)


def _opener(head: bytes) -> Opener | None:
    rows: tuple[tuple[bool, Opener], ...] = (
        (head.startswith(streams.GZIP_MAGIC), streams.open_gzip),
        (head.startswith(streams.XZ_MAGIC), streams.open_xz),
        (head.startswith(streams.BZIP2_MAGIC), streams.open_bzip2),
        (zips.is_zip(head), zips.open_zip),
        (ars.is_ar(head), ars.open_ar),
        (elfs.is_elf(head), elfs.open_elf),
        (tars.is_tar(head), tars.open_tar),
    )
    return next((opener for fits, opener in rows if fits), None)


def _open(piece: Piece, work: Work, depth: int) -> Opened | None:
    """Return what a piece holds, None if it is no container or too deep inside others."""
    opener = _opener(piece.read(0, HEAD_BYTES))
    if opener is None or depth >= work.bounds.depth:
        return None
    try:
        opened = opener(piece, work)
    except InputError:
        return None
    work.count_entries(len(opened.entries))
    return opened


def _compare_opened(one: Opened, two: Opened, place: str, work: Work, depth: int) -> None:
    _compare_facts(one.facts, two.facts, place, place, work)
    left, right = _by_name(one.entries), _by_name(two.entries)
    pairs, only_one, only_two = paired_names(list(left), list(right))
    for first, second in pairs:
        here = _entry_place(place, one.format, first[0])
        if first[0] != second[0]:
            sides = text_excerpts(first[0], second[0])
            work.add(place, here, "name", sides, f"{one.format}.name")
        _compare_facts(left[first].facts, right[second].facts, here, place, work)
        work.check_time()
        with work.room():
            _compare_entries(left[first], right[second], here, work, (one, depth))
    for key in (*only_one, *only_two):
        here = _entry_place(place, one.format, key[0])
        sides = ("there", "missing") if key in left else ("missing", "there")
        work.add(place, here, "missing", sides, f"{one.format}.missing")
    if one.is_ordered:
        names = {second: first for first, second in pairs}
        order = [names[key] for key in right if key in names]
        _compare_order([first for first, _ in pairs], order, place, work, one.format)


def _entry_place(place: str, form: str, name: str) -> str:
    if form == "elf":
        return join_place(place, f"section {name}")
    return join_place(place, name) if name else place


def _by_name(entries: tuple[Entry, ...]) -> dict[Key, Entry]:
    """Return entries by name and how often the name stood before."""
    seen: Counter[str] = Counter()
    named: dict[Key, Entry] = {}
    for entry in entries:
        named[entry.name, seen[entry.name]] = entry
        seen[entry.name] += 1
    return named


def _compare_facts(one: Facts, two: Facts, place: str, group: str, work: Work) -> None:
    for what, (kind, value) in one.items():
        _, other = two.get(what, (kind, ""))
        if value != other:
            work.add(group, place, kind, text_excerpts(value, other), what)


def _compare_entries(
    one: Entry, two: Entry, place: str, work: Work, inside: tuple[Opened, int]
) -> None:
    """Compare what two entries hold; `inside` is their container and its depth."""
    opened, depth = inside
    alike = one.coding == two.coding
    if alike and same_bytes(one.packed, two.packed):
        return
    left, right = (unpack(entry.packed, entry.coding, work) for entry in (one, two))
    if same_bytes(left, right):
        if alike and one.coding != "stored" and not same_bytes(_behind(one), _behind(two)):
            work.add(place, place, "header", (_size(one), _size(two)), "compressed")
        return
    if opened.format == "elf":
        _compare_sections(one, (left, right), place, work, opened)
    else:
        _compare(left, right, place, work, depth + 1)


def _behind(entry: Entry) -> Piece:
    """Return the compressed bytes behind the header that the facts tell."""
    return entry.packed.part(entry.header_bytes, entry.packed.size - entry.header_bytes)


def _size(entry: Entry) -> str:
    return f"{entry.coding}, {entry.packed.size} bytes"


def _compare_sections(
    entry: Entry, pieces: tuple[Piece, Piece], place: str, work: Work, elf: Opened
) -> None:
    name = shorten(entry.name, MAX_EXCERPT)
    if entry.is_code:
        compare_code(*pieces, place, work, elf.facts["elf.machine"][1])
    elif name.startswith((".note", ".gnu.lto_")):
        add_bytes(*pieces, place, work, f"elf:{name}")
    else:
        compare_blobs(*pieces, place, work, f"elf:{name}")


def _compare_order(one: list[Key], two: list[Key], place: str, work: Work, form: str) -> None:
    if one == two:
        return
    left, right = [name for name, _ in one], [name for name, _ in two]
    at = next(number for number in range(len(one)) if one[number] != two[number])
    where = join_place(place, f"member {at + 1}")
    what = f"order:{form}:{ordering(left, right)}"
    work.add(place, where, "order", order_excerpts(left, right, at), what)
