"""`pin.json`: the root a person pinned for one project, and what was seen since.

The anchor (`version` and `root_sha256`) never changes: it is the root whose words
were compared.  Newer roots are believed because each was signed by the owners of the
one before; the newest of them, and the releases seen, stand in `memory`.

Whoever can write this file can make its owner believe anything.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from relsign.errors import InputError
from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.memory import Memory, NewestRoot, Seen, checksum_of
from relsign.formats.names import Digest, HexDigest, Name, Time, shaped, whole_seconds_utc

Url = Annotated[
    str, shaped("an http or https URL without a password", r"https?://[!-?A-~]{1,1000}")
]
"""ASCII, without an ``@``: no user name, no password, nothing that hides the host."""
_UNSEALED = Digest("0" * 64)


class Pin(Document, frozen=True, kw_only=True):
    """A pinned root."""

    format: Literal["relsign/pin/1"] = "relsign/pin/1"
    name: Name
    """What this machine calls it; the project's name unless its owner chose another."""
    project: Name
    version: Annotated[int, Meta(ge=1, le=1 << 31)]
    root_sha256: HexDigest
    """Digest of the pinned root's signed part; its first half is the twelve words."""
    pinned_at: Time
    url: Url | None
    """The publication's project folder, where `relsign trust refresh` and `get` look."""
    memory: Memory
    checksum: HexDigest

    def __post_init__(self) -> None:
        """Refuse contradictions, times with more than one form, and damage."""
        if not whole_seconds_utc(self.pinned_at):
            raise ValueError("pinned_at is not whole seconds in UTC")
        if self.memory.project != self.project:
            raise ValueError("its memory is of another project")
        if self.memory.root.version < self.version:
            raise ValueError("its memory knows only older roots than the pinned one")
        same_version = self.memory.root.version == self.version
        if same_version and self.memory.root.sha256 != self.root_sha256:
            raise ValueError("its memory knows another root of the pinned version")
        if self.checksum not in {_UNSEALED, checksum_of(self)}:
            raise ValueError("checksum does not fit: the file is damaged")

    @property
    def seen(self) -> tuple[Seen, ...]:
        """Releases seen, sorted by sequence."""
        return self.memory.seen

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return encode_canonical(self)


def make_pin(
    name: str, root: NewestRoot, memory: Memory, pinned_at: datetime, url: str | None
) -> Pin:
    """Return a pin of `root`; `memory` knows that one or a newer one.

    Raises InputError for a name or URL that cannot stand in a pin.
    """
    pin = Pin(
        name=name,
        project=memory.project,
        version=root.version,
        root_sha256=root.sha256,
        pinned_at=pinned_at,
        url=url,
        memory=memory,
        checksum=_UNSEALED,
    )
    return parse_pin(_sealed(pin).to_bytes(), "pin.json")


def with_memory(pin: Pin, memory: Memory) -> Pin:
    """Return the pin with another memory of the same project, its root no older."""
    return _sealed(msgspec.structs.replace(pin, memory=memory, checksum=_UNSEALED))


def parse_pin(data: bytes, where: str = "pin.json") -> Pin:
    """Return the pin; raise InputError unless `data` is whole and canonical."""
    pin = decode_canonical(data, Pin, where)
    if _UNSEALED in {pin.checksum, pin.memory.checksum}:
        raise InputError("checksum does not fit: the file is damaged", where=where)
    return pin


def _sealed(pin: Pin) -> Pin:
    return msgspec.structs.replace(pin, checksum=checksum_of(pin))
