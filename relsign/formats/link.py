"""in-toto links: what one functionary says one step took in and gave out.

Written by each builder as ``STEP.<first 8 hex of keyid>.link``, a DSSE envelope
around this payload (in-toto specification 1.0, section 4.4).  The payload's
`environment` binds it to one project and version, so that a link cannot be
replayed for another release; `name` binds it to its step.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.names import HexDigest, Name, RelativePath, Version

MAX_LINK_BYTES = 16 << 20
StepName = Literal["source", "build"]


class Sha256(Document, frozen=True, kw_only=True):
    """A digest set with the one digest we use."""

    sha256: HexDigest


Artifacts = Annotated[dict[RelativePath, Sha256], Meta(max_length=100_000)]


class ReleaseBinding(Document, frozen=True, kw_only=True):
    """The release a link belongs to."""

    project: Name
    version: Version


class NoByproducts(Document, frozen=True, kw_only=True):
    """Logs stay on the builder's machine; a link carries none."""


class Link(Document, frozen=True, kw_only=True):
    """One functionary's evidence of one step."""

    type_: Literal["link"] = msgspec.field(default="link", name="_type")
    name: StepName
    command: tuple[str, ...]
    materials: Artifacts
    products: Artifacts
    byproducts: NoByproducts = NoByproducts()
    environment: ReleaseBinding

    def to_bytes(self) -> bytes:
        """Return the payload to be signed."""
        return encode_canonical(self)


def parse_link(payload: bytes, where: str = "link") -> Link:
    """Return the link in a verified payload; raise InputError for anything else.

    A layout in the place of a link (a sublayout, whose inspections a reference
    verifier would run) is refused by its `_type`.
    """
    return decode_canonical(payload, Link, where, max_bytes=MAX_LINK_BYTES)


def link_file_name(step: str, keyid: str) -> str:
    """Return the file name in-toto gives a link."""
    return f"{step}.{keyid[:8]}.link"
