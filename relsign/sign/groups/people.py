"""The people of a group as a project's roster has them, where they meet, and their card."""

from __future__ import annotations

import base64
from datetime import datetime
from pathlib import Path

from relsign.crypto.keys import Ed25519Public, GroupPublic, Party, check_members
from relsign.crypto.openpgp import parse_certificate
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.charter import Charter, Group
from relsign.formats.names import Base64
from relsign.formats.roster import FrostKey, Member
from relsign.sign.exchanges.interface import Exchange, Identity
from relsign.sign.groups.attendance import CERTIFICATE_FILE, read_previous_group
from relsign.sign.groups.meeting import open_meeting
from relsign.sign.keys.keystore import encode_members, read_card
from relsign.system.files import make_folder, read_bounded, write_whole
from relsign.system.workspace import MAX_TEXT_BYTES, Workspace

ROSTER = "keys/roster.toml"
_TAKEN = ("allowed_signers", "root")
"""Files that are published beside the keys."""
CARD_FILE = "member.toml"


def identity_party(workspace: Workspace, name: str) -> Party:
    """Return a member of the roster who can take part in ceremonies; raise InputError if not."""
    for party in _parties(workspace):
        if party.name == name:
            if isinstance(party.key, Ed25519Public) and not isinstance(party.key, GroupPublic):
                return party
            raise InputError(
                "not a person with an ed25519 key",
                where=ROSTER,
                got=name,
                hint="who takes part in a ceremony signs its messages with such a key",
            )
    raise InputError(
        "no member of that name", where=ROSTER, got=name, hint="see `relsign key list`"
    )


def _with_a_role(party: Party) -> Party:
    """Return a party who may share a key; raise InputError for a machine or a service."""
    if {"signer", "owner"} & set(party.roles):
        return party
    raise InputError(
        "who shares a key is a signer or an owner",
        where=ROSTER,
        got=f"{party.name}: {', '.join(party.roles)}",
        hint="give the person a key with that role: `relsign key new`",
    )


def require_part(workspace: Workspace, charter: Charter, name: str) -> None:
    """Raise InputError for who has nothing to do in a ceremony.

    Old holders have: they destroy their shares in one.
    """
    previous = read_previous_group(workspace, charter)
    people = {*charter.identities(), *charter.dealers, *(previous.identities() if previous else ())}
    if name not in people:
        raise InputError(
            "takes no part in this ceremony",
            where=charter.group,
            got=name,
            expected=", ".join(sorted(people)),
            hint="a new holder comes in by `relsign ceremony reshare`",
        )


def require_free_name(workspace: Workspace, group: str) -> None:
    """Raise InputError for a group called as a member who is no group, or as a published file."""
    if group in _TAKEN or any(
        m.name == group and not isinstance(m.key, FrostKey) for m in workspace.roster().member
    ):
        raise InputError(
            "a group cannot be called so: the name is taken",
            got=group,
            hint="choose another name, such as PROJECT-release",
        )


def identities_of(workspace: Workspace, names: tuple[str, ...]) -> dict[str, bytes]:
    """Return the raw identity keys of members by name.

    Raises InputError for somebody who is not in the roster, is no person with an ed25519
    key and the role of a signer or owner, or is there twice by another name.
    """
    parties = [_with_a_role(identity_party(workspace, name)) for name in dict.fromkeys(names)]
    operators: dict[str, str] = {}
    for party in parties:
        other = operators.setdefault(party.operator, party.name)
        if other != party.name:
            raise InputError(
                "one person would hold two shares",
                where=ROSTER,
                got=f"{other} and {party.name}, both of {party.operator}",
                hint="a person holds one share of a key",
            )
    return {party.name: party.key.raw for party in parties if isinstance(party.key, Ed25519Public)}


def require_own_roster(workspace: Workspace, charter: Charter) -> None:
    """Refuse a charter of another project, or of people this roster knows by other keys.

    Raises VerificationError for those, and InputError as `identities_of` and
    `require_free_name` do.
    """
    project = workspace.recipe().project.name
    require_free_name(workspace, charter.group)
    if charter.project != project:
        raise VerificationError(
            "the charter is of another project",
            where=charter.group,
            expected=project,
            got=charter.project,
            hint="run it in that project's folder, or name it with --project",
        )
    previous = read_previous_group(workspace, charter)
    leaving = {} if previous is None else previous.identities()
    people = {n: leaving[n] for n in charter.dealers if n in leaving} | charter.identities()
    if identities_of(workspace, tuple(people)) != people:
        raise VerificationError(
            "the charter names other keys than your roster",
            where=charter.group,
            hint="find out which of the two is right before you take part",
        )
    enrolled = {
        m.name: m.key.public for m in workspace.roster().member if isinstance(m.key, FrostKey)
    }
    if previous is not None and enrolled.get(charter.group, previous.key) != previous.key:
        raise VerificationError(
            "the roster has another key of this name",
            where=charter.group,
            expected=enrolled[charter.group][:16],
            got=previous.key[:16],
            hint="find out which of the two is the group's before you take part",
        )


def group_exchange(
    workspace: Workspace, group: str, place: str | None, identity: Identity | None
) -> Exchange:
    """Return where a group's messages travel: `place`, or else a folder in the project.

    Raises InputError for a relay where nobody says who asks, and as `open_meeting` does.
    """
    if identity is None and (place or "").lower().startswith(("http://", "https://")):
        raise InputError("a relay asks who you are", hint="say it with --as NAME")
    nobody = Identity("", b"", lambda _message: b"")
    folder = workspace.group_folder(group)
    if place is None:
        make_folder(folder)
    return open_meeting(folder / "messages", place, identity or nobody)


def certificate_of(workspace: Workspace, group: Group) -> bytes | None:
    """Return a group's OpenPGP certificate, if it has one."""
    try:
        path = workspace.group_folder(group.name) / CERTIFICATE_FILE
        return read_bounded(path, MAX_TEXT_BYTES)
    except NotEnoughError:
        return None


def certificate_end(workspace: Workspace, group: Group) -> datetime:
    """Return when a group's certificate expires; raise InputError if it has none, or no end."""
    data = certificate_of(workspace, group)
    expires = None if data is None else parse_certificate(data, group.name).expires_at
    if expires is None:
        raise InputError(
            "the group has no certificate with an end yet",
            where=group.name,
            hint="finish its first ceremony with `relsign ceremony join`",
        )
    return expires


def write_card(workspace: Workspace, group: Group) -> Path | None:
    """Write the group's public card for the roster; return its file, None while it is not due.

    A group's operator and organisation are its own name and its project's: it counts as
    nobody else.
    """
    certificate = certificate_of(workspace, group)
    if certificate is None:
        return None
    member = Member(
        name=group.name,
        operator=group.name,
        organisation=group.project,
        roles=(group.role,),
        key=FrostKey(
            public=group.key,
            threshold=group.threshold,
            participants=tuple(sorted(h.name for h in group.holders)),
            certificate=_text(certificate),
        ),
    )
    path = workspace.group_folder(group.name) / CARD_FILE
    write_whole(path, encode_members((member,)))
    return path


def is_enrolled(workspace: Workspace, card: Path) -> bool:
    """Say whether the roster has this very card already; a refresh or repair changes none."""
    member = read_card(card, "no such card")
    return member in workspace.roster().member


def _text(data: bytes) -> Base64:
    return base64.b64encode(data).decode()


def _parties(workspace: Workspace) -> tuple[Party, ...]:
    return check_members(workspace.roster().member, ROSTER, share_roles=True)
