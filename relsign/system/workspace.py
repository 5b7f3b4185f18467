"""A project's folder on disk, and the folder a release is made in.

    relsign.toml                      the recipe
    builders/NAME/builder.{toml,lock} environments
    policies/release.toml             thresholds; policies/root.json is made from it
    policies/roots/N.root.json        the versions of the root before it
    policies/ceremony/                messages of groups that sign the root as owners
    keys/roster.toml                  people, machines, public keys
    keys/groups/NAME/                 a key that several people share, and its ceremonies
    release/PROJECT-VERSION/          one release in the making
        release.layout                owners add their signatures here
        release.statement             signers add theirs here
        builds/BUILDER/               one builder's links, provenance, artifacts
        signatures/                   OpenPGP, minisign and others, for stock tools
        ceremony/                     messages of a group that signs together

Anyone may be able to write the release folder (it travels by git, USB stick or
shared disk): nothing in it is believed before its signatures are checked, and a
hostile edit can at worst make a release NOT ENOUGH.  The other files are reviewed
like source code.  Nothing outside the project folder is read, and no
configuration is taken from the current folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from relsign.errors import InputError, NotEnoughError
from relsign.formats.bundle import LAYOUT_FILE, MAX_BUNDLE_BYTES, STATEMENT_FILE
from relsign.formats.lock import BuilderDefinition, BuilderLock, parse_builder, parse_lock
from relsign.formats.policy import Policy, parse_policy
from relsign.formats.recipe import Recipe, parse_recipe
from relsign.formats.roster import Roster, parse_roster
from relsign.system.files import HashedFile, host_error, read_bounded
from relsign.system.hashing import hash_files

MAX_TEXT_BYTES = 4 << 20
MAX_EVIDENCE_FILES = 300
EVIDENCE_NAME = re.compile(
    r"(?:source|build|check)\.[0-9a-f]{8}\.link|build\.[0-9a-f]{8}\.commitment"
    r"|[A-Za-z0-9][A-Za-z0-9._+-]{0,63}\.(?:fingerprint\.json|intoto\.jsonl)"
)


@dataclass(frozen=True, slots=True)
class Workspace:
    """One project's folder."""

    folder: Path

    @property
    def recipe_file(self) -> Path:
        """Where the recipe is."""
        return self.folder / "relsign.toml"

    @property
    def roster_file(self) -> Path:
        """Where the roster is."""
        return self.folder / "keys" / "roster.toml"

    @property
    def policy_file(self) -> Path:
        """Where the policy is."""
        return self.folder / "policies" / "release.toml"

    @property
    def root_file(self) -> Path:
        """Where the newest trust root made from roster and policy is."""
        return self.folder / "policies" / "root.json"

    @property
    def roots_folder(self) -> Path:
        """Where the versions of the trust root before the newest are."""
        return self.folder / "policies" / "roots"

    @property
    def root_ceremony(self) -> Path:
        """Where the messages of owner groups that sign the root are, by session."""
        return self.folder / "policies" / "ceremony"

    def group_folder(self, name: str) -> Path:
        """Return the folder of a group that shares one key."""
        return self.folder / "keys" / "groups" / name

    def read(self, path: Path, hint: str) -> bytes:
        """Return a file of the project; raise InputError with `hint` if it is not there."""
        try:
            return read_bounded(path, MAX_TEXT_BYTES)
        except NotEnoughError as error:
            raise InputError("no such file", where=os.fspath(path), hint=hint) from error

    def recipe_bytes(self) -> bytes:
        """Return the recipe's bytes, whose digest the fingerprint binds."""
        return self.read(self.recipe_file, "run `relsign init`, or name the folder with --project")

    def recipe(self) -> Recipe:
        """Return the recipe; raise InputError if it is absent or malformed."""
        return parse_recipe(self.recipe_bytes())

    def policy(self) -> Policy:
        """Return the policy; raise InputError if it is absent or malformed."""
        return parse_policy(self.read(self.policy_file, "run `relsign init`"))

    def roster(self) -> Roster:
        """Return the roster; raise InputError if it is absent or malformed."""
        return parse_roster(self.read(self.roster_file, "add a key with `relsign key add`"))

    def builder_folder(self, name: str) -> Path:
        """Return the folder of an environment."""
        return self.folder / "builders" / name

    def definition_bytes(self, name: str) -> bytes:
        """Return `builder.toml` of an environment."""
        path = self.builder_folder(name) / "builder.toml"
        return self.read(path, "define the builder there, or correct the target's `builder`")

    def definition(self, name: str) -> BuilderDefinition:
        """Return the definition of an environment; raise InputError if it cannot be."""
        where = f"builders/{name}/builder.toml"
        definition = parse_builder(self.definition_bytes(name), where)
        if definition.name != name:
            raise InputError(
                "names another builder", where=f"{where}: name", expected=name, got=definition.name
            )
        return definition

    def lock_bytes(self, name: str) -> bytes:
        """Return `builder.lock` of an environment."""
        path = self.builder_folder(name) / "builder.lock"
        return self.read(path, f"run `relsign lock {name}`")

    def lock(self, name: str) -> BuilderLock:
        """Return the lock of an environment; raise InputError if it cannot be."""
        where = f"builders/{name}/builder.lock"
        lock = parse_lock(self.lock_bytes(name), where)
        if lock.builder != name:
            raise InputError(
                "is the lock of another builder",
                where=f"{where}: builder",
                expected=name,
                got=lock.builder,
            )
        return lock

    def release(self) -> ReleaseFolder:
        """Return the folder of the release the recipe names."""
        project = self.recipe().project
        name = f"{project.name}-{project.version}"
        return ReleaseFolder(self.folder / "release" / name, project.name, project.version)


@dataclass(frozen=True, slots=True)
class ReleaseFolder:
    """One release in the making."""

    folder: Path
    project: str
    version: str

    @property
    def layout_file(self) -> Path:
        """The layout's envelope."""
        return self.folder / LAYOUT_FILE

    @property
    def statement_file(self) -> Path:
        """The statement's envelope."""
        return self.folder / STATEMENT_FILE

    @property
    def signatures(self) -> Path:
        """Signatures over SHA256SUMS for stock tools."""
        return self.folder / "signatures"

    @property
    def ceremony(self) -> Path:
        """Where the messages of a group that signs this release are, by session."""
        return self.folder / "ceremony"

    @property
    def builds(self) -> Path:
        """One folder per builder."""
        return self.folder / "builds"

    def build_of(self, builder: str) -> Path:
        """Return one builder's folder."""
        return self.builds / builder

    @property
    def held(self) -> Path:
        """Builds committed to and not shown yet, one folder per builder; it never travels."""
        return self.folder / ".held"

    def build_folders(self) -> tuple[Path, ...]:
        """Return the builders' folders, sorted; links and other entries are passed over."""
        return tuple(
            entry
            for entry in _entries(self.builds)
            if not entry.name.startswith(".") and _is_folder(entry)
        )

    def evidence_of(self, build: Path) -> dict[str, bytes]:
        """Return one builder's evidence: links, fingerprints and provenance by name.

        Only regular files with names we would write are read.  Raises InputError
        when they are too large or too many to be one release's.
        """
        found: dict[str, bytes] = {}
        room = MAX_BUNDLE_BYTES
        for path in _entries(build):
            if EVIDENCE_NAME.fullmatch(path.name) and _is_file(path):
                found[path.name] = read_bounded(path, room)
                room -= len(found[path.name])
        if len(found) > MAX_EVIDENCE_FILES:
            raise InputError(
                "too many evidence files",
                where=os.fspath(build),
                expected=f"at most {MAX_EVIDENCE_FILES}",
                got=str(len(found)),
            )
        return found

    def all_evidence(self) -> tuple[dict[str, dict[str, bytes]], tuple[str, ...]]:
        """Return the evidence of every build folder, and a line for each that cannot be one.

        A stranger's folder stops nobody: it is named and passed over.
        """
        found: dict[str, dict[str, bytes]] = {}
        strange: list[str] = []
        for build in self.build_folders():
            try:
                found[build.name] = self.evidence_of(build)
            except InputError as error:
                strange.append(f"builds/{build.name}: {error.what}")
        return found, tuple(strange)

    def find_artifact(self, name: str, digest: str) -> tuple[Path, HashedFile]:
        """Return a builder's copy of an artifact with these bytes.

        Raises NotEnoughError when no build folder holds one.
        """
        return self.find_artifacts({name: digest})[name]

    def find_artifacts(self, wanted: Mapping[str, str]) -> dict[str, tuple[Path, HashedFile]]:
        """Return a builder's copy of each artifact, by name; `wanted` maps names to SHA-256.

        All of one folder are hashed together.  Raises NotEnoughError naming the first
        that no build folder holds.
        """
        found: dict[str, tuple[Path, HashedFile]] = {}
        for build in self.build_folders():
            missing = [name for name in wanted if name not in found]
            if not missing:
                break
            folder = build / "artifacts"
            names = _regular_files(folder) if _is_folder(folder) else frozenset()
            there = [folder / name for name in missing if name in names]
            hashed = zip(there, hash_files(there), strict=True)
            found |= {p.name: (p, each) for p, each in hashed if each.sha256 == wanted[p.name]}
        for name, digest in wanted.items():
            if name not in found:
                raise NotEnoughError(
                    "no build folder here holds this artifact",
                    where=name,
                    expected=digest,
                    hint="run `relsign build`, or `relsign collect` from an agreeing builder",
                )
        return {name: found[name] for name in wanted}


def _entries(folder: Path) -> list[Path]:
    """Return a folder's entries, sorted; none if it is not there or no folder."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise host_error(error, folder) from error


def _regular_files(folder: Path) -> frozenset[str]:
    """Return the names of the regular files in a folder, links left out."""
    try:
        with os.scandir(folder) as entries:
            return frozenset(e.name for e in entries if e.is_file(follow_symlinks=False))
    except OSError as error:
        raise host_error(error, folder) from error


def _is_folder(path: Path) -> bool:
    """Say whether this is a folder itself, not a link to one."""
    return path.is_dir() and not path.is_symlink()


def _is_file(path: Path) -> bool:
    """Say whether this is a regular file itself, not a link to one."""
    return path.is_file() and not path.is_symlink()
