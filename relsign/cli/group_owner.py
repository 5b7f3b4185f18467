"""What `policy sign` and `root sign` do for a group that is an owner: one participant's part."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from relsign.cli.ceremony_words import show_visit
from relsign.cli.options import show_path
from relsign.cli.talk import talk

if TYPE_CHECKING:
    from relsign.sign.groups.owner import OwnerGroup, OwnerSigning
    from relsign.sign.keys.person import OpenPerson


def sign_as_owner_groups(
    owners: tuple[OwnerGroup, ...],
    signing_of: Callable[[OwnerGroup], OwnerSigning],
    person: OpenPerson,
    exchange: str | None,
    *,
    again: bool,
) -> None:
    """Take part for every owner group of a person."""
    from relsign.sign.groups.meeting import open_meeting
    from relsign.sign.groups.owner import join_owner
    from relsign.sign.groups.shares import as_member

    for owner in owners:
        group, signing = owner.group, signing_of(owner)
        place = open_meeting(signing.folder, exchange, person.identity)
        member = as_member(person.mine, person.identity, group, person.passphrase, place)
        visit = join_owner(signing, member, again=again)
        talk(f"{group.name} ({group.threshold} of {len(group.holders)}):")
        show_visit(visit)
        if visit.outputs:
            talk(f"{group.name} signed {show_path(signing.file)}")
        else:
            talk("Next: run this again when the others have been there")
