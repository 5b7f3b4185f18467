"""Public keys and the parties that hold them: who is who, by key material.

Decides which keys are acceptable at enrolment and that one key, one operator and
one role are what they seem.  Identity is the key's material, never its keyid.

    >>> key = parse_ed25519(bytes.fromhex("d75a980182b10ab7d54bfed3c964073a"
    ...                                   "0ee172f3daa62325af021a68f707511a"), "example")
    >>> key.keyid[:8]
    '74c181c7'
"""

from __future__ import annotations

import base64
from itertools import combinations
from typing import TYPE_CHECKING

from nacl.bindings import crypto_core_ed25519_is_valid_point

from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError
from relsign.formats.canonical import Value
from relsign.formats.envelope import decode_base64
from relsign.formats.names import Digest
from relsign.formats.roster import (
    EcdsaKey,
    Ed25519Key,
    FrostKey,
    Member,
    OpenPGPKey,
    Role,
    RsaKey,
    RsaScheme,
)

if TYPE_CHECKING:
    from relsign.crypto.openpgp import Certificate

_ED25519_BYTES = 32
_PEM_WIDTH = 64
_SIGNS_ONLY: frozenset[Role] = frozenset({"signer"})
_RELEASES: frozenset[Role] = frozenset({"release", "owner"})
"""What a release key may do: as one of the people who sign releases it never counts."""


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


class GroupPublic(Ed25519Public, frozen=True):
    """An Ed25519 key that several people share; to whoever verifies, a key as any other."""

    threshold: int
    participants: tuple[str, ...]
    """Names of the members who hold a share, sorted."""
    certificate: bytes | None = None
    """Binary OpenPGP certificate of the same key, if it has one."""
    fingerprint: str = ""
    """The certificate's, lower case."""


class EcdsaPublic(Value, frozen=True):
    """An ECDSA key on P-256, which signs SHA-256 digests."""

    spki: bytes
    """DER of the SubjectPublicKeyInfo, the point uncompressed."""

    @property
    def keyid(self) -> str:
        """Keyid as securesystemslib derives it."""
        return _spki_keyid(self.spki, "ecdsa", "ecdsa-sha2-nistp256")

    @property
    def materials(self) -> frozenset[bytes]:
        """Bytes of the key, as an OpenPGP certificate's key has them too."""
        return frozenset({self.spki})


class RsaPublic(Value, frozen=True):
    """An RSA key, which signs by one scheme only."""

    spki: bytes
    """DER of the SubjectPublicKeyInfo, rsaEncryption."""
    scheme: RsaScheme

    @property
    def keyid(self) -> str:
        """Keyid as securesystemslib derives it."""
        return _spki_keyid(self.spki, "rsa", self.scheme)

    @property
    def materials(self) -> frozenset[bytes]:
        """Bytes of the key, whatever its scheme, as an OpenPGP certificate's key has them too."""
        return frozenset({self.spki})


PublicKey = Ed25519Public | OpenPGPPublic | EcdsaPublic | RsaPublic


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
    """Return the party a roster entry describes; raise InputError for a bad key or role.

    What a group needs of other members is asked by `check_members`.
    """
    key = _parse_key(member.key, f"{where}.key")
    roles = set(member.roles)
    if not isinstance(key, Ed25519Public) and roles - _SIGNS_ONLY:
        kind = "OpenPGP" if isinstance(key, OpenPGPPublic) else "ECDSA or RSA"
        raise InputError(
            f"an {kind} key can only be a signer's",
            where=f"{where}.roles",
            got=", ".join(member.roles),
            hint=_WHY_SIGNERS[kind],
        )
    if (isinstance(key, GroupPublic) or "release" in roles) and roles - _RELEASES:
        raise InputError(
            "a group's key, or the release key, has another role",
            where=f"{where}.roles",
            expected="release, owner or both",
            got=", ".join(member.roles),
            hint="give each role its own key: this one never counts as one of the signers",
        )
    return Party(member.name, member.operator, member.organisation, member.roles, key)


_WHY_SIGNERS = {
    "OpenPGP": "in-toto cannot verify OpenPGP: use an ed25519 key for this role",
    "ECDSA or RSA": "layouts, links and roots name Ed25519 keys: use one for this role",
}


def _parse_key(
    key: Ed25519Key | OpenPGPKey | EcdsaKey | RsaKey | FrostKey, where: str
) -> PublicKey:
    """Return a key of the roster.

    Most roots have Ed25519 keys only, and the library for every other kind takes as long
    to load as all of ours: so it is loaded where it is needed.
    """
    if isinstance(key, Ed25519Key):
        return parse_ed25519(bytes.fromhex(key.public), f"{where}.public")
    if isinstance(key, FrostKey):
        from relsign.crypto.groups import parse_group  # noqa: PLC0415

        return parse_group(key, where)
    if isinstance(key, OpenPGPKey):
        from relsign.crypto.openpgp import parse_certificate  # noqa: PLC0415

        place = f"{where}.certificate"
        data = decode_base64(key.certificate, place)
        return OpenPGPPublic(parse_certificate(data, place), data)
    from relsign.crypto.spki_keys import parse_ecdsa, parse_rsa  # noqa: PLC0415

    place = f"{where}.public"
    der = decode_base64(key.public, place)
    if isinstance(key, EcdsaKey):
        return parse_ecdsa(der, place)
    return parse_rsa(der, key.scheme, place)


def possible_keyids(key: PublicKey) -> frozenset[str]:
    """Return every keyid the material of a key has, or would have as another kind of key.

    An OpenPGP fingerprint holds the time the key was made, so that of a key which is in
    no certificate here cannot be told.
    """
    found = {key.keyid}
    for material in key.materials:
        if len(material) == _ED25519_BYTES:
            found.add(Ed25519Public(material).keyid)
        else:
            found.add(EcdsaPublic(material).keyid)
            found.add(RsaPublic(material, "rsassa-pss-sha256").keyid)
            found.add(RsaPublic(material, "rsa-pkcs1v15-sha512").keyid)
    if isinstance(key, OpenPGPPublic):
        found |= {sub.fingerprint.lower() for sub in key.certificate.signing_keys}
    if isinstance(key, GroupPublic):
        found.add(key.fingerprint)
    return frozenset(found - {""})


def material_digests(key: PublicKey) -> tuple[Digest, ...]:
    """Return the SHA-256 of each material of a key, sorted: the same whatever kind of key."""
    return tuple(sorted(sha256_hex(material) for material in key.materials))


def ed25519_spki(raw: bytes) -> bytes:
    """Return the DER SubjectPublicKeyInfo of a raw Ed25519 key (RFC 8410, 4)."""
    return bytes.fromhex("302a300506032b6570032100") + raw


def spki_pem(spki: bytes) -> bytes:
    """Return a SubjectPublicKeyInfo as PEM (RFC 7468, 13)."""
    text = base64.b64encode(spki)
    lines = b"".join(text[i : i + _PEM_WIDTH] + b"\n" for i in range(0, len(text), _PEM_WIDTH))
    return b"-----BEGIN PUBLIC KEY-----\n" + lines + b"-----END PUBLIC KEY-----\n"


def _spki_keyid(spki: bytes, keytype: str, scheme: str) -> str:
    """Return the SHA-256 of the key's canonical form, in which line ends stand as they are."""
    return sha256_hex(
        b'{"keytype":"%b","keyval":{"public":"%b"},"scheme":"%b"}'
        % (keytype.encode(), spki_pem(spki), scheme.encode())
    )


def check_members(
    members: tuple[Member, ...], where: str, *, share_roles: bool
) -> tuple[Party, ...]:
    """Return the parties of a roster, refusing keys that are not whose they seem.

    (1) every key is acceptable; (2) no two members share key material, under any
    keyid; (3) no two share the eight digits that name link files; (4) one key has
    one role unless `share_roles`; (5) one operator belongs to one organisation; (6) at
    most one is the release key; (7) a group is shared by members with keys of their own,
    and nobody counts twice through it.
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
    for one, two in combinations(parties_of(parties, "release"), 2):
        raise _clash("two release keys", where, one, two)
    if any(isinstance(party.key, GroupPublic) for party in parties):
        from relsign.crypto.groups import check_groups  # noqa: PLC0415 - as in `_parse_key`

        check_groups(parties, where)
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
