"""`go.sum`: one line for each sum, and the sums as Go counts them."""

from __future__ import annotations

import hashlib

import pytest

from relsign.errors import InputError
from relsign.formats import go_sum
from relsign.formats.go_sum import escape_module, hash1, parse_go_sum
from tests.hostile.mutate import Bytes
from tests.hostile.survival import count_refusals

ONE = "h1:" + "A" * 43 + "="
TWO = "h1:" + "B" * 43 + "="
SAMPLE = f"""example.org/B v1.0.0 {ONE}
example.org/B v1.0.0/go.mod {TWO}

a.b/c v0.0.0-2-x/go.mod {TWO}
"""


def test_modules_come_sorted_with_their_sums() -> None:
    first, second = parse_go_sum(SAMPLE.encode())
    assert (first.path, first.version, first.zip_sum) == ("a.b/c", "v0.0.0-2-x", None)
    assert (second.zip_sum, second.mod_sum) == (ONE, TWO)
    assert parse_go_sum(b"") == ()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a.b v1.0.0\n", "line 1: not a line"),
        (f"a.b  v1.0.0 {ONE}\n", "line 1: not a line"),
        (f"\na.b v1.0.0 {ONE} x\n", "line 2: not a line"),
        (f"a.b v1.0.0/go.mod {ONE}\r\n", "not a line"),
        ("a.b v1.0.0/go.mod h2:x\n", "not a line"),
        (f"a.b v1.0.0/go.mod {ONE}\na.b v1.0.0/go.mod {TWO}\n", "named twice"),
        (f"a.b v1.0.0 {ONE}\n", "no sum of its go.mod"),
        (f"-a v1.0.0/go.mod {ONE}\n", "a path of a Go module"),
        (f"../a v1.0.0/go.mod {ONE}\n", "a path of a Go module"),
        (f"a.b/../c v1.0.0/go.mod {ONE}\n", "a path of a Go module"),
        (f"a.b latest/go.mod {ONE}\n", "a version of a Go module"),
        (f"a.b v1.0.0/../x/go.mod {ONE}\n", "a version of a Go module"),
        ("é v1.0.0 h1:\n", "not ASCII"),
    ],
)
def test_anything_else_is_refused(text: str, what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        parse_go_sum(text.encode())
    assert caught.value.where.startswith("go.sum")


def test_a_sum_file_has_its_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(go_sum, "MAX_LOCKED", 1)
    with pytest.raises(InputError, match="too many modules"):
        parse_go_sum(SAMPLE.encode())
    monkeypatch.setattr(go_sum, "MAX_SUM_BYTES", 10)
    with pytest.raises(InputError, match="too large"):
        parse_go_sum(SAMPLE.encode())


def test_a_sum_does_not_depend_on_the_order_of_files() -> None:
    one, two = (hashlib.sha256(data).hexdigest() for data in (b"1", b"2"))
    assert hash1({"a": one, "b": two}) == hash1({"b": two, "a": one})
    assert hash1({"a": one, "b": two}) != hash1({"a": two, "b": one})


def test_mutated_sum_files_raise_input_error_only() -> None:
    make = Bytes(SAMPLE.encode(), "bytes go.sum").make
    assert count_refusals(parse_go_sum, make, 2000) > 200


def test_names_that_differ_in_case_alone_stay_apart() -> None:
    assert escape_module("example.org/aBC") == "example.org/a!b!c"
    assert escape_module("v1.0.0") == "v1.0.0"
