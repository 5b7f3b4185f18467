"""What people are shown of a release key: `root show`, `root analyse`, `trust show`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from relsign.cli.main import execute
from relsign.formats.policy import Thresholds
from relsign.formats.root import Root
from relsign.formats.roster import Ed25519Key, Member
from relsign.trust.pins.store import TrustStore
from relsign.verify.root import open_root
from tests.verify.releases import (
    NOW,
    group_member,
    group_root,
    make_root,
    member,
    secret,
    signed_root,
    with_members,
)

Capture = pytest.CaptureFixture[str]


def shown(folder: Path, root: Root, capsys: Capture, *words: str) -> str:
    """Return what `relsign root` says of a root in a file."""
    file = folder / "root.json"
    file.write_bytes(signed_root(root))
    command, *more = words
    assert execute(["root", command, str(file), *more]) == 0
    return capsys.readouterr().out


def pinned(folder: Path, root: Root, capsys: Capture, *words: str) -> str:
    """Return what `relsign trust show` says of a pinned root."""
    TrustStore(folder / "trust").create("mine", open_root(signed_root(root)), None, NOW)
    assert execute(["trust", "show", "mine", "--trust", str(folder / "trust"), *words]) == 0
    return capsys.readouterr().out


ASKED = [
    (group_root(), "required"),
    (group_root(release_key="required"), "required"),
    (group_root(release_key="optional"), "optional"),
]


@pytest.mark.parametrize(("root", "asked"), ASKED)
def test_root_show_names_the_release_key_and_who_shares_it(
    tmp_path: Path, capsys: Capture, root: Root, asked: str
) -> None:
    lines = shown(tmp_path, root, capsys, "show").splitlines()
    at = lines.index(f"release key ({asked})")
    assert lines[at + 1].split()[:4] == ["team", "team", "of", "acme"]
    assert lines[at + 1].endswith("  any 2 of sam, sara, sven")
    # The other people's lines end as they did.
    assert lines[at + 2] == "builders (need 2, of 2 organisations)"
    assert [line for line in lines if line != line.rstrip()] == []
    assert sum("any 2 of" in line for line in lines) == 1


def test_root_show_in_json_has_it_with_the_members(tmp_path: Path, capsys: Capture) -> None:
    said = json.loads(shown(tmp_path, group_root(), capsys, "show", "--json"))
    (team,) = (row for row in said["members"] if "release" in row["roles"])
    assert (team["name"], team["key"]["kind"]) == ("team", "frost")
    assert (team["key"]["threshold"], len(team["key"]["participants"])) == (2, 3)
    assert "release_key" not in said
    optional = group_root(release_key="optional")
    said = json.loads(shown(tmp_path, optional, capsys, "show", "--json"))
    assert said["release_key"] == "optional"


def test_a_release_key_of_one_person_is_shared_by_nobody(tmp_path: Path, capsys: Capture) -> None:
    root = with_members(member("team", "team", "acme", "release"))
    lines = shown(tmp_path, root, capsys, "show").splitlines()
    assert "release key (required)" in lines
    assert not [line for line in lines if "any " in line]
    assert "release    required: team (acme)\n" in pinned(tmp_path, root, capsys)


def test_without_a_release_key_nothing_is_said_of_one(tmp_path: Path, capsys: Capture) -> None:
    assert "release key" not in shown(tmp_path, make_root(), capsys, "show")
    assert "\nrelease  " not in pinned(tmp_path, make_root(), capsys)
    words = ["trust", "show", "mine", "--trust", str(tmp_path / "trust"), "--json"]
    assert execute(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["release_key"] is None
    assert {"role": "release", "threshold": None, "members": []} in said["roles"]


@pytest.mark.parametrize(("root", "asked"), ASKED)
def test_trust_show_names_the_release_key_and_who_shares_it(
    tmp_path: Path, capsys: Capture, root: Root, asked: str
) -> None:
    line = f"release    {asked}: team (acme; any 2 of sam, sara, sven)\n"
    assert line in pinned(tmp_path, root, capsys)


@pytest.mark.parametrize(("root", "asked"), ASKED)
def test_trust_show_in_json(tmp_path: Path, capsys: Capture, root: Root, asked: str) -> None:
    said = json.loads(pinned(tmp_path, root, capsys, "--json"))
    assert said["release_key"] == asked
    (row,) = (row for row in said["roles"] if row["role"] == "release")
    shared = {"threshold": 2, "participants": ["sam", "sara", "sven"]}
    team = {"name": "team", "organisation": "acme", "shared": shared}
    assert row == {"role": "release", "threshold": None, "members": [team]}
    (row,) = (row for row in said["roles"] if row["role"] == "signer")
    assert all(set(each) == {"name", "organisation"} for each in row["members"])


def person(number: int) -> Member:
    """Return a signer of an organisation of their own."""
    key = Ed25519Key(public=secret(f"p{number}").verify_key.encode().hex())
    return Member(
        name=f"p{number}", operator=f"p{number}", organisation=f"place-{number}",
        roles=("signer",), key=key,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        (2, "2 keys, 2 organisations"),
        (3, "3 keys, 3 organisations"),
        # Counted no further: it may be more, and is where the threshold is five.
        (4, "4 keys, 4 or more organisations"),
        (5, "5 keys, 4 or more organisations"),
    ],
)
def test_organisations_of_a_group_are_counted_to_three(
    tmp_path: Path, capsys: Capture, threshold: int, words: str
) -> None:
    people = [person(number) for number in range(6)]
    team = group_member(participants=tuple(p.name for p in people), threshold=threshold)
    said = shown(tmp_path, with_members(*people, team), capsys, "analyse")
    (line,) = (line for line in said.splitlines() if line.startswith("release "))
    assert line.endswith(words)


def test_organisations_of_people_are_counted_to_the_end(tmp_path: Path, capsys: Capture) -> None:
    """Only what is tried out, and so only so far, may be more."""
    people = [member(f"o{number}", f"o{number}", f"place-{number}", "owner") for number in range(6)]
    thresholds = Thresholds(owners=5, signers=2, builders=2, organisations=2)
    said = shown(tmp_path, with_members(*people, thresholds=thresholds), capsys, "analyse")
    (line,) = (line for line in said.splitlines() if line.startswith("owner "))
    assert line.endswith("5 keys, 4 organisations")
