"""Where a finished build lands: whole, in its own folder, and nowhere a link leads."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from relsign.cli.building.place import move_into_place, staging_folder
from relsign.errors import InputError
from tests.projects import Project


def staged(project: Project, text: str) -> Path:
    folder = project.release.builds / ".builder-a.1.tmp"
    folder.mkdir(parents=True)
    (folder / "x.fingerprint.json").write_text(text)
    return folder


def test_a_new_build_replaces_the_one_before_whole(project: Project) -> None:
    first = move_into_place(staged(project, "one"), project.release, "builder-a")
    assert (first / "x.fingerprint.json").read_text() == "one"
    again = staged(project, "two")
    second = move_into_place(again, project.release, "builder-a")
    assert (second / "x.fingerprint.json").read_text() == "two"
    assert (again / "x.fingerprint.json").read_text() == "one"


@pytest.mark.parametrize("planted", ["builds", "builds/builder-a"])
def test_a_link_in_the_way_is_refused_and_nothing_behind_it_touched(
    project: Project, tmp_path: Path, planted: str
) -> None:
    precious = tmp_path / "precious"
    (precious / "builder-a").mkdir(parents=True)
    (precious / "builder-a" / "keep").write_text("mine")
    folder = tmp_path / "staged"
    folder.mkdir()
    path = project.release.folder / planted
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(precious if planted == "builds" else precious / "builder-a")
    with pytest.raises(InputError, match="not a folder"):
        move_into_place(folder, project.release, "builder-a")
    assert (precious / "builder-a" / "keep").read_text() == "mine"


def test_what_a_killed_build_left_goes_and_what_another_builds_stays(project: Project) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    dead, alive = (
        project.release.builds / f".builder-a.{number}.tmp" for number in (ended.pid, os.getppid())
    )
    for folder in (dead, alive):
        (folder / "logs").mkdir(parents=True)
    staging_folder(project.release, "builder-b", hidden=False)
    assert (dead.exists(), alive.exists()) == (False, True)


def test_a_strangers_folder_stops_nobody(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.build("builder-a")
    project.build("builder-b")
    evil = project.release.builds / "evil"
    evil.mkdir()
    for number in range(301):
        (evil / f"x{number}.fingerprint.json").write_bytes(b"x")
    assert project.run("status") == 3
    assert "builds/evil: too many evidence files" in capsys.readouterr().out
    for name in ("olga", "oona"):
        assert project.run_signing("policy", "sign", "--as", name) == 0
    assert project.run_signing("sign", "--as", "sam", "--yes") == 0
