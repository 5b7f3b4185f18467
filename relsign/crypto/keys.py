"""Public keys and the parties that hold them: who is who, by key material.

Decides which keys are acceptable at enrolment and that one key, one operator and
one role are what they seem.  Identity is the key's material, never its keyid.

    >>> key = parse_ed25519(bytes.fromhex("d75a980182b10ab7d54bfed3c964073a"
    ...                                   "0ee172f3daa62325af021a68f707511a"), "example")
    >>> key.keyid[:8]
    '74c181c7'
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from nacl.bindings import crypto_core_ed25519_is_valid_point

from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError
from relsign.formats.canonical import Value
from relsign.formats.envelope import decode_base64
from relsign.formats.roster import Ed25519Key, Member, Role

if TYPE_CHECKING:
    from relsign.crypto.openpgp import Certificate

_ED25519_BYTES = 32


class Ed25519Public(Value, frozen=True):
    """A raw Ed25519 public key that is a canonical point of the prime-order group."""

    raw: bytes

    @property
    def keyid(self) -> str:
        """Keyid as securesystemslib derives it: SHA-256 of the canonical key value."""
        return sha256_hex(
            b'{"keytype":"ed25519","keyval":{"public":"%b"},"scheme":"ed25519"}'
            % self.raw.hex().encode()
        )

    @property
    def materials(self) -> frozenset[bytes]:
        """Bytes of every key that can sign for this party."""
        return frozenset({self.raw})


class OpenPGPPublic(Value, frozen=True):
    """An OpenPGP certificate; its subkeys count as one with their primary."""

    certificate: Certificate
    data: bytes
    """The binary certificate it was read from."""

    @property
    def keyid(self) -> str:
        """Primary fingerprint, lower case."""
        return self.certificate.fingerprint.lower()

    @property
    def materials(self) -> frozenset[bytes]:
        """Bytes of the primary and every subkey, so that twins are seen."""
        return self.certificate.materials


PublicKey = Ed25519Public | OpenPGPPublic


class Party(Value, frozen=True):
    """A member of the roster whose key has been checked."""

    name: str
    operator: str
    organisation: str
    roles: tuple[Role, ...]
    key: PublicKey

    @property
    def keyid(self) -> str:
        """Label of the party's key; it decides nothing."""
        return self.key.keyid


def parse_ed25519(raw: bytes, where: str) -> Ed25519Public:
    """Return the key of 32 raw bytes (RFC 8032, 5.1.5).

    Raises InputError unless they are the canonical encoding of a point on the
    curve, in the prime-order group and not the identity: a small-order key would
    make signatures that hold for many messages.
    """
    if len(raw) != _ED25519_BYTES or not crypto_core_ed25519_is_valid_point(raw):
        raise InputError(
            "not an acceptable Ed25519 public key",
            where=where,
            expected="a canonical point of prime order",
            got=raw.hex()[:64],
            hint="make a new key with `relsign key new`",
        )
    return Ed25519Public(raw)


def parse_member(member: Member, where: str) -> Party:
    """Return the party a roster entry describes; raise InputError for a bad key."""
    key: PublicKey
    if isinstance(member.key, Ed25519Key):
        key = parse_ed25519(bytes.fromhex(member.key.public), f"{where}.key.public")
    else:
        # Most roots have no OpenPGP key, and its library takes as long to load as all of ours.
        from relsign.crypto.openpgp import parse_certificate  # noqa: PLC0415

        place = f"{where}.key.certificate"
        data = decode_base64(member.key.certificate, place)
        key = OpenPGPPublic(parse_certificate(data, place), data)
        if set(member.roles) - {"signer"}:
            raise InputError(
                "an OpenPGP key can only be a signer's",
                where=f"{where}.roles",
                got=", ".join(member.roles),
                hint="in-toto cannot verify OpenPGP: use an ed25519 key for this role",
            )
    return Party(member.name, member.operator, member.organisation, member.roles, key)


def check_members(
    members: tuple[Member, ...], where: str, *, share_roles: bool
) -> tuple[Party, ...]:
    """Return the parties of a roster, refusing keys that are not whose they seem.

    (1) every key is acceptable; (2) no two members share key material, under any
    keyid; (3) no two share the eight digits that name link files; (4) one key has
    one role unless `share_roles`; (5) one operator belongs to one organisation.
    Raises InputError naming both members.
    """
    parties = tuple(parse_member(m, f"{where}: member[{i}]") for i, m in enumerate(members))
    for one, two in combinations(parties, 2):
        if one.key.materials & two.key.materials:
            raise _clash("one key under two names", where, one, two)
        if one.keyid[:8] == two.keyid[:8]:
            raise _clash("two keyids with the same first 8 digits", where, one, two)
        _refuse_case_twins(where, one, two)
        if one.operator == two.operator and one.organisation != two.organisation:
            raise _clash("one operator in two organisations", where, one, two)
    for party in parties:
        if len(party.roles) > 1 and not share_roles:
            raise InputError(
                "one key holds two roles",
                where=f"{where}: {party.name}",
                got=", ".join(party.roles),
                hint="give each role its own key, or set share_roles in the policy",
            )
    return parties


def _refuse_case_twins(where: str, one: Party, two: Party) -> None:
    pairs = (
        (one.name, two.name),
        (one.operator, two.operator),
        (one.organisation, two.organisation),
    )
    for a, b in pairs:
        if a != b and a.casefold() == b.casefold():
            raise _clash(f"names that differ only by case: {a}, {b}", where, one, two)


def _clash(what: str, where: str, one: Party, two: Party) -> InputError:
    return InputError(
        what,
        where=where,
        got=f"{one.name} and {two.name}",
        hint="remove one of the two: a person or machine counts once",
    )


def parties_of(parties: tuple[Party, ...], role: Role) -> tuple[Party, ...]:
    """Return the parties that hold `role`."""
    return tuple(party for party in parties if role in party.roles)
