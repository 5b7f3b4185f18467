"""Where a group's messages about one document travel, and the folder that keeps them.

They are kept beside the document, whatever exchange they came by: they are the account
of who took part.
"""

from __future__ import annotations

from pathlib import Path

from relsign.sign.ceremony.hearing import is_signed_by
from relsign.sign.ceremony.member import Member
from relsign.sign.ceremony.session import Session
from relsign.sign.exchanges.directory import DirectoryExchange
from relsign.sign.exchanges.interface import Exchange, Identity
from relsign.sign.exchanges.open import open_exchange
from relsign.sign.places import make_real_folder


def open_meeting(folder: Path, place: str | None, identity: Identity) -> Exchange:
    """Return where messages travel: `place`, or else `folder`, which is made if need be.

    Raises InputError where a link is in the folder's place, or `place` is no exchange.
    """
    if place is not None:
        return open_exchange(place, identity)
    make_real_folder(folder)
    return DirectoryExchange(folder)


def keep_messages(folder: Path, member: Member, session: Session) -> None:
    """Copy into `folder` what a member heard of a session from its people.

    Junk stays where it is: it would travel with the release.  Raises as `Exchange.put`.
    """
    make_real_folder(folder)
    kept = DirectoryExchange(folder)
    here = set(kept.messages(session.session_id).messages)
    people = session.group.identities().values()
    for message in member.exchange.messages(session.session_id).messages:
        if message not in here and is_signed_by(message, people):
            kept.put(session.session_id, message)
