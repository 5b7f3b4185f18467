"""Whole releases of any size, signed by real keys, which relsign and in-toto both verify.

The in-toto documents are the ones in the bundle: both sides verify the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from nacl.signing import SigningKey

from relsign.crypto.keys import Party, check_members
from relsign.crypto.tuf import derive_root
from relsign.formats.bundle import (
    LAYOUT_FILE,
    STATEMENT_FILE,
    bundle_file_name,
    make_bundle,
)
from relsign.formats.envelope import INTOTO_PAYLOAD, Envelope, Signature, pae
from relsign.formats.fingerprint import (
    BuiltArtifact,
    EnvironmentDigest,
    Fingerprint,
    ProfileDigest,
    SourceDigest,
)
from relsign.formats.layout import Ed25519Public as LayoutPublic
from relsign.formats.layout import Layout, LayoutBinding, LayoutKey, Step, release_inspection
from relsign.formats.link import Sha256
from relsign.formats.names import Digest
from relsign.formats.policy import Thresholds
from relsign.formats.root import RootFile, RootPolicy
from relsign.formats.roster import Ed25519Key, Member, Role
from relsign.formats.statement import FingerprintId, ReleasePredicate, Statement, Subject
from relsign.formats.tuf import TufSignature
from relsign.publish.signatures import ed25519_pem
from relsign.sign.evidence.links import BuildTimes, sign_evidence

PEOPLE: dict[str, Role] = {
    "builder-a": "builder",
    "builder-b": "builder",
    "olga": "owner",
    "oona": "owner",
    "sam": "signer",
    "sara": "signer",
}
NOW = datetime.now(UTC).replace(microsecond=0)
LATER = NOW + timedelta(days=90)
RECIPE = Digest("5" * 64)
FINGERPRINT = "linux.fingerprint.json"


@dataclass(frozen=True)
class Release:
    """A release on disk."""

    folder: Path
    artifact: Path
    """The one file a person has downloaded."""
    names: tuple[str, ...]
    """Of all artifacts."""

    @property
    def ours(self) -> tuple[str | Path, ...]:
        """Arguments of `relsign verify`."""
        return ("--root", self.folder / "root.json", self.artifact)

    @property
    def theirs(self) -> tuple[str | Path, ...]:
        """Arguments of in-toto-verify, which is to run in `folder/files`."""
        evidence = self.folder / "in-toto"
        keys = [self.folder / f"{name}.pem" for name in ("olga", "oona")]
        return (
            "--layout", evidence / LAYOUT_FILE, "--link-dir", evidence,
            "--verification-keys", *keys,
        )  # fmt: skip


def make_release(folder: Path, count: int, *, single_rules: bool, broken: bool = False) -> Release:
    """Write a release of `count` artifacts, with `single_rules` two rules for each.

    A broken one has links that name other bytes for every artifact.  It is made in a
    process of its own: what this one ever needed would count as the peak of all it starts.
    """
    names = [f"demo-{number:06}.bin" for number in range(count)]
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _make(folder, names, single_rules=single_rules, broken=broken)
            code = 0
        finally:
            os._exit(code)
    if os.waitpid(child, 0)[1] != 0:
        raise SystemExit("the release could not be made")
    return Release(folder, folder / "files" / names[0], tuple(names))


def _make(folder: Path, names: list[str], *, single_rules: bool, broken: bool) -> None:
    parties = {party.name: party for party in check_members(_members(), "", share_roles=False)}
    fingerprint = _fingerprint(names)
    built = _fingerprint(names, salt="other") if broken else fingerprint
    layout = _layout(parties, _product_rules(names if single_rules else [])).to_bytes()
    files = {LAYOUT_FILE: _sealed(layout, parties, ("olga", "oona"))}
    times = {"linux": BuildTimes(NOW, NOW)}
    for name in ("builder-a", "builder-b"):
        files |= sign_evidence((built,), times, parties[name], _sign_as(name))
    statement = _statement(fingerprint, hashlib.sha256(layout).hexdigest()).to_bytes()
    files[STATEMENT_FILE] = _sealed(statement, parties, ("sam", "sara"))
    files[FINGERPRINT] = fingerprint.to_bytes()
    _write(folder, files, names)


def _write(folder: Path, files: dict[str, bytes], names: list[str]) -> None:
    downloads, evidence = folder / "files", folder / "in-toto"
    downloads.mkdir(parents=True)
    evidence.mkdir()
    (downloads / names[0]).write_bytes(content_of(names[0]))
    (downloads / bundle_file_name("demo", "1.0")).write_bytes(
        make_bundle("demo", "1.0", files).to_bytes()
    )
    for each, data in files.items():
        (evidence / each).write_bytes(data)
    (folder / "root.json").write_bytes(_root())
    for owner in ("olga", "oona"):
        public = _secret(owner).verify_key.encode()
        (folder / f"{owner}.pem").write_bytes(ed25519_pem(public))


def _secret(name: str) -> SigningKey:
    return SigningKey(hashlib.sha256(name.encode()).digest())


def _sign_as(name: str):  # noqa: ANN202 - a closure of one line
    return lambda message: _secret(name).sign(message).signature


def content_of(name: str, salt: str = "") -> bytes:
    """Return the bytes of an artifact."""
    return f"{name}{salt}".encode()


def _members() -> tuple[Member, ...]:
    return tuple(
        Member(
            name=name,
            operator=name,
            organisation="acme" if number % 2 else "birch",
            roles=(role,),
            key=Ed25519Key(public=_secret(name).verify_key.encode().hex()),
        )
        for number, (name, role) in enumerate(PEOPLE.items())
    )


def _root() -> bytes:
    policy = RootPolicy(
        project="demo",
        members=_members(),
        thresholds=Thresholds(owners=2, signers=2, builders=2, organisations=2),
        dissent="refuse",
        share_roles=False,
    )
    root = derive_root(policy, 1, LATER)
    owners = sorted(
        (party.keyid, party.name)
        for party in check_members(policy.members, "", share_roles=False)
        if "owner" in party.roles
    )
    message = root.to_bytes()
    return RootFile(
        signatures=tuple(
            TufSignature(keyid=Digest(keyid), sig=_sign_as(name)(message).hex())
            for keyid, name in owners
        ),
        signed=root,
    ).to_bytes()


def _fingerprint(names: list[str], salt: str = "") -> Fingerprint:
    return Fingerprint(
        project="demo",
        version="1.0",
        target="linux",
        recipe_sha256=RECIPE,
        sources=(SourceDigest(name="demo", sha256=Digest("1" * 64)),),
        environment=EnvironmentDigest(
            builder="debian-c", lock_sha256=Digest("2" * 64), rootfs_sha256=Digest("3" * 64)
        ),
        profile=ProfileDigest(name="hardened-1", sha256=Digest("4" * 64)),
        source_date_epoch=1,
        artifacts=tuple(
            BuiltArtifact(
                name=name,
                sha256=Digest(hashlib.sha256(content_of(name, salt)).hexdigest()),
                size=len(content_of(name, salt)),
                mode="0644",
            )
            for name in names
        ),
    )


def _product_rules(singled_out: list[str]) -> tuple[tuple[str, ...], ...]:
    """Return rules as relsign compiles them: two for each name, or one pattern for all."""
    names = [FINGERPRINT, *singled_out]
    created = names if singled_out else ["*"]
    required = tuple(("REQUIRE", name) for name in names)
    return (*required, *(("CREATE", name) for name in created), ("DISALLOW", "*"))


def _layout(parties: dict[str, Party], products: tuple[tuple[str, ...], ...]) -> Layout:
    binding = LayoutBinding("demo", "1.0", RECIPE)
    keys = {
        party.keyid: LayoutKey(
            keyid=party.keyid,
            keyval=LayoutPublic(public=_secret(party.name).verify_key.encode().hex()),
        )
        for party in parties.values()
        if "builder" in party.roles
    }
    source = Step(
        name="source",
        expected_materials=(("DISALLOW", "*"),),
        expected_products=(("CREATE", "*"), ("DISALLOW", "*")),
        pubkeys=tuple(keys),
        expected_command=("relsign", "fetch"),
        threshold=2,
    )
    build = msgspec.structs.replace(
        source,
        name="build",
        expected_materials=(
            ("MATCH", "*", "WITH", "PRODUCTS", "FROM", "source"),
            ("DISALLOW", "*"),
        ),
        expected_products=products,
        expected_command=("relsign", "build"),
    )
    return Layout(
        readme=binding.readme(),
        expires=LATER,
        keys=keys,
        steps=(source, build),
        inspect=(release_inspection(binding),),
    )


def _statement(fingerprint: Fingerprint, layout_sha256: str) -> Statement:
    return Statement(
        subject=tuple(
            Subject(name=a.name, digest=Sha256(sha256=a.sha256)) for a in fingerprint.artifacts
        ),
        predicate=ReleasePredicate(
            project="demo",
            version="1.0",
            fingerprints=(
                FingerprintId(
                    target="linux",
                    sha256=Digest(hashlib.sha256(fingerprint.to_bytes()).hexdigest()),
                ),
            ),
            layout_sha256=Digest(layout_sha256),
            sequence=1,
            previous=None,
            released_at=NOW,
        ),
    )


def _sealed(payload: bytes, parties: dict[str, Party], people: Iterable[str]) -> bytes:
    message = pae(INTOTO_PAYLOAD, payload)
    signatures = tuple(
        Signature(keyid=parties[name].keyid, sig=_sign_as(name)(message)) for name in people
    )
    return Envelope(payload=payload, payload_type=INTOTO_PAYLOAD, signatures=signatures).to_bytes()
