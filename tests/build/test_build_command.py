"""`relsign build` on the real engine: several targets, checks, and what is not done twice."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import msgspec
import pytest
from msgspec import UNSET

from relsign.build.engine.connection import Engine
from relsign.build.profile import load_profile
from relsign.build.store import Store
from relsign.build.target import Bench, Listener, allowed_cpus, build_target
from relsign.crypto.digest import sha256_hex
from relsign.errors import InputError, VerificationError
from relsign.formats.fingerprint import parse_fingerprint
from relsign.system.workspace import Workspace
from tests.build.commanded import CHECK, SECONDS, Place, left_by, make_place, read_until, target
from tests.build.conftest import RootFs

pytestmark = pytest.mark.engine


@pytest.fixture
def place(tmp_path: Path, rootfs: RootFs, image: str) -> Place:
    """Return a project whose environment is in the engine already."""
    assert image
    return make_place(tmp_path, rootfs.sha256)


def ids(place: Place) -> dict[str, str]:
    return {path.name: sha256_hex(path.read_bytes()) for path in place.built.glob("*.json")}


def test_two_targets_at_once_come_out_as_one_after_the_other(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    targets = [target(name, f"echo {name} >{name}.bin", "sleep 0.2") for name in ("x", "y", "z")]
    place.recipe(*targets, CHECK.format(command="grep -qx x x.bin; test -s y.bin; test -s z.bin"))
    assert place.build() == 0
    alone, said = ids(place), capsys.readouterr().out
    assert place.build("--force", "--jobs", "2") == 0
    assert (ids(place), capsys.readouterr().out) == (alone, said)
    assert sorted(path.name for path in place.built.iterdir()) == [
        "artifacts", "build.link.unsigned", "check.link.unsigned", "logs", "source.link.unsigned",
        *(f"{name}.{ending}.json" for name in "xyz" for ending in ("cdx", "fingerprint")),
    ]  # fmt: skip


def test_what_is_built_is_not_built_again(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.recipe(target("x", "date >x.bin"))
    assert place.build() == 0
    first = capsys.readouterr()
    assert place.build() == 0
    again = capsys.readouterr()
    assert again.out == first.out
    assert "unchanged since it was built" in again.err
    assert "running" in first.err
    assert "running" not in again.err
    assert place.build("--force") == 0
    assert "running" in capsys.readouterr().err


def test_a_build_that_came_with_the_project_is_made_here(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.recipe(target("x", "echo one >x.bin"))
    assert place.build() == 0
    # As in a checkout that has release/ in it, on a machine that never built this.
    shutil.rmtree(place.store / "built")
    capsys.readouterr()
    assert place.build() == 0
    said = capsys.readouterr().err
    assert "not built on this machine" in said
    assert "running" in said
    assert place.build() == 0
    assert "unchanged since it was built" in capsys.readouterr().err


def test_fewer_at_once_than_asked_for_is_said(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.recipe(target("x", "touch x.bin"))
    assert place.build("--jobs", "1") == 0
    assert "at once" not in capsys.readouterr().err
    assert place.build("--force", "--jobs", "4096") == 0
    assert f"  {len(allowed_cpus())} at once and not 4096" in capsys.readouterr().err


def test_a_failed_check_refuses_and_leaves_what_was_there(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.recipe(target("x", "echo one >x.bin"))
    assert place.build() == 0
    before = ids(place)
    place.recipe(target("x", "echo one >x.bin"), CHECK.format(command="grep -x two x.bin"))
    assert place.build() == VerificationError.exit_code
    said = capsys.readouterr().err
    assert "check content" in said
    assert "grep -x two x.bin" in said
    assert ids(place) == before
    assert list((place.folder / "release" / "a-1" / "builds").iterdir()) == []


def test_one_failing_target_ends_the_others(place: Place, engine: Engine) -> None:
    place.recipe(target("x", "sleep 300; touch x.bin"), target("y", "sleep 1; exit 7"))
    started = time.monotonic()
    assert place.build("--jobs", "2") == InputError.exit_code
    assert time.monotonic() - started < SECONDS
    assert not place.built.exists()
    assert left_by(os.getpid(), engine) == []


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
def test_a_build_that_is_ended_leaves_nothing(
    place: Place, engine: Engine, jobs: str, number: signal.Signals, code: int
) -> None:
    place.recipe(target("x", "sleep 300; touch x.bin"), target("y", "sleep 300; touch y.bin"))
    with place.started("--jobs", jobs) as process:
        read_until(process, "running")
        process.send_signal(number)
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(SECONDS) == code
    assert "Traceback" not in said
    assert left_by(process.pid, engine) == []
    assert place.files() == []


def test_what_an_engine_does_not_fix_stands_in_the_fingerprint(
    place: Place, cache: Path, tmp_path: Path, engine: Engine
) -> None:
    place.recipe(target("x", "touch x.bin"))
    workspace = Workspace(place.folder)
    bench = Bench(engine, Store(place.store), cache, 0)
    listener = Listener(*[lambda _: None] * 3)
    whole = load_profile()
    # As from an engine that drops these settings: looked at from inside, they are not there.
    lacking = {**(whole.checks or {}), "signals": "false", "host name": 'is "$hostname" no'}
    for checks, missing in ((whole.checks, UNSET), (lacking, ("host name", "signals"))):
        profile = msgspec.structs.replace(whole, checks=checks)
        output = tmp_path / f"{missing is UNSET}"
        wanted = workspace.recipe().target[0]
        built = build_target(bench, workspace, wanted, profile, output, listener)
        read = parse_fingerprint(built.fingerprint.to_bytes())
        assert read.profile.without == missing


def test_a_build_in_the_profile_of_an_older_release(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.recipe(target("x", "touch x.bin"))
    for words, name in (((), "hardened-2"), (("--profile", "hardened-1"), "hardened-1")):
        assert place.build(*words) == 0
        (fingerprint,) = place.built.glob("*.fingerprint.json")
        assert parse_fingerprint(fingerprint.read_bytes()).profile.name == name
    capsys.readouterr()
    assert place.build("--profile", "hardened-1") == 0
    assert "unchanged" in capsys.readouterr().err
    assert place.build("--profile", "hardened-99") == 2
    assert "no such sandbox profile" in capsys.readouterr().err
