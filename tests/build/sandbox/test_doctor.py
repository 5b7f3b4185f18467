"""`relsign doctor --probe`, as a user calls it, in a real environment."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from relsign.cli.doctor import doctor
from relsign.cli.fetch import fetch
from relsign.errors import InputError

ROOT = Path(__file__).parents[3]


def project_in(folder: Path) -> Path:
    """Lay out gzip's recipe with the builders of this repository."""
    shutil.copytree(ROOT / "builders", folder / "builders")
    shutil.copytree(ROOT / "keys", folder / "keys")
    shutil.copy(ROOT / "examples" / "gzip" / "relsign.toml", folder / "relsign.toml")
    return folder


@pytest.mark.slow
@pytest.mark.engine
def test_a_real_environment_is_probed(tmp_path: Path) -> None:
    project, store = str(project_in(tmp_path / "project")), str(tmp_path / "store")
    options = ["--project", project, "--store", store]
    fetched = CliRunner().invoke(fetch, options, catch_exceptions=False, standalone_mode=False)
    assert fetched.exit_code == 0
    done = CliRunner().invoke(
        doctor,
        ["--probe", "--builder", "debian-c", "--json", *options],
        catch_exceptions=False,
        standalone_mode=False,
    )
    said = json.loads(done.stdout)
    assert said["profile"] == "hardened-2"
    assert said["without"] == []
    counts = said["counts"]
    assert counts["fixed"] + counts["masked"] >= 80
    assert sum(counts.values()) == len(said["channels"]) >= 90


def test_a_builder_is_for_the_probe_only(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--builder is for --probe"):
        CliRunner().invoke(
            doctor,
            ["--builder", "x", "--project", str(tmp_path), "--store", str(tmp_path)],
            catch_exceptions=False,
            standalone_mode=False,
        )


def test_an_unknown_builder_is_named(tmp_path: Path) -> None:
    project_in(tmp_path / "project")
    with pytest.raises(InputError, match="no-such"):
        CliRunner().invoke(
            doctor,
            ["--probe", "--builder", "no-such", "--project", str(tmp_path / "project")],
            catch_exceptions=False,
            standalone_mode=False,
        )


def test_the_screen_is_also_json(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        doctor,
        ["--json", "--project", str(tmp_path), "--store", str(tmp_path), "--keys", str(tmp_path)],
        catch_exceptions=False,
        standalone_mode=False,
    )
    said = json.loads(done.stdout)
    assert said.keys() == {"schema", "lines", "clock"}
    assert all(row.keys() == {"good", "text"} for row in said["lines"])


def test_a_full_disk_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relsign.cli.doctor.MIN_FREE_BYTES", 1 << 80)
    done = CliRunner().invoke(
        doctor,
        ["--project", str(tmp_path), "--store", str(tmp_path), "--keys", str(tmp_path)],
        catch_exceptions=False,
        standalone_mode=False,
    )
    (line,) = (line for line in done.stdout.splitlines() if " disk " in line)
    assert line.startswith("  ✗")
    assert "too little; `relsign store gc`" in line
