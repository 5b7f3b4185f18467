"""The TUF part of a root, which follows from relsign's own part.

Owners hold the role `root`; publishers hold `snapshot`, `targets` and `timestamp`, one
of them at a time.  A project without publishers names nobody there: it has no TUF
repository, and no key can make one for it.
"""

from __future__ import annotations

from datetime import datetime

from relsign.crypto.keys import Ed25519Public, Party, check_members, parties_of
from relsign.errors import InputError
from relsign.formats.names import Digest
from relsign.formats.root import Root, RootPolicy, TufKey, TufPublic, TufRole, TufRoles


def derive_root(policy: RootPolicy, version: int, expires: datetime) -> Root:
    """Return the root of a policy; `expires` is aware UTC.

    Raises InputError for keys that cannot stand (`check_members`).
    """
    return _derived(policy, _checked(policy), version, expires)


def require_derived(root: Root) -> tuple[Party, ...]:
    """Return a root's parties; raise InputError if its TUF part says other than its policy."""
    parties = _checked(root.policy)
    if root != _derived(root.policy, parties, root.version, root.expires):
        raise InputError(
            "the keys and roles for TUF do not follow from the members",
            where="root.json: signed",
            hint="make the root with `relsign root new` or `relsign root rotate`",
        )
    return parties


def _checked(policy: RootPolicy) -> tuple[Party, ...]:
    return check_members(policy.members, "root.json", share_roles=policy.share_roles)


def _derived(
    policy: RootPolicy, parties: tuple[Party, ...], version: int, expires: datetime
) -> Root:
    owners, publishers = parties_of(parties, "owner"), parties_of(parties, "publisher")
    publishing = TufRole(keyids=_keyids(publishers), threshold=1)
    keys = {
        Digest(party.keyid): TufKey(keyval=TufPublic(public=Digest(party.key.raw.hex())))
        for party in (*owners, *publishers)
        if isinstance(party.key, Ed25519Public)
    }
    return Root(
        expires=expires,
        version=version,
        keys=dict(sorted(keys.items())),
        roles=TufRoles(
            root=TufRole(
                keyids=_keyids(owners),
                threshold=policy.thresholds.owners,
            ),
            snapshot=publishing,
            targets=publishing,
            timestamp=publishing,
        ),
        policy=policy,
    )


def _keyids(parties: tuple[Party, ...]) -> tuple[Digest, ...]:
    # An Ed25519 key's label is a digest; `check_members` lets no other key into these roles.
    return tuple(sorted(Digest(party.keyid) for party in parties))
