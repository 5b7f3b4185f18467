"""A group's secrets, looked for everywhere they could have leaked to.

Three people make a key and two of them sign a release, every command a process, while
arguments and environment of all processes are gathered.  Then whatever was said, and every
file there is, is searched for the passphrase, the shares, the seeds and nonces that were
used, and the revocation.
"""

from __future__ import annotations

import base64
import re
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from relsign.crypto.frost.group import identifier_of
from relsign.crypto.frost.signing import SecretShare, make_nonces
from relsign.formats.charter import parse_group
from relsign.formats.nonces import StepSeeds, parse_nonces
from relsign.formats.share import parse_held_ceremony, parse_share
from relsign.sign.keys.vault import Vault
from tests.groups import GROUP, PEOPLE, part_keys
from tests.projects import Project, make_keys, make_project
from tests.sign.test_canary import CANARY, leaks, run, secrets_of, under_canary, watched

MEMBERS = tuple(word for name in PEOPLE for word in ("--member", name))
ALIGNMENTS = 3
"""Places that a secret's first byte may have in a group of base64."""


@dataclass
class Watched:
    """A folder in which people worked, and all that was seen of it."""

    folder: Path
    project: Project
    homes: dict[str, Path]
    said: bytes = b""
    processes: set[bytes] = field(default_factory=set)
    ceremony_seeds: dict[str, bytes] = field(default_factory=dict)
    """By person, as they were while the ceremony went on."""
    used: tuple[StepSeeds, ...] = ()
    """Seeds of sam's nonces for the release, as they lay on disk until they were used."""

    def run_as(self, name: str, *words: str, passphrase: bytes = CANARY) -> int:
        home = self.homes[name]
        places = ("--project", str(self.project.folder), "--keys", str(home), "--as", name)
        code, said = run(self.folder, passphrase, *words, *places)
        self.said += said
        return code

    def vault(self, name: str) -> Vault:
        return Vault(self.homes[name] / name / "vault")

    def load(self, name: str, kind: str) -> bytes:
        (one,) = (n for n in self.vault(name).names() if n.startswith(kind))
        return self.vault(name).load(one, CANARY)

    def seeds_of(self, name: str) -> tuple[Path, ...]:
        return tuple(sorted((self.homes[name] / name / "nonces").glob("*.seeds")))

    def share(self, name: str) -> bytes:
        return bytes.fromhex(parse_share(self.load(name, "share-")).secret)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    folder = tmp_path_factory.mktemp("hygiene")
    keys = make_keys(folder / "keys")
    project = make_project(folder / "project", keys, folder / "site")
    found = Watched(folder, project, part_keys(keys, folder))
    for name, home in found.homes.items():
        # Their only key files: what the others' helper made has another passphrase.
        shutil.rmtree(keys / name)
        under_canary(home / name / "key.pem")
    with watched() as seen:
        make_key(found)
        sign(found)
    found.processes = seen
    return found


def make_key(found: Watched) -> None:
    assert found.run_as("sam", "ceremony", "new", GROUP, *MEMBERS, "--threshold", "2") == 0
    for visit in range(5):
        for name in PEOPLE:
            assert found.run_as(name, "ceremony", "join", GROUP, "--yes") == 0, found.said.decode()
            if visit == 0:
                held = parse_held_ceremony(found.load(name, "ceremony-"))
                found.ceremony_seeds[name] = bytes.fromhex(held.seed)
    project = found.project
    card = project.workspace.group_folder(GROUP) / "member.toml"
    assert project.run("root", "add", str(card)) == 0
    project.new_root()


def sign(found: Watched) -> None:
    project = found.project
    for builder in ("builder-a", "builder-b"):
        project.build(builder)
    for owner in ("olga", "oona"):
        assert project.run_signing("policy", "sign", "--as", owner) == 0
    before = set(found.seeds_of("sam"))
    assert found.run_as("sam", "sign", "--yes") == 0
    fresh = sorted(set(found.seeds_of("sam")) - before)
    found.used = tuple(parse_nonces(path.read_bytes(), "seeds") for path in fresh)
    # Refused: what was typed wrong is a secret as well, nearly.
    assert found.run_as("sven", "sign", "--yes", passphrase=CANARY + b" wrong") == 2
    for name in ("sven", "sam", "sven"):
        assert found.run_as(name, "sign", "--yes") == 0
    assert project.publish() == 0


def forms(name: str, raw: bytes) -> dict[str, bytes]:
    """Return every form in which some secret bytes may appear."""
    found = {
        name: raw,
        f"{name}, reversed": raw[::-1],
        f"{name}, hex": raw.hex().encode(),
        f"{name}, HEX": raw.hex().upper().encode(),
        f"{name}, decimal": str(int.from_bytes(raw, "little")).encode(),
        f"{name}, decimal of reversed": str(int.from_bytes(raw, "big")).encode(),
        f"{name}, python": repr(raw)[2:-1].encode(),
    }
    for start in range(ALIGNMENTS):
        # Without the characters that depend on what stands before or after, and line ends.
        whole = raw[start : start + (len(raw) - start) // 3 * 3][:45]
        found[f"{name}, base64 from {start}"] = base64.b64encode(whole)
    return found


def group_secrets(world: Watched) -> dict[str, bytes]:
    """Return all that only the vaults may have, sealed, or nobody any more."""
    found: dict[str, bytes] = {}
    for name in PEOPLE:
        found |= forms(f"share of {name}", world.share(name))
        found |= forms(f"ceremony seed of {name}", world.ceremony_seeds[name])
        found |= secrets_of(world.homes[name] / name / "key.pem", CANARY)
    found |= forms("revocation", world.load("sam", "revocation-"))
    group = parse_group((world.project.workspace.group_folder(GROUP) / "group.json").read_bytes())
    share = SecretShare(identifier_of(group.identities()["sam"]), world.share("sam"))
    for step in world.used:
        for slot in step.slots:
            hiding, binding = bytes.fromhex(slot.hiding), bytes.fromhex(slot.binding)
            nonces = make_nonces(share, hiding, binding)
            raw = {"seed": (hiding, binding), "nonce": (nonces.hiding, nonces.binding)}
            for kind, pair in raw.items():
                for number, value in enumerate(pair):
                    found |= forms(f"{kind} {number} of {slot.name}", value)
    return found


def test_the_secrets_of_a_group_are_nowhere(world: Watched) -> None:
    secrets = group_secrets(world)
    assert [len(step.slots) for step in world.used] == [6, 1]
    assert any(b"ceremony\0join" in text for text in world.processes)
    assert any(b"\0sign\0--yes" in text for text in world.processes)
    assert len(list(world.project.published.rglob("*"))) > 10
    assert leaks(secrets, world.said, world.processes, world.folder) == []


def test_what_looks_for_them_finds_them(world: Watched, tmp_path: Path) -> None:
    """The same search, where one secret after another was put in its way."""
    share = world.share("sam")
    secrets = forms("share", share)
    for number, hidden in enumerate((share, share.hex().encode(), base64.b64encode(b"x" + share))):
        file = tmp_path / str(number) / "leak"
        file.parent.mkdir()
        file.write_bytes(b"before " + hidden + b" after")
        assert leaks(secrets, b"", set(), file.parent) != []
        assert leaks(secrets, b"x" + hidden, set(), tmp_path / "none") != []
        assert leaks(secrets, b"", {b"--a\0" + hidden}, tmp_path / "none") != []


def test_seeds_are_gone_once_they_were_used(world: Watched) -> None:
    sessions = {step.session for step in world.used}
    assert len(sessions) == 1
    (session,) = sessions
    for name in ("sam", "sven"):
        folder = world.homes[name] / name / "nonces"
        kept = [path.name for path in folder.iterdir() if path.name.startswith(session)]
        assert sorted(kept) == [f"{session}.1.{step}.burned" for step in (2, 3)]


def test_the_ceremonys_seeds_are_destroyed(world: Watched) -> None:
    for name in PEOPLE:
        names = world.vault(name).names()
        assert [n.partition("-")[0] for n in names] == ["revocation", "share"]


def test_private_files_are_their_owners_alone(world: Watched) -> None:
    for name, home in world.homes.items():
        person = home / name
        closed = (person / "vault", person / "nonces")
        assert modes((home, person, *closed, person / "heard")) == {0o700}
        assert modes((person / "key.pem", *(p for f in closed for p in f.iterdir()))) == {0o600}


def modes(paths: Iterable[Path]) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in paths}


def test_nothing_is_left_in_the_folder_for_temporary_files(world: Watched) -> None:
    assert list((world.folder / "tmp").iterdir()) == []
    assert not re.search(rb"Traceback|\.py\"?, line", world.said)
