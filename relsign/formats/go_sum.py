r"""Go's `go.sum`: which modules, and the sums of what they hold.

Each line is ``PATH VERSION h1:SUM`` for a module's files or ``PATH VERSION/go.mod
h1:SUM`` for its ``go.mod`` alone (Go Modules Reference, "go.sum files").  A sum is
Hash1 of golang.org/x/mod/sumdb/dirhash: SHA-256 over one sorted line for each file.

>>> hash1({"go.mod": hashlib.sha256(b"module m\n").hexdigest()})
'h1:ctOyyZcdkNeS11Bx/Hh8c9pcGuH4+y+pgNNtQl7rlJc='
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping

from relsign.errors import InputError
from relsign.formats.canonical import Document, decode_value, shorten
from relsign.formats.lock import MAX_LOCKED, ModulePath, ModuleVersion

MAX_SUM_BYTES = 4 << 20
MOD_SUFFIX = "/go.mod"
_SUM = re.compile(r"h1:[A-Za-z0-9+/]{43}=")
_FIELDS = 3
_HINT = "run `go mod tidy`"


class GoModule(Document, frozen=True, kw_only=True):
    """A module: the sum of its ``go.mod``, and that of its zip if its files are needed."""

    path: ModulePath
    version: ModuleVersion
    mod_sum: str
    zip_sum: str | None


def parse_go_sum(data: bytes, where: str = "go.sum") -> tuple[GoModule, ...]:
    """Return the modules a sum file names, sorted.

    Raises InputError with the line's number for anything that is no such line, for a
    sum of an unknown kind, one that stands twice, and a module whose ``go.mod`` has none.
    """
    if len(data) > MAX_SUM_BYTES:
        raise InputError("too large", where=where, expected=f"at most {MAX_SUM_BYTES} bytes")
    try:
        lines = data.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise InputError("not ASCII", where=where, got=f"byte {error.start}") from error
    sums: dict[tuple[str, str], str] = {}
    for number, line in enumerate(lines, 1):
        if line:
            _read(line, sums, f"{where}: line {number}")
    keys = sorted({(path, word.removesuffix(MOD_SUFFIX)) for path, word in sums})
    if len(keys) > MAX_LOCKED:
        raise InputError("too many modules", where=where, expected=f"at most {MAX_LOCKED}")
    return tuple(_module(path, version, sums, where) for path, version in keys)


def _read(line: str, sums: dict[tuple[str, str], str], at: str) -> None:
    fields = line.split(" ")
    if len(fields) != _FIELDS or not _SUM.fullmatch(fields[2]):
        raise InputError(
            "not a line of go.sum", where=at, expected="PATH VERSION h1:SUM", got=shorten(line)
        )
    path, word, stated = fields
    if (path, word) in sums:
        raise InputError("named twice", where=at, got=shorten(f"{path} {word}"), hint=_HINT)
    sums[path, word] = stated


def _module(path: str, version: str, sums: Mapping[tuple[str, str], str], where: str) -> GoModule:
    at = f"{where}: {shorten(path)}@{shorten(version)}"
    mod_sum = sums.get((path, version + MOD_SUFFIX))
    if mod_sum is None:
        raise InputError("no sum of its go.mod", where=at, hint=_HINT)
    zip_sum = sums.get((path, version))
    value = {"path": path, "version": version, "mod_sum": mod_sum, "zip_sum": zip_sum}
    return decode_value(value, GoModule, at)


def hash1(digests: Mapping[str, str]) -> str:
    """Return Hash1 of files, given each one's name and SHA-256 in hexadecimal digits."""
    lines = (f"{digests[name]}  {name}\n" for name in sorted(digests, key=str.encode))
    total = hashlib.sha256("".join(lines).encode()).digest()
    return "h1:" + base64.b64encode(total).decode("ascii")


def escape_module(text: str) -> str:
    """Return a path or version as a proxy's file names have it: ``!x`` for a capital X.

    So that names which differ in case alone stay apart on any disk (Go Modules
    Reference, "Module proxy protocol").

    >>> escape_module("example.org/BurntSushi")
    'example.org/!burnt!sushi'
    """
    return re.sub(r"[A-Z]", lambda found: "!" + found[0].lower(), text)
