"""A release of which everything is asked: log, witnesses, freshness, commitments, diversity."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Ed25519Public, Party
from relsign.formats.commitment import COMMITMENT_PAYLOAD, Commitment, commitment_file_name
from relsign.formats.envelope import Envelope, Signature, pae
from relsign.formats.fingerprint import Fingerprint
from relsign.formats.link import Byproducts, Host, link_file_name
from relsign.formats.listing import ListedRelease
from relsign.formats.memory import Seen
from relsign.formats.names import Digest
from relsign.formats.policy import Diversity, Freshness
from relsign.formats.root import Root
from relsign.formats.statement import PreviousRelease
from relsign.publish.index import NextIndex, PresentIndex, Publisher, next_index, release_entry
from relsign.sign.evidence.links import make_links
from relsign.verify.commitments import commitment_digest
from relsign.verify.decision import Decision, Question, decide
from relsign.verify.freshness import ListingFiles
from relsign.verify.inclusion import PROOF_FILE, log_entry
from tests.verify.logs import POLICY, MemoryLog, log_members
from tests.verify.releases import (
    NOW,
    Release,
    make_root,
    member,
    parties,
    root_of,
    sealed,
    secret,
    sign_by,
)

PUBLISHER = member("pia", "pia", "acme", "publisher")
BEFORE = PreviousRelease(version="0.9", statement_sha256=Digest("9" * 64))
HOSTS = {
    "builder-a": Host(engine="docker", platform="x86_64", environment="debian-12"),
    "builder-b": Host(engine="podman", platform="aarch64", environment="fedora-42"),
    "builder-c": Host(engine="podman", platform="x86_64", environment="debian-12"),
}


def full_root(**changes: object) -> Root:
    """Return a root that asks for everything."""
    asked: dict[str, object] = {
        "members": tuple(
            sorted((*make_root().members, PUBLISHER, *log_members()), key=lambda m: m.name)
        ),
        "freshness": Freshness(required=True),
        "diversity": Diversity(engines=2, platforms=2, environments=2),
        "commit": True,
        "log": POLICY,
    }
    policy = msgspec.structs.replace(make_root().policy, **{**asked, **changes})
    return root_of(policy)


def salt(builder: str) -> Digest:
    """Return a builder's salt, the same in every run."""
    return sha256_hex(builder.encode())


def commitment_of(builder: str, fingerprint: Fingerprint) -> tuple[str, bytes]:
    """Return the file name and payload of a builder's commitment."""
    keyid = parties(make_root())[builder].keyid
    ids = {fingerprint.target: sha256_hex(fingerprint.to_bytes())}
    payload = Commitment(
        project="demo", version="1.0", commitment=commitment_digest(keyid, ids, salt(builder))
    ).to_bytes()
    return commitment_file_name(keyid), payload


def sealed_commitment(builder: str, fingerprint: Fingerprint) -> dict[str, bytes]:
    """Return a builder's signed commitment to a fingerprint."""
    file, payload = commitment_of(builder, fingerprint)
    signature = Signature(
        keyid=Ed25519Public(secret(builder).verify_key.encode()).keyid,
        sig=sign_by(builder, pae(COMMITMENT_PAYLOAD, payload)),
    )
    envelope = Envelope(payload=payload, payload_type=COMMITMENT_PAYLOAD, signatures=(signature,))
    return {file: envelope.to_bytes()}


@dataclass
class FullRelease(Release):
    """As `Release`, with everything that can be asked for."""

    root: Root = field(default_factory=full_root)
    previous: PreviousRelease | None = BEFORE
    committed: tuple[str, ...] = ("builder-a", "builder-b")
    hosts: dict[str, Host] = field(default_factory=lambda: dict(HOSTS))
    log: MemoryLog = field(default_factory=MemoryLog)
    logged: bool = True
    publisher: str = "pia"
    listed: bool = True
    listed_at: datetime = NOW
    listing_files: ListingFiles | None = None
    """What the publisher signed instead."""
    newer: tuple[str, ...] = ()
    """Versions that the listing has after this one."""
    seen: tuple[Seen, ...] | None = None
    wanted: str | None = None
    newer_roots: tuple[bytes, ...] = ()
    rebuilt: dict[str, bytes] = field(default_factory=dict)

    def files(self) -> dict[str, bytes]:
        """Return the evidence files, links with what they say of commitments among them."""
        change, self.change_files = self.change_files, lambda files: files
        try:
            files = super().files()
        finally:
            self.change_files = change
        commitments = dict(commitment_of(name, self.fingerprint) for name in self.committed)
        heard = tuple(sorted(sha256_hex(payload) for payload in commitments.values()))
        for builder in self.builders:
            files |= self._links(builder, heard)
        for name in self.committed:
            files |= sealed_commitment(name, self.fingerprint)
        if self.logged:
            files[PROOF_FILE] = self.proof()
        return change(files)

    def _links(self, builder: str, heard: tuple[Digest, ...]) -> dict[str, bytes]:
        byproducts = Byproducts(
            host=self.hosts.get(builder), commitment_salt=salt(builder), heard=heard
        )
        keyid = parties(make_root())[builder].keyid
        return {
            link_file_name(link.name, keyid): sealed(link.to_bytes(), [builder])
            for link in make_links((self.fingerprint,), byproducts)
        }

    def entry(self) -> bytes:
        """Return what stands in the log."""
        return log_entry("demo", "1.0", sha256_hex(self.statement().to_bytes()))

    def proof(self) -> bytes:
        """Append the release to the log and return the proof that it is there."""
        entry = self.entry()
        log = self.log
        index = log.entries.index(entry) if entry in log.entries else log.append(entry)
        return log.proof(index).to_bytes()

    def listing(self) -> ListingFiles | None:
        """Return what the publisher signed last."""
        if not self.listed:
            return None
        if self.listing_files is not None:
            return self.listing_files
        entries = [
            release_entry("demo", "1.0", 2, sha256_hex(self.statement().to_bytes()), b"bundle")
        ]
        entries += [
            release_entry("demo", version, number, sha256_hex(version.encode()), b"bundle")
            for number, version in enumerate(self.newer, 3)
        ]
        return make_listing(tuple(entries), self.publisher, self.listed_at)

    def question(self) -> Question:
        """Return what is to be decided, with all that the person knows."""
        question = super().question()
        return Question(
            root=question.root,
            bundle=question.bundle,
            artifacts=question.artifacts,
            now=question.now,
            demands=question.demands,
            newer_roots=self.newer_roots,
            seen=self.seen,
            listing=self.listing(),
            wanted=self.wanted,
            rebuilt=self.rebuilt,
        )

    def decide(self) -> Decision:
        """Take the decision on this release."""
        return decide(self.question())


def make_listing(
    entries: tuple[ListedRelease, ...], publisher: str, now: datetime, project: str = "demo"
) -> ListingFiles:
    """Return a listing that a publisher signed at a time."""
    public = Ed25519Public(secret(publisher).verify_key.encode())
    party = Party(publisher, publisher, "acme", ("publisher",), public)
    wanted = NextIndex(project, entries, (party,), 7)
    signer = Publisher(party, lambda message: sign_by(publisher, message))
    files = next_index(PresentIndex(), wanted, signer, now)
    return ListingFiles(files["timestamp.json"], files["1.snapshot.json"], files["1.targets.json"])


def seen(sequence: int, version: str, statement: str = "a" * 64) -> Seen:
    """Return a release this person saw before."""
    return Seen(
        sequence=sequence,
        version=version,
        statement_sha256=Digest(statement),
        seen_at=NOW - timedelta(days=30),
    )
