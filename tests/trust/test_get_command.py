"""The command `relsign get`, as people and scripts see it, by the machine's own clock."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from relsign.cli.get import get
from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError, NoRootError
from relsign.system.clock import now_utc
from tests.trust.sites import Site, pinned, publishing_root
from tests.verify.releases import ARTIFACT, NAME, Release

NOW = now_utc()
SOON = NOW + timedelta(days=30)
Run = Callable[..., object]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    release = Release(
        root=publishing_root(expires=SOON),
        released_at=NOW,
        change_layout=lambda layout: msgspec.structs.replace(layout, expires=SOON),
    )
    return Site(tmp_path / "site", release).write(NOW)


@pytest.fixture
def run(tmp_path: Path, site: Site) -> Run:
    store = pinned(tmp_path / "trust", site, None)
    policy = tmp_path / "policy.toml"
    policy.write_bytes(b"")
    options = [
        *("--trust", str(store.folder), "--policy", str(policy)),
        *("--from", str(site.project), "--to", str(tmp_path / "here")),
    ]
    return lambda *words: get.main([*words, *options], standalone_mode=False)


def test_a_file_arrives_and_the_verdict_is_shown(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("demo") == 0
    assert (tmp_path / "here" / NAME).read_bytes() == ARTIFACT
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0] == f"VERIFIED  {NAME}"
    assert lines[-1].startswith("  saved  ")
    assert lines[-1].endswith(NAME)
    assert len(lines) <= 12
    assert "demo-1.0.relsign" in shown.err
    assert run("demo") == 0
    assert "  here  " in capsys.readouterr().out


def test_scripts_read_json(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("demo==1.0", NAME, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["schema"], answer["project"], answer["version"]) == (
        "relsign/get/1",
        "demo",
        "1.0",
    )
    assert answer["verdict"]["verdict"] == "VERIFIED"
    (file,) = answer["files"]
    assert (file["name"], file["sha256"], file["already"]) == (NAME, sha256_hex(ARTIFACT), False)
    assert Path(file["path"]).read_bytes() == ARTIFACT


def test_a_refusal_says_so_and_leaves_nothing(
    run: Run, site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (site.project / "1.0" / NAME).write_bytes(b"not what was released")
    assert run("demo") == 1
    shown = capsys.readouterr().out
    assert shown.startswith("REFUSED  demo 1.0\n")
    assert "saved" not in shown
    assert list((tmp_path / "here").iterdir()) == []
    assert run("demo", "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["files"], answer["bundle"]) == ([], None)
    assert answer["verdict"]["exit_code"] == 1


def test_what_is_not_pinned_cannot_be_had(run: Run) -> None:
    with pytest.raises(NoRootError) as caught:
        run("gadget")
    assert caught.value.exit_code == 4


def test_names_must_be_in_the_release(run: Run) -> None:
    with pytest.raises(InputError, match="no such file in this release"):
        run("demo", "other.tar")


def test_half_a_version_is_no_version(run: Run) -> None:
    with pytest.raises(InputError, match="no version stands after"):
        run("demo==")


@pytest.mark.parametrize("written", ["demo@1.0", "demo=1.0"])
def test_a_version_written_otherwise_is_shown_how(run: Run, written: str) -> None:
    with pytest.raises(InputError, match="stands after ==") as caught:
        run(written)
    assert caught.value.hint == "relsign get demo==1.0"


def test_an_own_rebuild_is_asked_for_as_in_verify(run: Run, tmp_path: Path) -> None:
    (tmp_path / "rebuilt").mkdir()
    with pytest.raises(InputError, match="not the folder of a build"):
        run("demo", "--rebuilt", str(tmp_path / "rebuilt"))


def test_a_refusal_points_to_another_mirror(
    run: Run, site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    (site.project / "1.0" / NAME).write_bytes(b"not what was released")
    assert run("demo") == 1
    assert "try another mirror" in capsys.readouterr().err
