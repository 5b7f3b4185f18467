"""A whole release in memory, made of real keys, every part of which a test can change."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
from nacl.signing import SigningKey

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Ed25519Public, Party, check_members
from relsign.formats.bundle import LAYOUT_FILE, STATEMENT_FILE, make_bundle
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, Signature, pae
from relsign.formats.fingerprint import (
    BuiltArtifact,
    EnvironmentDigest,
    Fingerprint,
    ProfileDigest,
    SourceDigest,
)
from relsign.formats.layout import Layout
from relsign.formats.link import Link, Sha256, link_file_name
from relsign.formats.names import Digest
from relsign.formats.policy import Policy, Thresholds
from relsign.formats.recipe import Recipe, parse_recipe
from relsign.formats.root import (
    Root,
    RootFile,
    RootPolicy,
    TufKey,
    TufPublic,
    TufRole,
    TufRoles,
)
from relsign.formats.roster import Ed25519Key, FrostKey, Member, Role
from relsign.formats.statement import (
    FingerprintId,
    PreviousRelease,
    ReleasePredicate,
    Statement,
    Subject,
)
from relsign.formats.tuf import TufSignature
from relsign.sign.evidence.links import make_links
from relsign.sign.rules.layout import compile_layout
from relsign.verify.decision import Decision, Question, decide
from relsign.verify.demands import Demands

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=90)
ARTIFACT = b"the artifact's bytes"
NAME = "demo-1.0.tar.gz"

PEOPLE: tuple[tuple[str, str, str, Role], ...] = (
    ("olga", "olga", "acme", "owner"),
    ("otto", "otto", "acme", "owner"),
    ("oona", "oona", "birch", "owner"),
    ("sam", "sam", "acme", "signer"),
    ("sven", "sven", "birch", "signer"),
    ("sara", "sara", "birch", "signer"),
    ("builder-a", "machine-a", "acme", "builder"),
    ("builder-b", "machine-b", "birch", "builder"),
    ("builder-c", "machine-c", "birch", "builder"),
)

RECIPE = """
[project]
name = "demo"
version = "1.0"

[[source]]
kind = "archive"
name = "demo"
url = "https://example.invalid/demo.tar"
file = "demo.tar"
sha256 = "1111111111111111111111111111111111111111111111111111111111111111"

[[target]]
name = "linux"
builder = "debian-c"
source_date_epoch = 1
commands = ["make"]

[[target.artifact]]
path = "demo-1.0.tar.gz"
"""


def secret(name: str) -> SigningKey:
    """Return a person's private key, the same in every run."""
    return SigningKey(hashlib.sha256(name.encode()).digest())


def member(name: str, operator: str, organisation: str, role: Role) -> Member:
    """Return a roster entry."""
    public = secret(name).verify_key.encode().hex()
    return Member(
        name=name,
        operator=operator,
        organisation=organisation,
        roles=(role,),
        key=Ed25519Key(public=public),
    )


def group_member(
    name: str = "team",
    *,
    participants: tuple[str, ...] = ("sam", "sara", "sven"),
    threshold: int = 2,
    roles: tuple[Role, ...] = ("release",),
    key_of: str | None = None,
) -> Member:
    """Return the roster entry of a group, an operator of its own.

    Whoever verifies sees an ordinary Ed25519 key: here `secret(key_of or name)` is all of it.
    """
    key = FrostKey(
        public=secret(key_of or name).verify_key.encode().hex(),
        threshold=threshold,
        participants=participants,
    )
    return Member(name=name, operator=name, organisation="acme", roles=roles, key=key)


def with_members(*more: Member, **changes: object) -> Root:
    """Return the demo project's root with more members."""
    members = tuple(sorted((*make_root().members, *more), key=lambda m: m.name))
    policy = msgspec.structs.replace(make_root().policy, members=members)
    return root_of(msgspec.structs.replace(policy, **changes))


def group_root(**changes: object) -> Root:
    """Return the demo project's root with a release key that its signers share."""
    return with_members(group_member(), **changes)


def make_root(*, version: int = 1, expires: datetime = LATER, **changes: object) -> Root:
    """Return the trust root of the demo project, with some of its policy changed."""
    policy = RootPolicy(
        project="demo",
        members=tuple(sorted((member(*person) for person in PEOPLE), key=lambda m: m.name)),
        thresholds=Thresholds(owners=2, signers=2, builders=2, organisations=2),
        dissent="refuse",
        share_roles=False,
    )
    return root_of(msgspec.structs.replace(policy, **changes), version, expires)


def root_of(policy: RootPolicy, version: int = 1, expires: datetime = LATER) -> Root:
    """Return a root whose TUF part follows from its policy, however bad that is."""
    held = {
        role: {
            public_of(m): m.key.public
            for m in policy.members
            if role in m.roles and isinstance(m.key, Ed25519Key | FrostKey)
        }
        for role in ("owner", "publisher")
    }
    publishing = TufRole(keyids=tuple(sorted(held["publisher"])), threshold=1)
    owning = TufRole(keyids=tuple(sorted(held["owner"])), threshold=policy.thresholds.owners)
    return Root(
        version=version,
        expires=expires,
        keys={
            keyid: TufKey(keyval=TufPublic(public=Digest(public)))
            for keyid, public in {**held["owner"], **held["publisher"]}.items()
        },
        roles=TufRoles(root=owning, snapshot=publishing, targets=publishing, timestamp=publishing),
        policy=policy,
    )


def public_of(who: Member) -> Digest:
    """Return the keyid of an Ed25519 member, as securesystemslib derives it."""
    assert isinstance(who.key, Ed25519Key | FrostKey)
    return Digest(Ed25519Public(bytes.fromhex(who.key.public)).keyid)


def signed_root(root: Root, owners: Iterable[str] = ("olga", "oona")) -> bytes:
    """Return a root file that these people signed, whoever they are."""
    message = root.to_bytes()
    signatures = {
        Digest(Ed25519Public(secret(name).verify_key.encode()).keyid): sign_by(name, message)
        for name in owners
    }
    return RootFile(
        signatures=tuple(
            TufSignature(keyid=keyid, sig=signatures[keyid].hex()) for keyid in sorted(signatures)
        ),
        signed=root,
    ).to_bytes()


def recipe() -> Recipe:
    """Return the demo recipe."""
    return parse_recipe(RECIPE.encode())


def make_fingerprint(artifact: bytes = ARTIFACT, **changes: object) -> Fingerprint:
    """Return what an honest builder writes for these artifact bytes."""
    fingerprint = Fingerprint(
        project="demo",
        version="1.0",
        target="linux",
        recipe_sha256=sha256_hex(RECIPE.encode()),
        sources=(SourceDigest(name="demo", sha256=Digest("1" * 64)),),
        environment=EnvironmentDigest(
            builder="debian-c", lock_sha256=Digest("2" * 64), rootfs_sha256=Digest("3" * 64)
        ),
        profile=ProfileDigest(name="hardened-1", sha256=Digest("4" * 64)),
        source_date_epoch=1,
        artifacts=(
            BuiltArtifact(name=NAME, sha256=sha256_hex(artifact), size=len(artifact), mode="0644"),
        ),
    )
    return msgspec.structs.replace(fingerprint, **changes)


def parties(root: Root) -> dict[str, Party]:
    """Return a root's parties by name."""
    checked = check_members(root.members, "test", share_roles=True)
    return {party.name: party for party in checked}


def bundle_bytes(question: Question) -> bytes:
    """Return the bytes of the bundle a question is about."""
    assert isinstance(question.bundle, bytes)
    return question.bundle


def sign_by(name: str, message: bytes) -> bytes:
    """Return a person's Ed25519 signature."""
    return secret(name).sign(message).signature


def signature_by(name: str, payload: bytes, kind: str = INTOTO_PAYLOAD) -> Signature:
    """Return a person's DSSE signature, labelled as securesystemslib would."""
    keyid = Ed25519Public(secret(name).verify_key.encode()).keyid
    return Signature(keyid=keyid, sig=sign_by(name, pae(kind, payload)))


def sealed(payload: bytes, signers: Iterable[str]) -> bytes:
    """Return an envelope signed by several people."""
    signatures = tuple(signature_by(name, payload) for name in signers)
    return Envelope(payload=payload, payload_type=INTOTO_PAYLOAD, signatures=signatures).to_bytes()


def link_files(
    fingerprint: Fingerprint, builder: str, checked: tuple[EnvironmentDigest, ...] = ()
) -> dict[str, bytes]:
    """Return a builder's signed links for a fingerprint, that of its checks where it has some."""
    keyid = parties(make_root())[builder].keyid
    return {
        link_file_name(link.name, keyid): sealed(link.to_bytes(), [builder])
        for link in make_links((fingerprint,), None, checked)
    }


def changed_link(builder: str, step: str, **changes: object) -> dict[str, bytes]:
    """Return one of a builder's links with some fields changed, signed again."""
    return altered_link(make_links((make_fingerprint(),)), builder, step, **changes)


def altered_link(
    links: Iterable[Link], builder: str, step: str, **changes: object
) -> dict[str, bytes]:
    """Return the link of a step with some fields changed, signed by a builder."""
    (link,) = [each for each in links if each.name == step]
    other: Link = msgspec.structs.replace(link, **changes)
    keyid = parties(make_root())[builder].keyid
    return {link_file_name(step, keyid): sealed(other.to_bytes(), [builder])}


@dataclass
class Release:
    """The parts of a release; `decide` puts them together and asks."""

    root: Root = field(default_factory=make_root)
    fingerprint: Fingerprint = field(default_factory=make_fingerprint)
    owners: tuple[str, ...] = ("olga", "oona")
    signers: tuple[str, ...] = ("sam", "sara")
    builders: tuple[str, ...] = ("builder-a", "builder-b")
    layout_members: tuple[Member, ...] = field(default_factory=lambda: make_root().members)
    previous: PreviousRelease | None = None
    released_at: datetime = NOW
    change_layout: Callable[[Layout], Layout] = lambda layout: layout
    change_statement: Callable[[Statement], Statement] = lambda statement: statement
    change_files: Callable[[dict[str, bytes]], dict[str, bytes]] = lambda files: files
    artifacts: dict[str, str] = field(default_factory=lambda: {NAME: sha256_hex(ARTIFACT)})
    now: datetime = NOW
    demands: Demands = field(default_factory=Demands)
    sequence: int | None = None
    """Counted from the previous release where None."""
    root_signers: tuple[str, ...] = ("olga", "oona")
    recipe_text: str = RECIPE
    checked: tuple[EnvironmentDigest, ...] = ()
    """Environments the builders ran the recipe's checks in."""

    def compiled_layout(self) -> Layout:
        """Return the layout the owners sign."""
        policy = Policy(thresholds=make_root().policy.thresholds)
        everyone = check_members(self.layout_members, "test", share_roles=True)
        layout = compile_layout(
            parse_recipe(self.recipe_text.encode()),
            everyone,
            policy,
            "hardened-1",
            LATER,
            recipe_sha256=sha256_hex(self.recipe_text.encode()),
        )
        return self.change_layout(layout)

    def statement(self) -> Statement:
        """Return the statement the signers sign."""
        statement = Statement(
            subject=tuple(
                Subject(name=a.name, digest=Sha256(sha256=a.sha256))
                for a in self.fingerprint.artifacts
            ),
            predicate=ReleasePredicate(
                project="demo",
                version="1.0",
                fingerprints=(
                    FingerprintId(target="linux", sha256=sha256_hex(self.fingerprint.to_bytes())),
                ),
                layout_sha256=sha256_hex(self.compiled_layout().to_bytes()),
                sequence=self.sequence or (1 if self.previous is None else 2),
                previous=self.previous,
                released_at=self.released_at,
            ),
        )
        return self.change_statement(statement)

    def evidence_digest(self) -> Digest:
        """Return the digest of the statement's payload."""
        return sha256_hex(self.statement().to_bytes())

    def files(self) -> dict[str, bytes]:
        """Return the evidence files of the bundle."""
        files = {
            LAYOUT_FILE: sealed(self.compiled_layout().to_bytes(), self.owners),
            STATEMENT_FILE: sealed(self.statement().to_bytes(), self.signers),
            self.fingerprint.file: self.fingerprint.to_bytes(),
        }
        for builder in self.builders:
            files |= link_files(self.fingerprint, builder, self.checked)
        return self.change_files(files)

    def bundle(self) -> bytes:
        """Return the bundle's bytes."""
        return make_bundle("demo", "1.0", self.files()).to_bytes()

    def question(self) -> Question:
        """Return what is to be decided."""
        return Question(
            root=signed_root(self.root, self.root_signers),
            bundle=self.bundle(),
            artifacts=self.artifacts,
            now=self.now,
            demands=self.demands,
        )

    def decide(self) -> Decision:
        """Take the decision on this release."""
        return decide(self.question())
