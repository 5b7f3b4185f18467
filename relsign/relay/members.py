"""Whom a relay serves: everybody with an Ed25519 key in a root or a roster.

The file is the relay's own, as whoever runs it got it; a root's signatures are not
looked at.  A key that the root revokes is not served.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from relsign.crypto.keys import Ed25519Public, material_digests, parse_ed25519
from relsign.errors import InputError
from relsign.formats.root import MAX_ROOT_BYTES, parse_root
from relsign.formats.roster import Ed25519Key, Member, parse_roster
from relsign.system.files import read_bounded


@dataclass(frozen=True, slots=True)
class RelayMember:
    """One key that may ask, and the name that the log shows for it."""

    name: str
    key: Ed25519Public


Members = Mapping[str, RelayMember]
"""By keyid: which follows from the key."""


def load_members(path: Path) -> Members:
    """Return the members in a `root.json` or `roster.toml`.

    Raises InputError for a file that is neither and for one without Ed25519 keys,
    NotEnoughError where there is none.
    """
    where = os.fspath(path)
    data = read_bounded(path, MAX_ROOT_BYTES)
    revoked: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    members: tuple[Member, ...]
    if data.startswith(b"{"):
        policy = parse_root(data, where).signed.policy
        members = policy.members
        revoked = frozenset(one.keyid for one in policy.revoked_keys)
        gone = frozenset(
            digest
            for one in policy.revoked_keys
            if not isinstance(one.material_sha256, msgspec.UnsetType)
            for digest in one.material_sha256
        )
    else:
        members = parse_roster(data, where).member
    served: dict[str, RelayMember] = {}
    for member in members:
        if isinstance(member.key, Ed25519Key):
            key = parse_ed25519(bytes.fromhex(member.key.public), f"{where}: {member.name}")
            if key.keyid not in revoked and not gone & set(material_digests(key)):
                served.setdefault(key.keyid, RelayMember(member.name, key))
    if not served:
        raise InputError(
            "nobody to serve",
            where=where,
            expected="members with ed25519 keys",
            hint="name the project's root.json or keys/roster.toml",
        )
    return served
