"""`SESSION.ATTEMPT.STEP.seeds`: what the nonces of one step are made from, until its use.

A nonce is H3(seed || share) (RFC 9591, section 4.1), so a seed alone tells nothing.
It still is a secret: with it, whoever has the signature share learns the share.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.names import HexDigest, Name, refuse_repeats, shaped

SEED_BYTES = 32
MAX_SLOTS = 64
"""Messages signed in one step."""
MAX_NONCES_BYTES = 1 << 15

Attempt = Annotated[int, Meta(ge=1, le=1_000_000)]
Step = Annotated[int, Meta(ge=1, le=9)]
_Seed = Annotated[str, shaped("64 digits of 0-9 a-f", r"[0-9a-f]{64}")]


class SlotSeeds(Document, frozen=True, kw_only=True):
    """The two seeds of one message; `repr` shows its name only."""

    name: Name
    hiding: _Seed
    binding: _Seed

    def __repr__(self) -> str:
        """Leave the seeds out."""
        return f"SlotSeeds(name={self.name!r})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Leave the seeds out where rich prints."""
        return [("name", self.name)]


class StepSeeds(Document, frozen=True, kw_only=True):
    """The seeds of all messages that one step signs together."""

    format: Literal["relsign/nonces/1"] = "relsign/nonces/1"
    session: HexDigest
    attempt: Attempt
    step: Step
    slots: Annotated[tuple[SlotSeeds, ...], Meta(min_length=1, max_length=MAX_SLOTS)]

    def __post_init__(self) -> None:
        """Refuse a message named twice, and a seed that stands twice."""
        refuse_repeats("slot", (slot.name for slot in self.slots))
        seeds = {seed for slot in self.slots for seed in (slot.hiding, slot.binding)}
        if len(seeds) != 2 * len(self.slots):
            raise ValueError("a seed stands twice")

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return encode_canonical(self)


def parse_nonces(data: bytes, where: str) -> StepSeeds:
    """Return the seeds of a step.

    Raises InputError for anything but their canonical JSON.  The error may show a
    piece of a seed, so it is not to be shown, nor chained to what is.
    """
    return decode_canonical(data, StepSeeds, where, max_bytes=MAX_NONCES_BYTES)
