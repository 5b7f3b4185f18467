"""What building again under other conditions showed, in a form a link can carry.

A builder says it of its own build: nobody else can check that it was done, so no
decision counts it.  It tells people how far "the same bytes" was put to the test.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from relsign.formats.canonical import Document
from relsign.formats.names import Name, Normaliser, refuse_repeats, shaped

VariedKnob = Annotated[str, shaped("up to 32 of a-z -", r"[a-z][a-z-]{0,31}")]
CauseName = Annotated[str, shaped("up to 64 of a-z 0-9 -", r"[a-z][a-z0-9-]{0,63}")]


class Twin(Document, frozen=True, kw_only=True):
    """The outcome of one target's second build."""

    target: Name
    verdict: Literal["identical", "normalised", "different"]
    varied: Annotated[tuple[VariedKnob, ...], Meta(max_length=64)]
    """What differed between the two builds, sorted."""
    normalisers: Annotated[tuple[Normaliser, ...], Meta(max_length=4)] = ()
    """Those after which the artifacts are the same, sorted; for the verdict `normalised`."""
    causes: Annotated[tuple[CauseName, ...], Meta(max_length=64)] = ()
    """Why they differ, sorted; for the verdict `different`."""

    def __post_init__(self) -> None:
        """Refuse lists with more than one form, and reasons that do not fit the verdict."""
        for kind, names in (
            ("knob", self.varied),
            ("normaliser", self.normalisers),
            ("cause", self.causes),
        ):
            refuse_repeats(kind, names)
            if list(names) != sorted(names):
                raise ValueError(f"{kind} list is not sorted")
        if bool(self.normalisers) != (self.verdict == "normalised"):
            raise ValueError("normalisers stand with the verdict normalised and no other")
        if self.causes and self.verdict != "different":
            raise ValueError("causes stand with the verdict different and no other")
