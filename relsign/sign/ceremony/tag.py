"""The git tag of a release: which commit, under which name.

It is made where the recipe says which commit the release is of: its only source is a git
commit, or its only git source has the project's name.  The tag is called as the source's
own `tag`, else `vVERSION`, in which a tilde becomes an underscore: git takes none.  Its
maker is the group, as its OpenPGP user id says, and its time the release's.
"""

from __future__ import annotations

from dataclasses import dataclass

from relsign.crypto.digest import sha256_hex
from relsign.crypto.git_tag import tag_payload
from relsign.errors import InputError
from relsign.formats.charter import Group
from relsign.formats.manifest import encode_manifest
from relsign.formats.recipe import Git, Recipe
from relsign.formats.statement import Statement
from relsign.formats.tag_message import TagMessage


@dataclass(frozen=True, slots=True)
class ReleaseTag:
    """The tag a release gets, or why it gets none."""

    name: str = ""
    """Without ``refs/tags/``."""
    payload: bytes = b""
    """What is signed; empty where there is no tag."""
    why_not: str = ""
    """Empty also where nobody would look for a tag: the recipe has no git source."""


def release_tag(
    group: Group, certificate: bytes | None, recipe: Recipe, statement: Statement
) -> ReleaseTag:
    """Return the tag of a release, from documents every participant has; raises nothing.

    `certificate` is the group's for OpenPGP, which signs it.  What git would not take in a
    tag, a group whose user id is no mailbox for one, leaves the release without a tag and
    does not stop it.
    """
    sources = [source for source in recipe.source if isinstance(source, Git)]
    if not sources:
        return ReleaseTag()
    if certificate is None:
        return ReleaseTag(why_not=f"{group.name} has no OpenPGP certificate")
    if len(sources) > 1:
        return ReleaseTag(why_not="the recipe has more than one git source")
    (source,) = sources
    if len(recipe.source) > 1 and source.name != recipe.project.name:
        return ReleaseTag(
            why_not=f"the git source {source.name} is one of several, and not called as the project"
        )
    predicate = statement.predicate
    name = source.tag.tag if source.tag else f"v{predicate.version}".replace("~", "_")
    message = TagMessage(
        project=predicate.project,
        version=predicate.version,
        statement_sha256=sha256_hex(statement.to_bytes()),
        manifest_sha256=sha256_hex(encode_manifest(statement.digests())),
    )
    try:
        payload = tag_payload(
            source.commit, name, group.user_id, predicate.released_at, message.text()
        )
    except InputError as error:
        return ReleaseTag(why_not=str(error))
    return ReleaseTag(name, payload)
