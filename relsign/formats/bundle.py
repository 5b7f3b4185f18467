"""`PROJECT-VERSION.relsign`: everything needed to verify a release offline.

Nobody is trusted to write it: every file in it is verified by itself.  Names
are as in the publication's `in-toto/` folder.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta

from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.envelope import decode_base64
from relsign.formats.names import Base64, FileName, Name, Version

MAX_BUNDLE_BYTES = 64 << 20
MAX_FILES = 1000
LAYOUT_FILE = "release.layout"
STATEMENT_FILE = "release.statement"


class Bundle(Document, frozen=True, kw_only=True):
    """The evidence files of one release, by name."""

    format: Literal["relsign/bundle/1"] = "relsign/bundle/1"
    project: Name
    version: Version
    files: Annotated[dict[FileName, Base64], Meta(max_length=MAX_FILES)]

    def to_bytes(self) -> bytes:
        """Return the canonical bytes of the bundle."""
        return encode_canonical(self)

    def contents(self, where: str = "bundle") -> dict[str, bytes]:
        """Return name -> bytes; raise InputError for base64 that is not canonical."""
        return {
            name: decode_base64(text, f"{where}: files.{name}") for name, text in self.files.items()
        }


def make_bundle(project: str, version: str, contents: Mapping[str, bytes]) -> Bundle:
    """Return a bundle of evidence files."""
    files = {name: base64.b64encode(data).decode() for name, data in contents.items()}
    return Bundle(project=project, version=version, files=files)


def bundle_file_name(project: str, version: str) -> str:
    """Return the file name a release's bundle is published under."""
    return f"{project}-{version}.relsign"


def parse_bundle(data: bytes, where: str = "bundle") -> Bundle:
    """Return the bundle; raise InputError unless `data` is its canonical form."""
    return decode_canonical(data, Bundle, where, max_bytes=MAX_BUNDLE_BYTES)
