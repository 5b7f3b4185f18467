r"""`SHA256SUMS` as other projects write it: lenient in form, strict in meaning.

Lenient: either line end, upper-case digests, ``*`` for binary mode, a path before the
name, the same line twice.  Strict: ASCII, nothing that is not a checksum line, no path
that leaves its folder.  Two digests for one name are kept, for the caller to judge: a
builder who says both has said nothing.

A signature is over the raw bytes; parse them only after they were verified or, for
what a manifest merely mentions, without believing it.

    >>> parse_sums(b"ab" * 32 + b" *./out/demo.tar.gz\r\n", "all.SHA256SUMS")
    {'demo.tar.gz': ('abababababababababababababababababababababababababababababababab',)}
"""

from __future__ import annotations

import re

from relsign.errors import InputError
from relsign.formats.canonical import shorten
from relsign.formats.names import Digest

MAX_SUMS_BYTES = 16 << 20
MAX_SUMS_LINES = 50_000
_LINE = re.compile(r"([0-9a-fA-F]{64})(?:  | \*)(.+)")
_COMPONENT = re.compile(
    r"(?![. ]{1,2}\Z)[A-Za-z0-9_.](?:[\x20-\x2e\x30-\x5b\x5d-\x7e]{0,198}[\x21-\x7e])?"
)
"""One part of a path: visible ASCII and inner blanks, no slash of either kind, no dash,
quote or sign at the start that a shell or a spreadsheet would read."""


def parse_sums(
    data: bytes, where: str, *, keep_folders: bool = False
) -> dict[str, tuple[Digest, ...]]:
    """Return name -> its distinct digests, sorted; more than one is a contradiction.

    The name is the path's last part, or with `keep_folders` the path without ``./``.
    Raises InputError for anything that is not a list of checksum lines as sha256sum
    writes them, and for more than 16 MiB or 50,000 lines.
    """
    if len(data) > MAX_SUMS_BYTES:
        raise InputError("too large", where=where, expected=f"at most {MAX_SUMS_BYTES} bytes")
    try:
        lines = data.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise InputError("not ASCII", where=where, got=f"byte {error.start}") from error
    if len(lines) > MAX_SUMS_LINES:
        raise InputError("too many lines", where=where, expected=f"at most {MAX_SUMS_LINES}")
    found: dict[str, set[Digest]] = {}
    for number, line in enumerate(lines, 1):
        text = line.removesuffix("\r")
        if text:
            name, digest = _read_line(text, f"{where}:{number}", keep_folders=keep_folders)
            found.setdefault(name, set()).add(digest)
    if not found:
        raise InputError("lists no file", where=where)
    return {name: tuple(sorted(digests)) for name, digests in found.items()}


def _read_line(text: str, where: str, *, keep_folders: bool) -> tuple[str, Digest]:
    match = _LINE.fullmatch(text)
    if match is None:
        raise InputError(
            "not a checksum line",
            where=where,
            expected="64 digits, two blanks or blank and *, a name",
            got=shorten(text),
        )
    parts = [part for part in match[2].split("/") if part != "."]
    if not parts or any(_COMPONENT.fullmatch(part) is None for part in parts):
        raise InputError(
            "not a name that can be compared",
            where=where,
            expected="a relative path of visible ASCII",
            got=shorten(match[2]),
        )
    return "/".join(parts) if keep_folders else parts[-1], Digest(match[1].lower())
