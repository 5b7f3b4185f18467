"""A time limit ends what runs, also at the second try, and looks at a container end, too."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from relsign.build.engine.connection import Engine
from relsign.build.engine.container import Container, HostSettings, open_container
from relsign.build.failure import explain_failure
from relsign.build.limit import LOOK_SECONDS, TimeLimit, looking
from relsign.build.log import BuildLog
from relsign.build.profile import load_profile
from relsign.build.sandbox.observe import Order
from relsign.build.sandbox.observe import observe as look_inside
from relsign.build.sandbox.twice import probe_twice
from relsign.build.twin.knobs import Setup
from relsign.build.twin.probe import observe
from relsign.errors import HostError, InputError
from tests.build.left import left_behind
from tests.build.room import Room, make_target

ENDLESS = "while :; do sleep 1; done"
PROFILE = load_profile()
HANGING = msgspec.structs.replace(PROFILE, wrapper=("sh", "-c", ENDLESS, "build"))
TOO_LATE = "does not say in time how it is set up"


class Refusing(Container):
    """A container whose engine refuses to kill it, so many times."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.tries = 0
        self.asked = threading.Event()
        self.killed = threading.Event()

    def kill(self) -> None:
        self.tries += 1
        self.asked.set()
        if self.tries <= self.refusals:
            raise HostError("the container engine refused")
        self.killed.set()


def test_a_kill_that_fails_is_tried_again() -> None:
    container = Refusing(refusals=2)
    with TimeLimit(container, 0) as limit:
        assert container.killed.wait(30)
    assert limit.is_over
    assert container.tries == 3


def test_a_kill_that_never_succeeds_ends_with_the_limit() -> None:
    container, before = Refusing(refusals=1 << 30), threading.active_count()
    with TimeLimit(container, 0) as limit:
        assert container.asked.wait(30)
    assert limit.is_over
    assert threading.active_count() == before


def test_a_look_in_time_passes_on_what_it_raises() -> None:
    container = Refusing(refusals=0)
    with pytest.raises(InputError, match="as it is"), looking(container):
        raise InputError("as it is")
    assert container.tries == 0


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give looks two seconds, and a test less than a look has otherwise."""
    monkeypatch.setattr("relsign.build.limit.LOOK_SECONDS", 2)
    started = time.monotonic()
    yield
    assert time.monotonic() - started < LOOK_SECONDS


@pytest.mark.engine
def test_a_build_whose_shell_does_not_end_is_refused(either_room: Room, hurried: None) -> None:
    assert hurried is None
    either_room.profile = HANGING
    with pytest.raises(HostError, match=TOO_LATE) as caught:
        either_room.build(make_target("touch a", artifacts=("a",)))
    assert "does not end" in caught.value.hint
    assert left_behind(either_room.engine) == 0


@pytest.mark.engine
def test_a_twin_whose_shell_does_not_end_is_refused(
    engine: Engine, image: str, cache: Path, hurried: None
) -> None:
    assert hurried is None
    setup = Setup(HANGING, (0,), {}, None)
    with pytest.raises(HostError, match=TOO_LATE):
        observe(engine, image, setup, cache)
    assert left_behind(engine) == 0


@pytest.fixture
def order(image: str, cache: Path, tmp_path: Path) -> Order:
    """Order a look by a program that never ends."""
    program = tmp_path / "probe"
    program.write_text(f"#!/bin/sh\n{ENDLESS}\n")
    return Order(image=image, profile="hardened-2", cache=str(cache), cpu=0, program=str(program))


@pytest.mark.engine
def test_a_probe_that_does_not_end_is_refused(engine: Engine, order: Order, hurried: None) -> None:
    assert hurried is None
    with pytest.raises(HostError, match=TOO_LATE):
        look_inside(engine, order)
    assert left_behind(engine) == 0


@pytest.mark.engine
def test_a_neighbour_that_does_not_start_is_refused(
    engine: Engine, order: Order, hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hurried is None
    Path(order.program).write_text("#!/bin/sh\n")
    monkeypatch.setattr("relsign.build.sandbox.twice.BUSY", ENDLESS)
    with pytest.raises(HostError, match=TOO_LATE):
        probe_twice(engine, order, (0,))
    assert left_behind(engine) == 0


@pytest.mark.engine
@pytest.mark.parametrize(
    ("says", "what"),
    [
        ("echo oom_kill 1; exec head -c 64M /dev/zero", "the build ran out of memory"),
        ("echo oom_kill 0", "command failed"),
        ("echo oom_kill ²", "command failed"),
        ("echo oom_kill $(printf %05000d 1)", "command failed"),
    ],
)
def test_what_an_images_own_cat_prints_is_bounded_and_harmless(
    engine: Engine, image: str, cache: Path, says: str, what: str
) -> None:
    settings = HostSettings(cache, PROFILE.variables({}, 0))
    write = "mkdir bin; printf '#!/bin/sh\\n%s\\n' \"$0\" >bin/cat; chmod 755 bin/cat"
    with open_container(engine, image, PROFILE, settings) as container:
        assert container.execute(("sh", "-c", f"cd /build; {write}", says), bytes) == 0
        own = Container(engine, container.identity, {"PATH": "/build/bin:/usr/bin"})
        tracemalloc.start()
        try:
            failure = explain_failure(own, PROFILE, "t", 3, BuildLog(bytes))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert failure.what == what
    assert peak < 32 << 20
