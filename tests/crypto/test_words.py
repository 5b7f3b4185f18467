"""Twelve words of a digest, and back."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relsign.crypto.words import digest_words, parse_words
from relsign.errors import InputError

# BIP 39's own test vectors (entropy of 128 bits; trezor/python-mnemonic, vectors.json, MIT).
VECTORS = {
    "00" * 16: "abandon abandon abandon abandon · abandon abandon abandon abandon"
    " · abandon abandon abandon about",
    "7f" * 16: "legal winner thank year · wave sausage worth useful · legal winner thank yellow",
    "80" * 16: "letter advice cage absurd · amount doctor acoustic avoid"
    " · letter advice cage above",
    "ff" * 16: "zoo zoo zoo zoo · zoo zoo zoo zoo · zoo zoo zoo wrong",
}


@pytest.mark.parametrize("entropy", VECTORS)
def test_the_vectors_of_bip_39(entropy: str) -> None:
    assert digest_words(entropy + "00" * 16) == VECTORS[entropy]
    assert parse_words(VECTORS[entropy]) == entropy


@given(st.binary(max_size=40))
def test_words_come_back_as_the_first_128_bits(data: bytes) -> None:
    digest = hashlib.sha256(data).hexdigest()
    words = digest_words(digest)
    assert re.fullmatch(r"(\w+ \w+ \w+ \w+ · ){2}\w+ \w+ \w+ \w+", words)
    assert parse_words(words) == digest[:32]


def test_how_people_type() -> None:
    typed = "  Zoo zoo ZOO zoo\n zoo zoo zoo zoo  zoo·zoo zoo wrong\t"
    assert parse_words(typed) == "ff" * 16


@pytest.mark.parametrize("digest", ["", "ff" * 16, "FF" * 32, "ff" * 32 + "\n", "gg" * 32])
def test_what_is_no_digest(digest: str) -> None:
    with pytest.raises(InputError, match="not a SHA-256"):
        digest_words(digest)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not twelve words"),
        ("zoo " * 11, "not twelve words"),
        ("zoo " * 13, "not twelve words"),
        ("zoo " * 11 + "zo\u00f6", "not a word of the list"),
        ("zoo " * 12, "do not fit together"),
        ("zoo " * 200, "too long"),
    ],
)
def test_words_that_are_refused(text: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        parse_words(text)


@given(st.text(max_size=120))
def test_any_text_raises_only_our_errors(text: str) -> None:
    with pytest.raises(InputError):
        parse_words(text)
