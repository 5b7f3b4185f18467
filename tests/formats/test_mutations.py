"""Any bytes in: a value or InputError, never another exception."""

from __future__ import annotations

import json
import random
import re
import tomllib
from collections.abc import Iterable

import pytest

from relsign.errors import InputError
from relsign.formats.canonical import Document, decode_value, encode_reviewable
from relsign.formats.lock import BuilderDefinition
from relsign.formats.policy import Policy
from relsign.formats.recipe import Recipe
from relsign.formats.roster import Roster
from tests.formats.samples import JSON_SAMPLES, REMOVE, SAMPLES, Path, change, dump, look

MUTATIONS = 3_000
NOT_CANONICAL = {"envelope"}
"""A format of others: any white space, so other bytes may hold the same value."""

TOKENS = (
    *(b"null", b"true", b"false", b"0", b"-1", b"1.0", b"1e999", b"NaN", b"Infinity", b"-0"),
    *(b'""', b'"2"', b"[]", b"{}", b"[[]]", b'"\\ud800"', b'"\\u0000"', b'"\\u202e"'),
    *(b"9007199254740993", b"9" * 5_000, b"0x" + b"f" * 5_000, b"'''", b'"""'),
    *(b"[" * 3_000, b'{"a":' * 3_000, b"{a=" * 3_000, b"a." * 400, b"=" * 40, b"\n[[source]]\n"),
    *(b"\xef\xbb\xbf", b"\xff", b"\xed\xa0\x80", b"\r\n", b"\x00", b"\x1b[2J", b"2026-11-21"),
)
VALUES: tuple[object, ...] = (
    *(None, True, False, 0, -1, 1.0, 1e300, float("nan"), float("inf"), 2**53, 2**64, -(10**4000)),
    *("", "2", "a", "..", "\x1b", "\ud800", "\u202e", "9" * 5_000, "2026-11-21T12:00:00Z"),
    *([], [[]], ["DISALLOW", "*"], ["MATCH"], {"_type": "layout"}, {"\ud800": 1}),
)
TOKEN = re.compile(rb'"[^"]*"|[0-9]+|true|false|null|[A-Za-z_]+|[\[\]{}]')


def _mutate(data: bytes, rng: random.Random) -> bytes:
    """Return `data` after one to four changes."""
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(data) + 1)
        to = min(len(data), at + rng.choice((1, 1, 2, 8, 64)))
        tokens = [match.span() for match in TOKEN.finditer(data)] or [(at, to)]
        start, end = rng.choice(tokens)
        other_start, other_end = rng.choice(tokens)
        word = rng.choice(TOKENS)
        data = rng.choice(
            (
                data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :],
                data[:at] + data[to:],
                data[:at] + data[at:to] * 2 + data[to:],
                data[:at] + rng.randbytes(rng.randrange(1, 5)) + data[at:],
                data[:at],
                data[:start] + word + data[end:],
                data[:start] + data[other_start:other_end] + data[end:],
                data[:at] + word + data[at:],
                data[:start] + data[end:],
            )
        )
    return data


def _check(name: str, documents: Iterable[bytes]) -> None:
    """Parse every document; only InputError may come out, and one form of a value go in."""
    errors = []
    for data in documents:
        try:
            value = SAMPLES[name].parse(data)
        except InputError as error:
            errors.append(str(error))
        else:
            to_bytes = getattr(value, "to_bytes", None)
            assert to_bytes is None or name in NOT_CANONICAL or to_bytes() == data
    assert len(errors) > MUTATIONS // 2
    assert [text for text in errors if not (text.isascii() and text.isprintable())] == []


@pytest.mark.parametrize("name", SAMPLES)
def test_mutated_bytes_raise_input_error_only(name: str) -> None:
    rng = random.Random(f"bytes {name}")  # noqa: S311 - the same documents on every run
    _check(name, (_mutate(SAMPLES[name].data, rng) for _ in range(MUTATIONS)))


def _paths(value: object, path: Path = ()) -> list[Path]:
    """Return the path of every value in mappings and lists."""
    inside: Iterable[tuple[str | int, object]] = ()
    if isinstance(value, dict):
        inside = value.items()
    elif isinstance(value, list):
        inside = enumerate(value)
    return [path, *(found for part, each in inside for found in _paths(each, (*path, part)))]


def _misshape(value: object, rng: random.Random) -> object:
    """Return mappings and lists with one value swapped, wrapped, lost or replaced."""
    paths = _paths(value)
    path = rng.choice(paths[1:])
    here, other = look(value, path), look(value, rng.choice(paths))
    new = rng.choice((*VALUES, REMOVE, other, [here], {"a": here}, [here, here], {}))
    return change(value, path, new)


@pytest.mark.parametrize("name", JSON_SAMPLES)
def test_misshapen_json_raises_input_error_only(name: str) -> None:
    rng = random.Random(f"shape {name}")  # noqa: S311 - the same documents on every run
    write = encode_reviewable if name == "lock" else dump
    whole = json.loads(SAMPLES[name].data)
    _check(name, (write(_misshape(whole, rng)) for _ in range(MUTATIONS)))


@pytest.mark.parametrize(
    ("name", "into"),
    [("builder", BuilderDefinition), ("policy", Policy), ("recipe", Recipe), ("roster", Roster)],
)
def test_misshapen_tables_raise_input_error_only(name: str, into: type[Document]) -> None:
    rng = random.Random(f"shape {name}")  # noqa: S311 - the same documents on every run
    whole = tomllib.loads(SAMPLES[name].data.decode())
    refused = 0
    for _ in range(MUTATIONS):
        try:
            decode_value(_misshape(whole, rng), into, name)
        except InputError:
            refused += 1
    assert refused > MUTATIONS // 2
