"""Leaks planted in builds on a real engine are named, each with its knob."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from relsign.build.profile import load_profile
from relsign.build.target import allowed_cpus
from relsign.build.twin.knobs import KNOB_NAMES
from relsign.build.twin.series import CheckEvent
from relsign.build.twin.verdict import Checked, beside_release, twin_of
from relsign.build.twin.workshop import setup_for
from relsign.errors import InputError
from relsign.formats.recipe import Target
from tests.build.room import make_source, make_target
from tests.build.twin.checking import FILES, CheckRoom

pytestmark = pytest.mark.engine

LEAKS = {
    "time": "date +%s",
    "host-name": "uname -n",
    "user": "id -u",
    "folder": "pwd",
    "time-zone": "date -d @1700000000 +%H",
    "umask": "touch made; stat -c %a made",
    "cpu-count": "nproc",
    "file-order": "cat $(ls -U | grep txt)",
}


def leaking(leaks: dict[str, str]) -> Target:
    """Return a target with an artifact for each leak, all made by one command."""
    lines = "\n".join(f"{{ {command}; }} >{name}.out" for name, command in leaks.items())
    return make_target(lines, artifacts=tuple(f"{name}.out" for name in leaks))


def guilty(result: Checked) -> dict[tuple[str, ...], tuple[str, ...]]:
    return {tuple(sorted(blame.knobs)): blame.artifacts for blame in result.blames}


@pytest.mark.slow
def test_eight_planted_leaks_are_all_named(checks: CheckRoom) -> None:
    result = checks.check(leaking(LEAKS))
    assert result.verdict == "different"
    assert guilty(result) == {(name,): (f"{name}.out",) for name in LEAKS}
    assert twin_of(result).causes == (
        "build-path", "cpu-count", "directory-order", "embedded-time", "host-name", "time-zone",
        "umask-modes", "user-name",
    )  # fmt: skip


def test_leaks_are_named_among_a_few_knobs(checks: CheckRoom) -> None:
    leaks = {name: LEAKS[name] for name in ("time", "host-name", "file-order")}
    result = checks.check(leaking(leaks), only=frozenset({*leaks, "umask"}))
    assert guilty(result) == {(name,): (f"{name}.out",) for name in leaks}
    assert result.varied == ("file-order", "host-name", "time", "umask")
    assert result.not_varied["folder"] == "not asked for"


def test_every_knob_is_seen_inside_and_a_clean_build_is_identical(checks: CheckRoom) -> None:
    result = checks.check(leaking({"clean": "cat a.txt b.txt"}))
    assert (result.verdict, result.builds, result.blames) == ("identical", 2, ())
    allowed = {"engine"} if len(allowed_cpus()) > 1 else {"engine", "cpu-count"}
    assert result.not_varied.keys() == allowed
    assert set(result.varied) == set(KNOB_NAMES) - allowed
    assert twin_of(result).verdict == "identical"


def test_chance_is_not_blamed_on_a_knob(checks: CheckRoom) -> None:
    target = leaking({"chance": "head -c 16 /dev/urandom"})
    result = checks.check(target, only=frozenset({"umask", "time"}))
    assert guilty(result) == {(): ("chance.out",)}
    assert result.blames[0].cause_names


@pytest.mark.slow
def test_two_knobs_that_only_differ_together(checks: CheckRoom) -> None:
    both = '[ "$(uname -n)" = build ] || [ "$(umask)" = 0022 ] || echo both; echo'
    result = checks.check(
        leaking({"both": both}), only=frozenset({"host-name", "umask", "home", "user"})
    )
    assert guilty(result) == {("host-name", "umask"): ("both.out",)}


def test_a_build_that_fails_under_a_knob_names_it_and_goes_on(checks: CheckRoom) -> None:
    target = leaking({"host-name": "uname -n", "fails": '[ "$(umask)" = 0022 ]'})
    result = checks.check(target, only=frozenset({"umask", "host-name", "home"}))
    failing, other = result.blames
    assert (failing.knobs, *failing.cause_names) == (frozenset({"umask"}), "build-fails")
    assert "command failed" in failing.failed
    assert (other.knobs, other.artifacts) == (frozenset({"host-name"}), ("host-name.out",))
    assert result.verdict == "different"


def test_an_archive_that_carries_file_times_differs_by_time_and_could_be_normalised(
    checks: CheckRoom,
) -> None:
    command = "sort a.txt >made.txt; tar -c --owner=0 --group=0 -f - made.txt"
    result = checks.check(leaking({"tar": command}), only=frozenset({"time", "home"}))
    assert guilty(result) == {("time",): ("tar.out",)}
    assert (result.verdict, result.normalisers) == ("normalised", ("tar-1",))
    assert [found.cause.name for found in result.blames[0].found] == ["tar-time"]
    assert twin_of(result).normalisers == ("tar-1",)


def come_out_otherwise(checks: CheckRoom) -> None:
    """Change a file that builds read, as chance would change what they write."""
    checks.source.seek(0)
    checks.source.write(make_source({**FILES, "b.txt": b"x\n"}).getvalue())


def test_what_changes_by_chance_after_the_first_two_builds_is_not_called_normalised(
    checks: CheckRoom,
) -> None:
    class Heard(list[CheckEvent]):
        def append(self, event: CheckEvent) -> None:
            if event.number == 3:
                come_out_otherwise(checks)

    checks.events = Heard()
    tar = "tar -c --owner=0 --group=0 --mtime=@$at -f - a.txt"
    leaks = {"tar": f"at=$(date -d @1700000000 +%H); {tar}", "chance": "cat b.txt"}
    result = checks.check(leaking(leaks), only=frozenset({"time-zone", "home"}))
    blamed = {name for blame in result.blames for name in blame.artifacts}
    assert blamed == {"tar.out", "chance.out"} == set(result.differing)
    assert any(not blame.knobs for blame in result.blames)
    assert (result.verdict, twin_of(result).normalisers) == ("different", ())


def test_a_release_that_came_out_otherwise_than_the_check_is_not_identical(
    checks: CheckRoom,
) -> None:
    target = leaking({"same": "cat a.txt", "chance": "cat b.txt"})
    workshop = checks.workshop(target)
    released = workshop.build(setup_for(target, load_profile(), (0,)), "released").looks
    result = checks.check(target, only=frozenset({"umask"}))
    assert beside_release(result, released) == result
    come_out_otherwise(checks)
    shutil.rmtree(checks.folder / "made")
    result = checks.check(target, only=frozenset({"umask"}))
    assert result.verdict == "identical"
    twin = twin_of(beside_release(result, released))
    assert (twin.verdict, twin.causes) == ("different", ("unknown",))


def test_a_build_that_fails_as_it_is_is_refused(checks: CheckRoom) -> None:
    with pytest.raises(InputError, match="fails with nothing varied"):
        checks.check(leaking({"x": "exit 3"}), only=frozenset({"umask"}))


def test_no_knob_at_all_is_refused(checks: CheckRoom) -> None:
    with pytest.raises(InputError, match="no knob can be turned") as caught:
        checks.check(leaking({"x": "true"}), only=frozenset({"engine"}))
    assert "no engine of another kind" in caught.value.got


def test_without_the_library_time_is_not_varied_and_says_so(checks: CheckRoom) -> None:
    checks = replace(checks, machine=replace(checks.machine, faketime=None))
    result = checks.check(leaking({"x": "uname -n"}), only=frozenset({"time", "host-name"}))
    assert "libfaketime" in result.not_varied["time"]
    assert guilty(result) == {("host-name",): ("x.out",)}
