"""Each knob changes what it says and nothing else; what cannot be turned says why."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from relsign.build.profile import load_profile
from relsign.build.twin.arrange import arranged
from relsign.build.twin.knobs import (
    KNOB_NAMES,
    KNOBS,
    OTHER_FOLDER,
    Machine,
    Setup,
    derive,
    hold_clock,
    obstacles,
)
from relsign.build.twin.machine import AHEAD_BY
from relsign.build.twin.probe import unseen
from relsign.formats.twin import Twin

MACHINE = Machine(
    cpus=(0, 1, 2),
    faketime=Path("/x/libfaketime.so.1"),
    clock_held=Path("/x/held"),
    clock_ahead=Path("/x/ahead"),
    locale=Path("/x/et_EE.utf8"),
    has_other_engine=True,
)


@pytest.fixture
def setup() -> Setup:
    return Setup(load_profile(), (0,), {"CFLAGS": "-O2"}, 1_700_000_000)


def changed(one: Setup, two: Setup) -> set[str]:
    """Return what differs: fields of the set-up, of its profile, and its variables and files."""
    found = {n for n in ("cpus", "binds", "reversed_order", "other_engine") if getattr(one, n) != getattr(two, n)}  # fmt: skip  # noqa: E501
    before, after = (msgspec.structs.asdict(each.profile) for each in (one, two))
    for name in before:
        if name in {"environment", "files"}:
            keys = before[name].keys() | after[name].keys()
            found |= {k for k in keys if before[name].get(k) != after[name].get(k)}
        elif before[name] != after[name]:
            found.add(name)
    return found


CHANGES = {
    "time": {"binds", "LD_PRELOAD", "NO_FAKE_STAT", "FAKETIME_DONT_FAKE_MONOTONIC",
             "FAKETIME_TIMESTAMP_FILE", "FAKETIME_FOLLOW_FILE"},
    "host-name": {"hostname", "domainname", "HOSTNAME", "/etc/hostname", "/etc/hosts"},
    "user": {"user", "group", "USER", "LOGNAME", "/etc/passwd", "/etc/group"},
    "folder": {"build_folder", "HOME", "/etc/passwd"},
    "home": {"HOME", "/etc/passwd"},
    "time-zone": {"TZ"},
    "locale": {"binds", "LANG", "LC_ALL", "LANGUAGE"},
    "umask": {"wrapper"},
    "cpu-count": {"cpus", "folders", "/proc/cpuinfo"},
    "file-order": {"reversed_order"},
    "personality": {"wrapper", "seccomp"},
    "addresses": {"wrapper"},
    "hash-seeds": {"PYTHONHASHSEED", "PERL_HASH_SEED"},
    "engine": {"other_engine"},
    "environment": {"wrapper", "A_VARIABLE_MORE", "ZZ_VARIABLE_MORE"},
}  # fmt: skip


@pytest.mark.parametrize("name", KNOB_NAMES)
def test_a_knob_changes_what_it_says(setup: Setup, name: str) -> None:
    assert changed(setup, derive(setup, {name}, MACHINE)) == CHANGES[name]


def test_every_knob_has_a_line_here_and_fits_a_signed_verdict() -> None:
    assert CHANGES.keys() == set(KNOB_NAMES) == {knob.name for knob in KNOBS}
    twin = Twin(target="t", verdict="identical", varied=KNOB_NAMES)
    assert msgspec.json.decode(msgspec.json.encode(twin), type=Twin) == twin


def test_all_at_once(setup: Setup) -> None:
    assert obstacles(setup, KNOB_NAMES, MACHINE) == {}
    turned = derive(setup, KNOB_NAMES, MACHINE)
    profile = turned.profile
    home = f"{OTHER_FOLDER}/.another-home"
    assert profile.environment["HOME"] == home
    assert f"somebody:x:4321:8765:somebody:{home}:/bin/sh" in profile.files["/etc/passwd"]
    words = " ".join(profile.wrapper)
    assert "setarch --uname-2.6 sh" in words
    assert "umask 002" in words
    assert {"CFLAGS=-O2", "SOURCE_DATE_EPOCH=1700000000"} <= set(profile.wrapper)
    assert turned.cpus == (0, 1)


def test_nothing_turned_is_the_same(setup: Setup) -> None:
    assert derive(setup, (), MACHINE) == setup


@pytest.mark.parametrize(
    ("machine", "name", "reason"),
    [
        (replace(MACHINE, faketime=None), "time", "apt-get install libfaketime"),
        (replace(MACHINE, cpus=(3,)), "cpu-count", "one CPU only"),
        (replace(MACHINE, has_other_engine=False), "engine", "no engine of another kind"),
    ],
)
def test_what_cannot_be_turned_says_why_and_stays(
    setup: Setup, machine: Machine, name: str, reason: str
) -> None:
    assert reason in obstacles(setup, KNOB_NAMES, machine)[name]
    assert derive(setup, {name}, machine) == setup


@pytest.mark.parametrize(
    ("name", "reason"),
    [("umask", "set no umask"), ("addresses", "setarch"), ("personality", "setarch")],
)
def test_another_wrapper_is_not_guessed_at(setup: Setup, name: str, reason: str) -> None:
    other = msgspec.structs.replace(setup.profile, wrapper=("sh", "-c", "$2"))
    assert reason in obstacles(replace(setup, profile=other), {name}, MACHINE)[name]


def test_a_variable_of_the_recipe_stays_the_recipes(setup: Setup) -> None:
    taken = replace(setup, recipe_variables={"LD_PRELOAD": "x", "LANGUAGE": "de"})
    assert obstacles(taken, {"time"}, MACHINE) == {"time": "the recipe sets LD_PRELOAD"}
    assert "LANGUAGE" not in derive(taken, {"locale"}, MACHINE).profile.environment


def test_a_held_clock_differs_from_a_late_one_in_one_file(setup: Setup) -> None:
    held = hold_clock(setup, MACHINE)
    assert isinstance(held, Setup)
    late = derive(held, {"time"}, MACHINE)
    assert changed(held, late) == {"binds"}
    assert [bind.source.name for bind in late.binds] == ["libfaketime.so.1", "ahead"]


def test_without_locale_sources_the_plain_one_is_used(setup: Setup) -> None:
    turned = derive(setup, {"locale"}, replace(MACHINE, locale=None))
    assert turned.profile.environment["LC_ALL"] == "C"


def test_clocks_are_files_with_a_time_of_their_own(machine: Machine) -> None:
    assert machine.clock_held is not None
    assert machine.clock_ahead is not None
    held, ahead = (path.stat().st_mtime for path in (machine.clock_held, machine.clock_ahead))
    assert ahead - held == AHEAD_BY.total_seconds()
    assert held % 1 == 0.5
    assert held > machine.clock_held.stat().st_ctime


def test_sources_come_in_another_order_folders_first_and_for_another_user(setup: Setup) -> None:
    names = ["src", "src/a", "src/b", "src/b/x", "src/c"]
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if name in {"src", "src/b"} else tarfile.REGTYPE
            member.mtime, member.size = 77, 0 if member.isdir() else len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
    turned = derive(setup, {"file-order", "user"}, MACHINE)
    with arranged(stream, turned) as made, tarfile.open(fileobj=made) as tar:
        members = tar.getmembers()
        assert [m.name for m in members] == ["src", "src/c", "src/b", "src/a", "src/b/x"]
        assert {(m.uid, m.gid, m.mtime) for m in members} == {(4321, 8765, 77)}
        content = tar.extractfile("src/b/x")
        assert content is not None
        assert content.read() == b"src/b/x"
    with arranged(stream, setup) as made, tarfile.open(fileobj=made) as tar:
        assert tar.getnames() == names


def test_what_looks_the_same_was_not_varied() -> None:
    before = {"time": "1", "umask": "0022", "user": "?", "home": "/a"}
    after = {"time": "1", "umask": "0002", "user": "?"}
    assert unseen(before, after) == {"time"}
