"""Builds in real containers: what they see, what they may leave, what is left of them."""

from __future__ import annotations

import gzip
import hashlib
import os
import signal
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from relsign.build.engine.leftovers import OWNER_LABEL, list_containers
from relsign.build.log import MAX_LOG_BYTES, BuildLog
from relsign.build.profile import load_profile
from relsign.errors import HostError, InputError
from relsign.formats.recipe import Pack, Target, parse_recipe
from relsign.system.owner import this_process
from tests.build.commanded import HEAD
from tests.build.endless import endless_build
from tests.build.left import left_behind, objects_of
from tests.build.room import Room, make_target

pytestmark = pytest.mark.engine

CANARY = "canary-5b1c7e0d"


# --- what comes out ----------------------------------------------------------------------------


def test_an_artifact_comes_out_hashed_with_its_mode(room: Room) -> None:
    commands = ("cp in.txt plain", "cp in.txt tool; chmod 700 tool", "chmod 600 plain")
    built = room.build(make_target(*commands, artifacts=("plain", "tool")), {"in.txt": b"hello\n"})
    assert [(f.name, f.mode, f.size) for f in built.files] == [
        ("plain", "0644", 6),
        ("tool", "0755", 6),
    ]
    for file in built.files:
        assert file.sha256 == hashlib.sha256(file.path.read_bytes()).hexdigest()
        assert f"{file.path.stat().st_mode & 0o7777:04o}" == file.mode
    assert [event.stage for event in room.events] == [
        "start", "sources", "command", "command", "command", "collect", "collect", "done",
    ]  # fmt: skip


def test_same_bytes_whatever_the_host(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    probe = (
        "umask; id; env | sort; date -d @0; uname -n; nproc; getconf _NPROCESSORS_CONF; pwd;"
        "ls -U src* .. | head; cat /proc/meminfo /proc/uptime /proc/loadavg /proc/cpuinfo;"
        "cat /proc/self/personality /proc/self/limits /etc/hosts /etc/resolv.conf;"
        "cat /proc/sys/kernel/domainname /proc/version /proc/stat;"
        "ls -A /sys/class /sys/block; true"
    )
    copy = "mkdir -p d; cp * d 2>/dev/null || true; touch d/new"
    commands = (f"(set +e; {probe}) > seen 2>&1", copy)
    wanted = make_target(*commands, artifacts=("seen",), packs=("d",))
    files = {name: name.encode() for name in ("z", "a", "m")}
    found = []
    for cpu, umask, zone in ((0, 0o022, "UTC"), (os.cpu_count() or 1, 0o077, "Asia/Tokyo")):
        monkeypatch.setenv("TZ", zone)
        monkeypatch.setenv("LC_ALL", "C" if umask else "POSIX")
        before = os.umask(umask)
        try:
            built = room.build(wanted, files, cpu=cpu - 1 if cpu else 0)
        finally:
            os.umask(before)
        found.append([(file.name, file.sha256, file.mode) for file in built.files])
    assert found[0] == found[1]


def test_a_pack_is_sorted_and_ownerless(room: Room) -> None:
    commands = ("mkdir -p out/d/sub", "touch out/d/b out/d/a out/d/sub/c", "chmod 777 out/d/a")
    (file,) = room.build(make_target(*commands, packs=("out/d",))).files
    data = file.path.read_bytes()
    # Flags 0: no name and no time in gzip's header.
    assert data[3] == 0
    assert data[4:8] == bytes(4)
    (room.folder / "x.tar").write_bytes(gzip.decompress(data))
    with tarfile.open(room.folder / "x.tar") as tar:
        members = tar.getmembers()
    assert [m.name for m in members] == ["d", "d/a", "d/b", "d/sub", "d/sub/c"]
    assert {(m.uid, m.gid, m.uname, m.mtime) for m in members} == {(0, 0, "", 1_700_000_000)}
    assert members[1].mode == 0o755


def test_hostile_names_are_data(room: Room) -> None:
    command = "printf '%s' \"$HOME ; \\$(id) `printf x`\" > a; printf '%s\\n' '$(touch /build/no)'"
    built = room.build(make_target(command, artifacts=("a",)))
    assert built.files[0].path.read_bytes() == b"/build/.home ; $(id) x"
    assert room.log == b"$(touch /build/no)\n"


# --- what a build sees -------------------------------------------------------------------------


def test_no_network_but_loopback(room: Room) -> None:
    lines = room.say("cat /proc/net/dev").splitlines()[2:]
    assert [line.split(":")[0].strip() for line in lines] == ["lo"]


def test_no_rights(room: Room) -> None:
    said = room.say("cat /proc/self/status")
    status = dict(line.split(":\t", 1) for line in said.splitlines() if ":\t" in line)
    assert status["Uid"] == "1000\t1000\t1000\t1000"
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[kind], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


@pytest.mark.parametrize(
    "command",
    [
        "touch /usr/bin/x",
        "mknod dev c 1 3",
        "head -c 4 /proc/kcore | grep -q ELF",
        "echo 1 > /proc/sys/kernel/hostname",
        "ls /dev/kmsg",
        "ls /var/run/docker.sock",
    ],
)
def test_what_is_not_allowed_fails(room: Room, command: str) -> None:
    said = room.say(f"if ({command}) >out 2>&1; then echo allowed; else echo refused; fi")
    assert said == "refused\n"


def test_address_randomisation_is_off(room: Room) -> None:
    first, second = (room.say("cat /proc/self/maps | grep stack") for _ in range(2))
    assert first == second


def test_limits_are_the_profiles(room: Room) -> None:
    said = room.say("cat /proc/self/limits")
    assert "Max open files            1024                 1024" in said
    assert "Max stack size            8388608              8388608" in said
    assert "Max core file size        0                    0" in said


def test_no_epoch_no_variable(room: Room) -> None:
    unset = msgspec.structs.replace(
        make_target("env > e; ! grep SOURCE_DATE_EPOCH e", artifacts=("e",)),
        source_date_epoch="unset",
    )
    assert b"SOURCE_DATE_EPOCH" not in room.build(unset).files[0].path.read_bytes()
    assert "SOURCE_DATE_EPOCH=1700000000\n" in room.say("env")


def test_a_secret_of_the_caller_reaches_nothing(
    either_room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = either_room
    configuration = tmp_path / "caller" / "docker"
    configuration.mkdir(parents=True)
    proxies = dict.fromkeys(("httpProxy", "httpsProxy", "noProxy"), f"http://{CANARY}:1")
    (configuration / "config.json").write_bytes(
        msgspec.json.encode({"proxies": {"default": proxies}, "auths": {"x": {"auth": CANARY}}})
    )
    monkeypatch.setenv("DOCKER_CONFIG", str(configuration))
    for name in ("SECRET_TOKEN", "http_proxy", "HTTPS_PROXY", "no_proxy", "LD_PRELOAD_X"):
        monkeypatch.setenv(name, f"http://{CANARY}:1")
    everything = "env; cat /proc/mounts; ls -a /run; cat /run/.containerenv || true;"
    everything += "for p in /proc/[0-9]*; do tr '\\0' '\\n' < $p/environ || true; done"
    built = room.build(make_target(f"({everything}) > all 2>&1; cat all", artifacts=("all",)))
    said = bytes(room.log) + built.files[0].path.read_bytes()
    assert b"PYTHONHASHSEED=0" in said
    assert CANARY.encode() not in said
    assert CANARY not in repr((room.events, built))
    written = [*room.folder.rglob("*"), *room.cache.rglob("*")]
    assert any(path.is_file() for path in written)
    for path in written:
        assert path.is_dir() or CANARY.encode() not in path.read_bytes()


# --- what a recipe cannot ask for --------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        'binds = ["/:/host"]',
        'mounts = ["/var/run/docker.sock"]',
        'volumes = ["/"]',
        'devices = ["/dev/kvm"]',
        "privileged = true",
        'cap_add = ["SYS_ADMIN"]',
        'network = "host"',
        'user = "0:0"',
        'profile = "none"',
        'image = "another"',
        'directory = "/etc"',
        'directory = "../.."',
        'environment = { PATH = "/tmp" }',
        'environment = { "A=B\nC" = "x" }',
        'artifact = [{ path = "../../etc/shadow" }]',
        'artifact = [{ path = "/etc/shadow" }]',
    ],
)
def test_a_recipe_cannot_ask_for_the_host(line: str) -> None:
    recipe = RECIPE if line.startswith("artifact") else f'{RECIPE}artifact = [{{ path = "a" }}]\n'
    with pytest.raises(InputError):
        accept(f"{recipe}{line}\n")


def accept(recipe: str) -> Target:
    """Take a recipe as `relsign build` does, up to the container."""
    (target,) = parse_recipe(recipe.encode()).target
    load_profile().variables(target.environment, 0)
    return target


def test_what_the_recipe_says_without_it_is_accepted() -> None:
    assert accept(f'{RECIPE}artifact = [{{ path = "a" }}]\n').commands == ("make",)


RECIPE = f"""{HEAD.format(sha256="0" * 64)}
[[target]]
name = "t"
builder = "b"
source_date_epoch = 0
commands = ["make"]
"""


def test_names_with_shell_characters_are_data(room: Room) -> None:
    hostile = "a b;$(touch no)'\"`id`&"
    quoted = "'a b;$(touch no)'\\''\"`id`&'"
    commands = (f"echo hi > {quoted}", f"mkdir -p -- -d/{quoted}; touch -- -d/{quoted}/x")
    target = make_target(*commands, "ls -A > seen", artifacts=(hostile, "seen"))
    pack = Pack(directory=f"-d/{hostile}", name=f"-{hostile}.tar.gz")
    target = msgspec.structs.replace(target, pack=(pack,), environment={"X": hostile})
    built = room.build(target)
    assert [file.name for file in built.files] == [hostile, "seen", f"-{hostile}.tar.gz"]
    assert built.files[0].path.read_bytes() == b"hi\n"
    assert built.files[1].path.read_text().splitlines() == ["-d", hostile, "seen"]


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("ln -s /etc/passwd bad", "a symbolic link"),
        ("ln -s . bad", "a symbolic link"),
        ("mkdir bad; touch bad/file", "a folder"),
        ("mkfifo bad", "a fifo"),
        ("true", "artifact was not made"),
        # A sparse file: it takes no space in the container and would fill the disk here.
        ("truncate -s 100G bad", "too large"),
    ],
)
def test_only_regular_files_come_out(either_room: Room, command: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        either_room.build(make_target("touch good", command, artifacts=("good", "bad")))
    assert caught.value.where == "/build/src/bad"
    assert caught.value.hint
    assert list(either_room.output.iterdir()) == []
    assert left_behind(either_room.engine) == 0


def test_a_missing_artifact_is_named_with_what_is_there(room: Room) -> None:
    with pytest.raises(InputError, match="artifact was not made") as caught:
        room.build(
            make_target("touch 'other file' \"$(printf 'a\\033[2Jb')\"", artifacts=("wanted",))
        )
    assert caught.value.where == "/build/src/wanted"
    assert "other file" in caught.value.hint
    assert "\x1b" not in caught.value.hint


def test_a_missing_folder_is_said_to_be_missing(room: Room) -> None:
    with pytest.raises(InputError, match="artifact was not made") as caught:
        room.build(make_target("true", artifacts=("no/where/x",)))
    assert caught.value.hint == "no such folder"


def test_a_failing_command_stops_the_build(either_room: Room) -> None:
    commands = ("echo one; sleep 300 &", "printf 'bad \\033[31m\\n' >&2; exit 3", "echo never")
    with pytest.raises(InputError) as caught:
        either_room.build(make_target(*commands, artifacts=("a",)))
    assert str(caught.value) == (
        "t: command 2 of 3: command failed (expected exit code 0, got exit code 3)"
    )
    assert caught.value.hint == "the log ends:\n  bad \\x1b[31m"
    assert either_room.log == b"one\nbad \x1b[31m\n"
    assert left_behind(either_room.engine) == 0


@pytest.mark.parametrize("command", ["echo $unset_name", "false; true", "sh -c 'kill -9 $$'"])
def test_commands_are_strict(room: Room, command: str) -> None:
    with pytest.raises(InputError, match="command failed"):
        room.build(make_target(command, artifacts=("a",)))


def test_the_log_tail_is_short(room: Room) -> None:
    with pytest.raises(InputError) as caught:
        room.build(make_target("i=0; while [ $i -lt 99 ]; do echo line $i; i=$((i+1)); done; false",
                          artifacts=("a",)))  # fmt: skip
    assert caught.value.hint.splitlines()[1:] == [f"  line {i}" for i in range(79, 99)]


def limited(*commands: str, seconds: float) -> Target:
    return msgspec.structs.replace(
        make_target(*commands, artifacts=("a",)), time_limit_minutes=seconds / 60
    )


@pytest.mark.parametrize(
    "command",
    ["sleep 300", "while :; do echo busy; done", "sleep 300 | cat & wait", "kill -STOP $$"],
)
def test_a_build_ends_at_its_time_limit(room: Room, command: str) -> None:
    started = time.monotonic()
    with pytest.raises(InputError, match="takes too long") as caught:
        room.build(limited("true", command, seconds=2))
    assert time.monotonic() - started < 30
    assert caught.value.where == "t: command 2 of 2"
    assert caught.value.expected.endswith("minutes at most")
    assert "time_limit_minutes" in caught.value.hint
    assert left_behind(room.engine) == 0
    assert list(room.output.iterdir()) == []


def test_a_build_within_its_time_is_left_alone(room: Room) -> None:
    before = threading.active_count()
    room.build(limited("touch a", seconds=300))
    assert threading.active_count() == before


def test_a_log_without_end_is_cut(room: Room) -> None:
    room.max_log_bytes = 1 << 20
    with pytest.raises(InputError, match="prints too much") as caught:
        room.build(make_target("while :; do echo endless; done", artifacts=("a",)))
    assert caught.value.expected == "1048576 bytes at most"
    assert caught.value.hint
    assert len(room.log) <= 1 << 20
    assert left_behind(room.engine) == 0


def test_a_missing_start_folder_is_explained(room: Room) -> None:
    with pytest.raises(InputError, match="exit code 126") as caught:
        room.build(make_target("cd ..; rm -rf src", "true", artifacts=("a",)))
    assert "can't cd" in caught.value.hint


def test_running_out_of_memory_is_said(either_room: Room) -> None:
    either_room.profile = msgspec.structs.replace(either_room.profile, memory_bytes=256 << 20)
    # A pipe hides the exit code of what was killed, as make does.
    eater = "dd if=/dev/zero of=/dev/null bs=1G iflag=fullblock | cat; exit 2"
    with pytest.raises(InputError, match="ran out of memory"):
        either_room.build(make_target(eater, artifacts=("a",)))
    assert left_behind(either_room.engine) == 0


def test_a_full_build_folder_is_said(either_room: Room) -> None:
    either_room.profile = msgspec.structs.replace(either_room.profile, build_bytes=16 << 20)
    with pytest.raises(InputError, match="build folder is full"):
        either_room.build(make_target("dd if=/dev/zero of=f bs=1M count=20", artifacts=("a",)))


def test_a_process_left_running_does_not_hold_the_build(room: Room) -> None:
    started = time.monotonic()
    room.build(make_target("sleep 500 & echo started; touch a", artifacts=("a",)))
    assert time.monotonic() - started < 60
    assert room.log == b"started\n"


def test_an_output_that_is_there_is_not_overwritten(room: Room) -> None:
    (room.folder / "1").mkdir(parents=True)
    (room.folder / "1" / "a").write_bytes(b"old")
    with pytest.raises(InputError, match="already there"):
        room.build(make_target("touch a", artifacts=("a",)))
    assert (room.folder / "1" / "a").read_bytes() == b"old"


def test_a_cpu_the_machine_lacks(either_room: Room) -> None:
    with pytest.raises(HostError) as caught:
        either_room.build(make_target("touch a", artifacts=("a",)), cpu=9999)
    assert caught.value.hint == "choose a CPU the machine has"
    assert left_behind(either_room.engine) == 0


# --- what is left ------------------------------------------------------------------------------


def test_nothing_is_left_after_success(room: Room) -> None:
    room.say("true")
    assert left_behind(room.engine) == 0


def test_a_failing_callback_leaves_nothing(room: Room) -> None:
    class Broken(list[object]):
        def append(self, _: object) -> None:
            raise OSError(28, "No space left on device")

    room.events = Broken()  # type: ignore[assignment]
    with pytest.raises(OSError, match="No space"):
        room.build(make_target("touch a", artifacts=("a",)))
    assert left_behind(room.engine) == 0


@pytest.fixture
def endless(room: Room) -> Iterator[subprocess.Popen[bytes]]:
    with endless_build(room) as process:
        yield process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_build_removes_everything(
    room: Room, endless: subprocess.Popen[bytes], number: signal.Signals
) -> None:
    assert objects_of(room.engine, endless.pid) == 2
    endless.send_signal(number)
    assert endless.wait(60) != 0
    assert objects_of(room.engine, endless.pid) == 0


def test_the_next_build_removes_what_a_killed_one_left(
    room: Room, endless: subprocess.Popen[bytes]
) -> None:
    room.say("true")
    # Its owner runs: not ours to touch.
    assert objects_of(room.engine, endless.pid) == 2
    endless.kill()
    endless.wait(60)
    assert objects_of(room.engine, endless.pid) == 2
    room.say("true")
    assert objects_of(room.engine, endless.pid) == 0


def test_a_container_that_is_stopped_from_outside(room: Room) -> None:
    def stop(chunk: bytes) -> None:
        if b"go" in chunk:
            for thing in list_containers(room.engine):
                if (thing.labels or {}).get(OWNER_LABEL) == this_process().to_label():
                    room.engine.tell("POST", f"/containers/{thing.identity}/kill")

    class Log(bytearray):
        def extend(self, chunk: object) -> None:
            assert isinstance(chunk, bytes)
            stop(chunk)

    room.log = Log()
    with pytest.raises(HostError, match="was stopped"):
        room.build(make_target("echo go; sleep 100", artifacts=("a",)))
    assert left_behind(room.engine) == 0


# --- without an engine -------------------------------------------------------------------------


def test_the_tail_of_a_log_is_bounded_and_harmless() -> None:
    kept = bytearray()
    tail = BuildLog(kept.extend)
    for _ in range(1000):
        tail.write(b"\xff\x00\x1b]0;x\x07" * 100)
    tail.write(b"\nlast")
    assert len(kept) == 1000 * 800 + 5
    first, last = tail.lines()
    assert last == "last"
    assert first.isprintable()
    assert len(first) <= 200


def test_a_log_without_end_is_refused() -> None:
    log = BuildLog(lambda _: None)
    chunk = bytes(1 << 24)
    for _ in range(MAX_LOG_BYTES // len(chunk)):
        log.write(chunk)
    with pytest.raises(InputError, match="prints too much"):
        log.write(b"x")
