"""`[log]` of the policy and of the root: the log a release must stand in, and its witnesses.

    [log]
    origin = "log.example/relsign"
    members = ["log-a"]
    quorum = "two"
    max_age_days = 90

    [[log.group]]
    name = "two"
    need = 2
    of = ["wanda", "wilma", "wes"]

Groups are those of C2SP's tlog-policy: a group needs some of its names, each a
witness or a group defined before it, and every name stands in one group at most.
Decides what can be seen in the table alone.  Whether the names are members with
the right role is for `relsign.verify.inclusion.check_log`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.names import HexDigest, Name, Version, refuse_repeats, shaped

NO_QUORUM = "none"
"""The quorum that asks for no witness; never the name of a group or of one in it."""

MAX_NAMES = 64

Origin = Annotated[
    str,
    shaped(
        "an address without its scheme, such as log.example/relsign",
        r"[A-Za-z0-9][A-Za-z0-9.:-]{0,99}(?:/[A-Za-z0-9_~][A-Za-z0-9._~:-]{0,99}){0,8}",
    ),
]
"""The first line of a log's checkpoints, and the key name of its signatures."""

Names = Annotated[tuple[Name, ...], Meta(min_length=1, max_length=MAX_NAMES)]
Need = Annotated[int, Meta(ge=1, le=MAX_NAMES)] | Literal["all", "any"]


class LogGroup(Document, frozen=True, kw_only=True):
    """Some witnesses, and how many of them must have seen a checkpoint."""

    name: Name
    need: Need
    of: Names
    """Witnesses, by member name, and groups that stand before this one."""

    def __post_init__(self) -> None:
        """Refuse a need the group cannot meet, and a name that means something else."""
        refuse_repeats("witness or group", self.of)
        if isinstance(self.need, int) and self.need > len(self.of):
            raise ValueError(f"group needs more than it has: {self.name}")
        if NO_QUORUM in {self.name, *self.of}:
            raise ValueError("the name none stands for no quorum")


class LogPolicy(Document, frozen=True, kw_only=True):
    """Which log, whose signatures make a checkpoint the log's, and who must have seen it."""

    origin: Origin
    members: Names
    """Members with the role log; any one of them may sign a checkpoint."""
    group: Annotated[tuple[LogGroup, ...], Meta(max_length=MAX_NAMES)] = ()
    quorum: Name
    """The group or the witness that must have seen a checkpoint, or ``none``."""
    max_age_days: Annotated[int, Meta(ge=1, le=3660)] | None = None
    """How old a cosignature may be that counts towards the quorum."""

    def __post_init__(self) -> None:
        """Refuse names that stand twice and groups that are used before they are defined."""
        refuse_repeats("log", self.members)
        refuse_repeats("group", (group.name for group in self.group))
        refuse_repeats("witness or group", (name for group in self.group for name in group.of))
        later = {group.name for group in self.group}
        for group in self.group:
            for name in group.of:
                if name in later:
                    raise ValueError(f"group used before it is defined: {name}")
            later.discard(group.name)
        if self.max_age_days is not None and self.quorum == NO_QUORUM:
            raise ValueError("max_age_days needs a quorum: only witnesses say when")

    def witnesses(self) -> Iterator[str]:
        """Yield every name that must be a witness: those in groups, and a quorum of one."""
        groups = {group.name for group in self.group}
        for group in self.group:
            yield from (name for name in group.of if name not in groups)
        if self.quorum not in {NO_QUORUM, *groups, *(n for g in self.group for n in g.of)}:
            yield self.quorum


class LogEntry(Document, frozen=True, kw_only=True):
    """What a log holds of a release: the bytes whose leaf hash is in the tree."""

    format: Literal["relsign/log-entry/1"] = "relsign/log-entry/1"
    kind: Literal["release"] = "release"
    project: Name
    version: Version
    statement_sha256: HexDigest

    def to_bytes(self) -> bytes:
        """Return the canonical bytes of the entry."""
        return encode_canonical(self)


MAX_ENTRY_BYTES = 1_024


def parse_log_entry(data: bytes, where: str = "log entry") -> LogEntry:
    """Return the entry; raise InputError unless `data` is its canonical form."""
    return decode_canonical(data, LogEntry, where, max_bytes=MAX_ENTRY_BYTES)
