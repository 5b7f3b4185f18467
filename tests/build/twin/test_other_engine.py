"""The engine as a knob: Docker and Podman, turned for real, blamed only where it shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from relsign.build.engine.connection import Engine
from relsign.build.twin.knobs import Machine
from relsign.build.twin.verdict import twin_of
from tests.build.left import left_behind
from tests.build.room import make_target
from tests.build.twin.checking import CheckRoom

pytestmark = pytest.mark.engine

ONLY = frozenset({"engine", "umask"})


@pytest.fixture
def both(
    engine: Engine, image: str, podman: Engine, podman_image: str, machine: Machine, tmp_path: Path
) -> CheckRoom:
    other = replace(machine, has_other_engine=True)
    return CheckRoom(engine, image, tmp_path, other, other=(podman, podman_image))


def test_another_engine_is_varied_and_not_guilty(both: CheckRoom, podman: Engine) -> None:
    clean = "sort *.txt >clean.out; { env; id; pwd; uname -a; nproc; ls -A / /dev; } >seen.out"
    result = both.check(make_target(clean, artifacts=("clean.out", "seen.out")), only=ONLY)
    assert (result.verdict, result.varied, result.blames) == ("identical", ("engine", "umask"), ())
    assert "engine" not in result.not_varied
    assert twin_of(result).varied == ("engine", "umask")
    assert left_behind(both.engine) == left_behind(podman) == 0


def test_a_target_that_shows_the_engine_is_blamed_on_it(both: CheckRoom, podman: Engine) -> None:
    target = make_target(
        "sort *.txt >clean.out", "ls -A /run >engine.out", "umask >umask.out",
        artifacts=("clean.out", "engine.out", "umask.out"),
    )  # fmt: skip
    result = both.check(target, only=ONLY)
    assert result.verdict == "different"
    assert {tuple(blame.knobs): blame.artifacts for blame in result.blames} == {
        ("engine",): ("engine.out",),
        ("umask",): ("umask.out",),
    }
    (blame,) = (each for each in result.blames if each.knobs == {"engine"})
    assert [found.cause.name for found in blame.found] == ["container-engine"]
    assert any("podman-init" in each.one + each.two for each in blame.differences)
    assert "container-engine" in twin_of(result).causes
    assert left_behind(both.engine) == left_behind(podman) == 0


def test_without_another_engine_it_is_not_varied_and_says_so(both: CheckRoom) -> None:
    alone = replace(both, machine=replace(both.machine, has_other_engine=False))
    result = alone.check(make_target("ls -A /run >a", artifacts=("a",)), only=ONLY)
    assert (result.verdict, result.varied) == ("identical", ("umask",))
    assert result.not_varied["engine"] == "no engine of another kind runs here"
