"""The policy for other people's `SHA256SUMS`: who counts, and how many must agree.

Written by the person who verifies, never taken from the evidence.  Without any
``[[builder]]`` every key file stands for the builder it is named after; with one,
nobody counts but those who are listed.

    threshold = 3
    dissent = "refuse"

    [[builder]]
    name = "alice"
    keys = ["1111111111111111111111111111111111111111"]
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from relsign.formats.canonical import Document, decode_toml
from relsign.formats.names import Name, refuse_repeats, shaped

Threshold = Annotated[int, Meta(ge=1, le=64)]
Fingerprint = Annotated[str, shaped("40 digits of 0-9 A-F", r"[0-9A-F]{40}")]
Pattern = Annotated[
    str, shaped("a path in which * and ? stand for others", r"[A-Za-z0-9_.+~*?\[\]/ -]{1,200}")
]


class PolicyBuilder(Document, frozen=True, kw_only=True):
    """Somebody whose manifests count: the folder's name, and who stands behind it."""

    name: Name
    operator: Name | None = None
    """The person or machine; the builder's own name if left out.  Each counts once."""
    organisation: Name | None = None
    keys: tuple[Fingerprint, ...] = ()
    """Primary keys.  If left out, those in the key files named after the builder."""


class SumsPolicy(Document, frozen=True, kw_only=True):
    """A whole policy for a folder of signed manifests."""

    threshold: Threshold
    """How many people must have signed the same digest."""
    organisations: Threshold | None = None
    """From how many organisations they must come."""
    dissent: Literal["refuse", "record"] = "refuse"
    """What somebody with another digest does to a file that has its quorum."""
    expired: Literal["refuse", "count-if-signed-before"] = "refuse"
    """Whether a key that is expired today counts for what it claims to have signed before."""
    paths: Literal["base", "keep"] = "base"
    """Whether files are compared by their last name, or with the folders before it."""
    releases: tuple[Pattern, ...] = ()
    """Releases to look at; all if empty."""
    ignore: tuple[Pattern, ...] = ()
    """Paths ``release/builder/manifest`` to leave out."""
    builder: tuple[PolicyBuilder, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could never be met, and one key or name for two builders."""
        refuse_repeats("builder", (one.name for one in self.builder))
        refuse_repeats("key", (key for one in self.builder for key in one.keys))
        if self.organisations is not None:
            self._check_organisations(self.organisations)
        operators = {one.operator or one.name for one in self.builder}
        if self.builder and self.threshold > len(operators):
            raise ValueError(f"threshold is larger than the {len(operators)} operators")

    def _check_organisations(self, needed: int) -> None:
        if needed > self.threshold:
            raise ValueError("organisations is larger than threshold")
        named = {one.organisation for one in self.builder}
        if not named or None in named:
            raise ValueError("organisations needs an organisation for each [[builder]]")
        if needed > len(named):
            raise ValueError(f"organisations is larger than the {len(named)} there are")


def parse_sums_policy(data: bytes, where: str = "sums.toml") -> SumsPolicy:
    """Return the policy in TOML `data`; raise InputError with the path inside it."""
    return decode_toml(data, SumsPolicy, where)
