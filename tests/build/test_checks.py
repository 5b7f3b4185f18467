"""Checks in real containers: what passes, what refuses a release, and what nobody keeps."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from relsign.build.checks import Finished, Look, run_check, run_checks
from relsign.build.engine.connection import Engine
from relsign.build.profile import Profile, load_profile
from relsign.build.run import BuildEvent
from relsign.build.store import Store
from relsign.build.target import Bench, Listener
from relsign.crypto.digest import sha256_hex
from relsign.errors import HostError, InputError, NotEnoughError, VerificationError
from relsign.formats.fingerprint import BuiltArtifact, Fingerprint
from relsign.formats.lock import parse_lock
from relsign.formats.recipe import Check
from relsign.system.files import write_whole
from relsign.system.workspace import Workspace
from tests.build.conftest import RootFs
from tests.build.left import left_behind
from tests.build.marked import mark
from tests.projects import make_lock
from tests.verify.releases import RECIPE, make_fingerprint

pytestmark = pytest.mark.engine

TOOL = b'#!/bin/sh\n[ "$1" = --version ] && echo tool 1.0\n'
CONFIG = b"[network]\nbootstrap = alpha.example,beta.example\n"
EMPTY = b"[network]\nbootstrap =\n"
SYMBOLS = b"\x7fELF\0.debug_info\0"


def packed(**files: bytes) -> bytes:
    """Return a .tar.gz's content, the tool of it executable."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(f"tool-1.0/{name}")
            member.size, member.mode = len(data), 0o755
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


ARCHIVE = packed(tool=TOOL, config=CONFIG, LICENSE=b"Apache-2.0\n")


@dataclass
class Table:
    """Where artifacts lie to be looked at, and what the checks said."""

    bench: Bench
    image: str
    folder: Path
    profile: Profile = field(default_factory=load_profile)
    log: bytearray = field(default_factory=bytearray)
    events: list[BuildEvent] = field(default_factory=list)

    @property
    def listener(self) -> Listener:
        return Listener(self.events.append, self.log.extend, lambda _builder: None)

    def finished(self, **files: bytes) -> Finished:
        """Lay artifacts out as a build leaves them; those named `tool` are executable."""
        artifacts = []
        for name, data in files.items():
            mode = "0755" if name.startswith("tool") else "0644"
            write_whole(self.folder / name, data, int(mode, 8))
            artifacts.append(
                BuiltArtifact(name=name, sha256=sha256_hex(data), size=len(data), mode=mode)  # type: ignore[arg-type]
            )
        made = make_fingerprint(artifacts=tuple(sorted(artifacts, key=lambda a: a.name)))
        return Finished((made,), self.folder)

    def look(self, built: Finished, *commands: str, **changes: object) -> str:
        """Run a check; return what it printed."""
        check = Check(name="smoke", builder="b", commands=commands)
        check = msgspec.structs.replace(check, **changes)
        self.log.clear()
        run_check(self.bench, self.image, self.profile, Look(check, built), self.listener)
        return self.log.decode()


@pytest.fixture
def table(engine: Engine, image: str, cache: Path, tmp_path: Path) -> Table:
    bench = Bench(engine, Store(tmp_path / "store"), cache, 0)
    return Table(bench, image, tmp_path / "artifacts")


# --- what passes -------------------------------------------------------------------------------

UNPACK = "tar xzf tool-1.0.tar.gz"
GOOD = (
    UNPACK,
    '[ "$(tool-1.0/tool --version)" = "tool 1.0" ]',
    "grep -Eq '^bootstrap = .+' tool-1.0/config",
    "[ -s tool-1.0/LICENSE ]",
    "! grep -q .debug_info tool-1.0/tool",
    'size=$(stat -c %s tool-1.0.tar.gz); [ "$size" -gt 100 ]; [ "$size" -lt 1000000 ]',
)


def test_a_good_release_passes(table: Table) -> None:
    table.look(table.finished(**{"tool-1.0.tar.gz": ARCHIVE}), *GOOD)
    assert [(event.stage, event.number, event.of) for event in table.events] == [
        ("start", 1, 1), *(("command", n, 6) for n in range(1, 7)), ("done", 1, 1),
    ]  # fmt: skip


def test_the_artifacts_lie_there_as_built_and_nothing_else_does(table: Table) -> None:
    built = table.finished(tool=TOOL, **{"b.txt": b"b", "long" * 45: b"x"})
    said = table.look(built, "pwd", "stat -c '%a %u %n' *", "ls -A ..", "cat b.txt")
    assert said.splitlines() == [
        "/build/release", "644 1000 b.txt", f"644 1000 {'long' * 45}", "755 1000 tool",
        ".home", "release", "b",
    ]  # fmt: skip


def test_only_those_it_names(table: Table) -> None:
    built = table.finished(tool=TOOL, **{"b.txt": b"b"})
    assert table.look(built, "ls -A", artifacts=("b.txt",)) == "b.txt\n"


def test_all_targets_artifacts_are_there(table: Table) -> None:
    one, two = table.finished(a=b"1").fingerprints[0], table.finished(b=b"2").fingerprints[0]
    assert table.look(Finished((one, two), table.folder), "echo *") == "a b\n"


def test_it_runs_like_a_build(table: Table) -> None:
    probe = "uname -n; umask; id -u; cat /proc/net/dev | tail -n +3 | tr -d ' ' | cut -d: -f1"
    said = table.look(
        table.finished(a=b""), probe.partition("; cat")[0], 'echo "$COLOUR"',
        environment={"COLOUR": "blue; $(id)"},
    )  # fmt: skip
    assert said.splitlines() == ["build", "0022", "1000", "blue; $(id)"]
    assert "lo:" in table.look(table.finished(a=b""), "cat /proc/net/dev")
    assert "eth" not in table.log.decode()


def test_nothing_it_writes_is_kept(table: Table, engine: Engine) -> None:
    built = table.finished(a=b"a")
    table.look(built, "echo changed > a; rm a; touch new; chmod 777 .")
    assert [path.name for path in table.folder.iterdir()] == ["a"]
    assert (table.folder / "a").read_bytes() == b"a"
    # A second one finds what the first one found.
    assert table.look(built, "ls -A; cat a") == "a\na"
    assert left_behind(engine) == 0


def controlling(profile: Profile, **checks: str) -> Profile:
    """Return a profile some of whose knobs look as if the engine had not fixed them."""
    return msgspec.structs.replace(profile, checks={**(profile.checks or {}), **checks})


def lacking(built: Finished, *knobs: str) -> Finished:
    """Return what was built as if the builds' engine had not fixed some knobs."""
    (made,) = built.fingerprints
    profile = msgspec.structs.replace(made.profile, without=knobs or msgspec.UNSET)
    return Finished((msgspec.structs.replace(made, profile=profile),), built.folder)


def test_what_the_builds_lacked_a_check_may_lack(table: Table) -> None:
    table.profile = controlling(table.profile, **{"host name": "false", "umask": "false"})
    built = table.finished(a=b"a")
    assert table.look(lacking(built, "host name", "umask"), "cat a") == "a"
    assert table.look(lacking(built, "host name", "limits", "umask"), "cat a") == "a"


@pytest.mark.parametrize(
    ("known", "expected", "got"),
    [
        ((), "all fixed", "not in force: host name, umask"),
        (("umask",), "nothing missing but umask", "not in force: host name"),
    ],
)
def test_a_check_in_a_container_that_controls_less_than_the_builds_is_refused(
    table: Table, engine: Engine, known: tuple[str, ...], expected: str, got: str
) -> None:
    table.profile = controlling(table.profile, **{"host name": "false", "umask": "false"})
    with pytest.raises(HostError, match="does not fix for a check") as caught:
        table.look(lacking(table.finished(a=b"a"), *known), "echo never")
    assert (caught.value.where, caught.value.expected, caught.value.got) == (
        "check smoke", expected, got
    )  # fmt: skip
    assert caught.value.hint
    assert table.log == b""
    assert left_behind(engine) == 0


# --- what refuses ------------------------------------------------------------------------------

BAD: dict[str, tuple[bytes, int, str]] = {
    "does not unpack": (b"no archive", 1, "gzip"),
    "another version": (packed(tool=b"#!/bin/sh\necho tool 0.9\n"), 2, ""),
    "an empty list of bootstrap servers": (packed(tool=TOOL, config=EMPTY), 3, ""),
    "no licence": (packed(tool=TOOL, config=CONFIG), 4, ""),
    "an empty licence": (packed(tool=TOOL, config=CONFIG, LICENSE=b""), 4, ""),
    "debug symbols": (packed(tool=TOOL + SYMBOLS, config=CONFIG, LICENSE=b"A"), 5, ""),
    "too large": (packed(tool=TOOL, config=CONFIG, LICENSE=os.urandom(1_100_000)), 6, ""),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_release_is_refused(name: str, table: Table, engine: Engine) -> None:
    data, number, words = BAD[name]
    with pytest.raises(VerificationError) as caught:
        table.look(table.finished(**{"tool-1.0.tar.gz": data}), *GOOD)
    error = caught.value
    assert error.where == f"check smoke: command {number} of 6: {GOOD[number - 1]}"
    assert error.what == "the release check failed"
    assert error.expected == "exit code 0"
    assert error.got.startswith("exit code ")
    assert words in error.hint
    assert error.hint.endswith("nothing was signed; mend what is released, or the check, and "
                               "build again")  # fmt: skip
    assert table.events[-1].stage == "command"
    assert left_behind(engine) == 0


def test_the_last_log_lines_are_shown_and_cannot_steer_a_terminal(table: Table) -> None:
    command = "n=0; while [ $n -lt 50 ]; do n=$((n+1)); printf 'line %s\\033[2J\\n' $n; done; false"
    with pytest.raises(VerificationError) as caught:
        table.look(table.finished(a=b""), "echo early", command)
    lines = caught.value.hint.splitlines()
    assert lines[0] == "the log ends:"
    assert (lines[1], lines[20]) == ("  line 31\\x1b[2J", "  line 50\\x1b[2J")
    assert table.log.startswith(b"early\nline 1\x1b[2J\n")


def test_a_command_that_cannot_be_shown_is_escaped(table: Table) -> None:
    with pytest.raises(VerificationError) as caught:
        table.look(table.finished(a=b""), f"false # \x1b[31m\u202e{'x' * 999}")
    assert caught.value.where.isascii()
    assert caught.value.where.isprintable()
    assert len(caught.value.where) < 400


def test_a_check_that_hangs_is_ended(table: Table, engine: Engine) -> None:
    with pytest.raises(VerificationError) as caught:
        table.look(table.finished(a=b""), "echo here", "sleep 600", time_limit_minutes=0.03)
    assert caught.value.what == "the release check takes too long"
    assert caught.value.where == "check smoke: command 2 of 2: sleep 600"
    assert caught.value.expected == "0.03 minutes at most"
    assert left_behind(engine) == 0


def test_a_check_without_memory_is_refused(table: Table) -> None:
    small = msgspec.structs.replace(table.profile, memory_bytes=256 << 20)
    table.profile = small
    # A pipe hides the exit code of what was killed, as make does.
    eat = "dd if=/dev/zero of=/dev/null bs=1G iflag=fullblock | cat; exit 2"
    built = table.finished(a=b"")
    with pytest.raises(VerificationError, match="failed: the build ran out of memory"):
        table.look(built, eat)


def test_a_variable_that_the_profile_fixes_is_refused(table: Table) -> None:
    with pytest.raises(InputError, match="variable is fixed"):
        table.look(table.finished(a=b""), "true", environment={"TZ": "Asia/Tokyo"})


# --- the artifacts on the disk -----------------------------------------------------------------


def test_other_bytes_than_were_built_are_refused(table: Table) -> None:
    built = table.finished(a=b"abc")
    for data, got in ((b"abd", hashlib.sha256(b"abd").hexdigest()), (b"ab", "shorter than it"),
                      (b"abcd", "longer than it")):  # fmt: skip
        (table.folder / "a").write_bytes(data)
        with pytest.raises(VerificationError, match="changed on the disk") as caught:
            table.look(built, "true")
        assert caught.value.got == got
    assert table.events == []


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_what_is_no_regular_file_is_refused(kind: str, table: Table) -> None:
    built, path = table.finished(a=b"abc"), table.folder / "a"
    path.unlink()
    if kind == "link":
        (table.folder / "b").write_bytes(b"abc")
        path.symlink_to("b")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(InputError, match="not a regular file"):
        table.look(built, "true")


def test_an_artifact_that_is_gone_is_missed(table: Table) -> None:
    built = table.finished(a=b"abc")
    (table.folder / "a").unlink()
    with pytest.raises(NotEnoughError, match="no such file"):
        table.look(built, "true")


def test_more_than_a_container_holds_is_refused_before_one_starts(table: Table) -> None:
    built = table.finished(a=b"abc", b=b"")
    table.profile = msgspec.structs.replace(table.profile, build_bytes=2)
    with pytest.raises(InputError, match="too large to be checked") as caught:
        table.look(built, "true")
    assert caught.value.got == "3"
    assert table.events == []


# --- all checks of a recipe --------------------------------------------------------------------

CHECKS = """
[[check]]
name = "one"
builder = "small"
commands = ["echo first; ls"]
artifacts = ["demo-1.0.tar.gz"]

[[check]]
name = "two"
builder = "small"
commands = ["echo second", "{last}"]
"""


@dataclass
class Story:
    """A project whose checks run in the small environment of these tests."""

    table: Table
    workspace: Workspace
    built: Finished
    logs: dict[str, bytearray] = field(default_factory=dict)

    def run(self) -> list[str]:
        found = run_checks(
            self.table.bench, self.workspace, self.table.profile, self.built, self.listening
        )
        return [environment.builder for environment in found]

    @contextlib.contextmanager
    def listening(self, check: Check) -> Iterator[Listener]:
        log = self.logs.setdefault(check.name, bytearray())
        yield Listener(lambda _event: None, log.extend, lambda _builder: None)


def story(table: Table, rootfs: RootFs, folder: Path, checks: str) -> Story:
    workspace = Workspace(folder)
    definition = b'name = "small"\nsuite = "bookworm"\npackages = ["make"]\n'
    lock = msgspec.structs.replace(
        parse_lock(make_lock(rootfs.sha256)),
        builder="small",
        definition_sha256=sha256_hex(definition),
    )
    write_whole(workspace.recipe_file, (RECIPE + checks).encode())
    write_whole(workspace.builder_folder("small") / "builder.toml", definition)
    write_whole(workspace.builder_folder("small") / "builder.lock", lock.to_bytes())
    write_whole(workspace.builder_folder("debian-c") / "builder.lock", make_lock())
    mark(lock, table.bench.store)
    return Story(table, workspace, table.finished(**{"demo-1.0.tar.gz": ARCHIVE}))


def test_every_check_runs_and_says_where(table: Table, rootfs: RootFs, tmp_path: Path) -> None:
    told = story(table, rootfs, tmp_path / "p", CHECKS.replace("{last}", "true"))
    assert told.run() == ["small"]
    assert told.logs == {"one": b"first\ndemo-1.0.tar.gz\n", "two": b"second\n"}


def test_the_first_that_fails_ends_it(table: Table, rootfs: RootFs, tmp_path: Path) -> None:
    told = story(table, rootfs, tmp_path / "p", CHECKS.replace("{last}", "false"))
    with pytest.raises(VerificationError) as caught:
        told.run()
    assert caught.value.where == "check two: command 2 of 2: false"


def test_a_recipe_without_checks_runs_nothing(table: Table, rootfs: RootFs, tmp_path: Path) -> None:
    told = story(table, rootfs, tmp_path / "p", "")
    assert told.run() == []
    assert told.logs == {}


def test_a_stale_lock_is_refused(table: Table, rootfs: RootFs, tmp_path: Path) -> None:
    told = story(table, rootfs, tmp_path / "p", CHECKS.replace("{last}", "true"))
    path = told.workspace.builder_folder("small") / "builder.toml"
    path.write_bytes(path.read_bytes() + b"# changed\n")
    with pytest.raises(InputError, match="changed since it was locked"):
        told.run()


def test_checks_of_two_targets_know_each_other_s_names(table: Table) -> None:
    one: Fingerprint = make_fingerprint()
    check = Check(name="c", builder="b", commands=("true",), artifacts=(one.artifacts[0].name,))
    other = msgspec.structs.replace(
        one, target="other", artifacts=(msgspec.structs.replace(one.artifacts[0], name="a"),)
    )
    both = Finished((one, other), table.folder)
    assert both.artifacts_of(check) == one.artifacts
    bare = msgspec.structs.replace(check, artifacts=())
    assert [a.name for a in both.artifacts_of(bare)] == ["a", "demo-1.0.tar.gz"]
