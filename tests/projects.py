"""A project folder on disk with real, encrypted keys, built by pretend machines.

Builders here write the artifact bytes they are told to instead of running a
container; everything after that (links, signatures, gate, publication) is real.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from relsign.build.profile import load_profile
from relsign.cli.main import execute
from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import check_members
from relsign.formats.fingerprint import BuiltArtifact, EnvironmentDigest, ProfileDigest
from relsign.formats.lock import BuilderLock, LockedPackage, RootFileSystem, parse_lock
from relsign.formats.names import Digest
from relsign.formats.roster import Role
from relsign.sign.evidence.checks import check_environments
from relsign.sign.evidence.links import BuildTimes, sign_evidence
from relsign.sign.keys.keystore import KeyStore, wanted_member
from relsign.system.files import make_folder, write_whole
from relsign.system.workspace import ReleaseFolder, Workspace
from tests.verify.checked_release import CHECK
from tests.verify.releases import ARTIFACT, NAME, PEOPLE, RECIPE, make_fingerprint

PROGRAM = Path(sys.executable).with_name("relsign")
PASSPHRASE = b"correct horse battery"
POLICY = """\
dissent = "refuse"

[thresholds]
owners = 2
signers = 2
builders = 2
organisations = 2
"""
PUBLISHERS: tuple[tuple[str, str, str, Role], ...] = (
    ("pia", "pia", "acme", "publisher"),
    ("paul", "paul", "birch", "publisher"),
)
"""Only `pia` is in the roster of a project that has a publisher; `paul` may follow."""


@dataclass
class Project:
    """One person's copy of a project, and the keys of everybody."""

    folder: Path
    keys: Path
    site: Path

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.folder)

    @property
    def release(self) -> ReleaseFolder:
        return self.workspace.release()

    @property
    def published(self) -> Path:
        return self.site / "demo" / "1.0"

    @property
    def root_file(self) -> Path:
        return self.site / "demo" / "root.json"

    def run(self, *words: str) -> int:
        """Run a command of the program on this project, in this process."""
        return execute([*words, "--project", str(self.folder)])

    def run_signing(self, *words: str) -> int:
        """Run a command that needs a passphrase, which comes from a descriptor."""
        return self.run_outside(*words, "--project", str(self.folder))

    def run_outside(self, *words: str) -> int:
        """Run a command that needs a passphrase and knows no project, such as `key new`."""
        read_end, write_end = os.pipe()
        os.write(write_end, PASSPHRASE + b"\n")
        os.close(write_end)
        try:
            return execute([*words, "--keys", str(self.keys), "--passphrase-fd", str(read_end)])
        finally:
            os.close(read_end)

    def inputs(self) -> dict[str, object]:
        """Return what a fingerprint says of the inputs in this folder."""
        profile, lock = load_profile(), self.workspace.lock_bytes("debian-c")
        return {
            "version": self.release.version,
            "recipe_sha256": sha256_hex(self.workspace.recipe_bytes()),
            "environment": EnvironmentDigest(
                builder="debian-c",
                lock_sha256=sha256_hex(lock),
                rootfs_sha256=self.workspace.lock("debian-c").rootfs.sha256,
            ),
            "profile": ProfileDigest(name=profile.name, sha256=profile.sha256),
        }

    def build(self, builder: str, artifact: bytes = ARTIFACT, **changes: object) -> Path:
        """Leave what `relsign build --as BUILDER` leaves, for these artifact bytes."""
        fingerprint = make_fingerprint(artifact, **{**self.inputs(), **changes})
        made = BuiltArtifact(
            name=NAME, sha256=sha256_hex(artifact), size=len(artifact), mode="0644"
        )
        fingerprint = msgspec.structs.replace(fingerprint, artifacts=(made,))
        folder = self.release.build_of(builder)
        make_folder(folder / "artifacts")
        write_whole(folder / "artifacts" / NAME, artifact)
        write_whole(folder / fingerprint.file, fingerprint.to_bytes())
        members = self.workspace.roster().member
        party = next(p for p in check_members(members, "", share_roles=True) if p.name == builder)
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        times = {"linux": BuildTimes(moment, moment)}
        signer = KeyStore(self.keys).open(builder, PASSPHRASE)
        checked = check_environments(self.workspace, self.workspace.recipe())
        evidence = sign_evidence((fingerprint,), times, party, signer.sign, None, checked)
        for name, data in evidence.items():
            write_whole(folder / name, data)
        return folder

    def add_check(self) -> None:
        """Put a check into the recipe, in an environment of its own; nothing is made from it."""
        self.workspace.recipe_file.write_text(RECIPE + CHECK)
        folder = self.workspace.builder_folder("debian-test")
        lock = msgspec.structs.replace(parse_lock(make_lock("8" * 64)), builder="debian-test")
        write_whole(folder / "builder.lock", lock.to_bytes())

    def signed(self, *words: str) -> Project:
        """Build, sign the layout and the statement, `words` besides, with the usual people."""
        self.build("builder-a")
        self.build("builder-b")
        for name in ("olga", "oona"):
            assert self.run_signing("policy", "sign", "--as", name) == 0
        for name in ("sam", "sven"):
            assert self.run_signing("sign", "--as", name, "--yes", *words) == 0
        return self

    def sign_root(self, *owners: str) -> None:
        """Let owners sign the root in the making."""
        for name in owners or ("olga", "oona"):
            assert self.run_signing("root", "sign", "--as", name) == 0

    def compile(self) -> None:
        """Make root and layout from what policy, roster and recipe say now."""
        assert self.run("policy", "compile") == 0

    def new_root(self, *owners: str) -> None:
        """Make root and layout anew, and let owners sign the root."""
        self.compile()
        self.sign_root(*owners)

    def set_policy(self, old: str, new: str) -> None:
        """Change words of the policy; nothing is made from it yet."""
        policy = self.workspace.policy_file
        assert old in policy.read_text()
        policy.write_text(policy.read_text().replace(old, new))

    def add_policy(self, text: str) -> None:
        """Add a table to the policy; nothing is made from it yet."""
        policy = self.workspace.policy_file
        policy.write_text(f"{policy.read_text()}\n{text}")

    def remove_member(self, name: str) -> None:
        """Take somebody out of the roster; nothing is made from it yet."""
        roster = self.workspace.roster_file
        blocks = roster.read_text().split("[[member]]")
        kept = [block for block in blocks if f'name = "{name}"' not in block]
        assert len(kept) == len(blocks) - 1
        roster.write_text("[[member]]".join(kept))

    def add_member(self, name: str) -> None:
        """Put somebody with a key into the roster; nothing is made from it yet."""
        assert self.run("key", "add", str(KeyStore(self.keys).card_file(name))) == 0

    def publish(self) -> int:
        """Run `relsign publish`."""
        return self.run("publish", "--to", str(self.site))

    def publish_as(self, name: str, *words: str) -> int:
        """Run `relsign publish` as a publisher, who signs the listing."""
        return self.run_signing("publish", "--as", name, "--to", str(self.site), *words)

    def verify(self, path: Path, *words: str) -> int:
        """Run `relsign verify` on a file, with the published root."""
        return execute(["verify", "--root", str(self.root_file), str(path), *words])


def make_keys(folder: Path) -> Path:
    """Make everybody's key; return the key store's folder."""
    store = KeyStore(folder)
    for name, operator, organisation, role in (*PEOPLE, *PUBLISHERS):
        wanted = wanted_member(name, operator, organisation, (role,), "ed25519")
        store.create(wanted, name, PASSPHRASE, None)
    return folder


def make_lock(rootfs_sha256: str = "3" * 64) -> bytes:
    """Return the lock of the environment the recipe builds in."""
    package = LockedPackage(
        name="make", version="1", architecture="amd64", sha256=Digest("5" * 64), size=1,
        path="pool/main/make.deb",
    )  # fmt: skip
    return BuilderLock(
        builder="debian-c", definition_sha256=Digest("6" * 64), suite="stable",
        architecture="amd64", source_date_epoch=1, packages=(package,), wheels=(),
        rootfs=RootFileSystem(sha256=Digest(rootfs_sha256), size=1),
    ).to_bytes()  # fmt: skip


def make_project(folder: Path, keys: Path, site: Path, *, publisher: bool = False) -> Project:
    """Return a project whose roster has everybody and whose root its owners signed.

    With `publisher`, pia signs the listing of what is published.
    """
    project = Project(folder, keys, site)
    write_whole(project.workspace.recipe_file, RECIPE.encode())
    write_whole(project.workspace.policy_file, POLICY.encode())
    write_whole(project.workspace.builder_folder("debian-c") / "builder.lock", make_lock())
    people = (*PEOPLE, PUBLISHERS[0]) if publisher else PEOPLE
    cards = [str(KeyStore(keys).card_file(person[0])) for person in people]
    assert project.run("key", "add", *cards) == 0
    project.new_root()
    return project


def run_program(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `relsign` as a program of its own, as a user does."""
    return subprocess.run(
        [PROGRAM, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=cwd,
    )
