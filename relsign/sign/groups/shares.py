"""A project's groups: the public half in the project, a person's share in the key store.

    keys/groups/NAME/group.json          who holds shares of what key
    keys/groups/NAME/N.transcript.json   the ceremonies, for whoever wants to check them
    KEYS/PERSON/vault/                   sealed: shares, revocations, ceremonies under way
    KEYS/PERSON/nonces/                  nonces until they are used; leave out of backups
    KEYS/PERSON/heard/                   messages once heard; public

The project's files are reviewed like source code.  Whoever changes `group.json` can at
worst make a signing fail: the key is in the trust root, and each share must fit it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from relsign.crypto.digest import sha256_hex
from relsign.crypto.frost.group import identifier_of
from relsign.crypto.frost.signing import SecretShare
from relsign.crypto.keys import Ed25519Public, GroupPublic, Party
from relsign.crypto.sealing import DEFAULT_COST, Cost
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.charter import Group, parse_group
from relsign.formats.names import Digest
from relsign.formats.roster import Role
from relsign.formats.share import HeldShare, parse_share
from relsign.sign.ceremony.group import as_shares, shares_of
from relsign.sign.ceremony.hearing import is_signed_by
from relsign.sign.ceremony.member import Member
from relsign.sign.exchanges.directory import DirectoryExchange
from relsign.sign.exchanges.interface import Exchange, Identity
from relsign.sign.exchanges.remembering import RememberingExchange
from relsign.sign.groups.nonces import NonceStore
from relsign.sign.keys.vault import Vault
from relsign.system.files import make_folder, read_bounded
from relsign.system.workspace import MAX_TEXT_BYTES, Workspace
from relsign.verify.root import TrustedRoot

GROUP_FILE = "group.json"
_SHARE = "share-"


def groups_of(root: TrustedRoot, person: str, role: Role) -> tuple[Party, ...]:
    """Return the groups of a role in which `person` holds a share."""
    return tuple(
        party
        for party in root.having(role)
        if isinstance(party.key, GroupPublic) and person in party.key.participants
    )


def read_group(workspace: Workspace, root: TrustedRoot, party: Party) -> Group:
    """Return the group document of the root's `party`; raise as `read_known_group`."""
    return read_known_group(workspace, root.root.project, root.parties, party)


def read_known_group(
    workspace: Workspace, project: str, parties: tuple[Party, ...], party: Party
) -> Group:
    """Return the group document of `party`, one of the `parties` of a project's root.

    Raises InputError where there is none, VerificationError for one of another key, of
    other people or identity keys than the root's, or whose shares do not make the key.
    """
    path = workspace.group_folder(party.name) / GROUP_FILE
    where = os.fspath(path)
    try:
        group = parse_group(read_bounded(path, MAX_TEXT_BYTES), where)
    except NotEnoughError as error:
        raise InputError(
            "the group's document is not there",
            where=where,
            hint="take it from another participant, or from `relsign ceremony join`",
        ) from error
    wanted = _as_in_root(project, parties, party)
    found = (group.project, group.key, group.threshold, group.identities())
    if found != wanted:
        raise VerificationError(
            "not the group of the trust root",
            where=where,
            expected=f"{wanted[0]}, key {wanted[1][:16]}, {wanted[2]} of {len(wanted[3])}",
            got=f"{found[0]}, key {found[1][:16]}, {found[2]} of {len(found[3])}",
            hint="after a reshare owners sign a new root: `relsign root add CARD`",
        )
    shares_of(group)
    return group


def _as_in_root(
    project: str, parties: tuple[Party, ...], party: Party
) -> tuple[str, str, int, dict[str, bytes]]:
    key = party.key
    if not isinstance(key, GroupPublic):
        raise InputError("not a group's key", got=party.name)
    identities = {
        member.name: member.key.raw
        for member in parties
        if member.name in key.participants and isinstance(member.key, Ed25519Public)
    }
    return project, key.raw.hex(), key.threshold, identities


@dataclass(frozen=True, slots=True)
class Belongings:
    """What one person keeps for groups, in the folder of the person's identity key."""

    folder: Path
    cost: Cost = DEFAULT_COST
    """Of guessing a passphrase; only tests name another."""

    @property
    def person(self) -> str:
        """The person's name."""
        return self.folder.name

    @property
    def vault(self) -> Vault:
        """Where shares lie, sealed."""
        return Vault(self.folder / "vault", cost=self.cost)

    @property
    def nonces(self) -> NonceStore:
        """Where nonces lie until they are used."""
        return NonceStore(self.folder / "nonces")

    def remembering(self, exchange: Exchange, people: Iterable[bytes]) -> Exchange:
        """Return an exchange that keeps in ``heard/`` whatever this person once heard."""
        folder = self.folder / "heard"
        make_folder(folder, 0o700)
        known = frozenset(people)
        keeps = partial(is_signed_by, people=known)
        return RememberingExchange(exchange, DirectoryExchange(folder), keeps)


def belongings_of(keys: Path, person: str) -> Belongings:
    """Return what `person` keeps in a key store."""
    return Belongings(keys / person)


def share_name(group: Group) -> str:
    """Return the name of a share in the vault: its key and its group document."""
    return f"{_SHARE}{group.key[:32]}-{sha256_hex(group.to_bytes())[:16]}"


def has_share(mine: Belongings, group: Group) -> bool:
    """Say whether a share of this group, as it is now, lies in the person's vault."""
    return share_name(group) in mine.vault.names()


def keep_share(mine: Belongings, group: Group, share: SecretShare, passphrase: bytes) -> None:
    """Seal a share in the vault; one that is there already is left as it is."""
    vault, name = mine.vault, share_name(group)
    held = HeldShare(
        group=sha256_hex(group.to_bytes()), name=mine.person, secret=Digest(share.secret.hex())
    )
    if name not in vault.names():
        vault.store(name, held.to_bytes(), passphrase)


def older_shares(mine: Belongings, group: Group) -> tuple[str, ...]:
    """Return the names of a person's shares of this key from other ceremonies.

    Each still signs with the others of its time until it is destroyed.
    """
    start = f"{_SHARE}{group.key[:32]}-"
    names = mine.vault.names()
    return tuple(n for n in names if n.startswith(start) and n != share_name(group))


def open_share(mine: Belongings, group: Group, passphrase: bytes) -> SecretShare:
    """Return a person's share of a group.

    Raises InputError for a wrong passphrase or where there is none, VerificationError for
    one that does not fit the group.
    """
    name, where = share_name(group), f"share of {group.name}"
    if not has_share(mine, group):
        raise InputError(
            f"{mine.person} has no share of {group.name} on this machine",
            where=os.fspath(mine.vault.folder),
            expected=name,
            hint=f"run `relsign ceremony join {group.name} --as {mine.person}`; if the share was "
            "lost, let the others repair it: see docs/runbook.md",
        )
    held = parse_share(mine.vault.load(name, passphrase), where)
    share = SecretShare(identifier_of(group.identities()[mine.person]), bytes.fromhex(held.secret))
    if share.verifying != as_shares(group).verifying[share.identifier]:
        raise VerificationError(
            "the share does not fit the group",
            where=where,
            hint="restore group.json from the project's history, or let the share be repaired",
        )
    return share


def as_member(
    mine: Belongings, identity: Identity, group: Group, passphrase: bytes, exchange: Exchange
) -> Member:
    """Return a person at work in a group; raise as `open_share` does."""
    share = open_share(mine, group, passphrase)
    return Member(
        mine.person,
        identity,
        share,
        mine.nonces,
        mine.remembering(exchange, group.identities().values()),
    )
