"""What people agree on before a ceremony, and whether it fits the group before it.

`keygen_charter`, `reshare_charter` and `repair_charter` make a charter; whoever is asked
to take part in one passes it, with the group it follows, through `agree`.  Everything
after that stands on the `Agreed` it returns, and on nothing a message says about itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from relsign.crypto.digest import sha256_hex
from relsign.crypto.frost.group import Scalar, identifier_of
from relsign.crypto.keys import parse_ed25519
from relsign.errors import InputError
from relsign.formats.canonical import decode_value, shorten
from relsign.formats.charter import Charter, Group, GroupRole
from relsign.formats.names import Digest
from relsign.sign.ceremony.group import group_digest, shares_of

_NEW_CHARTER = "propose another charter; nothing was said under this one"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a key is for, and what its OpenPGP certificate will say."""

    project: str
    group: str
    role: GroupRole
    user_id: str
    created: datetime
    """Aware UTC, whole seconds; part of the OpenPGP fingerprint."""
    expires: datetime


@dataclass(frozen=True, slots=True)
class Agreed:
    """A charter that fits the group before it; only `agree` makes it."""

    charter: Charter
    previous: Group | None
    ceremony: Digest
    """Digest of the charter: what every message must name."""
    identities: Mapping[str, bytes]
    """Raw identity key of everybody who may speak."""
    identifiers: Mapping[str, Scalar]
    """The number each stands for in the arithmetic (RFC 9591, 4.1)."""

    def before(self) -> Group:
        """Return the group this ceremony follows; raise InputError at a keygen."""
        if self.previous is None:
            raise InputError("no group comes before a keygen", where="charter.previous")
        return self.previous

    def numbers(self, names: Iterable[str]) -> tuple[bytes, ...]:
        """Return the identifiers of some people, in their order."""
        return tuple(bytes(self.identifiers[name]) for name in names)


def ceremony_id(charter: Charter) -> Digest:
    """Return the name of the ceremony: the digest of the charter."""
    return sha256_hex(charter.to_bytes())


def keygen_charter(
    terms: Terms, people: Mapping[str, bytes], threshold: int, nonce: bytes
) -> Charter:
    """Return the charter of a new key; raise InputError for people who cannot make one.

    `people` are raw identity keys by name; `nonce` is 32 random bytes.
    """
    return _charter(
        terms,
        kind="keygen",
        people=people,
        threshold=threshold,
        dealers=sorted(people),
        nonce=nonce.hex(),
    )


def reshare_charter(
    previous: Group,
    people: Mapping[str, bytes],
    threshold: int,
    dealers: Collection[str],
    *,
    expires: datetime,
    nonce: bytes,
) -> Charter:
    """Return the charter that deals a key's shares anew, to the same people or to others.

    `dealers` are as many holders of the previous group as its threshold.  Raises
    InputError where the charter does not fit the group.
    """
    made = _charter(
        _terms_of(previous, expires),
        kind="reshare",
        people=people,
        threshold=threshold,
        dealers=sorted(dealers),
        nonce=nonce.hex(),
        previous=group_digest(previous),
    )
    check_charter(made, previous)
    return made


def repair_charter(
    previous: Group, lost: str, helpers: Collection[str], *, expires: datetime, nonce: bytes
) -> Charter:
    """Return the charter that makes the share of `lost` again; InputError as above."""
    made = _charter(
        _terms_of(previous, expires),
        kind="repair",
        people=previous.identities(),
        threshold=previous.threshold,
        dealers=sorted(helpers),
        nonce=nonce.hex(),
        previous=group_digest(previous),
        lost=lost,
    )
    check_charter(made, previous)
    return made


def agree(charter: Charter, previous: Group | None) -> Agreed:
    """Return what a ceremony stands on; raise InputError as `check_charter` does."""
    check_charter(charter, previous)
    identities = _speakers(charter, previous)
    return Agreed(
        charter=charter,
        previous=previous,
        ceremony=ceremony_id(charter),
        identities=identities,
        identifiers={name: identifier_of(raw) for name, raw in identities.items()},
    )


def check_charter(charter: Charter, previous: Group | None) -> None:
    """Refuse a charter that does not fit the group before it.

    (1) the group is the one the charter names; (2) the key stays what it is for; (3) as
    many holders of it deal as it takes; (4) who deals or holds a share is who it was, and
    nobody is there under two names.  Raises InputError, or VerificationError where the
    previous group contradicts itself.
    """
    # (1): at a keygen, none.
    found = None if previous is None else group_digest(previous)
    _same("previous", charter.previous, found, "get the newest document of the group")
    if previous is not None:
        shares_of(previous)
        _check_purpose(charter, previous)  # (2)
        _check_dealers(charter, previous)  # (3)
    _check_identities(charter, previous)  # (4)


def _check_purpose(charter: Charter, previous: Group) -> None:
    _same("project", charter.project, previous.project)
    _same("group", charter.group, previous.name)
    _same("role", charter.role, previous.role)
    _same("user_id", charter.user_id, previous.user_id)
    _same("created", charter.created.isoformat(), previous.created.isoformat())


def _check_dealers(charter: Charter, previous: Group) -> None:
    holders = previous.identities()
    for name in charter.dealers:
        if name not in holders:
            raise InputError(
                "dealer without a share",
                where="charter.dealers",
                expected=", ".join(holders),
                got=name,
                hint=_NEW_CHARTER,
            )
    if len(charter.dealers) != previous.threshold:
        raise InputError(
            "not as many dealers as the group's threshold",
            where="charter.dealers",
            expected=str(previous.threshold),
            got=str(len(charter.dealers)),
            hint=_NEW_CHARTER,
        )
    if charter.kind == "repair":
        _same("threshold", str(charter.threshold), str(previous.threshold))
        if charter.identities() != holders:
            raise InputError(
                "a repair changes no people and no keys",
                where="charter.participants",
                hint="where people or keys change, deal the shares anew",
            )


def _check_identities(charter: Charter, previous: Group | None) -> None:
    before = {} if previous is None else previous.identities()
    for name in charter.dealers:
        now = charter.identities().get(name, before.get(name))
        if name in before and now != before[name]:
            raise InputError(
                "a dealer's key is not the one in the group",
                where="charter.participants",
                expected=before[name].hex(),
                got=f"{name}: {now.hex() if now else ''}",
                hint="who has a new key cannot deal: name another dealer",
            )
    owners: dict[bytes, str] = {}
    for name, raw in _speakers(charter, previous).items():
        parse_ed25519(raw, f"charter: {name}")
        if raw in owners:
            raise InputError(
                "one key under two names",
                where="charter.participants",
                got=f"{owners[raw]}, {name}",
                hint=_NEW_CHARTER,
            )
        owners[raw] = name


def _speakers(charter: Charter, previous: Group | None) -> dict[str, bytes]:
    """Return the identity keys of participants and of dealers who leave, sorted by name."""
    before = {} if previous is None else previous.identities()
    leaving = {name: before[name] for name in charter.dealers if name in before}
    return dict(sorted({**leaving, **charter.identities()}.items()))


def _same(field: str, got: str | None, expected: str | None, hint: str = _NEW_CHARTER) -> None:
    if got != expected:
        raise InputError(
            f"not the {field} of the group before",
            where=f"charter.{field}",
            expected=shorten(expected or "nothing"),
            got=shorten(got or "nothing"),
            hint=hint,
        )


def _terms_of(group: Group, expires: datetime) -> Terms:
    return Terms(group.project, group.name, group.role, group.user_id, group.created, expires)


def _charter(terms: Terms, people: Mapping[str, bytes], **fields: object) -> Charter:
    value = {
        "format": "relsign/charter/1",
        "project": terms.project,
        "group": terms.group,
        "role": terms.role,
        "user_id": terms.user_id,
        "created": terms.created,
        "expires": terms.expires,
        "participants": [{"name": name, "identity": people[name].hex()} for name in sorted(people)],
        "lost": None,
        "previous": None,
        **fields,
    }
    return decode_value(value, Charter, "charter")
