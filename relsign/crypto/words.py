"""Twelve words for a digest: what two people compare over the telephone.

The words are BIP 39's English list: the first 128 bits of the digest and a
four-bit checksum that catches a word heard wrongly.  Importing this module loads
the word list's library, so import it where words are shown.

    >>> digest_words("9f2c" * 16)[:23]
    'palace gossip sleep din'
"""

from __future__ import annotations

import binascii
import re

from mnemonic import Mnemonic

from relsign.errors import InputError

WORDS = 12
_GROUP = 4
_BITS = 128
_DIGEST = re.compile(r"[0-9a-f]{64}")
_MAX_CHARACTERS = 400


def digest_words(sha256_hex: str) -> str:
    """Return the words of a SHA-256 in lower-case hex, as ``a b c d · e f g h · i j k l``.

    Raises InputError if it is not 64 lower-case hexadecimal digits.
    """
    if not _DIGEST.fullmatch(sha256_hex):
        raise InputError("not a SHA-256 in lower-case hex", got=ascii(sha256_hex[:64]))
    words = _list().to_mnemonic(bytes.fromhex(sha256_hex)[: _BITS // 8]).split(" ")
    groups = [" ".join(words[start : start + _GROUP]) for start in range(0, WORDS, _GROUP)]
    return " · ".join(groups)


def parse_words(text: str) -> str:
    """Return the 32 hexadecimal digits that twelve words stand for.

    Upper case, any white space and the dots between groups are accepted.  Raises
    InputError for an unknown word (naming it), another count, or a wrong checksum.
    """
    if len(text) > _MAX_CHARACTERS:
        raise InputError("too long for twelve words", got=f"{len(text)} characters")
    words = text.replace("·", " ").lower().split()
    if len(words) != WORDS:
        raise InputError("not twelve words", expected=str(WORDS), got=str(len(words)))
    word_list = _list()
    for word in words:
        if word not in word_list.wordlist:
            raise InputError("not a word of the list", got=ascii(word[:32]))
    if not word_list.check(" ".join(words)):
        raise InputError(
            "the words do not fit together",
            hint="one of them was heard or typed wrongly, or two changed places",
        )
    return binascii.hexlify(bytes(word_list.to_entropy(words))).decode("ascii")


def _list() -> Mnemonic:
    return Mnemonic("english")
