"""Three people with nothing in common but a relay make a key and sign a release.

Each has a project folder and a key store of an own, and every command is a process.  The
project's files travel as they do with git; what the group says travels by the relay only,
which in the second telling is killed in the middle, again and again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from relsign.formats.charter import parse_group
from tests.groups import GROUP, PEOPLE, part_keys
from tests.projects import PASSPHRASE, PROGRAM, Project, make_keys, make_project

TRAVELS = ("policies", "keys/roster.toml")
"""What git brings to everybody."""
DONE, HOST_ERROR = 0, 5


@dataclass
class Relay:
    """A relay in a process of its own, at one address however often it begins anew."""

    members: Path
    store: Path
    process: subprocess.Popen[str] | None = None
    url: str = ""
    deaths: int = 0

    def start(self) -> None:
        listen = self.url.removeprefix("http://") or "127.0.0.1:0"
        words = ("relay", "--members", self.members, "--store", self.store, "--listen", listen)
        self.process = subprocess.Popen(
            [PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("listening at http"), line
        self.url = line.split()[-1]

    def kill(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait(20)
        self.process.stdout.close()
        self.deaths += 1

    def size(self) -> int:
        return sum(path.stat().st_size for path in self.store.rglob("*") if path.is_file())


@dataclass
class Person:
    """Somebody at work on an own machine."""

    name: str
    project: Project
    keys: Path
    said: str = field(default="", repr=False)
    """By the last command, to its person."""

    def start(self, *words: str) -> subprocess.Popen[str]:
        read_end, write_end = os.pipe()
        os.write(write_end, PASSPHRASE + b"\n")
        os.close(write_end)
        places = ("--project", self.project.folder, "--keys", self.keys, "--as", self.name)
        try:
            return subprocess.Popen(
                [PROGRAM, *words, *places, "--passphrase-fd", str(read_end)],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=[read_end],
            )  # fmt: skip
        finally:
            os.close(read_end)

    def end(self, process: subprocess.Popen[str]) -> int:
        _out, self.said = process.communicate(timeout=60)
        return process.returncode

    def run(self, *words: str) -> None:
        assert self.end(self.start(*words)) == DONE, self.said


@dataclass
class World:
    """Everybody, their relay, and the office where owners and builders are."""

    office: Project
    people: dict[str, Person]
    relay: Relay
    kills: int
    """How often the relay is still to be killed in each half of the story."""

    def visit(self, *words: str, names: tuple[str, ...] = PEOPLE) -> dict[str, int]:
        """Let people run a command; return their exit codes.

        One after the other, or all at once while the relay is killed under their hands.
        """
        words = (*words, "--yes", "--exchange", self.relay.url)
        if self.kills == 0:
            return {n: self.people[n].end(self.people[n].start(*words)) for n in names}
        self.kills -= 1
        before = self.relay.size()
        running = {name: self.people[name].start(*words) for name in names}
        self._kill_at_work(before, tuple(running.values()))
        return {name: self.people[name].end(process) for name, process in running.items()}

    def _kill_at_work(self, before: int, running: tuple[subprocess.Popen[str], ...]) -> None:
        """Kill the relay once somebody's message is there, and begin it anew."""
        while self.relay.size() == before and any(p.poll() is None for p in running):
            time.sleep(0.01)
        self.relay.kill()
        self.relay.start()

    def hand_on(self, start: Path, name: str) -> None:
        """Bring a file or folder of a project to everybody, as git does."""
        for person in self.people.values():
            target = person.project.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (start / name).is_dir():
                shutil.copytree(start / name, target, dirs_exist_ok=True)
            elif start != person.project.folder:
                shutil.copy2(start / name, target)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a project in which nobody has a group's key yet."""
    folder = tmp_path_factory.mktemp("relay")
    keys = make_keys(folder / "keys")
    make_project(folder / "office", keys, folder / "site")
    part_keys(keys, folder)
    return folder


@pytest.fixture(params=["calm", "killed"])
def world(request: pytest.FixtureRequest, begun: Path, tmp_path: Path) -> Iterator[World]:
    folder = tmp_path / "w"
    shutil.copytree(begun, folder, copy_function=shutil.copy2)
    office = Project(folder / "office", folder / "keys", folder / "site")
    people = {}
    for name in PEOPLE:
        home = folder / f"home-{name}"
        shutil.copytree(office.folder, folder / name)
        people[name] = Person(name, Project(folder / name, home, office.site), home)
    relay = Relay(office.workspace.roster_file, tmp_path / "store")
    relay.start()
    try:
        yield World(office, people, relay, 0 if request.param == "calm" else 2)
    finally:
        relay.kill()


def test_by_relay_only(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    kills = world.kills
    make_key(world)
    enrol(world)
    world.kills = kills
    sign(world)
    sven = world.people["sven"].project
    assert sven.publish() == 0
    capsys.readouterr()
    assert sven.verify(sven.published / "demo-1.0.tar.gz") == 0
    assert "and the release key" in capsys.readouterr().out
    assert world.relay.deaths == 2 * kills


def make_key(world: World) -> None:
    sam = world.people["sam"]
    members = [word for name in PEOPLE for word in ("--member", name)]
    sam.run("ceremony", "new", GROUP, *members, "--threshold", "2", "--exchange", world.relay.url)
    world.hand_on(sam.project.folder, f"keys/groups/{GROUP}/charter.json")
    until_all_say(world, "nothing is left to do", "ceremony", "join", GROUP)
    folders = [p.project.workspace.group_folder(GROUP) for p in world.people.values()]
    for name in ("group.json", "certificate.pgp", "member.toml"):
        assert len({(folder / name).read_bytes() for folder in folders}) == 1
    group = parse_group((folders[0] / "group.json").read_bytes())
    assert [holder.name for holder in group.holders] == sorted(PEOPLE)
    # The folder that would carry messages, were there no relay, has none.
    assert not any((folder / "messages").exists() for folder in folders)


def until_all_say(
    world: World, words: str, *command: str, names: tuple[str, ...] = PEOPLE, most: int = 9
) -> None:
    """Let people run a command until each is told that all is done."""
    left = names
    for _visit in range(most):
        # Who was there when the relay died is told so, and comes again.
        allowed = {DONE, HOST_ERROR} if world.kills else {DONE}
        codes = world.visit(*command, names=left)
        said = {name: world.people[name].said for name in left}
        assert set(codes.values()) <= allowed, said
        left = tuple(n for n in left if codes[n] != DONE or words not in said[n])
        if not left:
            return
    raise AssertionError(said)


def enrol(world: World) -> None:
    """Let owners name the key in the root, and bring the root to everybody."""
    folder = world.office.workspace.group_folder(GROUP)
    shutil.copytree(world.people["sara"].project.workspace.group_folder(GROUP), folder)
    assert world.office.run("root", "add", str(folder / "member.toml")) == 0
    world.office.new_root()
    for name in TRAVELS:
        world.hand_on(world.office.folder, name)


def sign(world: World) -> None:
    """Let sam and sven sign what the office built."""
    for builder in ("builder-a", "builder-b"):
        world.office.build(builder)
    for owner in ("olga", "oona"):
        assert world.office.run_signing("policy", "sign", "--as", owner) == 0
    sam, sven = world.people["sam"], world.people["sven"]
    for person in (sam, sven):
        assert person.project.run("collect", str(world.office.folder)) == 0
    # Who signs first dates the release: one of the two begins.
    world.visit("sign", names=("sam",))
    assert sven.project.run("collect", str(sam.project.folder)) == 0
    until_all_say(world, f"{GROUP} signed demo 1.0", "sign", names=("sam", "sven"))
    folders = [person.project.release.folder for person in (sam, sven)]
    made = [
        {p.name: p.read_bytes() for p in (f / "signatures").glob(f"{GROUP}.*")} for f in folders
    ]
    assert len(made[0]) == 6
    assert made[0] == made[1]
