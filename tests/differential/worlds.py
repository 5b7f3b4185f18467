"""Releases drawn by chance, the same on every run, whole and honest unless changed.

Two to four builders, one to three targets of one to three artifacts, one to three
owners, with and without checks, commitments, hosts and a signer with an OpenPGP key.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import Party, check_members
from relsign.formats.bundle import LAYOUT_FILE, STATEMENT_FILE, make_bundle
from relsign.formats.commitment import COMMITMENT_PAYLOAD, Commitment, commitment_file_name
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, Signature, pae
from relsign.formats.fingerprint import (
    BuiltArtifact,
    EnvironmentDigest,
    Fingerprint,
    ProfileDigest,
    SourceDigest,
)
from relsign.formats.layout import Layout
from relsign.formats.link import Byproducts, Host, Link, Sha256, link_file_name
from relsign.formats.names import Digest
from relsign.formats.policy import Policy, Thresholds
from relsign.formats.recipe import Recipe, parse_recipe
from relsign.formats.root import Root, RootPolicy
from relsign.formats.roster import Member
from relsign.formats.statement import FingerprintId, ReleasePredicate, Statement, Subject
from relsign.sign.evidence.links import make_links
from relsign.sign.rules.layout import compile_layout
from relsign.verify.commitments import commitment_digest
from relsign.verify.decision import Decision, Question, decide
from tests.crypto.openpgp_cases import PRIMARY
from tests.crypto.openpgp_maker import detached
from tests.hostile.pgp_release import petra
from tests.verify.releases import (
    NOW,
    member,
    root_of,
    sealed,
    sign_by,
    signature_by,
    signed_root,
)

FAR = datetime(2090, 1, 1, tzinfo=UTC)
"""in-toto reads the machine's clock, so that a layout must outlive it."""
VERSION = "1.0"
Files = dict[str, bytes]
HOSTS = (
    Host(engine="docker", platform="x86_64", environment="debian-12"),
    Host(engine="podman", engine_version="5.1", platform="aarch64", environment="fedora-42"),
)
TESTED_IN = EnvironmentDigest(
    builder="test", lock_sha256=Digest("5" * 64), rootfs_sha256=Digest("6" * 64)
)


@dataclass
class World:
    """One release and everybody who had a part in it."""

    targets: dict[str, tuple[str, ...]]
    owners: tuple[str, ...]
    builders: tuple[str, ...]
    signers: tuple[str, ...]
    thresholds: Thresholds
    commit: bool = False
    hosts: bool = False
    openpgp: bool = False
    checks: bool = False
    change_layout: Callable[[Layout], Layout] = lambda layout: layout
    change_link: Callable[[str, Link], Link] = lambda _builder, link: link
    change_files: Callable[[Files], Files] = lambda files: files
    artifacts: dict[str, bytes] = field(default_factory=dict)
    """The files in hand."""

    def __post_init__(self) -> None:
        """Put the released bytes in hand."""
        names = [name for each in self.targets.values() for name in each]
        self.artifacts = {name: self.made(name) for name in names}

    def made(self, name: str) -> bytes:
        """Return the bytes an honest builder gets."""
        return f"the bytes of {name}".encode()

    def members(self) -> tuple[Member, ...]:
        """Return everybody with a key, sorted by name."""
        people = [member(name, name, "acme", "owner") for name in self.owners]
        people += [member(name, name, "acme", "signer") for name in self.signers]
        people += [
            member(name, f"machine-{name}", f"org-{number}", "builder")
            for number, name in enumerate(self.builders)
        ]
        people += [petra()] if self.openpgp else []
        return tuple(sorted(people, key=lambda m: m.name))

    def root(self) -> Root:
        """Return the project's root."""
        policy = RootPolicy(
            project="demo", members=self.members(), thresholds=self.thresholds,
            dissent="record", share_roles=False, commit=self.commit,
        )  # fmt: skip
        return root_of(policy, expires=FAR)

    def parties(self) -> dict[str, Party]:
        """Return everybody by name."""
        checked = check_members(self.members(), "test", share_roles=False)
        return {party.name: party for party in checked}

    def recipe_text(self) -> str:
        """Return the recipe."""
        head = (
            '[project]\nname = "demo"\nversion = "1.0"\n[[source]]\nkind = "archive"\n'
            'name = "demo"\nurl = "https://example.invalid/demo.tar"\nfile = "demo.tar"\n'
        )
        parts = [head, f'sha256 = "{"1" * 64}"\n']
        for target, names in self.targets.items():
            parts.append(
                f'[[target]]\nname = "{target}"\nbuilder = "debian-c"\n'
                'source_date_epoch = 1\ncommands = ["make"]\n'
            )
            parts += [f'[[target.artifact]]\npath = "{name}"\n' for name in names]
        if self.checks:
            parts.append('[[check]]\nname = "smoke"\nbuilder = "test"\ncommands = ["true"]\n')
        return "".join(parts)

    def recipe(self) -> Recipe:
        """Return the recipe, read."""
        return parse_recipe(self.recipe_text().encode())

    def fingerprints(self, other: str = "") -> tuple[Fingerprint, ...]:
        """Return what honest builders write, or what one with `other` bytes of a name does."""
        return tuple(self._fingerprint(target, names, other) for target, names in self._each())

    def _each(self) -> list[tuple[str, tuple[str, ...]]]:
        return sorted(self.targets.items())

    def _fingerprint(self, target: str, names: tuple[str, ...], other: str) -> Fingerprint:
        made = {name: self.made(name) + (b"!" if name == other else b"") for name in sorted(names)}
        return Fingerprint(
            project="demo", version=VERSION, target=target,
            recipe_sha256=sha256_hex(self.recipe_text().encode()),
            sources=(SourceDigest(name="demo", sha256=Digest("1" * 64)),),
            environment=EnvironmentDigest(
                builder="debian-c", lock_sha256=Digest("2" * 64), rootfs_sha256=Digest("3" * 64)
            ),
            profile=ProfileDigest(name="hardened-1", sha256=Digest("4" * 64)),
            source_date_epoch=1,
            artifacts=tuple(
                BuiltArtifact(name=name, sha256=sha256_hex(data), size=len(data), mode="0644")
                for name, data in made.items()
            ),
        )  # fmt: skip

    def layout(self) -> Layout:
        """Return the layout the owners sign."""
        layout = compile_layout(
            self.recipe(), tuple(self.parties().values()), Policy(thresholds=self.thresholds),
            "hardened-1", FAR, recipe_sha256=sha256_hex(self.recipe_text().encode()),
        )  # fmt: skip
        return self.change_layout(layout)

    def statement(self) -> Statement:
        """Return the statement the signers sign."""
        made = self.fingerprints()
        digests = sorted((a.name, a.sha256) for f in made for a in f.artifacts)
        return Statement(
            subject=tuple(Subject(name=n, digest=Sha256(sha256=d)) for n, d in digests),
            predicate=ReleasePredicate(
                project="demo", version=VERSION,
                fingerprints=tuple(
                    FingerprintId(target=f.target, sha256=sha256_hex(f.to_bytes())) for f in made
                ),
                layout_sha256=sha256_hex(self.layout().to_bytes()),
                sequence=1, previous=None, released_at=NOW,
            ),
        )  # fmt: skip

    def sealed_statement(self) -> bytes:
        """Return the statement, signed by every signer."""
        payload = self.statement().to_bytes()
        signatures = [signature_by(name, payload) for name in self.signers]
        if self.openpgp:
            made = detached(PRIMARY, pae(INTOTO_PAYLOAD, payload))
            signatures.append(Signature(keyid=PRIMARY.fingerprint.lower(), sig=made))
        return Envelope(
            payload=payload, payload_type=INTOTO_PAYLOAD, signatures=tuple(signatures)
        ).to_bytes()

    def commitments(self) -> dict[str, bytes]:
        """Return builder -> payload of its commitment."""
        if not self.commit:
            return {}
        ids = {f.target: sha256_hex(f.to_bytes()) for f in self.fingerprints()}
        return {
            name: Commitment(
                project="demo", version=VERSION,
                commitment=commitment_digest(
                    self.parties()[name].keyid, ids, sha256_hex(name.encode())
                ),
            ).to_bytes()
            for name in self.builders
        }  # fmt: skip

    def links(self, builder: str, other: str = "") -> Files:
        """Return a builder's signed links, of an honest build or of other bytes."""
        heard = tuple(sorted(sha256_hex(payload) for payload in self.commitments().values()))
        byproducts = Byproducts(
            host=HOSTS[len(builder) % 2] if self.hosts else None,
            commitment_salt=sha256_hex(builder.encode()) if self.commit else None,
            heard=heard if self.commit else None,
        )
        keyid = self.parties()[builder].keyid
        return {
            link_file_name(link.name, keyid): sealed(
                self.change_link(builder, link).to_bytes(), [builder]
            )
            for link in make_links(
                self.fingerprints(other), byproducts, (TESTED_IN,) if self.checks else ()
            )
        }

    def files(self) -> Files:
        """Return the evidence."""
        files = {
            LAYOUT_FILE: sealed(self.layout().to_bytes(), self.owners),
            STATEMENT_FILE: self.sealed_statement(),
        }
        files |= {f.file: f.to_bytes() for f in self.fingerprints()}
        for builder in self.builders:
            files |= self.links(builder)
        for builder, payload in self.commitments().items():
            signature = Signature(
                keyid=self.parties()[builder].keyid,
                sig=sign_by(builder, pae(COMMITMENT_PAYLOAD, payload)),
            )
            files[commitment_file_name(signature.keyid)] = Envelope(
                payload=payload, payload_type=COMMITMENT_PAYLOAD, signatures=(signature,)
            ).to_bytes()
        return self.change_files(files)

    def decide(self, files: Files) -> Decision:
        """Take the decision on these files of evidence."""
        return decide(
            Question(
                root=signed_root(self.root(), self.owners),
                bundle=make_bundle("demo", VERSION, files).to_bytes(),
                artifacts={name: sha256_hex(data) for name, data in self.artifacts.items()},
                now=NOW,
            )
        )


def random_world(chance: random.Random, *, builders: int = 2) -> World:
    """Return an honest world with at least so many builders."""
    count = chance.randint(builders, 4)
    need = chance.randint(min(2, count), count - 1 if count > 2 else count)
    owners = chance.randint(1, 3)
    signers = chance.randint(1, 3)
    openpgp = chance.random() < 0.25
    targets = {
        f"target{number}": tuple(f"demo-{number}-{n}.tar" for n in range(chance.randint(1, 3)))
        for number in range(chance.randint(1, 3))
    }
    thresholds = Thresholds(
        owners=chance.randint(1, owners),
        signers=signers + openpgp,
        builders=need,
        organisations=chance.randint(1, need),
    )
    return World(
        targets=targets,
        owners=("olga", "oona", "otto")[:owners],
        builders=tuple(f"builder-{letter}" for letter in "abcd"[:count]),
        signers=("sam", "sara", "sven")[:signers],
        thresholds=thresholds,
        commit=chance.random() < 0.3,
        hosts=chance.random() < 0.5,
        openpgp=openpgp,
        # Not drawn from `chance`, so that what else is drawn stays as it was.
        checks=bool((count + owners + len(targets)) % 2),
    )
