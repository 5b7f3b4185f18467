"""The names, digests and times that documents are made of.

Each is a plain `str` or `int` with the rule it must meet, so that a value of a
document is valid once built.  Names are ASCII on purpose: no look-alike letter,
no right-to-left mark, no newline, no leading dash or dot, no path separator can
stand in one.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal, NewType

from msgspec import Meta


def shaped(words: str, pattern: str) -> Meta:
    """Return the rule that a whole text matches `pattern`; errors say `words` instead."""
    return Meta(pattern=rf"(?#{words})\A(?:{pattern})\Z")


Digest = NewType("Digest", str)
"""SHA-256 as 64 lower-case hexadecimal digits."""

HexDigest = Annotated[Digest, shaped("64 digits of 0-9 a-f", r"[0-9a-f]{64}")]

KeyId = Annotated[str, shaped("8 to 64 digits of 0-9 a-f", r"[0-9a-f]{8,64}")]
"""A label for a key.  It is never authenticated and decides nothing."""

Name = Annotated[
    str,
    shaped(
        "up to 64 of A-Z a-z 0-9 . _ + -, the first a letter or digit",
        r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}",
    ),
]
"""A project, target, builder, source or member."""

Version = Annotated[
    str,
    shaped(
        "up to 64 of A-Z a-z 0-9 . _ + ~ -, the first a letter or digit",
        r"[0-9A-Za-z][0-9A-Za-z.+~_-]{0,63}",
    ),
]
"""A release's version, as its makers write it."""

FileName = Annotated[
    str,
    shaped(
        "a file name of up to 200 of A-Z a-z 0-9 . _ + ~ -, the first a letter, digit or _",
        r"[A-Za-z0-9_][A-Za-z0-9._+~-]{0,199}",
    ),
]
"""One path component, safe in a shell, in SHA256SUMS and as an in-toto pattern."""

RelativePath = Annotated[
    str,
    shaped(
        "up to 16 file names joined by /, each of A-Z a-z 0-9 . _ + ~ - with no . or - first",
        r"[A-Za-z0-9_][A-Za-z0-9._+~-]{0,199}(?:/[A-Za-z0-9_][A-Za-z0-9._+~-]{0,199}){0,15}",
    ),
]
"""Up to 16 file names joined by ``/``: never absolute, never with ``..``."""

Text = Annotated[
    str,
    shaped("one line of up to 200 Latin letters", r"[\x20-\x7e\u00a1-\u00ac\u00ae-\u024f]{1,200}"),
]
"""One line of words for people; no control, format or look-alike script."""

Size = Annotated[int, Meta(ge=0, lt=1 << 53)]
"""A count of bytes; JSON holds no larger integer exactly."""

Epoch = Annotated[int, Meta(ge=0, le=253402300799)]
"""Seconds since 1970-01-01T00:00:00Z, at most the year 9999."""

Normaliser = Literal["ar-1", "gzip-1", "tar-1", "zip-1"]
"""Rewrites an archive so that nothing depends on when and where it was made."""

Time = Annotated[datetime, Meta(tz=True)]
"""An aware time; written as ``2026-11-21T08:00:00Z``."""

Base64 = Annotated[str, shaped("base64", r"[A-Za-z0-9+/]*={0,2}")]

MAX_ARTIFACTS = 50_000
"""Files in one release."""

RESERVED_NAMES = ("SHA256SUMS", "in-toto", "root.json", "release.layout", "release.tlog-proof")
RESERVED_ENDINGS = (
    ".relsign",
    ".fingerprint.json",
    ".link",
    ".commitment",
    ".intoto.jsonl",
    ".root.json",
)
_RESERVED_BEGINNINGS = tuple(f"{name}." for name in RESERVED_NAMES)


def is_reserved(name: str) -> bool:
    """Say whether relsign itself writes a file of this name into a release."""
    return name.endswith(RESERVED_ENDINGS) or f"{name}.".startswith(_RESERVED_BEGINNINGS)


def whole_seconds_utc(moment: datetime) -> bool:
    """Say whether `moment` is UTC with no fraction: the only form documents hold."""
    offset = moment.utcoffset()
    return offset is not None and not offset and moment.microsecond == 0


def refuse_repeats(kind: str, names: Iterable[str]) -> None:
    """Raise ValueError (which parsing turns into InputError) for a name that stands twice."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{kind} named twice: {name}")
        seen.add(name)
