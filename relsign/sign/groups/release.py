"""A group signs a release: one participant's part, and what comes of all parts.

Each participant has signed the statement with an own key before (`relsign.sign.release`):
the group's signature says that enough of them did, the own ones say who.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from relsign.crypto.keys import GroupPublic, Party
from relsign.errors import InputError
from relsign.formats.charter import Group
from relsign.formats.statement import Statement
from relsign.sign.ceremony.member import Member, Visit, take_part
from relsign.sign.ceremony.requests import STATEMENT, release_session
from relsign.sign.ceremony.session import Session
from relsign.sign.ceremony.tag import ReleaseTag, release_tag
from relsign.sign.exchanges.interface import Exchange, Identity
from relsign.sign.groups.meeting import keep_messages, open_meeting
from relsign.sign.places import check_release_folder, make_real_folder
from relsign.sign.release import add_own
from relsign.system.files import write_whole
from relsign.system.workspace import ReleaseFolder, Workspace
from relsign.verify.root import TrustedRoot


@dataclass(frozen=True, slots=True)
class GroupSigning:
    """One release, and the group of the trust root that is to sign it."""

    release: ReleaseFolder
    root: TrustedRoot
    party: Party
    statement: Statement
    session: Session
    tag: ReleaseTag


@dataclass(frozen=True, slots=True)
class GroupVisit:
    """What one visit to a group's signing did."""

    visit: Visit
    files: tuple[Path, ...]
    """Written because the group is done."""


def group_signing(
    workspace: Workspace, root: TrustedRoot, party: Party, group: Group, statement: Statement
) -> GroupSigning:
    """Return what the root's group `party` signs of the release in the making.

    Raises InputError if it is no group, or its OpenPGP certificate cannot sign on the
    release's day.
    """
    if not isinstance(party.key, GroupPublic):
        raise InputError("not a group's key", got=party.name)
    recipe, certificate = workspace.recipe(), party.key.certificate
    session = release_session(group, certificate, statement, recipe)
    tag = release_tag(group, certificate, recipe, statement)
    return GroupSigning(workspace.release(), root, party, statement, session, tag)


def release_exchange(release: ReleaseFolder, place: str | None, identity: Identity) -> Exchange:
    """Return where a release's group messages travel: `place`, or else its own folder."""
    if place is None:
        check_release_folder(release)
    return open_meeting(release.ceremony, place, identity)


def join_release(signing: GroupSigning, member: Member, *, again: bool = False) -> GroupVisit:
    """Do this participant's part; once all parts are there, write what they make.

    The messages are kept in the release folder, whatever exchange they came by: they are
    the account of who took part.  Raises what `take_part` raises.
    """
    visit = take_part(member, signing.session, again=again)
    check_release_folder(signing.release)
    keep_messages(signing.release.ceremony, member, signing.session)
    return GroupVisit(visit, _store(signing, visit.outputs) if visit.outputs else ())


def _store(signing: GroupSigning, outputs: Mapping[str, bytes]) -> tuple[Path, ...]:
    """Write what the group made: each maker has checked it against the group's key."""
    release, root = signing.release, signing.root
    make_real_folder(release.signatures)
    written: list[Path] = []
    for name, data in outputs.items():
        if name != STATEMENT:
            path = release.signatures / name
            write_whole(path, data)
            written.append(path)
    # Last: who finds the group's signature on the statement finds the others too.
    signature = outputs[STATEMENT]
    add_own(
        release.statement_file,
        signing.statement.to_bytes(),
        root.statement_signers,
        signing.party,
        lambda _message: signature,
    )
    return (*written, release.statement_file)
