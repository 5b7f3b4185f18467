"""Hostile variants of a document, the same on every run and quick to make.

`Bytes` knows no format: it flips, cuts, doubles, splices and moves bytes, and words
of the document if it is text.  `Tree` changes one value of mappings and lists and
writes the whole again in its one form, so that what lies behind the check of form
is reached too.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Final

Path = tuple[str | int, ...]

TOKEN = re.compile(rb'"[^"\n]*"|[0-9]+|[A-Za-z_]+|[\[\]{}]')

WORDS: Final = (
    *(b"null", b"true", b"false", b"0", b"-1", b"1.0", b"1e999", b"NaN", b"Infinity", b"-0"),
    *(b'""', b'"2"', b"[]", b"{}", b"[[]]", b'"\\ud800"', b'"\\u0000"', b'"\\u202e"', b"\\"),
    *(b"9007199254740993", b"'''", b'"""', b"a." * 40, b"=", b",", b'"', b":", b"#", b"."),
    *(b"\xef\xbb\xbf", b"\xff", b"\xed\xa0\x80", b"\r\n", b"\n", b"\x00", b"\x1b[2J"),
    *(b"2026-11-21", b"2026-11-21T12:00:00Z", b"1_0", b"0x1f", b"+1", b"inf", b"\xe2\x80\xae"),
)  # fmt: skip
"""Words of JSON and TOML that readers tend to disagree about."""

LARGE: Final = (
    *(b"9" * 5_000, b"0x" + b"f" * 5_000, b"[" * 3_000, b'{"a":' * 3_000, b"{a=" * 1_000),
    *(b"a." * 400, b"\n[[a]]" * 300, b'"' + b"x" * 5_000 + b'"', b"-" * 3_000, b"\\u00e9" * 999),
)
"""What costs a reader more: used now and then."""

NUMBERS: Final = (b"\x00", b"\x01", b"\x7f", b"\x80", b"\xbf", b"\xc0", b"\xdf", b"\xe0", b"\xfe",
                  b"\xff", b"\xff\xff", b"\xff\xff\xff\xff", b"\x00\x00", b"\x7f\xff\xff\xff",
                  b"\x80\x00\x00\x00", bytes(16))  # fmt: skip
"""Lengths and counts of binary formats, at their borders."""

LARGE_EVERY = 500
"""One variant in so many takes a large word."""

VALUES: Final[tuple[object, ...]] = (
    *(None, True, False, 0, -1, 1, 1.0, 1e300, float("nan"), float("inf"), 2**53, 2**64),
    *(-(10**4000), "", "2", "a", "..", "../x", "/", "\x1b", "\n", "\ud800", "\u202e", "\u0661"),
    *("9" * 5_000, "x" * 201, "2026-11-21T12:00:00Z", "2026-02-30T12:00:00Z", "a" * 64, "*"),
    *([], [[]], {}, ["DISALLOW", "*"], ["MATCH"], ["true"], {"_type": "layout"}, {"\ud800": 1}),
    *({"": None}, {"format": 1}, {"kind": "ed25519"}, {"sha256": "aa" * 32}, [None] * 70),
)


class Bytes:
    """Makes variants of one document: `make` is called once for each."""

    def __init__(self, data: bytes, seed: str, words: Sequence[bytes] = WORDS) -> None:
        """Prepare; the same `data` and `seed` give the same variants in the same order."""
        self._data = data
        self._chance = random.Random(seed).random  # noqa: S311 - the same on every run
        self._words = words
        self._spans = [match.span() for match in TOKEN.finditer(data)] or [(0, len(data))]
        by_token = (self._set_word, self._set_other, self._swap, self._drop, self._double)
        by_place = (self._flip, self._cut, self._repeat, self._insert, self._end, self._move)
        self._first: tuple[Callable[[bytes], bytes], ...] = (*by_token, *by_place, self._splice)
        self._more: tuple[Callable[[bytes], bytes], ...] = by_place

    def make(self) -> bytes:
        """Return the document after one to four changes."""
        chance = self._chance
        data = self._first[int(chance() * len(self._first))](self._data)
        while chance() < 0.25:  # a second change for a quarter of them, and so on
            data = self._more[int(chance() * len(self._more))](data)
        return data

    def _word(self) -> bytes:
        if self._words is WORDS and self._chance() * LARGE_EVERY < 1:
            return LARGE[int(self._chance() * len(LARGE))]
        return self._words[int(self._chance() * len(self._words))]

    def _span(self) -> tuple[int, int]:
        return self._spans[int(self._chance() * len(self._spans))]

    def _range(self, data: bytes) -> tuple[int, int]:
        chance = self._chance
        start = int(chance() * (len(data) + 1))
        return start, start + int(2 ** (chance() * 6))

    # Changes of whole words: only of the document as it was, where their places are known.

    def _set_word(self, data: bytes) -> bytes:
        start, end = self._span()
        return data[:start] + self._word() + data[end:]

    def _set_other(self, data: bytes) -> bytes:
        (start, end), (other, other_end) = self._span(), self._span()
        return data[:start] + data[other:other_end] + data[end:]

    def _swap(self, data: bytes) -> bytes:
        (a, a_end), (b, b_end) = sorted((self._span(), self._span()))
        if b < a_end:
            return self._drop(data)
        return data[:a] + data[b:b_end] + data[a_end:b] + data[a:a_end] + data[b_end:]

    def _drop(self, data: bytes) -> bytes:
        start, end = self._span()
        return data[:start] + data[end:]

    def _double(self, data: bytes) -> bytes:
        """Return it with what stands between two words a second time: keys, entries, members."""
        (start, _), (end, _) = sorted((self._span(), self._span()))
        return data[:end] + data[start:end] + data[end:]

    def _splice(self, data: bytes) -> bytes:
        (start, _), (end, _) = self._span(), self._span()
        return data[:start] + data[end:]

    # Changes at any place.

    def _flip(self, data: bytes) -> bytes:
        at, value = int(self._chance() * (len(data) + 1)), int(self._chance() * 256)
        return data[:at] + bytes((value,)) + data[at + 1 :]

    def _cut(self, data: bytes) -> bytes:
        start, end = self._range(data)
        return data[:start] + data[end:]

    def _repeat(self, data: bytes) -> bytes:
        start, end = self._range(data)
        return data[:end] + data[start:end] + data[end:]

    def _insert(self, data: bytes) -> bytes:
        at = int(self._chance() * (len(data) + 1))
        return data[:at] + self._word() + data[at:]

    def _end(self, data: bytes) -> bytes:
        return data[: int(self._chance() * (len(data) + 1))]

    def _move(self, data: bytes) -> bytes:
        start, end = self._range(data)
        at = int(self._chance() * (len(data) + 1))
        rest = data[:start] + data[end:]
        return rest[:at] + data[start:end] + rest[at:]


def canonical(value: object) -> bytes:
    """Return canonical JSON; also of what canonical JSON has no form for."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8", "surrogatepass")


TWIN = "\0"
"""Behind the name of a member: write it as the name alone, so that it stands twice."""


class Tree:
    """Makes variants of mappings and lists with one value changed."""

    def __init__(
        self, value: object, seed: str, write: Callable[[object], bytes] = canonical
    ) -> None:
        """Prepare; `write` gives the one form of a document."""
        self._value = value
        self._write = write
        self._chance = random.Random(seed).random  # noqa: S311 - the same on every run
        self._paths = list(paths(value))
        self._places = [path for path in self._paths if path]
        self._text = Bytes(b"x", seed)

    def make(self) -> bytes:
        """Return a document with one or two values changed, in its one form."""
        written = self._write(self.change())
        return written.replace(b'\\u0000"', b'"') if TWIN_WRITTEN in written else written

    def change(self) -> object:
        """Return the value with one or two parts changed; the rest is shared, not copied."""
        value = self._change(self._value)
        return self._change(value) if self._chance() < 0.1 else value

    def _change(self, value: object) -> object:
        path = self._places[int(self._chance() * len(self._places))]
        here = look(value, path)
        kind = int(self._chance() * 8)
        if isinstance(here, str) and kind < 4:
            return put(value, path, self._respell(here))
        if kind == 4:
            return put(value, path, REMOVED)
        if kind == 5:
            return put(
                value, path, look(value, self._paths[int(self._chance() * len(self._paths))])
            )
        if kind == 6:
            return self._beside(value, path, here)
        if kind == 7 and self._chance() < 0.5:
            return put(value, path, ([here], {"a": here}, [here, here])[int(self._chance() * 3)])
        return put(value, path, VALUES[int(self._chance() * len(VALUES))])

    def _respell(self, text: str) -> str:
        """Return a text after a change of its characters: what base64 and names are made of."""
        at = int(self._chance() * (len(text) + 1))
        piece = PIECES[int(self._chance() * len(PIECES))]
        skip = int(self._chance() * 3)
        return text[:at] + piece + text[at + skip :]

    def _beside(self, value: object, path: Path, here: object) -> object:
        """Return the value with an entry more: a name that stands twice, or an unknown one."""
        above, last = look(value, path[:-1]), path[-1]
        if isinstance(above, list):
            return put(value, path[:-1], [*above, here])
        if not isinstance(above, dict):
            return put(value, path, [here])
        name = f"{last}{TWIN}" if self._chance() < 0.5 else self._respell(str(last))
        return put(value, path[:-1], {**above, name: here})


TWIN_WRITTEN = b'\\u0000"'
PIECES: Final = (
    *("", "A", "a", "0", "=", "==", "/", "+", "-", "_", ".", "..", "*", " ", "\n", "\x1b"),
    *("\u202e", "\u00e9", "\ud800", "\U0001f600", "AAAA", "\x7f", "%", "\u0130", "\uff41"),
)


class Removed:
    """Stands for a value that is taken out."""


REMOVED = Removed()


def paths(value: object, path: Path = ()) -> list[Path]:
    """Return the path of every value in mappings and lists, the whole's first."""
    inside: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = list(enumerate(value))
    return [path, *(found for part, each in inside for found in paths(each, (*path, part)))]


def look(value: object, path: Path) -> object:
    """Return what stands at `path`, or None once a change took it away."""
    for part in path:
        try:
            value = value[part]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def put(value: object, path: Path, new: object) -> object:
    """Return `value` with `new` at `path`, or without it for `REMOVED`; parts are shared."""
    if not path:
        return new
    head, rest = path[0], path[1:]
    if isinstance(value, dict) and isinstance(head, str) and (head in value or not rest):
        changed: dict[object, object] = dict(value)
        changed[head] = put(value.get(head), rest, new)
        if isinstance(changed[head], Removed):
            del changed[head]
        return changed
    if isinstance(value, list) and isinstance(head, int) and head < len(value):
        inside = put(value[head], rest, new)
        middle = [] if isinstance(inside, Removed) else [inside]
        return [*value[:head], *middle, *value[head + 1 :]]
    return value
