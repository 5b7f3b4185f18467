"""Root files of a small project, signed by its owners, and a store that pins one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nacl.signing import SigningKey

from relsign.crypto.keys import Ed25519Public
from relsign.crypto.tuf import derive_root
from relsign.formats.memory import Seen
from relsign.formats.names import Digest
from relsign.formats.policy import Thresholds
from relsign.formats.root import Root, RootFile, RootPolicy
from relsign.formats.roster import Ed25519Key, Member, Role
from relsign.formats.tuf import TufSignature
from relsign.trust.pins.store import TrustStore
from relsign.verify.root import open_root

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
OWNERS = ("olga", "oona")
PEOPLE: tuple[tuple[str, str, Role], ...] = (
    ("olga", "acme", "owner"),
    ("oona", "birch", "owner"),
    ("sam", "acme", "signer"),
    ("machine", "birch", "builder"),
)


def key_of(name: str) -> SigningKey:
    """Return a person's private key, the same in every run."""
    return SigningKey(hashlib.sha256(name.encode()).digest())


def member(name: str, organisation: str, role: Role) -> Member:
    """Return a member with an own key."""
    return Member(
        name=name,
        operator=name,
        organisation=organisation,
        roles=(role,),
        key=Ed25519Key(public=key_of(name).verify_key.encode().hex()),
    )


def root(
    version: int = 1,
    project: str = "demo",
    people: Iterable[tuple[str, str, Role]] = PEOPLE,
    days: int = 90,
) -> Root:
    """Return the signed part of a root, valid for some days."""
    policy = RootPolicy(
        project=project,
        members=tuple(sorted((member(*p) for p in people), key=lambda m: m.name)),
        thresholds=Thresholds(owners=2, signers=1, builders=1, organisations=1),
        dissent="refuse",
        share_roles=False,
    )
    return derive_root(policy, version, NOON + timedelta(days=days))


def signed_root(signed: Root, owners: Iterable[str] = OWNERS) -> bytes:
    """Return a root file with some owners' signatures."""
    message = signed.to_bytes()
    made = []
    for name in owners:
        key = key_of(name)
        keyid = Digest(Ed25519Public(key.verify_key.encode()).keyid)
        made.append(TufSignature(keyid=keyid, sig=key.sign(message).signature.hex()))
    signatures = tuple(sorted(made, key=lambda s: s.keyid))
    return RootFile(signatures=signatures, signed=signed).to_bytes()


FORK: tuple[tuple[str, str, Role], ...] = (
    ("mallory", "fork", "owner"),
    ("mike", "fork", "owner"),
    *PEOPLE[2:],
)


def fork_root(version: int = 1, project: str = "demo", days: int = 90) -> bytes:
    """Return a root of the same project, in the hands of other people."""
    return signed_root(root(version, project, FORK, days), ("mallory", "mike"))


def seen(sequence: int, version: str = "", digest: str = "") -> Seen:
    """Return a release that was seen; its statement is made up of its sequence."""
    return Seen(
        sequence=sequence,
        version=version or f"1.{sequence}",
        statement_sha256=Digest(digest or f"{sequence:064x}"),
        seen_at=NOON,
    )


def pinned(folder: Path, *entries: Seen) -> TrustStore:
    """Return a store in which the demo project is pinned and some releases were seen."""
    store = TrustStore(folder)
    store.create("demo", open_root(signed_root(root())), "https://example.org/demo/", NOON)
    for entry in entries:
        store.remember("demo", entry)
    return store
