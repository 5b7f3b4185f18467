"""`relsign rehearse`: the whole story in a project of its own, and what it says of failures."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from relsign.cli.main import execute
from relsign.cli.rehearsal.attacks import lying_participant
from relsign.cli.rehearsal.losses import lose_owner_key, lose_share
from relsign.cli.rehearsal.making import first_release
from relsign.cli.rehearsal.play import ACTS
from relsign.cli.rehearsal.shape import Shape, invented_shape, is_project, shape_of
from relsign.cli.rehearsal.stage import Stage, Step
from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError
from relsign.formats.policy import Thresholds
from relsign.sign.keys.keystore import encode_members
from tests.groups import GROUP
from tests.projects import Project
from tests.verify.releases import group_member


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): sha256_hex(path.read_bytes()) for path in files}


@pytest.fixture(scope="module")
def rehearsed(
    tmp_path_factory: pytest.TempPathFactory, template: Path
) -> tuple[Path, dict[str, str]]:
    """Rehearse once, with the shape of the demo project; return folder and what was there."""
    before = digests(template)
    folder = tmp_path_factory.mktemp("rehearsed") / "r"
    assert execute(["rehearse", "--project", str(template), "--to", str(folder)]) == 0
    return folder, before


@pytest.fixture(scope="module")
def report(rehearsed: tuple[Path, dict[str, str]]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((rehearsed[0] / "report.json").read_bytes())
    return read


def test_every_step_goes_as_it_should(report: dict[str, Any]) -> None:
    assert report["format"] == "relsign/rehearsal/1"
    assert report["went_well"] is True
    assert report["project"] == "demo-rehearsal"
    assert [step["title"] for step in report["steps"]] == [act.title for act in ACTS]
    assert {step["trouble"] for step in report["steps"]} == {""}
    people = {(person["name"], *person["roles"]) for person in report["people"]}
    assert len(people) == 9
    assert report["release_key"]["threshold"] == 2
    assert set(report["release_key"]["participants"]) <= {"sam", "sara", "sven"}


def test_who_cheated_is_named(report: dict[str, Any]) -> None:
    said = {step["title"]: json.dumps(step) for step in report["steps"]}
    assert "CULPRIT: sam" in said["A participant lies"]
    assert "builder-c" in said["A builder is malicious"]
    refused = [
        done for step in report["steps"] for done in step["commands"] if done["exit_code"] != 0
    ]
    assert len(refused) >= 3
    assert all(done["exit_code"] == done["expected"] for done in refused)


def test_the_page_shows_every_command(
    rehearsed: tuple[Path, dict[str, str]], report: dict[str, Any]
) -> None:
    page = (rehearsed[0] / "report.md").read_text()
    assert page.startswith("# Rehearsal of demo-rehearsal\n\nEvery step went as it should.")
    for step in report["steps"]:
        assert f"## {step['title']}" in page
        for done in step["commands"]:
            assert f"$ {done['command']}" in page


def test_no_secret_stays_and_the_project_is_as_it_was(
    rehearsed: tuple[Path, dict[str, str]], template: Path
) -> None:
    folder, before = rehearsed
    assert sorted(path.name for path in folder.iterdir()) == ["report.json", "report.md"]
    assert digests(template) == before
    text = (folder / "report.json").read_text() + (folder / "report.md").read_text()
    assert "PRIVATE KEY" not in text
    assert not re.search(r"passphrase-fd|/tmp/", text)


# --- what a rehearsal says of a project that cannot bear a loss ----------------------------------


EVERYBODY = replace(invented_shape(), threshold=3)
ALL_OWNERS = replace(
    invented_shape(),
    thresholds=Thresholds(owners=3, signers=2, builders=2, organisations=2),
)


@pytest.mark.parametrize(
    ("act", "wrong", "words"),
    [
        (lose_share, EVERYBODY, "a share that is lost ends the key"),
        (lying_participant, EVERYBODY, "there is no signature without"),
        (lose_owner_key, ALL_OWNERS, "a key that is lost ends the root"),
        (first_release, invented_shape(), "no such file"),
    ],
)
def test_an_act_that_cannot_be_played_says_why(
    act: Callable[[Stage], None], wrong: Shape, words: str, tmp_path: Path
) -> None:
    step = Stage(tmp_path / "work", wrong).act("title", "should", act)
    assert words in step.trouble


def test_another_exit_code_or_other_words_are_trouble(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "work", invented_shape())

    def play(code: int, says: str) -> Step:
        return stage.act("t", "s", lambda s: _version(s, code, says))

    assert play(0, "relsign ").trouble == ""
    assert "exit code 0, not 3" in play(3, "relsign ").trouble
    assert "did not say `GOOD`" in play(0, "GOOD").trouble


def _version(stage: Stage, code: int, says: str) -> None:
    stage.run_outside("anybody", "--version", code=code, says=says)


def test_a_rehearsal_that_goes_otherwise_ends_with_1(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Three organisations of two: no root can be made of it.
    project.set_policy("organisations = 2", "organisations = 3")
    project.set_policy("builders = 2", "builders = 3")
    folder = tmp_path / "r"
    assert project.run("rehearse", "--to", str(folder), "--keep") == 1
    assert "did not go as it should" in capsys.readouterr().err
    read = json.loads((folder / "report.json").read_bytes())
    assert read["went_well"] is False
    assert len(read["steps"]) == 1
    assert "**Went otherwise:**" in (folder / "report.md").read_text()
    assert (folder / "work" / "homes").is_dir()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    assert execute(["rehearse", "--project", str(tmp_path), "--to", str(tmp_path)]) == 2
    assert (tmp_path / "letter").read_text() == "dear"


# --- shapes --------------------------------------------------------------------------------------


def test_a_folder_that_is_no_project_has_invented_people(tmp_path: Path, project: Project) -> None:
    assert not is_project(Project(tmp_path, tmp_path, tmp_path).workspace)
    assert is_project(project.workspace)


def test_a_project_s_release_key_keeps_its_participants(project: Project) -> None:
    card = encode_members((group_member(GROUP, participants=("sam", "sven")),))
    project.workspace.roster_file.write_bytes(
        project.workspace.roster_file.read_bytes() + b"\n" + card
    )
    found = shape_of(project.workspace)
    assert (found.group, found.participants, found.threshold) == (GROUP, ("sam", "sven"), 2)
    assert found.notes == ()


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        (("sam", "sara"), "too few signers"),
        (("builder-a", "builder-b"), "too few builders"),
        (("olga", "oona"), "too few owners"),
    ],
)
def test_too_few_people_are_refused(project: Project, gone: tuple[str, ...], words: str) -> None:
    for name in gone:
        project.remove_member(name)
    with pytest.raises(InputError, match=words):
        shape_of(project.workspace)


def test_what_is_not_rehearsed_is_noted(project: Project) -> None:
    project.set_policy('dissent = "refuse"', 'dissent = "record"\ncommit = true')
    notes = shape_of(project.workspace).notes
    assert any("dissent" in note for note in notes)
    assert any("commitments" in note for note in notes)
    assert any("signers make one" in note for note in notes)
