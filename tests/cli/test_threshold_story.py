"""The life of a release key, every command a process: made, used, repaired, handed on.

Three people have a key store each and one project folder that travels between them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.groups import GROUP, PEOPLE, Shared, part_keys
from tests.projects import PASSPHRASE, PROGRAM, make_keys, make_project
from tests.verify.releases import NAME

NEW = "sky"


@dataclass
class Apart(Shared):
    """People whose every command is a process of its own, in a home of its own."""

    said: str = ""

    def run_as(self, name: str, *words: str) -> int:
        return self.run_process(name, *words, "--as", name, "--project", str(self.project.folder))

    def run_process(self, name: str, *words: str) -> int:
        keys = self.homes[name]
        read_end, write_end = os.pipe()
        os.write(write_end, PASSPHRASE + b"\n")
        os.close(write_end)
        done = subprocess.run(
            [PROGRAM, *words, "--keys", keys, "--passphrase-fd", str(read_end)],
            pass_fds=(read_end,),
            env={"PATH": os.environ["PATH"], "HOME": str(keys), "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        os.close(read_end)
        self.said = done.stderr
        return done.returncode

    def finish(self, *names: str) -> None:
        """Let people come by until each of them is told that nothing is left to do."""
        over: set[str] = set()
        for _round in range(6):
            for name in names:
                assert self.run_as(name, "ceremony", "join", GROUP, "--yes") == 0, self.said
                over |= {name} if "nothing is left to do" in self.said else set()
            if over == set(names):
                return
        raise AssertionError(self.said)

    def release(self, *names: str, previous: Path | None = None) -> Path:
        """Build, sign by these people, publish, verify; return the published bundle."""
        self.build()
        follows = () if previous is None else ("--previous", str(previous))
        for name in (*names, *names):
            assert self.run_as(name, "sign", "--yes", *follows) == 0, self.said
        assert self.project.publish() == 0
        version = self.project.workspace.recipe().project.version
        published = self.project.site / "demo" / version
        assert self.project.verify(published / NAME) == 0
        return published / f"demo-{version}.relsign"


def test_the_life_of_a_release_key(tmp_path: Path) -> None:
    keys = make_keys(tmp_path / "keys")
    project = make_project(tmp_path / "project", keys, tmp_path / "site")
    people = Apart(project, part_keys(keys, tmp_path))

    members = [word for name in PEOPLE for word in ("--member", name)]
    new = ("ceremony", "new", GROUP, *members, "--threshold", "2")
    assert people.run_as("sam", *new) == 0, people.said
    people.finish(*PEOPLE)
    people.enrol()
    first = people.release("sam", "sven")

    shutil.rmtree(people.homes["sven"] / "sven" / "vault")
    helpers = ("--helper", "sam", "--helper", "sara")
    assert people.run_as("sam", "ceremony", "repair", GROUP, "--lost", "sven", *helpers) == 0
    people.finish(*PEOPLE)

    replace_sara(people, tmp_path)
    recipe = project.workspace.recipe_file
    recipe.write_text(recipe.read_text().replace('version = "1.0"', 'version = "1.1"'))
    project.new_root("olga", "oona")
    people.release("sven", NEW, previous=first)


def replace_sara(people: Apart, folder: Path) -> None:
    """Let somebody new take the place of one who leaves, who signs no more afterwards."""
    people.homes[NEW] = folder / f"home-{NEW}"
    card = ("--role", "signer", "--operator", NEW, "--organisation", "birch")
    assert people.run_process(NEW, "key", "new", NEW, *card) == 0, people.said
    member = str(people.homes[NEW] / NEW / "member.toml")
    assert people.project.run("root", "add", member) == 0
    people.project.sign_root()
    stay = [word for name in ("sam", "sven", NEW) for word in ("--member", name)]
    deal = ("--dealer", "sam", "--dealer", "sven")
    assert people.run_as("sam", "ceremony", "reshare", GROUP, *stay, *deal) == 0, people.said
    people.finish("sam", "sven", NEW)
    assert people.run_as("sara", "ceremony", "join", GROUP, "--yes") == 0, people.said
    assert "destroyed share-" in people.said
    assert not list((people.homes["sara"] / "sara" / "vault").glob("share-*"))
    people.enrol()
