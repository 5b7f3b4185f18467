"""Any bytes where logs, listings, pins, strangers' evidence and locks are read, 100,000 each."""

from __future__ import annotations

import base64
import json
import tomllib

import pytest
import rfc8785

from relsign.crypto.spki import parse_key
from relsign.errors import HostError, InputError
from relsign.formats.canonical import encode_reviewable
from relsign.formats.gnupg_text import read_key_listing
from tests.crypto.stranger_keys import openssh
from tests.hostile.mutate import NUMBERS, WORDS, Bytes, Tree, canonical
from tests.hostile.newer_samples import (
    CANONICAL,
    FOREIGN,
    NEVER_REFUSED,
    NEWER,
    REVIEWABLE,
    TABLES,
    TEXTS,
    may_raise,
)
from tests.hostile.survival import MUTATIONS, count_refusals
from tests.hostile.toml import write_toml

SHAPED = MUTATIONS // 5
"""How many documents are changed as values where a document has them."""

LINES = (*WORDS, *NUMBERS, b"\n\n", b"\xe2\x80\x94 ", b"-----BEGIN ", b"AAAA", b"fpr:", b"sub:")


def _shaped(name: str) -> int:
    return SHAPED if name in {*CANONICAL, *REVIEWABLE, *FOREIGN, *TABLES} else 0


@pytest.mark.parametrize("name", NEWER)
def test_any_bytes(name: str) -> None:
    sample = NEWER[name]
    assert sample.parse(sample.data) is not None
    count = MUTATIONS - _shaped(name)
    make = Bytes(sample.data, f"bytes {name}", LINES if name in TEXTS else WORDS).make
    refused = count_refusals(sample.parse, make, count, may_raise(name))
    assert refused < count
    assert refused > count // 10 or name in NEVER_REFUSED


@pytest.mark.parametrize("name", [*CANONICAL, *REVIEWABLE, *FOREIGN])
def test_any_values(name: str) -> None:
    sample = (CANONICAL | REVIEWABLE | FOREIGN)[name]

    def read(data: bytes) -> None:
        sample.parse(data)
        assert name not in CANONICAL or rfc8785.dumps(json.loads(data)) == data

    write = encode_reviewable if name in REVIEWABLE else canonical
    make = Tree(json.loads(sample.data), f"values {name}", write).make
    assert SHAPED // 4 < count_refusals(read, make, SHAPED) < SHAPED


@pytest.mark.parametrize("name", TABLES)
def test_any_tables(name: str) -> None:
    sample = TABLES[name]
    make = Tree(tomllib.loads(sample.data.decode()), f"tables {name}", write_toml).make
    assert SHAPED // 4 < count_refusals(sample.parse, make, SHAPED) < SHAPED


def test_an_openssh_point_in_a_form_its_reader_lacks() -> None:
    """Compressed points are legal in SEC 1; the library says NotImplementedError."""
    kind, text, comment = openssh("ec1").split(b" ")
    body = bytearray(base64.b64decode(text))
    body[-65] = 2
    with pytest.raises(InputError, match="not an OpenSSH public key"):
        parse_key(b" ".join((kind, base64.b64encode(body), comment)), "t")


def test_what_gpg_lists_oddly_is_shown_escaped() -> None:
    with pytest.raises(HostError) as caught:
        read_key_listing(b"pub:e:odd:\nfpr:::::::::\x1b[2J:\n")
    assert str(caught.value).isprintable()
