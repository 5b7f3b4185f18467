"""`memory.json`: the releases a person has verified of one project, newest last.

What makes an older release refusable: a server that shows yesterday's release shows
one with a lower sequence than was seen here.  The same memory stands in `pin.json`
as well, so a copy that was lost, damaged or taken from an old backup makes nothing
acceptable that was not.

The checksum tells damage from use.  It is no signature: whoever can write the file
can compute it.

    >>> from datetime import UTC, datetime
    >>> noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    >>> first = new_memory("demo", NewestRoot(version=1, sha256="aa" * 32))
    >>> seen = Seen(sequence=3, version="1.4", statement_sha256="bb" * 32, seen_at=noon)
    >>> second = with_release(first, seen)
    >>> second.high_water, join_memories(first, second) == second
    (3, True)
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from relsign.errors import InputError
from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.names import Digest, HexDigest, Name, Time, Version, whole_seconds_utc

MAX_SEEN = 1000
"""Releases remembered; the newest are kept."""
_MAX_COUNT = 1 << 31
_UNSEALED = Digest("0" * 64)


class Seen(Document, frozen=True, kw_only=True):
    """One release that was VERIFIED on this machine."""

    sequence: Annotated[int, Meta(ge=1, le=_MAX_COUNT)]
    version: Version
    statement_sha256: HexDigest
    seen_at: Time
    """When it was first verified, by this machine's clock."""

    def __post_init__(self) -> None:
        """Refuse times with more than one form."""
        if not whole_seconds_utc(self.seen_at):
            raise ValueError("seen_at is not whole seconds in UTC")


class NewestRoot(Document, frozen=True, kw_only=True):
    """The last version of the root that was accepted; `sha256` is of what was signed."""

    version: Annotated[int, Meta(ge=1, le=_MAX_COUNT)]
    sha256: HexDigest


class Memory(Document, frozen=True, kw_only=True):
    """What has been seen of one project."""

    format: Literal["relsign/memory/1"] = "relsign/memory/1"
    project: Name
    root: NewestRoot
    high_water: Annotated[int, Meta(ge=0, le=_MAX_COUNT)]
    """Highest sequence ever seen; a list that was cut short does not reach it."""
    seen: Annotated[tuple[Seen, ...], Meta(max_length=MAX_SEEN)]
    """Two releases of one sequence stand here only where the root took one of them back."""
    checksum: HexDigest

    def __post_init__(self) -> None:
        """Refuse lists with more than one form, a list cut short, and damage."""
        keys = [_order(entry) for entry in self.seen]
        if keys != sorted(set(keys)):
            raise ValueError("seen is not sorted by sequence, or names a release twice")
        if self.high_water != max((entry.sequence for entry in self.seen), default=0):
            raise ValueError("seen does not reach high_water")
        if self.checksum not in {_UNSEALED, checksum_of(self)}:
            raise ValueError("checksum does not fit: the file is damaged")

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return encode_canonical(self)


def checksum_of(document: Document) -> Digest:
    """Return SHA-256 of a document's canonical bytes, its `checksum` taken as 64 zeros."""
    fields = {**msgspec.to_builtins(document), "checksum": _UNSEALED}
    return Digest(hashlib.sha256(encode_canonical(fields)).hexdigest())


def new_memory(project: str, root: NewestRoot) -> Memory:
    """Return the memory of a project of which no release was seen."""
    return _made(project, root, ())


def with_release(memory: Memory, entry: Seen) -> Memory:
    """Return the memory with one more release; the time it was first seen stays."""
    return _made(memory.project, memory.root, (*memory.seen, entry))


def with_root(memory: Memory, root: NewestRoot) -> Memory:
    """Return the memory with a newer root; raise InputError for an older or a rival one."""
    return _made(memory.project, _newer(memory.root, root), memory.seen)


def join_memories(one: Memory, two: Memory) -> Memory:
    """Return all that either remembers.

    Raises InputError where they are of two projects or know two roots of one version.
    """
    if one.project != two.project:
        raise InputError(
            "a memory of another project",
            where="memory.json",
            expected=one.project,
            got=two.project,
        )
    older, newer = sorted((one.root, two.root), key=lambda root: root.version)
    return _made(one.project, _newer(older, newer), (*one.seen, *two.seen))


def parse_memory(data: bytes, where: str = "memory.json") -> Memory:
    """Return the memory; raise InputError unless `data` is whole and canonical."""
    memory = decode_canonical(data, Memory, where)
    if memory.checksum == _UNSEALED:
        raise InputError("checksum does not fit: the file is damaged", where=where)
    return memory


def _made(project: str, root: NewestRoot, entries: Iterable[Seen]) -> Memory:
    first: dict[tuple[int, str], Seen] = {}
    for entry in sorted(entries, key=lambda e: (*_order(e), e.seen_at)):
        first.setdefault(_order(entry), entry)
    seen = tuple(first.values())[-MAX_SEEN:]
    high_water = max((entry.sequence for entry in seen), default=0)
    memory = Memory(
        project=project, root=root, high_water=high_water, seen=seen, checksum=_UNSEALED
    )
    return msgspec.structs.replace(memory, checksum=checksum_of(memory))


def _order(entry: Seen) -> tuple[int, str]:
    return entry.sequence, entry.statement_sha256


def _newer(older: NewestRoot, newer: NewestRoot) -> NewestRoot:
    if newer.version < older.version or (newer.version == older.version and newer != older):
        raise InputError(
            "two roots of one version, or an older one",
            where=f"root.json: version {newer.version}",
            expected=f"version {older.version}, {older.sha256[:16]}",
            got=newer.sha256[:16],
            hint="keep both files, and ask the project over another channel",
        )
    return newer
