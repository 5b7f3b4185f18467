"""What `relsign sign` does for a group: this participant's part, and whom it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from relsign.cli.ceremony_words import show_visit
from relsign.cli.options import show_path
from relsign.cli.talk import talk

if TYPE_CHECKING:
    from relsign.formats.statement import Statement
    from relsign.sign.groups.release import GroupSigning
    from relsign.sign.keys.person import OpenPerson
    from relsign.system.workspace import Workspace
    from relsign.verify.root import TrustedRoot


def sign_with_groups(
    workspace: Workspace,
    root: TrustedRoot,
    statement: Statement,
    person: OpenPerson,
    exchange: str | None,
    *,
    again: bool,
) -> None:
    """Take part in the signing of every release key that this person shares."""
    from relsign.sign.groups.release import group_signing, join_release, release_exchange
    from relsign.sign.groups.shares import as_member, groups_of, has_share, read_group

    release = workspace.release()
    for party in groups_of(root, person.mine.person, "release"):
        group = read_group(workspace, root, party)
        if not has_share(person.mine, group):
            talk(f"no share of {group.name} is on this machine: the others must sign with it,")
            talk(f"or finish its ceremony: `relsign ceremony join {group.name} --as NAME`")
            continue
        place = release_exchange(release, exchange, person.identity)
        member = as_member(person.mine, person.identity, group, person.passphrase, place)
        signing = group_signing(workspace, root, party, group, statement)
        done = join_release(signing, member, again=again)
        talk(f"{group.name} ({group.threshold} of {len(group.holders)}):")
        show_visit(done.visit)
        for path in done.files:
            click.echo(show_path(path))
        if done.files:
            talk(f"{group.name} signed {release.project} {release.version}")
            _show_tag(signing)
        else:
            talk("Next: run this again when the others have been there")


def _show_tag(signing: GroupSigning) -> None:
    """Say how the git tag gets into a repository, or why there is none."""
    from shlex import quote

    tag = signing.tag
    if tag.payload:
        path = signing.release.signatures / f"{signing.party.name}.tag"
        talk("The signed git tag goes into a repository that has the commit with")
        talk(f"  git update-ref refs/tags/{tag.name} \\")
        talk(f"    $(git hash-object -t tag -w --stdin <{quote(show_path(path))})")
    elif tag.why_not:
        talk(f"no git tag was made: {tag.why_not}")
