"""What the git tag of a release says: which release, which statement, which files.

    demo 1.0

    statement sha256 5b4f...
    SHA256SUMS sha256 1a2b...

A tag signs a commit's name, a SHA-1 in most repositories.  The two digests say besides
what was made of the commit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from relsign.errors import InputError
from relsign.formats.canonical import shorten
from relsign.formats.names import Digest

_MESSAGE = re.compile(
    r"(?P<project>[A-Za-z0-9][A-Za-z0-9._+-]{0,63}) (?P<version>[0-9A-Za-z][0-9A-Za-z.+~_-]{0,63})"
    r"\n\nstatement sha256 (?P<statement>[0-9a-f]{64})"
    r"\nSHA256SUMS sha256 (?P<manifest>[0-9a-f]{64})"
)


@dataclass(frozen=True, slots=True)
class TagMessage:
    """The message of a release's tag."""

    project: str
    version: str
    statement_sha256: Digest
    manifest_sha256: Digest

    def text(self) -> str:
        """Return the message, without a line end behind it."""
        return (
            f"{self.project} {self.version}\n\n"
            f"statement sha256 {self.statement_sha256}\n"
            f"SHA256SUMS sha256 {self.manifest_sha256}"
        )


def parse_tag_message(text: str, where: str) -> TagMessage:
    """Return what a tag's message says; raise InputError unless it has exactly this form."""
    match = _MESSAGE.fullmatch(text)
    if match is None:
        raise InputError(
            "not the message of a release's tag",
            where=where,
            expected="project and version, then the digests of statement and SHA256SUMS",
            got=shorten(text),
            hint="let the group make the tag: `relsign sign --as NAME`",
        )
    return TagMessage(
        project=match["project"],
        version=match["version"],
        statement_sha256=Digest(match["statement"]),
        manifest_sha256=Digest(match["manifest"]),
    )
