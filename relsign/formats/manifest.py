"""`SHA256SUMS` in GNU coreutils' form, for people who have only sha256sum.

It adds no vote: it is derived from the statement and must match it.  Names that
sha256sum would escape, and a name listed twice, are refused.
"""

from __future__ import annotations

import re

from relsign.errors import InputError
from relsign.formats.canonical import shorten
from relsign.formats.names import Digest

MAX_MANIFEST_BYTES = 16 << 20
_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_][A-Za-z0-9._+~-]{0,199})")


def encode_manifest(digests: dict[str, str]) -> bytes:
    """Return the manifest of name -> SHA-256, sorted by name."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode()


def parse_manifest(data: bytes, where: str = "SHA256SUMS") -> dict[str, Digest]:
    """Return name -> SHA-256; raise InputError for any other form than ours."""
    if len(data) > MAX_MANIFEST_BYTES:
        raise InputError("too large", where=where, expected=f"at most {MAX_MANIFEST_BYTES} bytes")
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError as error:
        raise InputError("not ASCII", where=where, got=f"byte {error.start}") from error
    digests: dict[str, Digest] = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise InputError("not a checksum line", where=f"{where}:{number}", got=shorten(line))
        if match[2] in digests:
            raise InputError("name listed twice", where=f"{where}:{number}", got=match[2])
        digests[match[2]] = Digest(match[1])
    if encode_manifest(dict(digests)) != data:
        raise InputError("not in the form relsign writes: sorted, one line each", where=where)
    return digests
