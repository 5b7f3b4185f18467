"""Two looks from inside agree on what the profile fixes, and the report says so honestly."""

from __future__ import annotations

import subprocess
from importlib import resources
from pathlib import Path

import msgspec
import pytest

from relsign.build.engine.connection import Engine
from relsign.build.profile import load_profile
from relsign.build.sandbox.observe import Observation, Order, main, observe
from relsign.build.sandbox.probe import (
    channel_owners,
    judge,
    read_channels,
)
from relsign.build.sandbox.twice import probe_twice
from relsign.build.target import allowed_cpus
from relsign.cli.doctor_probe import report_json, report_lines
from relsign.errors import HostError, InputError, VerificationError

PROFILE = load_profile("hardened-2")
SAME: dict[str, str | None] = {
    name: None if name.startswith("kernel setting") else f"value of {name}"
    for name in channel_owners(PROFILE)
}

# --- the report --------------------------------------------------------------------------------


def changed(**values: str | None) -> dict[str, str | None]:
    return {**SAME, **{name.replace("_", " "): value for name, value in values.items()}}


def test_lines_become_channels() -> None:
    said = b"user\t=\t1000 1000\nkernel locks\t-\t\nrandom device\t=\t\\x01\n"
    assert read_channels(said) == {
        "user": "1000 1000",
        "kernel locks": None,
        "random device": "\\x01",
    }


@pytest.mark.parametrize(
    "said", [b"user\n", b"user\t1000\n", b"user\t+\t1\n", b"a\t=\t1\t2\n", b"a\t=\t1\na\t=\t1\n"]
)
def test_other_lines_are_refused(said: bytes) -> None:
    with pytest.raises(HostError, match="unreadable answer"):
        read_channels(said)


def test_channels_are_fixed_masked_or_open() -> None:
    report = judge(PROFILE, SAME, changed(clock_time="later"))
    kinds = {c.name: (c.kind, c.differs) for c in report.channels}
    assert kinds["process umask"] == ("fixed", False)
    assert kinds["kernel setting taint"] == ("masked", False)
    assert kinds["clock time"] == ("open", True)
    assert kinds["cpu brand"] == ("open", False)
    assert sum(report.count(kind) for kind in ("fixed", "masked", "open")) == len(SAME)
    report.refuse_wrong()


@pytest.mark.parametrize(
    ("one", "two", "expected", "got"),
    [
        (SAME, changed(process_umask="0077"), "value of process umask", "0077"),
        (SAME, changed(process_umask=None), "value of process umask", "nothing"),
        (SAME, changed(kernel_setting_taint="1"), "nothing", "1"),
    ],
)
def test_a_fixed_channel_that_differs_is_an_error(
    one: dict[str, str | None], two: dict[str, str | None], expected: str, got: str
) -> None:
    report = judge(PROFILE, one, two)
    with pytest.raises(VerificationError) as caught:
        report.refuse_wrong()
    assert (caught.value.expected, caught.value.got) == (expected, got)
    assert report.wrong[0].name in caught.value.where
    assert f"  differs  {report.wrong[0].name}: {expected} | {got}" in report_lines(PROFILE, report)


def test_all_wrong_channels_are_named() -> None:
    report = judge(PROFILE, SAME, changed(process_umask="0077", names_node="x"))
    with pytest.raises(VerificationError, match="names node, and process umask"):
        report.refuse_wrong()


def test_a_knob_the_engine_does_not_set_is_open() -> None:
    report = judge(PROFILE, SAME, changed(process_umask="0077"), ("umask",))
    report.refuse_wrong()
    lines = report_lines(PROFILE, report)
    assert [line for line in lines if " umask " in line] == [
        "  open     umask                    3  the engine does not set it"
    ]
    assert lines[-1].startswith(f"{len(SAME)} channels: ")


def less(name: str) -> dict[str, str | None]:
    return {key: value for key, value in SAME.items() if key != name}


@pytest.mark.parametrize(
    ("one", "two", "words"),
    [
        ({**SAME, "new channel": "1"}, SAME, "prints a channel of no knob"),
        (SAME, less("process umask"), "left a channel out"),
        (less("process umask"), SAME, "left a channel out"),
    ],
)
def test_probe_and_profile_belong_together(
    one: dict[str, str | None], two: dict[str, str | None], words: str
) -> None:
    with pytest.raises(VerificationError, match=words):
        judge(PROFILE, one, two)


def test_an_open_channel_may_be_of_one_processor_only() -> None:
    report = judge(PROFILE, less("cpu brand"), less("cpu brand"))
    assert len(report.channels) == len(SAME) - 1


def test_a_profile_of_the_first_form_cannot_be_probed() -> None:
    with pytest.raises(InputError, match="names no channels"):
        judge(load_profile("hardened-1"), SAME, SAME)


def test_json_has_every_channel() -> None:
    values = report_json(judge(PROFILE, SAME, SAME))
    channels = values["channels"]
    assert isinstance(channels, list)
    assert {row["name"] for row in channels} == SAME.keys()


# --- the program -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the probe here, with its libraries in it: the small image has no compiler."""
    path = tmp_path_factory.mktemp("probe") / "probe"
    with resources.as_file(resources.files("relsign.build.sandbox") / "probe.c") as source:
        command = ["cc", "-O0", "-static", "-w", "-o", str(path), str(source), "-lm"]
        subprocess.run(command, check=True, capture_output=True)
    return path


@pytest.fixture
def order(image: str, cache: Path, program: Path) -> Order:
    return Order(image=image, profile="hardened-2", cache=str(cache), cpu=0, program=str(program))


@pytest.mark.engine
def test_what_is_declared_fixed_is(engine: Engine, order: Order) -> None:
    report = probe_twice(engine, order, allowed_cpus())
    report.refuse_wrong()
    assert report.without == ()
    assert len(report.channels) >= 90
    assert report.count("fixed") + report.count("masked") >= 80
    differing = {c.name for c in report.channels if c.differs}
    # What cannot be the same shows that the two runs really were two.
    assert {"clock time", "random of start", "random call", "mounts table"} <= differing


@pytest.mark.engine
def test_a_difference_is_found(engine: Engine, order: Order) -> None:
    one = read_channels(observe(engine, order).said)
    weak = read_channels(observe(engine, msgspec.structs.replace(order, profile="hardened-1")).said)
    report = judge(PROFILE, one, weak)
    with pytest.raises(VerificationError, match="declared fixed differs"):
        report.refuse_wrong()
    names = {channel.name for channel in report.wrong}
    assert {"kernel setting release", "device tree", "environment tunables"} <= names


@pytest.mark.engine
def test_without_a_compiler_it_says_so(engine: Engine, order: Order) -> None:
    with pytest.raises(InputError, match="no C compiler"):
        observe(engine, msgspec.structs.replace(order, program=""))


@pytest.mark.engine
def test_a_program_that_fails_is_an_error(engine: Engine, order: Order, tmp_path: Path) -> None:
    script = tmp_path / "probe"
    script.write_text("#!/bin/sh\necho broken\nexit 4\n")
    with pytest.raises(HostError, match="exit code 4: broken"):
        observe(engine, msgspec.structs.replace(order, program=str(script)))


@pytest.mark.engine
def test_another_process_can_look(
    engine: Engine, order: Order, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([msgspec.json.encode(order).decode()]) == 0
    seen = msgspec.json.decode(capsys.readouterr().out, type=Observation)
    assert seen.missing == ()
    wrong = msgspec.structs.replace(order, profile="none")
    assert main([msgspec.json.encode(wrong).decode()]) == InputError.exit_code
    assert "no such sandbox profile" in capsys.readouterr().err
    with pytest.raises(InputError, match="no such sandbox profile"):
        probe_twice(engine, wrong, (0,))


@pytest.mark.engine
def test_the_other_callers_failure_is_passed_on(
    engine: Engine, order: Order, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where the other caller works there is no such file.
    monkeypatch.chdir(program.parent)
    with pytest.raises(HostError, match=r"second run of the probe failed \(got probe: "):
        probe_twice(engine, msgspec.structs.replace(order, program="probe"), (0,))


def test_it_does_not_run_as_root(program: Path) -> None:
    done = subprocess.run(
        ["unshare", "--map-root-user", "--user", program], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, b"")
