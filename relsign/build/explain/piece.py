"""A run of bytes inside an open file, and what comparing may cost.

Two archives are compared without unpacking them anywhere: members are pieces of the
file itself, and what was compressed is a piece of an unnamed temporary file.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from relsign.build.archives.members import Limits
from relsign.build.explain.difference import Difference, Kind
from relsign.errors import InputError

READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Piece:
    """`size` bytes of an open file from `start` on."""

    descriptor: int
    start: int
    size: int

    def read(self, offset: int, count: int) -> bytes:
        """Return at most `count` bytes from `offset`; fewer only at the end."""
        count = min(count, self.size - offset)
        return os.pread(self.descriptor, count, self.start + offset) if count > 0 else b""

    def exactly(self, offset: int, count: int) -> bytes:
        """Return `count` bytes from `offset`; raise InputError if they are not all there."""
        data = self.read(offset, count) if offset >= 0 else b""
        if len(data) != count:
            raise InputError("file ends too early", expected=f"{count} bytes at {offset}")
        return data

    def part(self, offset: int, size: int) -> Piece:
        """Return a piece of this piece; raise InputError if it would lie outside."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise InputError("part lies outside of its file", expected=f"{size} bytes at {offset}")
        return Piece(self.descriptor, self.start + offset, size)

    def chunks(self) -> Iterator[bytes]:
        """Yield all bytes, at most 1 MiB at once."""
        for offset in range(0, self.size, READ_BYTES):
            yield self.read(offset, READ_BYTES)


def first_difference(one: Piece, two: Piece) -> int | None:
    """Return the offset of the first byte that differs, None if the pieces are the same."""
    shorter = min(one.size, two.size)
    for offset in range(0, shorter, READ_BYTES):
        left, right = one.read(offset, READ_BYTES), two.read(offset, READ_BYTES)
        length = min(len(left), len(right), shorter - offset)
        if left[:length] != right[:length]:
            return offset + next(i for i in range(length) if left[i] != right[i])
        if length == 0:  # the file became shorter while it was read
            return offset
    return None if one.size == two.size else shorter


def same_bytes(one: Piece, two: Piece) -> bool:
    """Say whether two pieces hold the same bytes; sizes are asked first."""
    if one.size != two.size:
        return False
    pairs = zip(one.chunks(), two.chunks(), strict=True)
    return all(left == right for left, right in pairs)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a comparison may cost, whatever the files hold."""

    archive: Limits = field(default_factory=Limits)
    depth: int = 8
    entries: int = 1_000_000
    header_bytes: int = 256 << 20
    """Of names and fields beside the contents: unlike those, they are kept in memory."""
    spool_bytes: int = 8 << 30
    seconds: float = 120
    differences: int = 1_000
    alike: int = 20
    """Differences of one kind kept for one file or archive."""


class Work:
    """One comparison under way: what was found, and what it may still cost."""

    def __init__(self, bounds: Bounds) -> None:
        """Start the clock."""
        self.bounds = bounds
        self.found: list[Difference] = []
        self.dropped = 0
        self._alike: Counter[tuple[str, str]] = Counter()
        self._spooled = 0
        self._entries = 0
        self._header_bytes = 0
        self._end = time.monotonic() + bounds.seconds
        self._rooms: list[ExitStack] = []

    @property
    def count(self) -> int:
        """How many differences there were, kept or not."""
        return len(self.found) + self.dropped

    def add(
        self, group: str, place: str, kind: Kind, sides: tuple[str, str], what: str = ""
    ) -> None:
        """Keep a difference, unless there are enough like it in the same `group`."""
        self._alike[group, what or kind] += 1
        many = self._alike[group, what or kind] > self.bounds.alike
        if many or len(self.found) >= self.bounds.differences:
            self.dropped += 1
            return
        self.found.append(Difference(place, kind, *sides, what))

    def count_entries(self, count: int) -> None:
        """Raise InputError once archives held too many entries together."""
        self._entries += count
        if self._entries > self.bounds.entries:
            raise InputError("too many archive members", expected=f"at most {self.bounds.entries}")

    def count_header(self, count: int) -> None:
        """Raise InputError once headers are too large together, or take too long."""
        self._header_bytes += count
        if self._header_bytes > self.bounds.header_bytes:
            raise InputError(
                "headers are too large", expected=f"at most {self.bounds.header_bytes} bytes"
            )
        self.check_time()

    def check_time(self) -> None:
        """Raise InputError once the comparison takes too long."""
        if time.monotonic() > self._end:
            raise InputError("comparison takes too long", expected=f"{self.bounds.seconds:.0f} s")

    def spool(self) -> BinaryIO:
        """Return an unnamed temporary file that lives as long as the innermost `room`."""
        return self._rooms[-1].enter_context(tempfile.TemporaryFile())

    @contextmanager
    def room(self) -> Iterator[None]:
        """Drop at the block's end what was spooled in it: members are many, room is not."""
        with ExitStack() as stack:
            self._rooms.append(stack)
            try:
                yield
            finally:
                self._rooms.pop()

    def spend(self, count: int) -> None:
        """Count bytes written to spools; raise InputError when they are too many."""
        self._spooled += count
        if self._spooled > self.bounds.spool_bytes:
            raise InputError("archives grow too much")
        self.check_time()
