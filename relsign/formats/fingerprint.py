"""`TARGET.fingerprint.json`: what was built, from what, in what, in one short id.

Every honest builder writes the same bytes.  The id is the SHA-256 of them.  A
fingerprint proves nothing by itself: it counts once enough builders have signed
links that list it.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.names import (
    MAX_ARTIFACTS,
    Epoch,
    FileName,
    HexDigest,
    Name,
    Normaliser,
    Size,
    Version,
    refuse_repeats,
    shaped,
)

MAX_FINGERPRINT_BYTES = 16 << 20
Knob = Annotated[str, shaped("up to 64 of a-z 0-9 and space", r"[a-z0-9][a-z0-9 ]{0,63}")]
"""A channel of a sandbox profile, as its `fixed` table names it."""


class SourceDigest(Document, frozen=True, kw_only=True):
    """One source file, as fetched."""

    name: Name
    sha256: HexDigest


class EnvironmentDigest(Document, frozen=True, kw_only=True):
    """The locked environment the build ran in."""

    builder: Name
    lock_sha256: HexDigest
    rootfs_sha256: HexDigest

    def materials(self) -> dict[str, str]:
        """Return path -> SHA-256 of lock and root file system, as links name them."""
        folder = f"builders/{self.builder}"
        return {
            f"{folder}/builder.lock": self.lock_sha256,
            f"{folder}/rootfs.tar": self.rootfs_sha256,
        }


class ProfileDigest(Document, frozen=True, kw_only=True):
    """The sandbox profile the container was started with."""

    name: Name
    sha256: HexDigest
    without: Annotated[tuple[Knob, ...], Meta(min_length=1)] | msgspec.UnsetType = msgspec.UNSET
    """Knobs of the profile that the engine could not set, sorted; absent where it set all."""


class BuiltArtifact(Document, frozen=True, kw_only=True):
    """One artifact's bytes and permission bits (``0644`` or ``0755``)."""

    name: FileName
    sha256: HexDigest
    size: Size
    mode: Literal["0644", "0755"]
    normalised: (
        Annotated[tuple[Normaliser, ...], Meta(min_length=1, max_length=4)] | msgspec.UnsetType
    ) = msgspec.UNSET
    """Normalisers the recipe asked for, in the order they ran."""


class Fingerprint(Document, frozen=True, kw_only=True):
    """The whole outcome of one target's build."""

    format: Literal["relsign/fingerprint/1"] = "relsign/fingerprint/1"
    project: Name
    version: Version
    target: Name
    recipe_sha256: HexDigest
    sources: Annotated[tuple[SourceDigest, ...], Meta(min_length=1)]
    environment: EnvironmentDigest
    profile: ProfileDigest
    source_date_epoch: Epoch | None
    artifacts: Annotated[tuple[BuiltArtifact, ...], Meta(min_length=1, max_length=MAX_ARTIFACTS)]

    def __post_init__(self) -> None:
        """Refuse lists that are not sorted, or name a thing twice: one value, one form."""
        for kind, names in (
            ("source", [s.name for s in self.sources]),
            ("artifact", [a.name for a in self.artifacts]),
        ):
            refuse_repeats(kind, names)
            if names != sorted(names):
                raise ValueError(f"{kind} list is not sorted by name")
        without = list(self.profile.without or ())
        refuse_repeats("knob", without)
        if without != sorted(without):
            raise ValueError("knobs are not sorted")

    def to_bytes(self) -> bytes:
        """Return the canonical bytes, whose SHA-256 is the fingerprint's id."""
        return encode_canonical(self)

    def materials(self) -> dict[str, str]:
        """Return path -> SHA-256 of every input, as the builders' links name them."""
        return {
            "relsign.toml": self.recipe_sha256,
            f"profiles/{self.profile.name}.json": self.profile.sha256,
            **self.environment.materials(),
            **{f"sources/{source.name}": source.sha256 for source in self.sources},
        }

    def products(self) -> dict[str, str]:
        """Return path -> SHA-256 of every artifact."""
        return {artifact.name: artifact.sha256 for artifact in self.artifacts}

    @property
    def file(self) -> str:
        """File name in the link's products and in the publication."""
        return f"{self.target}.fingerprint.json"


def parse_fingerprint(data: bytes, where: str = "fingerprint.json") -> Fingerprint:
    """Return the fingerprint; raise InputError unless `data` is its canonical form."""
    return decode_canonical(data, Fingerprint, where, max_bytes=MAX_FINGERPRINT_BYTES)
