"""npm's `package.json`, as far as it says which programs a package brings.

Fields `bin` and `directories.bin` (npm documentation, "package.json"), brought into
one form as npm's own installer does: the last part of a name, and a path that cannot
leave the package.

>>> sorted(parse_programs(b'{"bin": {"a": "./cli.js", "../b": "../../c"}}', "p", ()).items())
[('a', 'cli.js'), ('b', 'c')]
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping

import msgspec

from relsign.errors import InputError
from relsign.formats.canonical import shorten

MAX_PACKAGE_BYTES = 4 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _Package(msgspec.Struct, frozen=True):
    # Of any type, since registries hold packages with every mistake in them.
    bin: object = None
    directories: object = None


def parse_programs(
    data: bytes, name: str, files: Iterable[str], where: str = "package.json"
) -> dict[str, str]:
    """Return each program's name and the file of the package it is.

    `name` is the package's own, used where `bin` is one path; `files` are all that it
    holds.  What npm ignores is ignored; InputError is raised for what is no JSON object.
    """
    if len(data) > MAX_PACKAGE_BYTES:
        raise InputError("too large", where=where, expected=f"at most {MAX_PACKAGE_BYTES} bytes")
    try:
        package = msgspec.json.decode(data.removeprefix(BYTE_ORDER_MARK), type=_Package)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InputError("not a package.json", where=where, got=shorten(str(error))) from error
    given = _given(package, name, files)
    programs = {_base(key): _inside(path) for key, path in given.items() if isinstance(path, str)}
    return {key: path for key, path in programs.items() if key and path}


def _given(package: _Package, name: str, files: Iterable[str]) -> Mapping[str, object]:
    if isinstance(package.bin, str):
        return {name: package.bin}
    if isinstance(package.bin, list):
        return {path: path for path in package.bin if isinstance(path, str)}
    if isinstance(package.bin, dict):
        return package.bin
    folder = package.directories.get("bin") if isinstance(package.directories, dict) else None
    if package.bin is not None or not isinstance(folder, str):
        return {}
    below = f"{_inside(folder)}/"
    return {file: file for file in files if file.startswith(below) and "/." not in file}


def _base(key: str) -> str:
    """Return the last part of a name, which is what the link is called."""
    parts = key.replace("\\", "/").replace(":", "/").rstrip("/")
    return _inside(parts.rpartition("/")[2])


def _inside(path: str) -> str:
    """Return a path as if the package were the root, so that no ``..`` leads out."""
    return posixpath.normpath("/" + path.replace("\\", "/")).lstrip("/")
