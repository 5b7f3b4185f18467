"""What the normalisers share: exact reads and copies of a stream nobody vouches for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from relsign.errors import InputError
from relsign.system.fetch import Sink

COPY_BYTES = 1 << 20


def take(source: BinaryIO, size: int, what: str) -> bytes:
    """Return exactly `size` bytes; raise InputError where the file ends before."""
    data = source.read(size)
    if len(data) != size:
        raise InputError("archive refused: it ends too early", got=f"inside {what}")
    return data


def pieces(source: BinaryIO, size: int, what: str) -> Iterator[bytes]:
    """Yield the next `size` bytes in bounded pieces; raise InputError as `take` does."""
    left = size
    while left:
        piece = take(source, min(left, COPY_BYTES), what)
        left -= len(piece)
        yield piece


def copy(source: BinaryIO, sink: Sink, size: int, what: str) -> None:
    """Copy the next `size` bytes; raise InputError as `take` does."""
    for piece in pieces(source, size, what):
        sink.write(piece)
