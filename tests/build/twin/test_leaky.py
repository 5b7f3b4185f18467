"""The example with eight planted leaks, checked as a person does it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from relsign.cli.main import execute

ROOT = Path(__file__).parents[3]
PLANTED = {
    "cpu-count": "build-flags.mk",
    "file-order": "doc.sha256",
    "folder": "hash.o",
    "host-name": "build-host.h",
    "time": "build-date.txt",
    "time-zone": "released.txt",
    "umask": "stage.tar",
    "user": "sources.tar",
}


@pytest.mark.engine
@pytest.mark.slow
def test_check_names_all_eight_leaks(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    project = tmp_path / "project"
    shutil.copytree(ROOT / "examples" / "leaky", project)
    shutil.copytree(ROOT / "builders" / "debian-c", project / "builders" / "debian-c")
    words = ["check", "--project", str(project), "--store", str(tmp_path / "store"), "--json"]
    assert execute(words) == 1
    (target,) = json.loads(capfd.readouterr().out)["targets"]
    assert target["verdict"] == "different"
    found = {tuple(blame["knobs"]): blame["artifacts"] for blame in target["blames"]}
    assert found == {(knob,): [artifact] for knob, artifact in PLANTED.items()}
    assert all(blame["causes"] for blame in target["blames"])
    # Two and their repeats; one search for all; each knob alone, and all others.
    assert target["builds"] <= 4 + 4 + 8 + 8
