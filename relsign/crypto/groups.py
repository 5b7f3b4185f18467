"""Groups in a roster: one Ed25519 key shared by several members, and who they are.

Decides that the certificate of a group says nothing but the group's own key, and that a
group's people are members who count once: through a group, too, one person is one person.
"""

from __future__ import annotations

from itertools import combinations

import msgspec

from relsign.crypto.keys import Ed25519Public, GroupPublic, Party, parse_ed25519, parties_of
from relsign.errors import InputError
from relsign.formats.envelope import decode_base64
from relsign.formats.roster import FrostKey

Groups = tuple[tuple[Party, GroupPublic], ...]


def parse_group(key: FrostKey, where: str) -> GroupPublic:
    """Return a group's key; raise InputError for a bad point or a bad certificate.

    The certificate's primary key must be the group's own and the only one that may sign:
    a subkey would sign in the group's name without the group.
    """
    raw = parse_ed25519(bytes.fromhex(key.public), f"{where}.public").raw
    if isinstance(key.certificate, msgspec.UnsetType):
        return GroupPublic(raw, key.threshold, key.participants)
    # As in `relsign.crypto.keys`: loaded for the few roots that have such a key.
    from relsign.crypto.openpgp import parse_certificate  # noqa: PLC0415

    place = f"{where}.certificate"
    data = decode_base64(key.certificate, place)
    certificate = parse_certificate(data, place)
    problem = ""
    if certificate.primary_material != raw:
        problem = "is of another key than the group's"
    elif certificate.revoked:
        problem = "is revoked"
    elif [signing.material for signing in certificate.signing_keys] != [raw]:
        problem = "lets another key sign, or its own not"
    if problem:
        raise InputError(
            f"the group's certificate {problem}",
            where=place,
            expected="one primary key, the group's, which may sign",
            got=certificate.fingerprint,
            hint="use the certificate that the group's ceremony made",
        )
    fingerprint = certificate.fingerprint.lower()
    return GroupPublic(raw, key.threshold, key.participants, data, fingerprint)


def check_groups(parties: tuple[Party, ...], where: str) -> None:
    """Refuse groups whose people are not members that count once.

    (1) Each participant is a member with an ed25519 key of its own; (2) they are of
    distinct operators; (3) the group's operator is nobody else's, as the group is no
    person; (4) nobody of a group that is an owner is an owner too, by itself or through
    another group; (5) people of the release key are signers: each signs in their own name
    beside the group, which shows nobody's.  Raises InputError naming who it is.
    """
    for party, key in groups_of(parties):
        place = f"{where}: {party.name}"
        people = _people(parties, key, place)  # (1)
        for one, two in combinations(people, 2):  # (2)
            if one.operator == two.operator:
                raise _refused(
                    f"{one.operator} would hold two shares", place, f"{one.name} and {two.name}"
                )
        for other in parties:  # (3)
            if other.name != party.name and other.operator == party.operator:
                raise _refused(f"the group has the operator of {other.name}", place, party.operator)
        if "owner" in party.roles:  # (4)
            _refuse_second_vote(parties, party, people, place)
        for person in people if "release" in party.roles else ():  # (5)
            if "signer" not in person.roles:
                raise _refused("shares the release key and is no signer", place, person.name)


def groups_of(parties: tuple[Party, ...]) -> Groups:
    """Return the parties that are groups, each with its key."""
    return tuple((party, party.key) for party in parties if isinstance(party.key, GroupPublic))


def people_of(parties: tuple[Party, ...], key: GroupPublic) -> tuple[Party, ...]:
    """Return the members who hold a share of a group's key, as far as they are there."""
    return tuple(party for party in parties if party.name in key.participants)


def _people(parties: tuple[Party, ...], key: GroupPublic, place: str) -> tuple[Party, ...]:
    people = people_of(parties, key)
    missing = sorted(set(key.participants) - {person.name for person in people})
    if missing:
        raise _refused("a participant is no member", place, missing[0])
    for person in people:
        if not isinstance(person.key, Ed25519Public) or isinstance(person.key, GroupPublic):
            raise _refused("a participant has no ed25519 key of its own", place, person.name)
    return people


def _refuse_second_vote(
    parties: tuple[Party, ...], group: Party, people: tuple[Party, ...], place: str
) -> None:
    operators = {person.operator for person in people}
    for owner in parties_of(parties, "owner"):
        if owner.name == group.name:
            continue
        theirs = {owner.operator}
        if isinstance(owner.key, GroupPublic):
            theirs |= {person.operator for person in people_of(parties, owner.key)}
        twice = sorted(operators & theirs)
        if twice:
            raise _refused(
                f"{twice[0]} would count as two owners", place, f"{group.name} and {owner.name}"
            )


def _refused(what: str, where: str, got: str) -> InputError:
    return InputError(
        what,
        where=where,
        got=got,
        hint="a person counts once: change the members, or the participants of the group",
    )
