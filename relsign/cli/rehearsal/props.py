"""What a rehearsal's project is made of: a recipe, a policy, and builders who only pretend.

No engine runs here.  A pretend builder writes the bytes it is told to; its fingerprint,
links and provenance are real, and signed with its own key.
"""

from __future__ import annotations

from relsign.build.profile import choose_profile
from relsign.cli.rehearsal.shape import Shape
from relsign.cli.rehearsal.stage import Stage
from relsign.crypto.digest import sha256_hex
from relsign.formats.fingerprint import (
    BuiltArtifact,
    EnvironmentDigest,
    Fingerprint,
    ProfileDigest,
    SourceDigest,
)
from relsign.formats.lock import BuilderLock, LockedPackage, RootFileSystem
from relsign.formats.names import Digest
from relsign.sign.evidence.links import BuildTimes, sign_evidence
from relsign.sign.groups.people import identity_party
from relsign.sign.keys.keystore import KeyStore
from relsign.system.clock import now_utc
from relsign.system.files import make_folder, write_whole

DAYS = 7
"""How long anything of a rehearsal is valid."""
ENVIRONMENT = "pretend"
SOURCE = b"the source of nothing\n"
HONEST = b"REHEARSAL. These bytes are no release of anything.\n"
TAMPERED = HONEST + b"And a builder put more in.\n"

_RECIPE = """\
# A REHEARSAL. Nothing here is a release of anything.

[project]
name = "{project}"
version = "{version}"

[[source]]
kind = "archive"
name = "nothing"
url = "https://rehearsal.invalid/nothing.tar"
file = "nothing.tar"
sha256 = "{source}"

[[target]]
name = "any"
builder = "{environment}"
source_date_epoch = 1
commands = ["true"]

[[target.artifact]]
path = "{artifact}"
"""
_POLICY = """\
# A REHEARSAL: everything ends within {days} days.

dissent = "refuse"
share_roles = {share_roles}
layout_days = {days}
root_days = {days}

[thresholds]
owners = {owners}
signers = {signers}
builders = {builders}
organisations = {organisations}
"""


def artifact_name(shape: Shape, version: str) -> str:
    """Return the name of the one file of a release."""
    return f"{shape.project}-{version}.txt"


def write_recipe(stage: Stage, version: str) -> None:
    """Write the recipe of a version; the release in the making is its."""
    text = _RECIPE.format(
        project=stage.shape.project,
        version=version,
        source=sha256_hex(SOURCE),
        environment=ENVIRONMENT,
        artifact=artifact_name(stage.shape, version),
    )
    write_whole(stage.workspace.recipe_file, text.encode())


def write_project(stage: Stage) -> None:
    """Write everything of the project but its people."""
    write_recipe(stage, "1.0")
    agree = stage.shape.thresholds
    policy = _POLICY.format(
        days=DAYS,
        share_roles=str(stage.shape.share_roles).lower(),
        owners=agree.owners,
        signers=agree.signers,
        builders=agree.builders,
        organisations=agree.organisations,
    )
    write_whole(stage.workspace.policy_file, policy.encode())
    package = LockedPackage(
        name="nothing", version="1", architecture="all", sha256=Digest("5" * 64), size=1,
        path="pool/none/nothing.deb",
    )  # fmt: skip
    lock = BuilderLock(
        builder=ENVIRONMENT, definition_sha256=Digest("6" * 64), suite="none",
        architecture="amd64", source_date_epoch=1, packages=(package,), wheels=(),
        rootfs=RootFileSystem(sha256=Digest("7" * 64), size=1),
    )  # fmt: skip
    folder = stage.workspace.builder_folder(ENVIRONMENT)
    write_whole(folder / "builder.lock", lock.to_bytes())


def pretend_build(stage: Stage, builder: str, data: bytes) -> None:
    """Leave what `relsign build` of this builder leaves, for these artifact bytes.

    Raises InputError where the builder's key does not open.
    """
    release = stage.workspace.release()
    name = artifact_name(stage.shape, release.version)
    made = BuiltArtifact(name=name, sha256=sha256_hex(data), size=len(data), mode="0644")
    fingerprint = _fingerprint(stage, made)
    folder = release.build_of(builder)
    make_folder(folder / "artifacts")
    write_whole(folder / "artifacts" / name, data)
    write_whole(folder / fingerprint.file, fingerprint.to_bytes())
    now = now_utc().replace(microsecond=0)
    party = identity_party(stage.workspace, builder)
    signer = KeyStore(stage.home(builder)).open(builder, stage.passphrase)
    times = {fingerprint.target: BuildTimes(now, now)}
    for file, evidence in sign_evidence((fingerprint,), times, party, signer.sign).items():
        write_whole(folder / file, evidence)


def _fingerprint(stage: Stage, made: BuiltArtifact) -> Fingerprint:
    workspace, profile = stage.workspace, choose_profile(stage.workspace.recipe())
    release = workspace.release()
    return Fingerprint(
        project=release.project,
        version=release.version,
        target="any",
        recipe_sha256=sha256_hex(workspace.recipe_bytes()),
        sources=(SourceDigest(name="nothing", sha256=sha256_hex(SOURCE)),),
        environment=EnvironmentDigest(
            builder=ENVIRONMENT,
            lock_sha256=sha256_hex(workspace.lock_bytes(ENVIRONMENT)),
            rootfs_sha256=workspace.lock(ENVIRONMENT).rootfs.sha256,
        ),
        profile=ProfileDigest(name=profile.name, sha256=profile.sha256),
        source_date_epoch=1,
        artifacts=(made,),
    )
