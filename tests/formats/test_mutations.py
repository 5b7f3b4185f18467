"""Any bytes in: a value or InputError, never another exception, over 100,000 documents each.

Two in three are changed as bytes, one in three as values that are written in the
one form of their kind again, so that what lies behind the check of form is reached.
"""

from __future__ import annotations

import json

import pytest
import rfc8785

from relsign.formats.canonical import encode_reviewable
from tests.formats.samples import JSON_SAMPLES, SAMPLES, TOML_SAMPLES, Parse
from tests.hostile.mutate import Bytes, Tree, canonical
from tests.hostile.survival import MUTATIONS, count_refusals

OTHER_FORMS = {"envelope", "lock", "manifest"}
"""Not RFC 8785: a format of others in any white space, and two that people read."""

SHAPED = MUTATIONS // 3
"""How many of a format's documents are changed as values; the others are as bytes."""


def _reader(name: str) -> Parse:
    """Return the parser, which besides must accept one form of a value only.

    Whether that form is RFC 8785's is asked of the library, not of the parser's own way.
    """
    parse = SAMPLES[name].parse

    def read(data: bytes) -> object:
        value = parse(data)
        to_bytes = getattr(value, "to_bytes", None)
        assert to_bytes is None or name == "envelope" or to_bytes() == data
        assert name in OTHER_FORMS or rfc8785.dumps(json.loads(data)) == data
        return value

    return read


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - set(TOML_SAMPLES)))
def test_mutated_bytes_raise_input_error_only(name: str) -> None:
    count = MUTATIONS - SHAPED if name in JSON_SAMPLES else MUTATIONS
    make = Bytes(SAMPLES[name].data, f"bytes {name}").make
    refused = count_refusals(_reader(name), make, count)
    assert count // 2 < refused < count


@pytest.mark.parametrize("name", JSON_SAMPLES)
def test_misshapen_json_raises_input_error_only(name: str) -> None:
    write = encode_reviewable if name == "lock" else canonical
    make = Tree(json.loads(SAMPLES[name].data), f"shape {name}", write).make
    refused = count_refusals(_reader(name), make, SHAPED)
    assert SHAPED // 2 < refused < SHAPED
