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

from relsign.cli.main import execute
from relsign.crypto.digest import sha256_hex
from relsign.crypto.keys import check_members
from relsign.formats.fingerprint import BuiltArtifact
from relsign.sign.keystore import KeyStore, wanted_member
from relsign.sign.links import BuildTimes, sign_evidence
from relsign.system.files import make_folder, write_whole
from relsign.system.workspace import ReleaseFolder, Workspace
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
        read_end, write_end = os.pipe()
        os.write(write_end, PASSPHRASE + b"\n")
        os.close(write_end)
        try:
            return self.run(*words, "--keys", str(self.keys), "--passphrase-fd", str(read_end))
        finally:
            os.close(read_end)

    def build(self, builder: str, artifact: bytes = ARTIFACT, **changes: object) -> Path:
        """Leave what `relsign build --as BUILDER` leaves, for these artifact bytes."""
        fingerprint = make_fingerprint(artifact, **changes)
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
        for name, data in sign_evidence((fingerprint,), times, party, signer.sign).items():
            write_whole(folder / name, data)
        return folder

    def signed(self) -> Project:
        """Build, sign the layout and the statement with the usual people."""
        self.build("builder-a")
        self.build("builder-b")
        for name in ("olga", "oona"):
            assert self.run_signing("policy", "sign", "--as", name) == 0
        for name in ("sam", "sven"):
            assert self.run_signing("sign", "--as", name, "--yes") == 0
        return self

    def publish(self) -> int:
        """Run `relsign publish`."""
        return self.run("publish", "--to", str(self.site))

    def verify(self, path: Path, *words: str) -> int:
        """Run `relsign verify` on a file, with the published root."""
        return execute(["verify", "--root", str(self.root_file), str(path), *words])


def make_keys(folder: Path) -> Path:
    """Make everybody's key; return the key store's folder."""
    store = KeyStore(folder)
    for name, operator, organisation, role in PEOPLE:
        wanted = wanted_member(name, operator, organisation, (role,), "ed25519")
        store.create(wanted, name, PASSPHRASE, None)
    return folder


def make_project(folder: Path, keys: Path, site: Path) -> Project:
    """Return a project whose roster has everybody and whose policy is compiled."""
    project = Project(folder, keys, site)
    write_whole(project.workspace.recipe_file, RECIPE.encode())
    write_whole(project.workspace.policy_file, POLICY.encode())
    cards = [str(KeyStore(keys).card_file(person[0])) for person in PEOPLE]
    assert project.run("key", "add", *cards) == 0
    assert project.run("policy", "compile") == 0
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
