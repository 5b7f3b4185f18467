"""A knob that is not in force is named; one that is, is not."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from relsign.build.engine.connection import Engine
from relsign.build.engine.container import Container, HostSettings, open_container
from relsign.build.profile import Profile, load_profile
from relsign.build.sandbox.view import FUNCTIONS, missing_knobs, view_script
from relsign.errors import HostError

PROFILE = load_profile("hardened-2")
STATUS = "/proc/self/status"


def with_check(knob: str, words: str) -> Profile:
    return msgspec.structs.replace(PROFILE, checks={**(PROFILE.checks or {}), knob: words})


def without_file(path: str) -> dict[str, str]:
    return {name: text for name, text in PROFILE.files.items() if name != path}


def shell_words(*removed: str) -> tuple[str, ...]:
    words = PROFILE.wrapper[2]
    for part in removed:
        assert part in words
        words = words.replace(part, "")
    return ("sh", "-c", words, "build")


@contextlib.contextmanager
def started(engine: Engine, image: str, cache: Path, profile: Profile) -> Iterator[Container]:
    settings = HostSettings(cache, profile.variables({"CFLAGS": "-O2"}, 5))
    with open_container(engine, image, profile, settings) as container:
        yield container


@pytest.mark.engine
def test_every_knob_is_in_force(engine: Engine, image: str, cache: Path) -> None:
    with started(engine, image, cache, PROFILE) as container:
        assert missing_knobs(container, PROFILE) == ()
        # Looking leaves nothing behind that a second look would see.
        assert missing_knobs(container, PROFILE) == ()


@pytest.mark.engine
@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"hostname": "elsewhere"}, ("host name",)),
        ({"user": 1001}, ("user",)),
        ({"build_bytes": 1 << 20}, ("space",)),
        ({"memory_bytes": 1 << 30}, ("memory limit",)),
        ({"ulimits": {**PROFILE.ulimits, "nofile": (2048, 2048)}}, ("limits",)),
        (
            {"masked_paths": (), "readonly_paths": ()},
            ("device reports", "kernel reports", "kernel settings", "memory report"),
        ),
        ({"masked_paths": tuple(p for p in PROFILE.masked_paths if p != "/proc/sys")},
         ("kernel settings",)),
        ({"files": without_file("/proc/cpuinfo")}, ("cpu report",)),
        ({"files": without_file("/proc/uptime")}, ("uptime and load",)),
        ({"files": without_file("/run/.containerenv")}, ("engine markers",)),
        ({"folders": {}}, ("cpu count", "cpu report", "device reports")),
        ({"environment": {**PROFILE.environment, "TZ": "CET"}},
         ("environment variables", "time zone")),
        ({"environment": {**PROFILE.environment, "LC_ALL": "C", "PERL_HASH_SEED": "1"}},
         ("environment variables", "hash seeds", "locale")),
    ],
)  # fmt: skip
def test_what_the_engine_does_not_set_is_named(
    engine: Engine,
    image: str,
    cache: Path,
    changes: dict[str, object],
    missing: tuple[str, ...],
) -> None:
    other = msgspec.structs.replace(PROFILE, **changes)
    with started(engine, image, cache, other) as container:
        assert missing_knobs(container, PROFILE) == missing


@pytest.mark.engine
@pytest.mark.parametrize(
    ("removed", "missing"),
    [
        ("umask 022; ", "umask"),
        ("setarch -R ", "address space"),
        ('cd -- "$1" || exit 126; ', "working folder"),
        ("env --default-signal ", "signals"),
    ],
)
def test_what_the_wrapper_does_not_set_is_named(
    engine: Engine, image: str, cache: Path, removed: str, missing: str
) -> None:
    wrapper = shell_words(removed)
    if missing == "umask":
        wrapper = (*wrapper[:2], f"umask 077; {wrapper[2]}", "build")
    if missing == "working folder":
        wrapper = (*wrapper[:2], f"cd /tmp; {wrapper[2]}", "build")
    if missing == "signals":
        wrapper = (*wrapper[:2], f"trap '' INT; {wrapper[2]}", "build")
    weaker = msgspec.structs.replace(PROFILE, wrapper=wrapper)
    with started(engine, image, cache, weaker) as container:
        assert missing_knobs(container, weaker) == (missing,)


@pytest.mark.engine
def test_signals_ignored_where_the_engine_was_started_are_not_in_a_build(
    engine: Engine, image: str, cache: Path
) -> None:
    # An engine started with `nohup` or in a script's background hands them down like this.
    wrapper = (*PROFILE.wrapper[:2], f"trap '' HUP INT QUIT PIPE; {PROFILE.wrapper[2]}", "build")
    deaf = msgspec.structs.replace(PROFILE, wrapper=wrapper)
    with started(engine, image, cache, deaf) as container:
        assert missing_knobs(container, deaf) == ()


@pytest.mark.parametrize(
    ("ignored", "answer"), [("", 0), ("INT", 1), ("HUP QUIT", 1), ("XFSZ", 1), ("RTMAX", 1)]
)
def test_the_two_signals_of_the_c_library_do_not_count(ignored: str, answer: int) -> None:
    # Whoever starts programs by posix_spawn, as make does, leaves them ignored, and no program
    # can mend that.
    words = (PROFILE.checks or {})["signals"]
    look = f"{FUNCTIONS}\nlook() {{ {words}; }}; look"
    shell = ["env", "--default-signal", "sh", "-c", look]
    if ignored:
        shell[1:2] = ["--default-signal", *(f"--ignore-signal={name}" for name in ignored.split())]
    started = os.posix_spawn("/usr/bin/env", shell, os.environ)
    assert os.waitstatus_to_exitcode(os.waitpid(started, 0)[1]) == answer
    seen = ["grep", "-q", "SigIgn.*018[0-9a-f]*$", STATUS]
    shown = os.posix_spawn("/usr/bin/grep", seen, os.environ)
    assert os.waitstatus_to_exitcode(os.waitpid(shown, 0)[1]) == 0


@pytest.mark.engine
def test_files_of_another_process_are_seen(engine: Engine, image: str, cache: Path) -> None:
    with started(engine, image, cache, PROFILE) as container:
        container.execute(("sh", "-c", "echo left >/dev/shm/left"), bytes)
        wrapper = (*PROFILE.wrapper[:2], f"exec 5</etc/hosts; {PROFILE.wrapper[2]}", "build")
        holding = msgspec.structs.replace(PROFILE, wrapper=wrapper)
        assert missing_knobs(container, holding) == ("ipc", "open files")


@pytest.mark.engine
@pytest.mark.parametrize(
    "words", ["echo a knob nobody knows", "exit 3", 'echo "$never_set"', "exec true"]
)
def test_a_container_that_cannot_tell_is_an_error(
    engine: Engine, image: str, cache: Path, words: str
) -> None:
    broken = with_check("umask", words)
    with (
        started(engine, image, cache, PROFILE) as container,
        pytest.raises(HostError, match="cannot say how it is set up") as caught,
    ):
        missing_knobs(container, broken)
    assert caught.value.hint


@pytest.mark.engine
def test_a_profile_of_the_first_form_misses_nothing(
    engine: Engine, image: str, cache: Path
) -> None:
    first = load_profile("hardened-1")
    with started(engine, image, cache, first) as container:
        assert missing_knobs(container, first) == ()


def test_values_of_the_profile_are_data_for_the_shell() -> None:
    hostile = "$(touch /tmp/x) `id` ' \" \\ ;"
    profile = msgspec.structs.replace(
        PROFILE,
        files={"/etc/hosts": f"{hostile}\n"},
        environment={**PROFILE.environment, "TERM": hostile},
    )
    script = view_script(profile)
    # shlex writes a quotation mark as '"'"'; outside of such quotes nothing of it stands.
    quoted = "'" + hostile.replace("'", "'\"'\"'") + "'"
    assert script.count(quoted) == 2
    assert hostile not in script.replace(quoted, "")
