"""People who together are one owner sign a layout and a root, and count as one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tuf.api.exceptions import RepositoryError
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from relsign.formats.bundle import LAYOUT_FILE
from relsign.formats.envelope import parse_envelope
from relsign.sign.rules.root import current_root, root_chain
from relsign.system.clock import now_utc
from tests.groups import PEOPLE, Shared, copy_shared, part_keys
from tests.projects import Project, make_keys, make_project

BOARD = "board"
IN_TOTO_VERIFY = Path(sys.executable).with_name("in-toto-verify")
Capture = pytest.CaptureFixture[str]


def make_group(shared: Shared, people: tuple[str, ...]) -> None:
    """Let people make the key of an owner."""
    members = [word for name in people for word in ("--member", name)]
    new = ("ceremony", "new", BOARD, *members, "--threshold", "2", "--role", "owner")
    assert shared.run_as(people[0], *new) == 0
    for _round in range(5):
        for name in people:
            assert shared.run_as(name, "ceremony", "join", BOARD, "--yes") == 0


def card(project: Project) -> str:
    return str(project.workspace.group_folder(BOARD) / "member.toml")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a project of which the board is an owner, since version 2."""
    folder = tmp_path_factory.mktemp("board")
    keys = make_keys(folder / "keys")
    project = make_project(folder / "project", keys, folder / "site")
    shared = Shared(project, part_keys(keys, folder))
    make_group(shared, PEOPLE)
    assert project.run("root", "add", card(project)) == 0
    project.sign_root()
    project.compile()
    return folder


@pytest.fixture
def shared(made: Path, tmp_path: Path) -> Shared:
    return copy_shared(made, tmp_path / "w")


def in_toto_says(published: Path, *owners: str) -> int:
    keys = [published.parent / "keys" / f"{name}.pem" for name in owners]
    return subprocess.run(
        [IN_TOTO_VERIFY, "--layout", f"in-toto/{LAYOUT_FILE}", "--link-dir", "in-toto",
         "--verification-keys", *keys],
        cwd=published, capture_output=True, check=False,
    ).returncode  # fmt: skip


def tuf_walks(chain: tuple[bytes, ...]) -> int:
    """Return the version of the root that python-tuf reaches."""
    trusted = TrustedMetadataSet(chain[0], EnvelopeType.METADATA)
    for data in chain[1:]:
        trusted.update_root(data)
    return int(trusted.root.version)


def without(root: bytes, keyid: str) -> bytes:
    """Return a root file without one owner's signature."""
    document = json.loads(root)
    document["signatures"] = [s for s in document["signatures"] if s["keyid"] != keyid]
    return json.dumps(document).encode()


def test_the_board_signs_a_layout_that_stock_in_toto_accepts(
    shared: Shared, capsys: Capture
) -> None:
    project = shared.project
    project.build("builder-a")
    project.build("builder-b")
    assert project.run_signing("policy", "sign", "--as", "olga") == 0
    capsys.readouterr()
    assert shared.run_as("sam", "policy", "sign") == 0
    said = capsys.readouterr().err
    assert "Layout of demo 1.0" in said
    assert "waiting for 1 of: sara, sven" in said
    # Whoever is alone changes nothing, however often.
    assert shared.run_as("sam", "policy", "sign") == 0
    envelope = parse_envelope(project.release.layout_file.read_bytes(), LAYOUT_FILE)
    assert len(envelope.signatures) == 1
    assert shared.run_as("sven", "policy", "sign") == 0
    assert shared.run_as("sam", "policy", "sign") == 0
    assert f"{BOARD} signed" in capsys.readouterr().err
    # A third, who was not needed, sees that it is done.
    assert shared.run_as("sara", "policy", "sign") == 0
    assert f"{BOARD} signed" in capsys.readouterr().err
    assert project.run("status") == 3
    assert re.search(r"✓ owners +2 \(need 2\)  board, olga", capsys.readouterr().out)
    shared.sign("sara", "sven")
    assert project.publish() == 0
    assert project.verify(project.published / "demo-1.0.tar.gz") == 0
    assert in_toto_says(project.published, "olga", BOARD) == 0
    assert in_toto_says(project.published, BOARD) == 0
    assert in_toto_says(project.published, "oona") != 0
    refuse_one_other_byte(project.published)


def refuse_one_other_byte(published: Path) -> None:
    path = published / "in-toto" / LAYOUT_FILE
    good = path.read_bytes()
    board = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", published.parent / "keys" / f"{BOARD}.pem", "-text"],
        capture_output=True, check=True,
    )  # fmt: skip
    assert b"ED25519" in board.stdout
    for signature in json.loads(good)["signatures"]:
        start = good.index(signature["sig"].encode())
        changed = bytearray(good)
        changed[start + 20] = ord("A") if changed[start + 20] != ord("A") else ord("B")
        path.write_bytes(changed)
        assert in_toto_says(published, "olga", BOARD) != 0
    path.write_bytes(good)
    assert in_toto_says(published, "olga", BOARD) == 0


def test_the_board_signs_a_root_that_python_tuf_walks_to(
    shared: Shared, capsys: Capture, tmp_path: Path
) -> None:
    """Through another exchange than the project's own folder."""
    project, stick = shared.project, tmp_path / "stick"
    stick.mkdir()
    assert project.run("root", "rotate", "--renew") == 0
    there = ("--exchange", str(stick))
    for name in ("sara", "sam", "sara"):
        assert shared.run_as(name, "root", "sign", *there) == 0
    said = capsys.readouterr().err
    assert "version 3" in said
    assert f"{BOARD} signed" in said
    assert f"signed by {BOARD}" in said
    # Two people of one group are one owner.
    assert "1 more owner of version 3 must sign (olga, oona, otto)" in said
    assert project.run("root", "show") == 0
    assert f"signed by {BOARD}\n" in capsys.readouterr().out
    assert project.run_signing("root", "sign", "--as", "otto") == 0
    chain = root_chain(project.workspace)
    assert len(chain) == 3
    assert tuf_walks(chain) == 3
    with pytest.raises(RepositoryError):
        tuf_walks((*chain[:-1], without(chain[-1], keyid_of(project, BOARD))))
    # The account of who took part stays with the project, though it travelled elsewhere.
    kept = list((project.folder / "policies" / "ceremony").glob("*/*.msg"))
    assert len(kept) == len(list(stick.glob("*/*.msg"))) == 4
    assert project.run("policy", "compile") == 0


def keyid_of(project: Project, name: str) -> str:
    (party,) = (p for p in current_root(project.workspace, now_utc()).parties if p.name == name)
    return party.keyid


@pytest.mark.parametrize("command", ["policy", "root"])
def test_who_cannot_sign_is_told_who_can(shared: Shared, command: str, capsys: Capture) -> None:
    project = shared.project
    assert project.run("root", "rotate", "--renew") == 0
    project.sign_root()
    capsys.readouterr()
    assert project.run_signing(command, "sign", "--as", BOARD) == 2
    said = capsys.readouterr().err
    assert "a group signs through its people" in said
    assert "2 of sam, sara, sven" in said
    assert project.run_signing(command, "sign", "--as", "builder-a") == 2
    assert "of that name" in capsys.readouterr().err


def test_what_is_not_what_ones_own_documents_give_is_not_taken_part_in(
    shared: Shared, capsys: Capture
) -> None:
    project = shared.project
    assert project.run("root", "rotate", "--renew") == 0
    policy = project.workspace.policy_file.read_bytes()
    project.set_policy('dissent = "refuse"', 'dissent = "record"')
    assert shared.run_as("sam", "root", "sign") == 2
    assert "is not what your policy and roster give" in capsys.readouterr().err
    project.workspace.policy_file.write_bytes(policy)
    project.sign_root()
    recipe = project.workspace.recipe_file
    recipe.write_text(recipe.read_text().replace('"make"', '"make all"'))
    assert shared.run_as("sam", "policy", "sign") == 2
    assert "is not what your policy, roster and recipe give" in capsys.readouterr().err
    assert not (project.folder / "policies" / "ceremony").exists()
    assert not project.release.ceremony.exists()


def test_without_a_share_nobody_takes_part(shared: Shared, capsys: Capture) -> None:
    assert shared.project.run("root", "rotate", "--renew") == 0
    shutil.rmtree(shared.homes["sam"] / "sam" / "vault")
    assert shared.run_as("sam", "root", "sign") == 2
    assert "sam has no share of board on this machine" in capsys.readouterr().err


def test_owners_become_people_of_one_owner(tmp_path: Path, capsys: Capture) -> None:
    """Each signs for itself as an owner of before, and its part as a participant from now on."""
    keys = make_keys(tmp_path / "keys")
    project = make_project(tmp_path / "project", keys, tmp_path / "site")
    shared = Shared(project, dict.fromkeys(("olga", "oona"), keys))
    make_group(shared, ("olga", "oona"))
    roster = project.workspace.roster_file
    text = roster.read_text()
    for name in ("olga", "oona"):
        start = text.index(f'name = "{name}"')
        text = text[:start] + text[start:].replace('roles = ["owner"]', 'roles = ["signer"]', 1)
    roster.write_text(text)
    assert project.run("key", "add", card(project)) == 0
    assert project.run("root", "rotate") == 0
    for name in ("olga", "oona", "olga"):
        capsys.readouterr()
        assert shared.run_as(name, "root", "sign") == 0
    said = capsys.readouterr().err
    assert "olga signed" in said
    assert f"{BOARD} signed" in said
    assert "signed by board, olga, oona" in said
    assert "1 more owner of version 2 must sign (otto)" in said
    project.sign_root("otto")
    assert tuf_walks(root_chain(project.workspace)) == 2
