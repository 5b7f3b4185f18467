"""A later end for a group's OpenPGP certificate: one participant's part, on one machine.

    keys/groups/GROUP/renewal.json   what was proposed; anybody may have written it
    keys/groups/GROUP/certificate.pgp, member.toml   written anew once the group signed

Key and fingerprint stay as they are, so whoever has the old certificate imports the new
one over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from relsign.crypto.digest import sha256_hex
from relsign.crypto.openpgp import parse_certificate
from relsign.errors import InputError, VerificationError
from relsign.formats.charter import Group
from relsign.formats.renewal import Renewal, parse_renewal
from relsign.sign.ceremony.group import shares_of
from relsign.sign.ceremony.member import Member, Visit, look, take_part
from relsign.sign.ceremony.requests import CERTIFICATE, renewal_session
from relsign.sign.ceremony.session import Session
from relsign.sign.groups.attendance import CERTIFICATE_FILE
from relsign.sign.groups.people import certificate_of, identities_of, write_card
from relsign.system.files import write_whole
from relsign.system.workspace import Workspace

RENEWAL_FILE = "renewal.json"
AHEAD = timedelta(days=1)
"""How far a clock may be behind that of whoever proposed."""


@dataclass(frozen=True, slots=True)
class Renewing:
    """A renewal that fits this machine's documents, and the session that signs it."""

    renewal: Renewal
    group: Group
    before: bytes
    """The certificate as it is in the project."""
    session: Session | None
    """None where the project has the renewed certificate already."""

    @property
    def is_done(self) -> bool:
        """Say whether the project has the renewed certificate already."""
        return self.session is None

    @property
    def ends_at(self) -> datetime | None:
        """When the certificate in the project expires."""
        return parse_certificate(self.before, self.group.name).expires_at


def propose_renewal(workspace: Workspace, group: Group, days: int, now: datetime) -> Path:
    """Write what is to be agreed on, if it is not there already; return its file.

    `now` is aware.  Raises InputError where another renewal is under way, or the group
    has no certificate.
    """
    path = workspace.group_folder(group.name) / RENEWAL_FILE
    certificate = sha256_hex(_certificate(workspace, group))
    lasts = timedelta(days=days)
    if path.exists():
        present = read_renewal(workspace, group)
        if present.certificate == certificate:
            if present.expires - present.at == lasts:
                return path
            raise InputError(
                "another renewal of this certificate is under way",
                where=str(path),
                got=f"until {present.expires.date()}",
                hint="leave --days out to join it, or remove the file to give it up",
            )
    at = now.replace(microsecond=0)
    renewal = Renewal(
        project=group.project,
        group=group.name,
        certificate=certificate,
        at=at,
        expires=at + lasts,
    )
    before = _certificate(workspace, group)
    _check(renewal, group, before, parse_certificate(before, group.name).expires_at, now)
    write_whole(path, renewal.to_bytes())
    return path


def read_renewal(workspace: Workspace, group: Group) -> Renewal:
    """Return what was proposed; raise InputError where there is nothing."""
    path = workspace.group_folder(group.name) / RENEWAL_FILE
    hint = "propose one with --days, or take the file from whoever did"
    return parse_renewal(workspace.read(path, hint), str(path))


def open_renewal(workspace: Workspace, group: Group, now: datetime) -> Renewing:
    """Hold a proposed renewal against this machine's documents.

    Raises InputError for one of another certificate, with an earlier end or a time to
    come; VerificationError where the group is not of the roster's people.
    """
    shares_of(group)
    if identities_of(workspace, tuple(group.identities())) != group.identities():
        raise VerificationError(
            "the group has other keys than your roster",
            where=group.name,
            hint="find out which of the two is right before you take part",
        )
    renewal, before = read_renewal(workspace, group), _certificate(workspace, group)
    ends_at = parse_certificate(before, group.name).expires_at
    if renewal.certificate != sha256_hex(before) and ends_at == renewal.expires:
        return Renewing(renewal, group, before, None)
    _check(renewal, group, before, ends_at, now)
    session = renewal_session(group, before, renewal.at, renewal.expires)
    return Renewing(renewal, group, before, session)


def has_agreed(member: Member, renewing: Renewing) -> bool:
    """Say whether this participant took part in the session before."""
    stands, _ignored = look(member, _session(renewing))
    return member.name in {*stands.committed, *stands.answered}


def join_renewal(
    workspace: Workspace, member: Member, renewing: Renewing, *, again: bool = False
) -> tuple[Visit, Path | None]:
    """Do this participant's part; return also the new public card once the group signed.

    Raises what `take_part` raises.
    """
    visit = take_part(member, _session(renewing), again=again)
    made = visit.outputs.get(CERTIFICATE)
    if made is None:
        return visit, None
    group = renewing.group
    write_whole(workspace.group_folder(group.name) / CERTIFICATE_FILE, made)
    return visit, write_card(workspace, group)


def _session(renewing: Renewing) -> Session:
    if renewing.session is None:
        raise InputError(
            "is renewed already",
            where=renewing.group.name,
            hint="owners run `relsign root add --replace` with the card",
        )
    return renewing.session


def _check(
    renewal: Renewal, group: Group, before: bytes, ends_at: datetime | None, now: datetime
) -> None:
    """Refuse what a participant should not be asked."""
    where = f"keys/groups/{group.name}/{RENEWAL_FILE}"
    wanted = (group.project, group.name, sha256_hex(before))
    if (renewal.project, renewal.group, renewal.certificate) != wanted:
        raise InputError(
            "the renewal is of another certificate than yours",
            where=where,
            expected=wanted[2][:16],
            got=renewal.certificate[:16],
            hint="get the newest certificate.pgp, or propose a new renewal with --days",
        )
    if renewal.at > now + AHEAD:
        raise InputError(
            "the renewal is dated in the future",
            where=where,
            got=renewal.at.isoformat(),
            hint="check this clock and the proposer's",
        )
    if ends_at is None or renewal.expires <= ends_at:
        raise InputError(
            "the renewal does not end later",
            where=where,
            expected="later than the certificate's own end",
            got=renewal.expires.isoformat(),
            hint="remove the file, and propose more days",
        )


def _certificate(workspace: Workspace, group: Group) -> bytes:
    certificate = certificate_of(workspace, group)
    if certificate is None:
        raise InputError(
            "the group has no certificate yet",
            where=group.name,
            hint="finish its first ceremony with `relsign ceremony join`",
        )
    return certificate
