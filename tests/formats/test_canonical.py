"""The encodings: one value, one byte string, and every error says where."""

from __future__ import annotations

import json
import re
from typing import Literal

import pytest
import rfc8785

from relsign.errors import InputError
from relsign.formats.canonical import (
    MAX_BYTES,
    Document,
    decode_canonical,
    decode_json,
    decode_reviewable,
    decode_toml,
    decode_value,
    encode_canonical,
    encode_reviewable,
    shorten,
)
from tests.formats.samples import JSON_SAMPLES, SAMPLES, TOML_SAMPLES, assert_refused, refusal

FOREIGN = {"envelope"}
OWN = sorted(set(JSON_SAMPLES) - FOREIGN)


class Leaf(Document, frozen=True, kw_only=True):
    n: int


class Choice(Document, frozen=True, kw_only=True):
    word: Literal["a", "b"]


class Tree(Document, frozen=True, kw_only=True):
    choice: Choice | None = None
    text: str = ""
    table: dict[str, Leaf] = {}  # noqa: RUF012 - msgspec copies it
    pair: tuple[int, str] = (1, "a")


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_are_valid(name: str) -> None:
    parse, data = SAMPLES[name]
    value = parse(data)
    to_bytes = getattr(value, "to_bytes", None)
    assert to_bytes is None or to_bytes() == data


# --- bytes -------------------------------------------------------------------------------------

HOSTILE = {
    "empty": (b"", "not valid JSON"),
    "byte order mark": (b"\xef\xbb\xbf{}", "not valid JSON"),
    "UTF-16": ("{}".encode("utf-16"), "not UTF-8"),
    "not UTF-8": (b'{"\xff":1}', "not UTF-8 (got byte 2)"),
    "encoded surrogate": (b'{"\xed\xa0\x80":1}', "not UTF-8"),
    "escaped half of a pair": (b'{"\\ud83d":1}', "half a surrogate pair"),
    "a pair the wrong way round": (b'{"\\ude00\\ud83d":1}', "half a surrogate pair"),
    "NUL": (b"{}\x00", "not valid JSON"),
    "two values": (b"{}{}", "not valid JSON"),
    "brackets": (b"[" * 100_000, "not valid JSON (got maximum recursion"),
    "closed brackets": (b"[" * 100_000 + b"]" * 100_000, "not valid JSON"),
    "braces": (b'{"a":' * 100_000, "not valid JSON"),
    "NaN": (b'{"x":NaN}', "not a JSON number (got NaN)"),
    "infinity": (b'{"x":-Infinity}', "not a JSON number (got -Infinity)"),
    "digits": (b"9" * 100_000, "not valid JSON"),
    "duplicate key": (b'{"a":1,"b":2,"a":1}', "duplicate key (got a)"),
    "duplicate key inside": (b'[{"\\u001b":{"a":1},"\\u001b":2}]', "duplicate key (got \\x1b)"),
    "list": (b"[]", "wrong type (expected a table, got a list)"),
    "text": (b'"{}"', "wrong type (expected a table, got '{}')"),
    "null": (b"null", "wrong type (expected a table, got null)"),
    "number": (b"1e5", "wrong type (expected a table, got 100000.0)"),
    "single quotes": (b"{'a':1}", "not valid JSON"),
    "comment": (b"{}//", "not valid JSON"),
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("name", JSON_SAMPLES)
def test_hostile_bytes_are_refused(name: str, case: str) -> None:
    data, words = HOSTILE[case]
    said = str(refusal(JSON_SAMPLES[name].parse, data))
    # A message of a ceremony is bounded below the size of some of these.
    assert words in said or "too large (expected at most 65536 bytes" in said


@pytest.mark.parametrize("name", SAMPLES)
def test_documents_too_large_are_refused_unread(name: str) -> None:
    error = refusal(SAMPLES[name].parse, b"[" * ((64 << 20) + 1))
    assert error.what == "too large"
    assert error.expected.startswith("at most ")


@pytest.mark.parametrize("name", JSON_SAMPLES)
@pytest.mark.parametrize("junk", [b"x", b"\x00", b"{}", b"\xff", b","])
def test_trailing_bytes_are_refused(name: str, junk: bytes) -> None:
    parse, data = JSON_SAMPLES[name]
    refusal(parse, data + junk)


@pytest.mark.parametrize("name", JSON_SAMPLES)
def test_unknown_fields_are_refused(name: str) -> None:
    parse, data = JSON_SAMPLES[name]
    error = refusal(parse, b'{"zz\\u001b":1,' + data[1:])
    assert (error.what, error.got) == ("unknown field", "zz\\x1b")


@pytest.mark.parametrize("name", TOML_SAMPLES)
def test_unknown_fields_of_tables_are_refused(name: str) -> None:
    parse, data = TOML_SAMPLES[name]
    assert_refused(parse, b"zz = 1\n" + data, _file(parse, data), "unknown field (got zz)")


def _file(parse: object, data: bytes) -> str:
    """Return the name under which a parser speaks of its document."""
    with pytest.raises(InputError) as caught:
        parse(data + b"\xff")  # type: ignore[operator]
    return caught.value.where


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(
    "form",
    [
        lambda data: data + b" ",
        lambda data: data + b"\n",
        lambda data: b" " + data,
        lambda data: json.dumps(json.loads(data)).encode(),
        lambda data: re.sub(rb'"([a-z])', lambda m: b'"\\u%04x' % m[1][0], data, count=1),
        lambda data: json.dumps(dict(reversed(json.loads(data).items()))).encode(),
        lambda data: re.sub(
            rb'(": ?")(.)', lambda m: b"%b\\u%04x" % (m[1], m[2][0]), data, count=1
        ),
    ],
)
def test_another_form_of_the_same_value_is_refused(name: str, form: object) -> None:
    parse, data = JSON_SAMPLES[name]
    other = form(data)  # type: ignore[operator]
    assert json.loads(other) == json.loads(data)
    assert "form" in refusal(parse, other).what or other == data


@pytest.mark.parametrize("name", sorted(FOREIGN))
def test_formats_of_others_come_in_any_white_space(name: str) -> None:
    parse, data = JSON_SAMPLES[name]
    assert parse(json.dumps(json.loads(data), indent=2).encode()) == parse(data)


HOSTILE_TOML = {
    "byte order mark": (b"\xef\xbb\xbf", "not valid TOML"),
    "not UTF-8": (b"\xff", "not UTF-8"),
    "NUL": (b"a = '\x00'", "not valid TOML"),
    "half of a pair": (b'a = "\\ud800"', "not valid TOML"),
    "duplicate key": (b"a = 1\na = 1", "not valid TOML"),
    "duplicate table": (b"[a]\n[a]", "not valid TOML"),
    "brackets": (b"a = " + b"[" * 100_000, "not valid TOML"),
    "braces": (b"a = " + b"{a=" * 100_000, "not valid TOML"),
    "dots": (b".".join([b"a"] * 100_000) + b" = 1", "a line with too many dots"),
    "dotted table": (b"[" + b".".join([b"a"] * 100_000) + b"]", "a line with too many dots"),
    "digits": (b"a = " + b"9" * 10_000, "not valid TOML"),
    "escape": (b"\x1b[2J", "not valid TOML (got"),
}


@pytest.mark.parametrize("case", HOSTILE_TOML)
@pytest.mark.parametrize("name", TOML_SAMPLES)
def test_hostile_tables_are_refused(name: str, case: str) -> None:
    data, words = HOSTILE_TOML[case]
    assert words in str(refusal(TOML_SAMPLES[name].parse, data))


# --- values ------------------------------------------------------------------------------------


def test_errors_name_the_entry_of_a_table() -> None:
    table = {f"k{i}": {"n": i} for i in range(1_000)}
    for guilty in ("k0", "k617", "k999"):
        spoiled = {**table, guilty: {"n": "x"}}
        with pytest.raises(InputError) as caught:
            decode_value({"table": spoiled}, Tree, "tree")
        assert str(caught.value) == (
            f"tree: table.{guilty}.n: wrong type (expected an integer, got 'x')"
        )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"text": 1}, "tree: text: wrong type (expected text, got 1)"),
        ({"text": None}, "tree: text: wrong type (expected text, got null)"),
        ({"text": b"x"}, "tree: text: wrong type (expected text, got b'x')"),
        ({"table": []}, "tree: table: wrong type (expected a table, got a list)"),
        ({"table": {"a": {}}}, "tree: table.a: field missing (expected n)"),
        ({"table": {"a b": 1}}, "tree: table[a b]: wrong type (expected a table, got 1)"),
        ({"table": {"\x1b": 1}}, "tree: table[\\x1b]: wrong type (expected a table, got 1)"),
        ({"table": {"\u202e": 1}}, "tree: table[\\u202e]: wrong type (expected a table, got 1)"),
        ({"pair": [1, 2]}, "tree: pair[1]: wrong type (expected text, got 2)"),
        (
            {"pair": [1]},
            "tree: pair: not an acceptable value (expected a list of length 2, got a list)",
        ),
        ({"pair": [True, ""]}, "tree: pair[0]: wrong type (expected an integer, got true)"),
        ({"text": "\ud800", "pair": "\ud800"}, "tree: half a surrogate pair"),
        ({"\ud800": 1}, "tree: half a surrogate pair"),
        ({"choice": {"word": "c"}}, "tree: choice.word: not an acceptable value (expected a or b"),
        # A field that imitates the place msgspec appends to its sentence.
        ({"x` - at `$.table[...].n": 1}, "tree: table[...].n: unknown field (got x)"),
        ({"x` - at `$.table[3].n": 1}, "tree: table[3].n: unknown field (got x)"),
    ],
)
def test_errors_say_what_is_wrong_and_where(value: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        decode_value(value, Tree, "tree")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("text", ['{"text":"","pair":[1,"a"]}', '{"text":"", "table":{}}'])
def test_a_default_left_out_is_refused(text: str) -> None:
    assert decode_json(text.encode(), Tree, "tree").text == ""
    for decode in (decode_canonical, decode_reviewable):
        with pytest.raises(InputError, match=r"tree: choice: not in .* form.* got nothing\)"):
            decode(text.encode(), Tree, "tree")


def test_values_without_canonical_form_are_refused() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (float("nan"), 2**53, "\ud800", {"\udfff": 1}):
        with pytest.raises(InputError, match="has no canonical form"):
            encode_canonical(value)


def test_canonical_form_is_rfc_8785() -> None:
    value: dict[str, rfc8785._impl._Value] = {
        "b": [1, "\u20ac\n", True, None],
        "a": {"\U0001f600": 0, "\ufb33": 1},
    }
    assert encode_canonical(value) == rfc8785.dumps(value)
    assert encode_canonical({"b": 1, "a": "\u00e9"}) == '{"a":"\u00e9","b":1}'.encode()


def test_reviewable_form_is_sorted_and_ends_in_a_newline() -> None:
    assert encode_reviewable({"b": 1, "a": "\u00e9"}) == b'{\n "a": "\\u00e9",\n "b": 1\n}\n'


def test_the_default_bound_is_one_mebibyte() -> None:
    table = b"text = '" + b"x" * (MAX_BYTES - 9) + b"'"
    assert len(decode_toml(table, Tree, "tree").text) == MAX_BYTES - 9
    with pytest.raises(InputError, match="too large"):
        decode_toml(table + b" ", Tree, "tree")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("gzip", "gzip"),
        ("a\x1b[2J\n\u202e", "a\\x1b[2J\\n\\u202e"),
        ("\ud800\x7f", "\\ud800\\x7f"),
        ("x" * 120, "x" * 120),
        ("x" * 121, "x" * 117 + "..."),
        ("\u202e" * 1_000_000, ("\\u202e" * 20)[:117] + "..."),
    ],
)
def test_untrusted_text_is_shown_short_and_escaped(text: str, shown: str) -> None:
    assert shorten(text) == shown
