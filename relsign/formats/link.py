"""in-toto links: what one functionary says one step took in and gave out.

Written by each builder as ``STEP.<first 8 hex of keyid>.link``, a DSSE envelope
around this payload (in-toto specification 1.0, section 4.4).  The payload's
`environment` binds it to one project and version, so that a link cannot be
replayed for another release; `name` binds it to its step.  The `byproducts`, which
no artifact rule reads, say what kind of machine did it, open its commitment, and tell
what building again under other conditions showed.

A `check` link says that the recipe's checks passed.  Its materials are what they looked
at: the files of the release, and the environments they ran in.  It has no products.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec
from msgspec import UNSET, Meta, UnsetType

from relsign.errors import InputError
from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.names import HexDigest, Name, RelativePath, Version, refuse_repeats, shaped
from relsign.formats.twin import Twin

MAX_LINK_BYTES = 16 << 20
MAX_HEARD = 256
"""Commitments one link can name: as many as a trust root has members."""
MAX_TWINS = 100
"""As many as a recipe has targets."""
StepName = Literal["source", "build", "check"]
STEP_NAMES: tuple[StepName, ...] = get_args(StepName)
"""In the order they are done; `check` only where the recipe has checks."""
HostWord = Annotated[
    str,
    shaped(
        "up to 64 of a-z 0-9 . _ -, the first a letter or digit",
        r"[a-z0-9][a-z0-9._-]{0,63}",
    ),
]
"""Lower case only: two spellings of one engine must not count as two."""


class Sha256(Document, frozen=True, kw_only=True):
    """A digest set with the one digest we use."""

    sha256: HexDigest


Artifacts = Annotated[dict[RelativePath, Sha256], Meta(max_length=100_000)]


class ReleaseBinding(Document, frozen=True, kw_only=True):
    """The release a link belongs to."""

    project: Name
    version: Version


class Host(Document, frozen=True, kw_only=True, omit_defaults=True):
    """What kind of machine built: never its name, its user or a path on it."""

    engine: HostWord
    """The container engine: ``docker``, ``podman``."""
    engine_version: Version | None = None
    platform: HostWord
    """The machine's architecture: ``x86_64``."""
    environment: HostWord
    """The machine's operating system: ``debian-12``."""


class Byproducts(Document, frozen=True, kw_only=True, omit_defaults=True):
    """What a link says besides materials and products; logs stay on the builder's machine."""

    host: Host | None = None
    commitment_salt: HexDigest | None = None
    """Opens the commitment its builder published before (docs/reference/link.md)."""
    heard: Annotated[tuple[HexDigest, ...], Meta(max_length=MAX_HEARD)] | None = None
    """Payload digests of the commitments its builder held when it showed this link."""
    twins: Annotated[tuple[Twin, ...], Meta(min_length=1, max_length=MAX_TWINS)] | UnsetType = UNSET
    """What `relsign check` found of each target, sorted by target; no decision counts it."""

    def __post_init__(self) -> None:
        """Refuse half an opening, and lists with more than one form."""
        if (self.commitment_salt is None) != (self.heard is None):
            raise ValueError("commitment_salt and heard stand together or not at all")
        heard = self.heard or ()
        refuse_repeats("commitment", heard)
        if list(heard) != sorted(heard):
            raise ValueError("heard is not sorted")
        targets = [twin.target for twin in self.twins or ()]
        refuse_repeats("twin", targets)
        if targets != sorted(targets):
            raise ValueError("twins are not sorted by target")


class Link(Document, frozen=True, kw_only=True):
    """One functionary's evidence of one step."""

    type_: Literal["link"] = msgspec.field(default="link", name="_type")
    name: StepName
    command: tuple[str, ...]
    materials: Artifacts
    products: Artifacts
    byproducts: Byproducts = Byproducts()
    environment: ReleaseBinding

    def __post_init__(self) -> None:
        """Refuse what has no place in a link of its step."""
        if self.name == "check" and self.products:
            raise ValueError("a check has products: it looks at files and makes none")
        if self.name == "build":
            return
        if self.byproducts.commitment_salt is not None:
            raise ValueError("commitment_salt stands in a link of another step than build")
        if self.byproducts.twins:
            raise ValueError("twins stand in a link of another step than build")

    def to_bytes(self) -> bytes:
        """Return the payload to be signed."""
        return encode_canonical(self)


class _Outline(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A link but for its materials and products, which are passed over."""

    name: StepName
    command: tuple[str, ...]
    byproducts: Byproducts = Byproducts()
    environment: ReleaseBinding


def parse_link(payload: bytes, where: str = "link", like: Link | None = None) -> Link:
    """Return the link in a verified payload; raise InputError for anything else.

    A layout in the place of a link (a sublayout, whose inspections a reference
    verifier would run) is refused by its `_type`.  Should materials and products be those
    of the link `like`, as two honest builders' are, they are shared and not read again.
    """
    shared = None if like is None else _parse_alike(payload, like)
    return shared or decode_canonical(payload, Link, where, max_bytes=MAX_LINK_BYTES)


def _parse_alike(payload: bytes, like: Link) -> Link | None:
    """Return the link with the materials and products of `like` if `payload` is its form."""
    try:
        outline = msgspec.json.decode(payload, type=_Outline)
        link = Link(
            name=outline.name,
            command=outline.command,
            materials=like.materials,
            products=like.products,
            byproducts=outline.byproducts,
            environment=outline.environment,
        )
        return link if link.to_bytes() == payload else None
    except (msgspec.DecodeError, InputError, ValueError, RecursionError):
        return None


def link_file_name(step: str, keyid: str) -> str:
    """Return the file name in-toto gives a link."""
    return f"{step}.{keyid[:8]}.link"
