"""`relsign build` broken off in every way: nothing half made is left, shown or called finished."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from relsign.build.engine.connection import Engine
from relsign.build.engine.image import TAG_DIGITS
from relsign.build.gc import remove_image
from relsign.build.store import Store
from relsign.cli.main import execute
from relsign.crypto.digest import sha256_hex
from relsign.errors import HostError, InputError, NotEnoughError
from relsign.formats.lock import parse_lock
from relsign.system.workspace import Workspace
from tests.build.commanded import (
    CHECK,
    SECONDS,
    Place,
    left_by,
    make_place,
    read_until,
    target,
)
from tests.build.conftest import RootFs
from tests.build.marked import mark

pytestmark = pytest.mark.engine

QUICK_SECONDS = 15
KILL = "import os, relsign.{module} as m; m.{name} = lambda *_, **__: os.kill(os.getpid(), 9)"
"""Let a process die where it would call a function."""


@pytest.fixture
def place(tmp_path: Path, rootfs: RootFs, image: str) -> Place:
    """Return a project whose environment is in the engine already."""
    assert image
    return make_place(tmp_path, rootfs.sha256)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_second_ctrl_c_breaks_off_nothing(place: Place, engine: Engine, jobs: str) -> None:
    place.recipe(*(target(name, f"sleep 300; touch {name}.bin") for name in "xyz"))
    with place.started("--jobs", jobs) as process:
        read_until(process, "running")
        started = time.monotonic()
        for pause in (0.05, 0.02, 0):
            process.send_signal(signal.SIGINT)
            time.sleep(pause)
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(SECONDS) == 130
    assert time.monotonic() - started < QUICK_SECONDS
    assert "still cleaning up" in said
    assert "Traceback" not in said
    assert "z  " not in said
    assert left_by(process.pid, engine) == []
    assert (place.files(), place.staged()) == ([], [])


def test_a_failing_target_leaves_none_of_the_others(place: Place, engine: Engine) -> None:
    place.recipe(target("x", "sleep 300; touch x.bin"), target("y", "sleep 1; exit 7"))
    with place.started("--jobs", "2") as process:
        assert process.wait(SECONDS) == InputError.exit_code
    assert left_by(process.pid, engine) == []
    assert (place.files(), place.staged()) == ([], [])


MOMENTS = {
    "the container starts": ("starting", ""),
    "a command runs": ("running", ""),
    "artifacts are taken out": ("", KILL.format(module="build.run", name="collect_file")),
    "one is written": ("", KILL.format(module="build.collect", name="BuiltFile")),
    "links are written": ("", KILL.format(module="cli.building.place", name="make_links")),
    "all is moved into place": ("", KILL.format(module="cli.building.place", name="sync_folder")),
}


@pytest.mark.parametrize("before", ["nothing", "a build"])
@pytest.mark.parametrize("moment", list(MOMENTS))
def test_a_killed_build_is_done_again_from_the_start(
    place: Place, engine: Engine, moment: str, before: str
) -> None:
    place.recipe(target("x", "echo one >x.bin"))
    if before == "a build":
        assert place.build() == 0
    old = place.files()
    words, first = MOMENTS[moment]
    # Otherwise the build could be over before it is killed.
    place.recipe(target("x", "echo two >x.bin", f"sleep {2 if words else 0}"))
    with place.started(first=first) as process:
        if words:
            read_until(process, words)
            process.kill()
        assert process.wait(SECONDS) == -signal.SIGKILL
    shown = [name for name in place.files() if not name.startswith("builds/.")]
    assert shown == old
    assert place.build() == 0
    assert (place.built / "artifacts" / "x.bin").read_bytes() == b"two\n"
    assert left_by(process.pid, engine) == []
    assert place.staged() == []


def test_two_builds_of_one_project_at_once(place: Place, engine: Engine) -> None:
    place.recipe(target("x", "sleep 1; echo one >x.bin"))
    with place.started() as one, place.started() as two:
        assert (one.wait(SECONDS), two.wait(SECONDS)) == (0, 0)
    assert (place.built / "artifacts" / "x.bin").read_bytes() == b"one\n"
    assert place.staged() == []
    assert left_by(one.pid, engine) + left_by(two.pid, engine) == []


def _edit(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def _same_size_and_time(path: Path) -> None:
    before = path.stat()
    path.write_bytes(b"ONE\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _swap(path: Path) -> None:
    moved = path.rename(path.with_name("elsewhere"))
    path.symlink_to(moved)


SPOILT: dict[str, tuple[str, Callable[[Path], object]]] = {
    "an artifact edited": ("artifacts/x.bin", _same_size_and_time),
    "an artifact gone": ("artifacts/x.bin", Path.unlink),
    "a link edited": ("build.link.unsigned", _edit),
    "a link gone": ("source.link.unsigned", Path.unlink),
    "a check's link gone": ("check.link.unsigned", Path.unlink),
    "a link's place taken": ("build.link.unsigned", _swap),
    "a fingerprint edited": ("x.fingerprint.json", _edit),
    "a bill of materials edited": ("x.cdx.json", _edit),
    "a bill of materials gone": ("x.cdx.json", Path.unlink),
}


@pytest.mark.parametrize("case", list(SPOILT))
def test_a_build_that_somebody_changed_is_not_called_unchanged(
    place: Place, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    place.recipe(target("x", "echo one >x.bin"), CHECK.format(command="test -s x.bin"))
    assert place.build() == 0
    before = {name: (place.release / name).read_bytes() for name in place.files()}
    assert place.build() == 0
    assert "unchanged since it was built" in capsys.readouterr().err
    name, spoil = SPOILT[case]
    spoil(place.built / name)
    assert place.build() == 0
    assert "unchanged" not in capsys.readouterr().err
    assert {name: (place.release / name).read_bytes() for name in place.files()} == before


def test_a_check_in_another_environment_is_run_again(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    check = CHECK.format(command="test -s x.bin").replace('builder = "b"', 'builder = "c"')
    one, other = place.folder / "builders" / "b", place.folder / "builders" / "c"
    other.mkdir()
    definition = (one / "builder.toml").read_bytes().replace(b'"b"', b'"c"')
    (other / "builder.toml").write_bytes(definition)
    lock = msgspec.structs.replace(
        parse_lock((one / "builder.lock").read_bytes()),
        builder="c",
        definition_sha256=sha256_hex(definition),
    )
    (other / "builder.lock").write_bytes(lock.to_bytes())
    changed = msgspec.structs.replace(lock, source_date_epoch=2)
    for each in (lock, changed):
        mark(each, Store(place.store))
    place.recipe(target("x", "echo one >x.bin"), check)
    assert place.build() == 0
    assert place.build() == 0
    assert "unchanged since it was built" in capsys.readouterr().err
    (other / "builder.lock").write_bytes(changed.to_bytes())
    assert place.build() == 0
    assert "unchanged" not in capsys.readouterr().err


@pytest.mark.parametrize("planted", ["unsigned", "builds", "."])
def test_a_link_where_the_result_goes_is_refused_before_anything_is_built(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], planted: str
) -> None:
    place.recipe(target("x", "echo one >x.bin"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = place.release / planted
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(elsewhere)
    for words in ((), ("--force",)):
        assert place.build(*words) == InputError.exit_code
        said = capsys.readouterr().err
        assert "symbolic link" in said
        assert "running" not in said
    assert list(elsewhere.iterdir()) == []


def test_a_name_planted_where_it_builds_is_not_followed(place: Place, tmp_path: Path) -> None:
    place.recipe(target("x", "echo one >x.bin"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    planted = place.release / "builds" / f".unsigned.{os.getpid()}.tmp"
    planted.parent.mkdir(parents=True)
    planted.symlink_to(elsewhere)
    assert place.build() == 0
    assert list(elsewhere.iterdir()) == []
    assert not place.built.is_symlink()


@contextlib.contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """Let this process write no file beyond a size, as a full disk would not."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(
    "command", ["head -c 300000 /dev/zero >x.bin", "head -c 300000 /dev/zero; touch x.bin"]
)
def test_a_disk_that_fills_up_leaves_what_was_there(
    place: Place, engine: Engine, capsys: pytest.CaptureFixture[str], command: str, jobs: str
) -> None:
    place.recipe(target("x", "echo one >x.bin"), target("y", "echo one >y.bin"))
    assert place.build() == 0
    before = place.files()
    place.recipe(target("x", command), target("y", "sleep 1; echo one >y.bin"))
    capsys.readouterr()
    with files_at_most(100_000):
        assert place.build("--jobs", jobs) == HostError.exit_code
    said = capsys.readouterr().err
    assert "file too large" in said
    assert "internal" not in said
    assert (place.files(), place.staged()) == (before, [])
    assert left_by(os.getpid(), engine) == []


def test_a_project_that_cannot_be_written_is_said_before_anything_is_built(
    place: Place, engine: Engine
) -> None:
    place.recipe(target("x", "echo one >x.bin"))
    place.folder.chmod(0o555)
    # Root may write anywhere, unless it gives that right up.
    without = ("setpriv", "--bounding-set", "-dac_override", "--inh-caps", "-dac_override")
    with place.started(before=without if os.geteuid() == 0 else ()) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(SECONDS) == HostError.exit_code
    place.folder.chmod(0o755)
    assert "permission denied" in said
    assert "hint:" in said
    assert "running" not in said
    assert left_by(process.pid, engine) == []


def test_a_build_killed_while_it_signs_is_signed_the_next_time(place: Place) -> None:
    place.add_builder()
    place.recipe(target("x", "echo one >x.bin"))
    first = KILL.format(module="sign.evidence.links", name="make_provenance")
    with place.signing() as words, place.started(*words, first=first) as process:
        assert process.wait(SECONDS) == -signal.SIGKILL
    assert [name for name in place.files() if not name.startswith("builds/.")] == []
    with place.signing() as words:
        assert place.build(*words) == 0
    assert place.staged() == ["builder-a"]


BACK = """\
import os, relsign.build.target as m
from relsign.system.clock import now_utc
from datetime import timedelta
moments = [timedelta(0), timedelta(days=-400)]
m.now_utc = lambda: now_utc() + moments.pop(0)
"""


def test_a_clock_that_is_set_back_while_it_builds_spoils_nothing(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    place.add_builder()
    place.recipe(target("x", "echo one >x.bin"))
    with place.signing() as words, place.started(*words, first=BACK) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(SECONDS) == 0, said
    with place.signing() as words:
        assert place.build(*words) == 0
    assert "unchanged since it was built" in capsys.readouterr().err


def test_a_clock_that_was_set_back_since_changes_nothing(place: Place) -> None:
    place.add_builder()
    place.recipe(target("x", "echo one >x.bin"))
    with place.signing() as words:
        assert place.build(*words) == 0
    for clock, expected in (("-400d", "unchanged since it was built"), ("-30d", "built ")):
        force = () if "unchanged" in expected else ("--force",)
        with (
            place.signing() as words,
            place.started(*words, *force, before=("faketime", "-f", clock)) as process,
        ):
            assert process.stderr is not None
            said = process.stderr.read()
            assert process.wait(SECONDS) == 0, said
        assert expected in said


@pytest.mark.parametrize("name", ["builder-a.intoto.jsonl", "x.cdx.json", "build.*.link"])
def test_signed_papers_that_somebody_changed_are_made_again(
    place: Place, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    place.add_builder()
    place.recipe(target("x", "echo one >x.bin"))
    with place.signing() as words:
        assert place.build(*words) == 0
        assert place.build(*words) == 0
    assert "unchanged since it was built" in capsys.readouterr().err
    (path,) = (place.release / "builds" / "builder-a").glob(name)
    # Still what it looks like, but not what was signed.
    changed = path.read_bytes().replace(b'"name"', b'"Name"', 1)
    path.write_bytes(changed if changed != path.read_bytes() else path.read_bytes()[::-1])
    with place.signing() as words:
        assert place.build(*words) == 0
    assert "unchanged" not in capsys.readouterr().err


def test_a_store_that_is_emptied_meanwhile_ends_the_build_and_no_more(
    place: Place, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.recipe(target("x", "sleep 3; touch x.bin"), target("y", "touch y.bin"))
    words = ["store", "gc", "--max-size", "0", "--store", str(place.store)]
    with place.started() as process:
        read_until(process, "running")
        # The images of other builds in this engine are none of a test's business.
        with monkeypatch.context() as patch:
            patch.setenv("DOCKER_HOST", "unix:///nowhere/engine.sock")
            assert execute([*words, "--project", str(tmp_path)]) == 0
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(SECONDS) == NotEnoughError.exit_code
    assert "not in the store" in said
    assert (place.files(), place.staged()) == ([], [])
    assert left_by(process.pid, engine) == []


def test_an_image_that_is_built_in_is_not_removed(
    place: Place, engine: Engine, rootfs: RootFs
) -> None:
    place.recipe(target("x", "sleep 2; touch x.bin"), target("y", "touch y.bin"))
    with place.started() as process:
        read_until(process, "running")
        remove_image(engine, Store(place.store), rootfs.sha256[:TAG_DIGITS])
        assert process.wait(SECONDS) == 0


QUICKER = """\
import relsign.cli.building.place as m
def quicker(path, real=m.is_real_folder):
    found = real(path)
    if path.name == "unsigned" and not found and any(path.parent.glob("builds/.*/*.link.unsigned")):
        (path / "artifacts").mkdir(parents=True)
    return found
m.is_real_folder = quicker
"""
"""Let another build show its result right after it was looked whether there is one."""


def test_another_build_that_is_quicker_by_a_moment_is_replaced(place: Place) -> None:
    place.recipe(target("x", "echo one >x.bin"))
    with place.started(first=QUICKER) as process:
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(SECONDS) == 0, said
    assert (place.built / "artifacts" / "x.bin").read_bytes() == b"one\n"
    assert place.staged() == []


def test_what_a_killed_build_left_goes_also_where_nothing_is_to_be_built(
    place: Place, engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    place.recipe(target("x", "sleep 2; echo one >x.bin"))
    assert place.build() == 0
    with place.started("--force") as process:
        read_until(process, "running")
        process.kill()
        process.wait(SECONDS)
    assert (len(left_by(process.pid, engine)), len(place.staged())) == (2, 1)
    assert place.build() == 0
    assert "unchanged since it was built" in capsys.readouterr().err
    assert (left_by(process.pid, engine), place.staged()) == ([], [])


def test_a_check_that_is_ended_leaves_nothing(place: Place, engine: Engine, tmp_path: Path) -> None:
    place.recipe(target("x", "sleep 300; touch x.bin"))
    folder = tmp_path / "temporary"
    folder.mkdir()
    first = f"import sys, tempfile; sys.argv[1] = 'check'; tempfile.tempdir = {str(folder)!r}"
    with place.started(first=first) as process:
        read_until(process, "build 1")
        # Its first build has begun once the engine has a container of it.
        while len(left_by(process.pid, engine)) < len(("container", "volume")):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 130
    assert left_by(process.pid, engine) == []
    assert list(folder.iterdir()) == []


def test_a_check_that_is_ended_leaves_nothing_in_the_other_engine_either(
    place: Place, podman: Engine, podman_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert podman_image
    monkeypatch.setenv("RELSIGN_OTHER_ENGINE", podman.url)
    place.recipe(target("x", "test $(umask) = 0022 || sleep 300; touch x.bin"))
    with place.started(first="import sys; sys.argv[1] = 'check'") as process:
        read_until(process, "build 2")
        while len(left_by(process.pid, podman)) < len(("container", "volume")):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 130
    assert left_by(process.pid, podman) == []


COMMITTING = {
    "it commits": KILL.format(module="sign.evidence.commit", name="make_commitment"),
    "the held build is moved": KILL.format(module="sign.evidence.commit", name="_put"),
    "the commitment is put there": KILL.format(module="sign.evidence.commit", name="sync_folder"),
    "the commitment comes out": KILL.format(
        module="sign.evidence.commit", name="publish_commitment"
    ),
}


@pytest.mark.parametrize("moment", list(COMMITTING))
def test_a_build_killed_while_it_commits_commits_the_next_time(place: Place, moment: str) -> None:
    place.add_builder()
    policy = Workspace(place.folder).policy_file
    policy.write_text(f"commit = true\n{policy.read_text()}")
    place.recipe(target("x", "echo one >x.bin"))
    with (
        place.signing() as words,
        place.started(*words, first=COMMITTING[moment]) as process,
    ):
        assert process.wait(SECONDS) == -signal.SIGKILL
    # Either it is committed to now, or it was held back then and is awaited by others now.
    held = moment == "the commitment comes out"
    with place.signing() as words:
        assert place.build(*words) == (NotEnoughError.exit_code if held else 0)
    assert place.staged() == ["builder-a"]
    (only,) = (place.release / "builds" / "builder-a").iterdir()
    assert "commit" in only.name
    assert sorted(path.name for path in (place.release / ".held").iterdir()) == [
        ".gitignore", "builder-a"
    ]  # fmt: skip
