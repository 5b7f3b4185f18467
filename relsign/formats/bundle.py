"""`PROJECT-VERSION.relsign`: everything needed to verify a release offline.

Nobody is trusted to write it: every file in it is verified by itself.  Names
are as in the publication's `in-toto/` folder.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.envelope import decode_base64
from relsign.formats.names import Base64, FileName, Name, Version

MAX_BUNDLE_BYTES = 64 << 20
MAX_FILES = 1000
LAYOUT_FILE = "release.layout"
STATEMENT_FILE = "release.statement"


class Bundle(Document, frozen=True, kw_only=True):
    """The evidence files of one release, by name; base64 in the file itself."""

    format: Literal["relsign/bundle/1"] = "relsign/bundle/1"
    project: Name
    version: Version
    files: Annotated[dict[FileName, bytes], Meta(max_length=MAX_FILES)]

    def to_bytes(self) -> bytes:
        """Return the canonical bytes of the bundle."""
        return encode_canonical(self)


class _Encoded(Document, frozen=True, kw_only=True):
    """A bundle whose files are still text, so that an error can say which of them is none."""

    format: Literal["relsign/bundle/1"] = "relsign/bundle/1"
    project: Name
    version: Version
    files: Annotated[dict[FileName, Base64], Meta(max_length=MAX_FILES)]


class _Unread(Document, frozen=True, kw_only=True):
    """A bundle whose files still stand where they were received, so that none is copied."""

    format: Literal["relsign/bundle/1"] = "relsign/bundle/1"
    project: Name
    version: Version
    files: Annotated[dict[FileName, msgspec.Raw], Meta(max_length=MAX_FILES)]


def make_bundle(project: str, version: str, contents: Mapping[str, bytes]) -> Bundle:
    """Return a bundle of evidence files."""
    return Bundle(project=project, version=version, files=dict(contents))


def bundle_file_name(project: str, version: str) -> str:
    """Return the file name a release's bundle is published under."""
    return f"{project}-{version}.relsign"


def parse_bundle(data: bytes, where: str = "bundle", *, leave_out: str | None = None) -> Bundle:
    """Return the bundle; raise InputError unless `data` is its canonical form.

    Files whose names end in `leave_out` are read as the others are, and not kept.
    """
    bundle = _read_plainly(data, leave_out) if len(data) <= MAX_BUNDLE_BYTES else None
    return bundle or read_carefully(data, where, leave_out)


def read_carefully(data: bytes, where: str, leave_out: str | None) -> Bundle:
    """Do as `parse_bundle`, in the way that finds the words for what is odd."""
    encoded = decode_canonical(data, _Encoded, where, max_bytes=MAX_BUNDLE_BYTES)
    files = {
        name: decode_base64(text, f"{where}: files.{name}") for name, text in encoded.files.items()
    }
    if leave_out is not None:
        files = {name: files[name] for name in files if not name.endswith(leave_out)}
    return Bundle(project=encoded.project, version=encoded.version, files=files)


def _read_plainly(data: bytes, leave_out: str | None) -> Bundle | None:
    """Return the bundle if `data` is how it is written, None for the careful way to decide.

    File by file, because a second copy of all may take 64 MiB.  No name and no base64
    holds a letter that JSON escapes.
    """
    files: dict[str, bytes] = {}
    at, before = 0, b'{"files":{'
    try:
        unread = msgspec.json.decode(data, type=_Unread)
        for name in sorted(unread.files):
            content = msgspec.json.decode(unread.files[name], type=bytes)
            for piece in _written(before, name, content):
                if not data.startswith(piece, at):
                    return None
                at += len(piece)
            before = b","
            if leave_out is None or not name.endswith(leave_out):
                files[name] = content
            del content
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    empty = Bundle(project=unread.project, version=unread.version, files={})
    start = b"" if at else before
    if data[at:] != start + empty.to_bytes().removeprefix(b'{"files":{'):
        return None
    return msgspec.structs.replace(empty, files=files)


def _written(before: bytes, name: str, content: bytes) -> Iterator[bytes]:
    """Return how a file is written, in pieces."""
    yield b'%b"%b":"' % (before, name.encode())
    for start in range(0, len(content), _PIECE_BYTES):
        yield binascii.b2a_base64(content[start : start + _PIECE_BYTES], newline=False)
    yield b'"'


_PIECE_BYTES = 3 << 16
"""A multiple of three, so that the pieces' base64 is the whole's."""
