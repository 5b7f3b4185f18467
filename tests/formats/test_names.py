"""Names, digests and times: what may stand in a document, and what may not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any

import msgspec
import pytest

from relsign.formats.names import (
    Base64,
    Epoch,
    FileName,
    HexDigest,
    KeyId,
    Name,
    RelativePath,
    Size,
    Text,
    Time,
    Version,
    is_reserved,
    shaped,
    whole_seconds_utc,
)
from tests.formats.bad_names import BAD_NAMES
from tests.formats.samples import AA, BAD_DIGESTS, NOON

RIGHT: list[tuple[Any, object]] = [
    (Name, "gzip"),
    (Name, "a" * 64),
    (Name, "7zip_1.0+b-c"),
    (Version, "1.12~rc1"),
    (FileName, "_init.py"),
    (FileName, "g++-1.0.tar.gz"),
    (FileName, "x" * 200),
    (RelativePath, "a"),
    (RelativePath, "a/b.c/_d"),
    (RelativePath, "/".join("a" * 16)),
    (Text, "swapped by Ren\u00e9, see #12"),
    (HexDigest, AA),
    (KeyId, "aabbccdd"),
    (Base64, ""),
    (Base64, "aa+/=="),
    (Size, 0),
    (Size, 2**53 - 1),
    (Epoch, 253402300799),
]
WRONG: list[tuple[Any, object]] = [
    *((kind, name) for kind in (Name, Version, FileName) for name in BAD_NAMES),
    *((RelativePath, name) for name in BAD_NAMES),
    *((RelativePath, name) for name in ("a/", "a/.b", "a/-b", "a/..", "./a", "~/a", "a:b")),
    (RelativePath, "/".join("a" * 17)),
    (Name, "a" * 65),
    (Name, "a~b"),
    (Version, "a" * 65),
    *((HexDigest, digest) for digest in BAD_DIGESTS),
    *((KeyId, label) for label in ("", "aabbccd", "AABBCCDD", "a" * 65, "../aabbccdd")),
    *((Text, words) for words in ("", "a\nb", "\x1b", "\u202e", "\u0430", "\u00ad", "x" * 201)),
    *((Base64, text) for text in ("a===", "a-b_", "a b", "aa\n")),
    *((Size, size) for size in (-1, 2**53, 1.0, True, "1", None)),
    *((Epoch, epoch) for epoch in (-1, 253402300800, 0.0, False, "0")),
    *((Time, when) for when in ("2026-11-21T12:00:00", "now", 0, None)),
]


@pytest.mark.parametrize(("kind", "value"), RIGHT)
def test_good_values_are_accepted(kind: Any, value: object) -> None:  # noqa: ANN401
    assert msgspec.convert(value, kind) == value


@pytest.mark.parametrize(("kind", "value"), WRONG)
def test_bad_values_are_refused(kind: Any, value: object) -> None:  # noqa: ANN401
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(value, kind)


@pytest.mark.parametrize("text", ["ab", "a\n", "\na", "b", "xaa"])
def test_a_shape_is_of_the_whole_text_and_says_its_words(text: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="one a or two"):
        msgspec.convert(text, Annotated[str, shaped("one a or two", "a|aa")])


@pytest.mark.parametrize(
    ("name", "reserved"),
    [
        ("SHA256SUMS", True),
        ("SHA256SUMS.asc", True),
        ("in-toto", True),
        ("root.json", True),
        ("release.layout", True),
        ("gzip-1.12.relsign", True),
        ("linux.fingerprint.json", True),
        ("build.aabbccdd.link", True),
        ("bob.intoto.jsonl", True),
        ("in-toto-3.1.0.tar.gz", False),
        ("SHA256SUMS-of-plugins.txt", False),
        ("gzip-root.json", False),
        ("link", False),
        ("relsign", False),
    ],
)
def test_names_relsign_writes_itself_are_reserved(name: str, *, reserved: bool) -> None:
    assert is_reserved(name) is reserved


@pytest.mark.parametrize(
    ("moment", "accepted"),
    [
        (NOON, True),
        (NOON.replace(microsecond=1), False),
        (NOON.replace(tzinfo=None), False),
        (NOON.astimezone(timezone(timedelta(hours=1))), False),
        (datetime(1, 1, 1, tzinfo=UTC), True),
    ],
)
def test_times_are_whole_seconds_in_utc(moment: datetime, *, accepted: bool) -> None:
    assert whole_seconds_utc(moment) is accepted
