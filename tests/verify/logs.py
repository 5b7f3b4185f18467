"""A transparency log in memory, with witnesses, honest or not.

The tree is written after RFC 6962's definitions, not after the verifier: slow, plain
and independent of it.  People's keys are those of `tests.verify.releases`: SHA-256 of
the name is the seed.

    log = MemoryLog()
    index = log.append(entry)
    proof = log.proof(index, cosigned_by={"wanda": NOW, "wilma": NOW}).to_bytes()
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
from nacl.signing import SigningKey

from relsign.crypto.keys import Ed25519Public, Party
from relsign.crypto.notes import (
    COSIGNATURE_V1,
    NOTE_ED25519,
    NoteKey,
    cosigned_message,
    make_cosignature,
    make_note_signature,
)
from relsign.formats.checkpoint import Checkpoint, LogProof, NoteSignature
from relsign.formats.log import LogGroup, LogPolicy
from relsign.formats.roster import Ed25519Key, Member, Role

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
ORIGIN = "log.example/relsign"

PEOPLE: tuple[tuple[str, str, str, Role], ...] = (
    ("log-a", "machine-l", "acme", "log"),
    ("log-b", "machine-m", "acme", "log"),
    ("wanda", "wanda", "acme", "witness"),
    ("wilma", "wilma", "birch", "witness"),
    ("wes", "wes", "cedar", "witness"),
)
"""Name, operator, organisation and role of everybody here."""

POLICY = LogPolicy(
    origin=ORIGIN,
    members=("log-a", "log-b"),
    group=(LogGroup(name="two", need=2, of=("wanda", "wilma", "wes")),),
    quorum="two",
    max_age_days=30,
)
"""Two of three witnesses, within a month."""


def secret(name: str) -> SigningKey:
    """Return a person's private key, the same in every run."""
    return SigningKey(hashlib.sha256(name.encode()).digest())


def public(name: str) -> Ed25519Public:
    """Return a person's public key."""
    return Ed25519Public(secret(name).verify_key.encode())


def party(name: str, operator: str, organisation: str, *roles: Role) -> Party:
    """Return a member whose key was checked."""
    return Party(name, operator, organisation, roles, public(name))


def log_parties() -> tuple[Party, ...]:
    """Return everybody here as a checked roster has them."""
    return tuple(party(*person) for person in PEOPLE)


def log_members() -> tuple[Member, ...]:
    """Return everybody here as a roster or a root lists them."""
    return tuple(
        Member(
            name=name,
            operator=operator,
            organisation=organisation,
            roles=(role,),
            key=Ed25519Key(public=public(name).raw.hex()),
        )
        for name, operator, organisation, role in PEOPLE
    )


def make_policy(**changes: object) -> LogPolicy:
    """Return the policy, with some fields changed and none checked anew."""
    return msgspec.structs.replace(POLICY, **changes)


def log_key(name: str, origin: str = ORIGIN) -> NoteKey:
    """Return the key a log member signs checkpoints with."""
    return NoteKey(origin, NOTE_ED25519, public(name))


def witness_key(name: str) -> NoteKey:
    """Return the key a witness cosigns with."""
    return NoteKey(name, COSIGNATURE_V1, public(name))


def signed_by(name: str, body: bytes, origin: str = ORIGIN) -> NoteSignature:
    """Return the line a log member puts under a note text."""
    return make_note_signature(log_key(name, origin), secret(name).sign(body).signature)


def cosigned_by(name: str, body: bytes, at: datetime | int) -> NoteSignature:
    """Return the line a witness puts under a note text, at a time or second of 1970's clock."""
    timestamp = at if isinstance(at, int) else int(at.timestamp())
    message = cosigned_message(timestamp, body)
    return make_cosignature(witness_key(name), timestamp, secret(name).sign(message).signature)


def tree_root(entries: Sequence[bytes]) -> bytes:
    """Return MTH of RFC 6962, 2.1."""
    if len(entries) < 2:
        return hashlib.sha256(b"".join(b"\x00" + entry for entry in entries)).digest()
    half = _split(len(entries))
    both = tree_root(entries[:half]) + tree_root(entries[half:])
    return hashlib.sha256(b"\x01" + both).digest()


def audit_path(index: int, entries: Sequence[bytes]) -> list[bytes]:
    """Return PATH of RFC 6962, 2.1.1."""
    if len(entries) == 1:
        return []
    half = _split(len(entries))
    if index < half:
        return [*audit_path(index, entries[:half]), tree_root(entries[half:])]
    return [*audit_path(index - half, entries[half:]), tree_root(entries[:half])]


def consistency_path(old_size: int, entries: Sequence[bytes]) -> list[bytes]:
    """Return PROOF of RFC 6962, 2.1.2, for 0 < old size < new size; else nothing."""
    return _sub_proof(old_size, entries, whole=True) if 0 < old_size < len(entries) else []


def _sub_proof(old_size: int, entries: Sequence[bytes], *, whole: bool) -> list[bytes]:
    if old_size == len(entries):
        return [] if whole else [tree_root(entries)]
    half = _split(len(entries))
    if old_size <= half:
        return [*_sub_proof(old_size, entries[:half], whole=whole), tree_root(entries[half:])]
    return [
        *_sub_proof(old_size - half, entries[half:], whole=False),
        tree_root(entries[:half]),
    ]


def _split(size: int) -> int:
    """Return the largest power of two below `size`."""
    half = 1
    while half * 2 < size:
        half *= 2
    return half


def honest_witnesses(at: datetime = NOW) -> dict[str, datetime | int]:
    """Return two witnesses, and when they cosign."""
    return {"wanda": at, "wilma": at}


@dataclass
class MemoryLog:
    """Entries, and checkpoints over any first part of them."""

    entries: list[bytes] = field(default_factory=lambda: [b"first", b"second", b"third"])
    origin: str = ORIGIN

    def append(self, entry: bytes) -> int:
        """Add an entry and return its index."""
        self.entries.append(entry)
        return len(self.entries) - 1

    def split_view(self, index: int, entry: bytes) -> MemoryLog:
        """Return a log with another history: `entry` stands at `index` there."""
        return MemoryLog(
            [*self.entries[:index], entry, *self.entries[index + 1 :]], origin=self.origin
        )

    def rewound(self, size: int) -> MemoryLog:
        """Return a log that forgot all but its first entries."""
        return MemoryLog(self.entries[:size], origin=self.origin)

    def checkpoint(
        self,
        by: Sequence[str] = ("log-a",),
        cosigned: Mapping[str, datetime | int] | None = None,
        size: int | None = None,
        extensions: tuple[str, ...] = (),
    ) -> Checkpoint:
        """Return a checkpoint; by default of the whole log, seen by two witnesses at `NOW`."""
        entries = self.entries[:size]
        bare = Checkpoint(self.origin, len(entries), tree_root(entries), (), extensions)
        body = bare.body()
        seen = honest_witnesses() if cosigned is None else cosigned
        lines = (
            *(signed_by(name, body, self.origin) for name in by),
            *(cosigned_by(name, body, at) for name, at in seen.items()),
        )
        return Checkpoint(self.origin, bare.size, bare.root, lines, extensions)

    def proof(
        self,
        index: int,
        by: Sequence[str] = ("log-a",),
        cosigned: Mapping[str, datetime | int] | None = None,
        size: int | None = None,
    ) -> LogProof:
        """Return the proof that an entry stands in the log."""
        return LogProof(
            index=index,
            hashes=tuple(audit_path(index, self.entries[:size])),
            checkpoint=self.checkpoint(by, cosigned, size),
        )

    def consistency(self, old_size: int, new_size: int | None = None) -> list[bytes]:
        """Return the proof that the log of `new_size` entries begins with the older one."""
        return consistency_path(old_size, self.entries[:new_size])
