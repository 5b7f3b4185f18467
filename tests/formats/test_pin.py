"""A pin has one form, contradicts itself nowhere, and damage to it is noticed."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.errors import InputError
from relsign.formats.memory import NewestRoot, Seen, new_memory, with_release, with_root
from relsign.formats.names import Digest
from relsign.formats.pin import make_pin, parse_pin, with_memory
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
    look,
    plain,
    refusal,
)

ROOT = NewestRoot(version=2, sha256=AA)
FIRST = Seen(sequence=1, version="1.0", statement_sha256=Digest("11" * 32), seen_at=NOON)
MEMORY = with_release(new_memory("demo", ROOT), FIRST)
PIN = make_pin("mine", ROOT, MEMORY, NOON, "https://example.org/demo/")
WHOLE = plain(PIN)
ZEROS = "0" * 64


def sealed(value: object) -> bytes:
    """Return canonical bytes with checksums that fit, as a forger would make them."""
    for path in (("memory",), ()) if look(value, ("memory",)) else ((),):
        inner = change(look(value, path), ("checksum",), ZEROS)
        seal = hashlib.sha256(dump(inner)).hexdigest()
        value = change(value, (*path, "checksum"), seal)
    return dump(value)


def test_it_comes_back_as_it_was() -> None:
    assert parse_pin(PIN.to_bytes()) == PIN
    assert sealed(WHOLE) == PIN.to_bytes()
    assert PIN.seen == (FIRST,)


def test_it_takes_a_newer_memory() -> None:
    newer = with_root(MEMORY, NewestRoot(version=3, sha256=BB))
    changed = with_memory(PIN, newer)
    assert parse_pin(changed.to_bytes()) == changed
    assert (changed.version, changed.root_sha256, changed.memory) == (2, AA, newer)


BAD_URLS = (
    "",
    "ftp://example.org/",
    "file:///etc/passwd",
    "HTTPS://example.org/",
    "https://",
    "https://user:secret@example.org/",
    "https://example.org\\@evil.example/",
    "https://example.org/ x",
    "https://example.org/\n",
    "https://example.org/\x1b[2J",
    "https://ex\u0430mple.org/",
    "https://example.org/" + "x" * 1000,
)
ROWS: list[Row] = [
    (("format",), "relsign/pin/2", "format", "expected relsign/pin/1"),
    (("trusted",), True, "", "unknown field (got trusted)"),
    (("memory",), None, "memory", "got null"),
    (("url",), REMOVE, "", "field missing (expected url)"),
    (("version",), 3, "", "only older roots than the pinned one"),
    (("root_sha256",), BB, "", "another root of the pinned version"),
    (("memory", "project"), "Demo", "", "memory is of another project"),
    (("memory", "high_water"), 2, "memory", "seen does not reach high_water"),
    *((("url",), bad, "url", "http or https URL without a password") for bad in BAD_URLS),
    *((("name",), bad, "name", "up to 64") for bad in BAD_NAMES),
    *((("project",), bad, "project", "up to 64") for bad in BAD_NAMES),
    *((("version",), bad, "version", "") for bad in (0, *BAD_INTEGERS)),
    *((("root_sha256",), bad, "root_sha256", "64 digits") for bad in BAD_DIGESTS),
]


@pytest.mark.parametrize(("path", "new", "where", "words"), ROWS)
def test_wrong_fields_are_refused(path: Path, new: object, where: str, words: str) -> None:
    place = f"pin.json: {where}" if where else "pin.json"
    assert_refused(parse_pin, sealed(change(WHOLE, path, new)), place, words)


@pytest.mark.parametrize("time", BAD_TIMES)
def test_a_time_has_one_form(time: object) -> None:
    refusal(parse_pin, sealed(change(WHOLE, ("pinned_at",), time)))


def test_a_changed_byte_is_noticed() -> None:
    data = PIN.to_bytes()
    for place in range(len(data)):
        for bit in (1, 32):
            spoiled = data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]
            refusal(parse_pin, spoiled)


@pytest.mark.parametrize("path", [("checksum",), ("memory", "checksum")])
def test_no_checksum_is_no_way_round_it(path: Path) -> None:
    data = dump(change(WHOLE, path, ZEROS))
    assert "checksum does not fit" in str(refusal(parse_pin, data))


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_with_our_error(data: bytes) -> None:
    refusal(parse_pin, data)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_no_pin_is_made_under_a_bad_name(name: str) -> None:
    with pytest.raises(InputError, match="name"):
        make_pin(name, ROOT, MEMORY, NOON, None)


@pytest.mark.parametrize("url", BAD_URLS)
def test_no_pin_is_made_of_a_bad_url(url: str) -> None:
    with pytest.raises(InputError, match="url"):
        make_pin("mine", ROOT, MEMORY, NOON, url)
