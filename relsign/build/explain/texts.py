"""Compare two texts by lines: other order, changed lines, lines of one side only.

Linear in the size of the texts: lines that only one side has are paired by their
shape (digits and letters masked) and then by their turn, which no hostile text can
make slow, unlike a longest common subsequence.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from itertools import islice

from relsign.build.explain.difference import Kind, join_place, order_excerpts, text_excerpts
from relsign.build.explain.order import moved_sources, ordering, same_tokens
from relsign.build.explain.piece import Piece, Work, first_difference

MAX_TEXT_BYTES = 32 << 20
MAX_LINES = 500_000
WINDOW_BYTES = 2048
HEAD_BYTES = 64 << 10
MAX_ODD = 0.01
RUN = re.compile(r"[0-9A-Za-z]+")
MAX_SHAPE = 200
FOUND_AT_MOST = 2_000


def is_text(piece: Piece) -> bool:
    """Say whether a piece reads as lines of text."""
    head = piece.read(0, HEAD_BYTES)
    if b"\0" in head:
        return False
    odd = sum(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head)  # noqa: PLR2004
    return odd <= len(head) * MAX_ODD


def compare_texts(one: Piece, two: Piece, place: str, work: Work) -> None:
    """Add the differences of two texts."""
    if any(_is_large(piece) for piece in (one, two)):
        _compare_large(one, two, place, work)
        return
    left, right = (_lines(piece) for piece in (one, two))
    if [line.rstrip("\r") for line in left] == [line.rstrip("\r") for line in right]:
        where = join_place(place, "line ends")
        work.add(place, where, "text", (_line_end(left), _line_end(right)), "text.line-ends")
        return
    compare_lists(left, right, place, work, "line")


def _is_large(piece: Piece) -> bool:
    """Say whether a text has too many bytes or lines to keep them all in memory."""
    if piece.size > MAX_TEXT_BYTES:
        return True
    return piece.read(0, piece.size).count(b"\n") > MAX_LINES


def _compare_large(one: Piece, two: Piece, place: str, work: Work) -> None:
    """Add the first line that differs; the rest of a large text is not looked at."""
    offset = first_difference(one, two)
    if offset is None:
        return
    start = max(0, offset - WINDOW_BYTES)
    sides = []
    for piece in (one, two):
        window = piece.read(start, 2 * WINDOW_BYTES)
        at = window.rfind(b"\n", 0, offset - start) + 1
        sides.append(window[at:].partition(b"\n")[0].decode("utf-8", "backslashreplace"))
    where = join_place(place, f"byte {offset}")
    work.add(place, where, "text", text_excerpts(sides[0], sides[1]), "text:line")


def _line_end(lines: list[str]) -> str:
    return "CR LF" if any(line.endswith("\r") for line in lines) else "LF"


def _lines(piece: Piece) -> list[str]:
    return piece.read(0, piece.size).decode("utf-8", "backslashreplace").split("\n")


def compare_lists(
    one: Sequence[str], two: Sequence[str], place: str, work: Work, unit: str
) -> None:
    """Add the differences of two lists of texts; `unit` is what one of them is."""
    only_one, only_two = Counter(one), Counter(two)
    only_one, only_two = only_one - only_two, only_two - only_one
    if not only_one and not only_two:
        _add_order(one, two, place, work, unit)
        return
    left, right = list(_picked(one, only_one)), list(_picked(two, only_two))
    for number, first, second in islice(_pairs(left, right), FOUND_AT_MOST):
        where = join_place(place, f"{unit} {number + 1}")
        if first is None or second is None:
            sides = ("" if first is None else first, "" if second is None else second)
            work.add(place, where, "missing", text_excerpts(*sides), f"{unit}.missing")
            continue
        kind: Kind = "order" if same_tokens(first, second) else "text"
        what = "order:tokens" if kind == "order" else f"text:{unit}"
        work.add(place, where, kind, text_excerpts(first, second), what)


def _picked(lines: Sequence[str], wanted: Counter[str]) -> Iterator[tuple[int, str]]:
    left = wanted.copy()
    for number, line in enumerate(lines):
        if left[line] > 0:
            left[line] -= 1
            yield number, line


def _pairs(
    left: list[tuple[int, str]], right: list[tuple[int, str]]
) -> Iterator[tuple[int, str | None, str | None]]:
    """Pair lines of one shape, then the others in their turn; a lone one stands alone."""
    shapes: dict[str, deque[tuple[int, str]]] = defaultdict(deque)
    for number, line in right:
        shapes[_shape(line)].append((number, line))
    lone: list[tuple[int, str]] = []
    pairs: list[tuple[int, str | None, str | None]] = []
    for number, line in left:
        alike = shapes.get(_shape(line))
        if alike:
            pairs.append((number, line, alike.popleft()[1]))
        else:
            lone.append((number, line))
    others = deque(sorted(item for queue in shapes.values() for item in queue))
    for number, line in lone:
        pairs.append((number, line, others.popleft()[1] if others else None))
    pairs.extend((number, None, line) for number, line in others)
    yield from sorted(pairs, key=lambda pair: pair[0])


def _shape(line: str) -> str:
    return RUN.sub("0", line[: MAX_SHAPE * 4])[:MAX_SHAPE]


def _add_order(one: Sequence[str], two: Sequence[str], place: str, work: Work, unit: str) -> None:
    at = next(number for number in range(len(one)) if one[number] != two[number])
    what = f"order:{unit}:{ordering(one, two)}{':sources' if moved_sources(one, two) else ''}"
    where = join_place(place, f"{unit} {at + 1}")
    work.add(place, where, "order", order_excerpts(one, two, at), what)
