"""Three people who share a release key, each with a key store of their own."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.projects import Project, make_keys, make_project

PEOPLE = ("sam", "sara", "sven")
GROUP = "demo-release"


@dataclass
class Shared:
    """A project whose signers share a release key."""

    project: Project
    homes: dict[str, Path]
    """One key store for each person: nobody has another's."""

    def run_as(self, name: str, *words: str) -> int:
        """Run a command that needs a passphrase, with this person's own key store."""
        own = Project(self.project.folder, self.homes[name], self.project.site)
        return own.run_signing(*words, "--as", name)

    def join(self, *names: str) -> None:
        for name in names:
            assert self.run_as(name, "ceremony", "join", GROUP, "--yes") == 0

    @property
    def folder(self) -> Path:
        return self.project.workspace.group_folder(GROUP)

    def enrol(self) -> None:
        """Let owners put the group into the root, in place of an earlier card."""
        card = str(self.folder / "member.toml")
        assert self.project.run("root", "add", "--replace", card) == 0
        self.project.sign_root()
        assert self.project.run("policy", "compile") == 0

    def build(self) -> None:
        self.project.build("builder-a")
        self.project.build("builder-b")
        for owner in ("olga", "oona"):
            assert self.project.run_signing("policy", "sign", "--as", owner) == 0

    def sign(self, *names: str) -> None:
        for name in names:
            assert self.run_as(name, "sign", "--yes") == 0


def part_keys(keys: Path, folder: Path) -> dict[str, Path]:
    """Give each of the three a key store of their own."""
    homes = {}
    for name in PEOPLE:
        home = folder / f"home-{name}"
        home.mkdir(mode=0o700)
        shutil.copytree(keys / name, home / name)
        homes[name] = home
    return homes


def make_shared(folder: Path) -> Shared:
    """Return a project whose three signers made a key that its root names."""
    keys = make_keys(folder / "keys")
    project = make_project(folder / "project", keys, folder / "site")
    shared = Shared(project, part_keys(keys, folder))
    members = [word for name in PEOPLE for word in ("--member", name)]
    new = ("ceremony", "new", GROUP, *members, "--threshold", "2",
           "--user-id", "Demo releases <release@demo.invalid>")  # fmt: skip
    assert shared.run_as("sam", *new) == 0
    for _round in range(5):
        shared.join(*PEOPLE)
    shared.enrol()
    return shared


def copy_shared(made: Path, folder: Path) -> Shared:
    """Return a copy of the folder that `make_shared` filled, to be changed by one test."""
    shutil.copytree(made, folder, copy_function=shutil.copy2)
    project = Project(folder / "project", folder / "keys", folder / "site")
    return Shared(project, {name: folder / f"home-{name}" for name in PEOPLE})
