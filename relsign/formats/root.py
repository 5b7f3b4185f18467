"""`root.json`: the keys and thresholds a verifier pins for one project.

Made from the roster and the policy.  It is not signed: it is trusted because
the person verifying pinned it, having compared its 12 words over another
channel.  Whoever can replace a pinned root can make that person believe anything.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.names import Name, Time, refuse_repeats, whole_seconds_utc
from relsign.formats.policy import Dissent, Revocation, Thresholds
from relsign.formats.roster import MAX_MEMBERS, Member


class Root(Document, frozen=True, kw_only=True):
    """A project's trust root."""

    format: Literal["relsign/root/1"] = "relsign/root/1"
    project: Name
    version: Annotated[int, Meta(ge=1, le=1 << 31)]
    expires: Time
    members: Annotated[tuple[Member, ...], Meta(min_length=1, max_length=MAX_MEMBERS)]
    thresholds: Thresholds
    dissent: Dissent
    share_roles: bool
    revoked: tuple[Revocation, ...]

    def __post_init__(self) -> None:
        """Refuse lists with more than one form."""
        names = [m.name for m in self.members]
        refuse_repeats("member", names)
        if names != sorted(names):
            raise ValueError("members are not sorted by name")
        if not whole_seconds_utc(self.expires):
            raise ValueError("expires is not whole seconds in UTC")

    def to_bytes(self) -> bytes:
        """Return the canonical bytes, whose digest and words people compare."""
        return encode_canonical(self)


def parse_root(data: bytes, where: str = "root.json") -> Root:
    """Return the root; raise InputError unless `data` is its canonical form."""
    return decode_canonical(data, Root, where, max_bytes=4 << 20)
