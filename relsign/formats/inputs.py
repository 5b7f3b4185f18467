"""`inputs.json`: what an input bundle holds, every file by digest.

The first member of a bundle and the only place where names stand.  Files in the bundle go
by their digests; what a file is for (`contents`) is for people to read, and where a file of
the project belongs (`project_files`) is used only when a new project folder is asked for.

Whoever made a bundle is not trusted: a file enters the store under the digest it has, and
the locks and the recipe say which digests a build reads.  A hostile bundle can bring its
own recipe, as any project one is given can: look at it before building.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta

from relsign.formats.canonical import Document, decode_canonical, encode_canonical
from relsign.formats.fingerprint import ProfileDigest
from relsign.formats.names import (
    HexDigest,
    Name,
    RelativePath,
    Version,
    refuse_repeats,
    shaped,
)

INPUTS_FILE = "inputs.json"
MAX_INPUTS_BYTES = 16 << 20
MAX_FILES = 50_000
MAX_FILE_BYTES = (8 << 30) - 1
RECIPE_FILE = "relsign.toml"

Kind = Literal["image", "language", "package", "rootfs", "signature", "source"]
InputName = Annotated[
    str,
    shaped(
        "up to 400 of A-Z a-z 0-9 @ . _ + ~ : = ! % / - and space",
        r"[A-Za-z0-9@._+~:=!%/ -]{1,400}",
    ),
]


class BundledFile(Document, frozen=True, kw_only=True):
    """One file of the bundle, named by its digest."""

    sha256: HexDigest
    size: Annotated[int, Meta(ge=0, le=MAX_FILE_BYTES)]


class Content(Document, frozen=True, kw_only=True):
    """What a file is: an environment's package, a source, a root file system."""

    kind: Kind
    of: Name
    """The environment or source it belongs to."""
    name: InputName
    sha256: HexDigest

    @property
    def label(self) -> str:
        """What it is, in words; contents stand in the order of these."""
        return f"{self.kind} {self.of} {self.name}"


class ProjectFile(Document, frozen=True, kw_only=True):
    """A file of the project, and where in its folder it lies."""

    path: RelativePath
    sha256: HexDigest


class Inputs(Document, frozen=True, kw_only=True):
    """A whole `inputs.json`."""

    format: Literal["relsign/inputs/1"] = "relsign/inputs/1"
    project: Name
    version: Version
    profile: ProfileDigest
    """The sandbox profile that gives the fingerprint ids of the day of the export."""
    project_files: Annotated[tuple[ProjectFile, ...], Meta(min_length=1, max_length=MAX_FILES)]
    contents: Annotated[tuple[Content, ...], Meta(max_length=MAX_FILES)]
    files: Annotated[tuple[BundledFile, ...], Meta(min_length=1, max_length=MAX_FILES)]

    def __post_init__(self) -> None:
        """Refuse another order, a digest without a file, and a file without a use."""
        _sorted("file", [file.sha256 for file in self.files])
        _sorted("project file", [file.path for file in self.project_files])
        _sorted("content", [content.label for content in self.contents])
        folders = _folders(file.path for file in self.project_files)
        for file in self.project_files:
            if file.path in folders:
                raise ValueError(f"a folder and a file of one name: {file.path}")
        if RECIPE_FILE not in {file.path for file in self.project_files}:
            raise ValueError(f"no {RECIPE_FILE} among the project's files")
        used = {use.sha256 for use in self.project_files} | {use.sha256 for use in self.contents}
        have = {file.sha256 for file in self.files}
        for digest in sorted(used ^ have)[:1]:
            raise ValueError(f"used and bundled files differ: {digest}")

    @property
    def size_bytes(self) -> int:
        """How many bytes all files have."""
        return sum(file.size for file in self.files)

    def to_bytes(self) -> bytes:
        """Return the one form the document may have."""
        return encode_canonical(self)


def _folders(paths: Iterable[str]) -> frozenset[str]:
    """Return every folder that some path lies in."""
    found: set[str] = set()
    for path in paths:
        parts = path.split("/")
        found.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
    return frozenset(found)


def _sorted(kind: str, names: list[str]) -> None:
    refuse_repeats(kind, names)
    if names != sorted(names):
        raise ValueError(f"{kind}s are not sorted")


def parse_inputs(data: bytes, where: str = INPUTS_FILE) -> Inputs:
    """Return the document; raise InputError unless `data` is exactly what we would write."""
    return decode_canonical(data, Inputs, where, max_bytes=MAX_INPUTS_BYTES)
