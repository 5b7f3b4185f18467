"""`relsign root add`, `remove`, `revoke`, `vouch`: edit roster and policy, stage the next root."""

from __future__ import annotations

from pathlib import Path

import click

from relsign.cli.options import EXISTING, project_option, show_path
from relsign.cli.root_words import show_added, show_staged
from relsign.cli.talk import talk
from relsign.system.clock import now_utc
from relsign.system.workspace import Workspace


@click.command()
@click.argument("cards", nargs=-1, required=True, type=EXISTING, metavar="CARD...")
@click.option("--replace", is_flag=True, help="In place of a member of the same name.")
@project_option
def add(cards: tuple[Path, ...], workspace: Workspace, *, replace: bool) -> None:
    """Add members to the roster by their public cards, and stage the next root.

    With --replace a card takes the place of its member's earlier one: a group's after
    a reshare.

    Refused, with nothing written: a name that is taken, a twin of a key that is there,
    a revoked or unacceptable key, a second organisation for one operator, a group whose
    ceremonies are not in the project or made another key.

    \b
    Example
      relsign root add otilia/member.toml
    """
    from relsign.formats.roster import parse_roster
    from relsign.sign.groups.history import require_ceremony
    from relsign.sign.keys.keystore import is_member, read_card
    from relsign.sign.rules.root_edit import ROSTER, add_members, begin, finish, replace_members

    members = tuple(read_card(card, "no such card") for card in cards)
    edit = begin(workspace)
    known = (*parse_roster(edit.roster, ROSTER).member, *members)
    for member in members:
        require_ceremony(workspace, member, known)
    put = replace_members if replace else add_members
    staged = finish(workspace, put(edit, members), now_utc())
    for member in members:
        show_added(member, there=is_member(edit.roster, member, ROSTER))
    show_staged(workspace, staged)


@click.command()
@click.argument("name")
@click.option("--revoke", "reason", metavar="REASON", help="The key must never count again.")
@click.option("--replacement", metavar="MEMBER", help="Who takes its place; with --revoke.")
@project_option
def remove(name: str, reason: str | None, replacement: str | None, workspace: Workspace) -> None:
    """Take member NAME off the roster, and stage the next root.

    With --revoke the key is named in the root as one that never counts again, whoever
    enrols it. Refused, with nothing written, where too few would be left for a threshold.
    Releases that need the member fall: vouch for them first (relsign root vouch).

    \b
    Example
      relsign root remove olga --revoke "laptop stolen" --replacement olga-2
    """
    from relsign.sign.rules.root_edit import Revoking, begin, finish, remove_member

    if replacement is not None and reason is None:
        raise click.UsageError("--replacement goes with --revoke")
    revoking = None if reason is None else Revoking(reason, replacement)
    staged = finish(workspace, remove_member(begin(workspace), name, revoking), now_utc())
    talk(f"removed {name}" + ("" if reason is None else f", and revoked the key: {reason}"))
    if replacement is not None and replacement not in {m.name for m in staged.root.members}:
        talk(f"{replacement} is no member yet: add the card with `relsign root add CARD`")
    show_staged(workspace, staged)


@click.command()
@click.argument("version")
@click.option("--reason", required=True, help="One line that people read when it is refused.")
@click.option("--statement", metavar="SHA256", help="Only this statement of it.")
@click.option("--replacement", metavar="VERSION", help="The version to use instead.")
@project_option
def revoke(
    version: str, reason: str, statement: str | None, replacement: str | None,
    workspace: Workspace,
) -> None:  # fmt: skip
    """Take release VERSION back, and stage the next root.

    Every statement of the version is refused from then on, whoever signs it anew;
    with --statement that one alone.

    \b
    Example
      relsign root revoke 1.12 --replacement 1.13 \\
        --reason "built from a tampered tarball"
    """
    from relsign.sign.review.others import release_versions
    from relsign.sign.rules.root_edit import begin, finish, revoke_version

    edit = revoke_version(begin(workspace), version, reason, statement, replacement)
    staged = finish(workspace, edit, now_utc())
    talk(f"revoked {version}: {reason}")
    if version not in release_versions(workspace):
        talk(f"note: release/ here holds no version {version}: check that it is the one you mean")
    show_staged(workspace, staged)


@click.command()
@click.argument("bundles", nargs=-1, required=True, type=EXISTING, metavar="BUNDLE...")
@project_option
def vouch(bundles: tuple[Path, ...], workspace: Workspace) -> None:
    """Vouch for published releases before a rotation, and stage the next root.

    Each bundle is verified under the present root, as of the day of its release. From
    then on exactly this statement is judged by the rules of that day, so that it stays
    VERIFIED when its signers and builders are replaced.

    \b
    Example
      relsign root vouch site/gzip/1.12/gzip-1.12.relsign
    """
    from relsign.formats.bundle import MAX_BUNDLE_BYTES
    from relsign.sign.review.vouching import complete_roots, verify_for_vouching
    from relsign.sign.rules.root_edit import add_vouched, begin, finish
    from relsign.system.files import read_bounded

    now, edit, roots = now_utc(), begin(workspace), complete_roots(workspace)
    for path in bundles:
        it = verify_for_vouching(roots, read_bounded(path, MAX_BUNDLE_BYTES), now)
        edit = add_vouched(edit, it.version, it.statement_sha256, it.root.digest)
        talk(
            f"{show_path(path)}: version {it.version} of {it.released_at:%Y-%m-%d} holds by "
            f"version {it.root.root.version} of the root"
        )
    show_staged(workspace, finish(workspace, edit, now))
