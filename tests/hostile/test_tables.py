"""Any bytes where a table people write is read: a value or InputError, 100,000 documents each."""

from __future__ import annotations

import tomllib

import pytest

from tests.formats.samples import TOML_SAMPLES
from tests.hostile.mutate import Bytes, Tree
from tests.hostile.survival import MUTATIONS, count_refusals
from tests.hostile.toml import write_toml

WHOLE = MUTATIONS // 5
"""How many of a table's documents are changed as values; the others are as text."""


@pytest.mark.parametrize("name", TOML_SAMPLES)
def test_mutated_text(name: str) -> None:
    sample = TOML_SAMPLES[name]
    text = write_toml(tomllib.loads(sample.data.decode()))
    assert sample.parse(text) == sample.parse(sample.data)
    count = MUTATIONS - WHOLE
    refused = count_refusals(sample.parse, Bytes(text, f"text {name}").make, count)
    assert count // 2 < refused < count


@pytest.mark.parametrize("name", TOML_SAMPLES)
def test_misshapen_tables(name: str) -> None:
    sample = TOML_SAMPLES[name]
    table = tomllib.loads(sample.data.decode())
    make = Tree(table, f"shape {name}", write_toml).make
    refused = count_refusals(sample.parse, make, WHOLE)
    assert WHOLE // 2 < refused < WHOLE
