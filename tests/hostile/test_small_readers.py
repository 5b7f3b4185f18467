"""Any bytes where keys, minisign files, base64 and words are read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from relsign.crypto.keys import parse_ed25519
from relsign.crypto.minisign import (
    parse_public_key,
    public_key_text,
    signature_file,
    verify_file,
)
from relsign.crypto.words import digest_words, parse_words
from relsign.errors import InputError, VerificationError
from relsign.formats.canonical import shorten
from relsign.formats.envelope import decode_base64
from tests.hostile.mutate import NUMBERS, WORDS, Bytes
from tests.hostile.survival import MUTATIONS, count_refusals
from tests.verify.releases import secret

RAW = secret("sam").verify_key.encode()
DIGEST = hashlib.blake2b(b"the message").digest()
MINISIG = signature_file(lambda data: secret("sam").sign(data).signature, RAW, DIGEST, "comment")
LINES = (
    *WORDS,
    *NUMBERS,
    b"untrusted comment: ",
    b"trusted comment: ",
    b"RWQ",
    b"RUR",
    b"=",
    b"\t",
)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


READERS: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "minisign key": (lambda data: parse_public_key(data, "t"), public_key_text(RAW)),
    "minisign signature": (lambda data: verify_file(RAW, data, DIGEST, "t"), MINISIG),
    "ed25519": (lambda data: parse_ed25519(data, "t"), RAW),
    "base64": (lambda data: decode_base64(_text(data), "t"), b"+/AAQQ=="),
    "base64 for addresses": (lambda data: decode_base64(_text(data), "t"), b"-_AAQQ=="),
    "words": (lambda data: parse_words(_text(data)), digest_words("9f2c" * 16).encode()),
    "digest": (lambda data: digest_words(_text(data)), b"9f2c" * 16),
}
SLOW = {"digest": 20, "words": 20}
"""The word list is loaded each time it is needed: one in so many is tried."""


@pytest.mark.parametrize("name", READERS)
def test_any_bytes(name: str) -> None:
    read, good = READERS[name]
    assert read(good)
    make, count = Bytes(good, name, LINES).make, MUTATIONS // SLOW.get(name, 1)
    refused = count_refusals(read, make, count, (InputError, VerificationError))
    assert count // 4 < refused <= count


def test_what_is_shown_of_any_bytes() -> None:
    make = Bytes("a\x1b[2J\u202e\u00eb\\".encode(), "shown", LINES).make
    for _ in range(MUTATIONS):
        shown = shorten(_text(make()))
        assert shown.isascii()
        assert shown.isprintable()
        assert len(shown) <= 120
