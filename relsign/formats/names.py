"""The names, digests and times that documents are made of.

Each is a plain `str` or `int` with the rule it must meet, so that a value of a
document is valid once built.  Names are ASCII on purpose: no look-alike letter,
no right-to-left mark, no newline, no leading dash or dot, no path separator can
stand in one.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, NewType

from msgspec import Meta

Digest = NewType("Digest", str)
"""SHA-256 as 64 lower-case hexadecimal digits."""

HexDigest = Annotated[Digest, Meta(pattern=r"\A[0-9a-f]{64}\Z")]

KeyId = Annotated[str, Meta(pattern=r"\A[0-9a-f]{8,64}\Z")]
"""A label for a key.  It is never authenticated and decides nothing."""

Name = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9._+-]{0,63}\Z")]
"""A project, target, builder, source or member."""

Version = Annotated[str, Meta(pattern=r"\A[0-9A-Za-z][0-9A-Za-z.+~_-]{0,63}\Z")]

FileName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_][A-Za-z0-9._+~-]{0,199}\Z")]
"""One path component, safe in a shell, in SHA256SUMS and as an in-toto pattern."""

RelativePath = Annotated[
    str,
    Meta(
        pattern=r"\A(?:[A-Za-z0-9_][A-Za-z0-9._+~-]{0,199})"
        r"(?:/[A-Za-z0-9_][A-Za-z0-9._+~-]{0,199}){0,15}\Z"
    ),
]
"""Up to 16 file names joined by ``/``: never absolute, never with ``..``."""

Text = Annotated[str, Meta(pattern=r"\A[\x20-\x7e\u00a1-\u024f]{1,200}\Z")]
"""One line of words for people; no control, format or look-alike script."""

Size = Annotated[int, Meta(ge=0, le=1 << 53)]
"""A count of bytes."""

Epoch = Annotated[int, Meta(ge=0, le=253402300799)]
"""Seconds since 1970-01-01T00:00:00Z, at most the year 9999."""

Time = Annotated[datetime, Meta(tz=True)]
"""An aware time; written as ``2026-11-21T08:00:00Z``."""

Base64 = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9+/]*={0,2}\Z")]

RESERVED_NAMES = ("SHA256SUMS", "in-toto", "root.json", "release.layout")
RESERVED_ENDINGS = (".relsign", ".fingerprint.json", ".link", ".intoto.jsonl")


def is_reserved(name: str) -> bool:
    """Say whether relsign itself writes a file of this name into a release."""
    return name.startswith(RESERVED_NAMES) or name.endswith(RESERVED_ENDINGS)


def whole_seconds_utc(moment: datetime) -> bool:
    """Say whether `moment` is UTC with no fraction: the only form documents hold."""
    offset = moment.utcoffset()
    return offset is not None and not offset and moment.microsecond == 0
