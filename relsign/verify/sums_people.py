"""Who stands behind a builder's folder: keys, operators, organisations; each counts once.

Two builders are one person if they share an operator, a primary key, or the numbers
of any key under two fingerprints.  The rule errs on one side only: whoever is joined
wrongly counts too little.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from relsign.crypto.openpgp import split_certificates
from relsign.crypto.openpgp_armor import dearmor_all
from relsign.crypto.openpgp_packets import (
    TAG_PUBLIC_KEY,
    TAG_PUBLIC_SUBKEY,
    TAG_SIGNATURE,
    TAG_TRUST,
    TAG_USER_ATTRIBUTE,
    TAG_USER_ID,
    read_packets,
)
from relsign.errors import InputError, VerificationError
from relsign.formats.sums_policy import SumsPolicy
from relsign.verify.sums_signature import Signer

_ARMOUR = b"-----"
_VERSION = 4
_AFTER_CREATION_TIME = 5
_KEYS = frozenset({TAG_PUBLIC_KEY, TAG_PUBLIC_SUBKEY})
_PARTS = _KEYS | {TAG_SIGNATURE, TAG_TRUST, TAG_USER_ATTRIBUTE, TAG_USER_ID}
"""gpg would also look into compressed packets, where keys could hide from this reader."""


@dataclass(frozen=True, slots=True)
class KeyCertificate:
    """One certificate of a key file, split from its ring and not verified."""

    primary: str
    """40 upper-case hexadecimal digits."""
    materials: frozenset[str]
    """SHA-256 of the numbers of each key in it, without creation times."""
    binary: bytes


@dataclass(frozen=True, slots=True)
class People:
    """Who counts as whom; made by `enrol` only."""

    keys: Mapping[str, frozenset[str]]
    """Builder -> primary keys whose signatures count in its folder."""
    person: Mapping[str, int]
    """Builder -> number of the person behind it."""
    organisation: Mapping[str, int]
    """Builder -> number of the organisation behind it."""

    def check_place(self, signer: Signer, builder: str) -> None:
        """Raise VerificationError unless a signature of `signer` counts in this folder."""
        if builder not in self.keys:
            raise VerificationError(
                "builder is not known", got=builder, hint="name it in the policy, or give its key"
            )
        if signer.primary in self.keys[builder]:
            return
        owners = sorted(name for name, keys in self.keys.items() if signer.primary in keys)
        if owners:
            raise VerificationError(
                "misfiled: the key is another builder's",
                expected=f"a key of {builder}",
                got=f"{signer.primary} of {', '.join(owners)}",
            )
        raise VerificationError(
            "the key is no builder's", expected=f"a key of {builder}", got=signer.primary
        )


def read_key_file(data: bytes, where: str) -> tuple[KeyCertificate, ...]:
    """Return the certificates of a key file, armoured or binary, one or several.

    Raises InputError for anything else in it, a secret key or another key version too.
    """
    armoured = data.startswith(_ARMOUR)
    blocks = dearmor_all(data, "PUBLIC KEY BLOCK", where) if armoured else (data,)
    rings = [split_certificates(block, where) for block in blocks]
    found = tuple(_certificate(binary, where) for ring in rings for binary in ring)
    if not found:
        raise InputError("holds no key", where=where)
    return found


def _certificate(binary: bytes, where: str) -> KeyCertificate:
    packets = read_packets(binary, where)
    for packet in packets:
        if packet.tag not in _PARTS:
            raise InputError("not a part of a key", where=where, got=f"packet type {packet.tag}")
    bodies = [packet.body for packet in packets if packet.tag in _KEYS]
    versions = {body[:1] for body in bodies}
    if versions != {bytes([_VERSION])}:
        raise InputError("key version is not 4", where=where)
    # SHA-1 is how RFC 9580, 5.5.4.2 defines a version 4 fingerprint; materials are compared too.
    hashed = b"\x99" + len(bodies[0]).to_bytes(2, "big") + bodies[0]
    fingerprint = hashlib.sha1(hashed, usedforsecurity=False).hexdigest().upper()
    materials = (hashlib.sha256(body[_AFTER_CREATION_TIME:]).hexdigest() for body in bodies)
    return KeyCertificate(fingerprint, frozenset(materials), binary)


def enrol(policy: SumsPolicy, files: Mapping[str, Sequence[KeyCertificate]]) -> People:
    """Return who counts, from the policy and the key files by builder's name."""
    known: dict[str, list[KeyCertificate]] = {}
    for certificate in (one for ring in files.values() for one in ring):
        known.setdefault(certificate.primary, []).append(certificate)
    operators = {one.name: one.operator or one.name for one in policy.builder}
    organisations = {one.name: one.organisation or "" for one in policy.builder}
    listed = {one.name: frozenset(one.keys) for one in policy.builder}
    keys = {
        name: listed.get(name) or frozenset(one.primary for one in files.get(name, ()))
        for name in (listed or files)
    }
    labels = {
        name: {f"operator {operators.get(name, name)}", *_key_labels(primaries, known)}
        for name, primaries in keys.items()
    }
    person = _join(labels)
    wider = {
        name: mine | ({f"organisation {organisations[name]}"} if organisations.get(name) else set())
        for name, mine in labels.items()
    }
    return People(keys, person, _join(wider))


def shared_keys(people: People) -> tuple[tuple[str, ...], ...]:
    """Return the groups of two or more builders that count as one person."""
    groups: dict[int, list[str]] = {}
    for builder, number in people.person.items():
        groups.setdefault(number, []).append(builder)
    return tuple(sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1))


def _key_labels(
    primaries: Iterable[str], known: Mapping[str, Sequence[KeyCertificate]]
) -> set[str]:
    labels = set()
    for primary in primaries:
        labels.add(f"key {primary}")
        for certificate in known.get(primary, ()):
            labels |= {f"numbers {material}" for material in certificate.materials}
    return labels


def _join(labels: Mapping[str, set[str]]) -> dict[str, int]:
    """Return a number for each builder, the same for those connected by labels."""
    names = list(labels)
    parent = list(range(len(names)))

    def root(index: int) -> int:
        while parent[index] != index:
            index = parent[index]
        return index

    first: dict[str, int] = {}
    for index, name in enumerate(names):
        for label in labels[name]:
            one, other = root(index), root(first.setdefault(label, index))
            parent[max(one, other)] = min(one, other)
    return {name: root(index) for index, name in enumerate(names)}
