"""Where a finished build lands: whole, in its own folder, and nowhere a link leads."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from relsign.cli.building.place import move_into_place, staging_folder
from relsign.errors import InputError
from relsign.system.owner import is_abandoned, this_process
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


@pytest.mark.parametrize(
    ("change", "goes"),
    [
        ({"pid": "4194305"}, True),
        ({"started": "1"}, True),
        ({"boot": "another"}, True),
        ({}, False),
        ({"machine": "another", "started": "1"}, False),
        ({"namespace": "another", "started": "1"}, False),
    ],
)
def test_what_a_killed_build_left_goes_and_what_another_builds_stays(
    project: Project, change: dict[str, str], *, goes: bool
) -> None:
    owner = replace(this_process(), **change).to_label().replace("/", "_")
    left = project.release.builds / f".builder-a.0123.{owner}.tmp"
    (left / "logs").mkdir(parents=True)
    staged = staging_folder(project.release, "builder-b", hidden=False)
    assert left.exists() is not goes
    staging_folder(project.release, "builder-b", hidden=False)
    assert staged.exists()


KILLED = """
import os, sys
from pathlib import Path
from relsign.sign.places import staged_folder
with staged_folder(Path(sys.argv[1])):
    os.kill(os.getpid(), 9)
"""


def test_what_a_killed_exchange_left_goes_too(project: Project) -> None:
    project.release.builds.mkdir(parents=True)
    subprocess.run([sys.executable, "-c", KILLED, project.release.builds], check=False)
    (left,) = project.release.builds.iterdir()
    staging_folder(project.release, "builder-b", hidden=False)
    assert not left.exists()


@pytest.mark.parametrize("name", ["", ".tmp", ".7.tmp", ".a_b_c_1_e", ".a_b_c_1_e_f.tmp"])
def test_a_name_that_is_no_builds_is_left_alone(name: str) -> None:
    assert not is_abandoned(name)


def test_one_cpu_and_several_jobs_do_not_go_together(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project.run("build", "--cpu", "0", "-j", "2") == 2
    assert "--cpu names one CPU" in capsys.readouterr().err


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
