"""`policy.toml` of a person who verifies: what they ask for beyond the project's root.

    level = "standard"
    builders = 3

    [project.gzip]
    organisations = 2
    dissent = "refuse"

It can only ask for more.  Of this file and the project's root the stricter value
counts, field by field, so ``builders = 1`` under a root that needs two changes
nothing; no field can switch a check off, and a field that is not known is refused
rather than overlooked.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from relsign.formats.canonical import Document, decode_toml
from relsign.formats.names import Name
from relsign.formats.policy import Days, Threshold

MAX_OWN_POLICY_BYTES = 1 << 18
MAX_PROJECTS = 1000

OwnLevel = Literal["standard", "paranoid"]


class Wishes(Document, frozen=True, kw_only=True):
    """What is asked for; a field left out leaves the matter to the project's root."""

    level: OwnLevel | None = None
    signers: Threshold | None = None
    builders: Threshold | None = None
    organisations: Threshold | None = None
    dissent: Literal["refuse"] | None = None
    """Whether one builder with other bytes is enough to refuse a release."""
    freshness_days: Days | None = None
    """How old the newest word of the project's publisher may be."""
    log: bool | None = None
    """Whether the release must stand in a witnessed log."""

    def __post_init__(self) -> None:
        """Refuse ``log = false``: it would read as if it switched something off."""
        if self.log is False:
            raise ValueError("log can only be true; leave it out to follow the project's root")


class OwnPolicy(Wishes, frozen=True, kw_only=True):
    """A whole `policy.toml`: wishes for every project, and more for some."""

    project: Annotated[dict[Name, Wishes], Meta(max_length=MAX_PROJECTS)] = msgspec.field(
        default_factory=dict
    )


def parse_own_policy(data: bytes, where: str = "policy.toml") -> OwnPolicy:
    """Return the policy in TOML `data`; raise InputError with the path inside it."""
    return decode_toml(data, OwnPolicy, where, max_bytes=MAX_OWN_POLICY_BYTES)


def wishes_for(policy: OwnPolicy, project: str) -> tuple[Wishes, ...]:
    """Return the wishes that hold for a project; each of them must be met.

    A table's name is compared without regard to case: meant for another project, it
    asks for too much and not for too little.
    """
    own = (w for name, w in policy.project.items() if name.casefold() == project.casefold())
    return (policy, *own)
