"""A group that is an owner signs a layout or a root: one participant's part.

The participant makes the document from its own policy, roster and recipe, as an owner
does, compares and is shown it, and only then takes part.  Once enough did, the group's
one signature is added; whoever reads the document sees one more owner.

    release/.../ceremony/   messages about the layout
    policies/ceremony/      messages about the root
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from relsign.crypto.keys import GroupPublic, Party, parties_of
from relsign.errors import InputError
from relsign.formats.charter import Group
from relsign.formats.layout import Layout
from relsign.formats.root import RootFile, parse_root
from relsign.sign.ceremony.member import Member, Visit, take_part
from relsign.sign.ceremony.requests import LAYOUT, ROOT, layout_session, root_session
from relsign.sign.ceremony.session import Session
from relsign.sign.groups.meeting import keep_messages
from relsign.sign.groups.shares import read_known_group
from relsign.sign.places import check_release_folder
from relsign.sign.release import sign_layout
from relsign.sign.rules.root import earlier_roots, owner_named, owners_who_may_sign, sign_root
from relsign.system.workspace import Workspace
from relsign.verify.root import TrustedRoot, check_root


@dataclass(frozen=True, slots=True)
class OwnerGroup:
    """A group that is an owner, and the participant who is here."""

    party: Party
    """The group, as the root knows it."""
    person: Party
    """The participant, whose key signs its messages."""
    group: Group


@dataclass(frozen=True, slots=True)
class OwnerSigning:
    """One document that an owner group is to sign."""

    group: Group
    session: Session
    output: str
    folder: Path
    """Where the messages are kept."""
    file: Path
    """Where the signature goes."""
    add: Callable[[bytes], object]
    """Adds the group's signature to the file."""


def layout_groups(workspace: Workspace, root: TrustedRoot, name: str) -> tuple[OwnerGroup, ...]:
    """Return the root's owner groups in which `name` holds a share.

    Raises InputError or VerificationError for a group document that is missing or is not
    the root's.
    """
    return _groups(workspace, root.root.project, (root.parties,), name)


def root_groups(workspace: Workspace, file: RootFile, name: str) -> tuple[OwnerGroup, ...]:
    """Return the groups in which `name` holds a share, that may sign a version of the root.

    Those are owners of it or of the version before.  A group that is in both has the
    people of the newer one: after a reshare only they have shares.  Raises as
    `layout_groups`.
    """
    versions = [check_root(file.signed)]
    earlier = earlier_roots(workspace)
    if earlier:
        versions.append(check_root(parse_root(earlier[-1]).signed))
    return _groups(workspace, file.signed.project, tuple(versions), name)


def _groups(
    workspace: Workspace, project: str, versions: tuple[tuple[Party, ...], ...], name: str
) -> tuple[OwnerGroup, ...]:
    found: dict[str, OwnerGroup | None] = {}
    for parties in versions:
        people = {party.name: party for party in parties}
        for party in parties_of(parties, "owner"):
            if not isinstance(party.key, GroupPublic) or party.keyid in found:
                continue
            found[party.keyid] = None
            if name in party.key.participants:
                group = read_known_group(workspace, project, parties, party)
                found[party.keyid] = OwnerGroup(party, people[name], group)
    return tuple(each for each in found.values() if each is not None)


def require_person(party: Party) -> Party:
    """Return an owner that signs by itself; raise InputError for a group."""
    if isinstance(party.key, GroupPublic):
        raise InputError(
            "a group signs through its people",
            got=party.name,
            expected=f"{party.key.threshold} of {', '.join(party.key.participants)}",
            hint="each of them runs this with --as and the own name",
        )
    return party


def own_vote(
    workspace: Workspace, file: RootFile, name: str, groups: tuple[OwnerGroup, ...]
) -> Party | None:
    """Return as which owner `name` signs a version of the root alone; None if through groups only.

    Who was an owner and is a participant of one from this version on does both.  Raises
    InputError for a group's name, and for somebody who is neither.
    """
    for party in owners_who_may_sign(workspace, file):
        if party.name == name:
            changed = groups and groups[0].person.key.materials != party.key.materials
            return None if changed else require_person(party)
    return None if groups else owner_named(workspace, file, name)


def layout_signing(
    workspace: Workspace, root: TrustedRoot, owner: OwnerGroup, layout: Layout
) -> OwnerSigning:
    """Return what an owner group does for a layout that was compiled and shown here."""
    release, payload = workspace.release(), layout.to_bytes()

    def add(signature: bytes) -> None:
        owners = root.having("owner")
        sign_layout(release, payload, owners, owner.party, lambda _message: signature)

    check_release_folder(release)
    return OwnerSigning(
        group=owner.group,
        session=layout_session(owner.group, payload, layout.expires),
        output=LAYOUT,
        folder=release.ceremony,
        file=release.layout_file,
        add=add,
    )


def root_signing(workspace: Workspace, owner: OwnerGroup, file: RootFile) -> OwnerSigning:
    """Return what an owner group does for a root that was made and shown here."""

    def add(signature: bytes) -> None:
        sign_root(workspace, file.signed, owner.party, lambda _message: signature)

    return OwnerSigning(
        group=owner.group,
        session=root_session(owner.group, file.signed),
        output=ROOT,
        folder=workspace.root_ceremony,
        file=workspace.root_file,
        add=add,
    )


def join_owner(signing: OwnerSigning, member: Member, *, again: bool = False) -> Visit:
    """Do this participant's part; once all parts are there, add the group's signature.

    Raises what `take_part` raises, InputError where the file holds another document by now.
    """
    visit = take_part(member, signing.session, again=again)
    keep_messages(signing.folder, member, signing.session)
    if visit.outputs:
        signing.add(visit.outputs[signing.output])
    return visit
