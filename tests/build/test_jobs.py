"""Several builds at once: order, CPUs, the first failure, and Ctrl-C."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import replace

import msgspec
import pytest

from relsign.build.engine.connection import Engine
from relsign.build.engine.leftovers import OWNER_LABEL, list_volumes, remove_volume
from relsign.build.jobs import remove_own, run_jobs
from relsign.errors import HostError, InputError
from relsign.system.owner import this_process

WAIT_SECONDS = 30


class Stage:
    """Jobs that wait until they are stopped, as a build waits for its container."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        self.started = threading.Semaphore(0)
        self.busy: dict[int, int] = {}
        self.most = 0
        self.guard = threading.Lock()

    def stop(self) -> None:
        self.stopped.set()

    def wait(self) -> None:
        self.started.release()
        assert self.stopped.wait(WAIT_SECONDS)
        raise HostError("the container was stopped")

    def on(self, cpu: int) -> None:
        with self.guard:
            self.busy[cpu] = self.busy.get(cpu, 0) + 1
            self.most = max(self.most, *self.busy.values())
        time.sleep(0.01)
        with self.guard:
            self.busy[cpu] -= 1


def test_results_come_in_the_order_of_the_jobs_and_no_cpu_has_two() -> None:
    stage = Stage()

    def run(job: int, cpu: int) -> int:
        stage.on(cpu)
        return job * 10

    assert run_jobs(range(8), (3, 5), run, stage.stop) == tuple(range(0, 80, 10))
    assert (set(stage.busy), stage.most) == ({3, 5}, 1)
    assert not stage.stopped.is_set()


def test_the_first_failure_stops_the_others_and_is_the_one_that_is_told() -> None:
    stage = Stage()

    def run(job: str, cpu: int) -> None:
        del cpu
        if job == "waits":
            stage.wait()
        stage.started.acquire()
        raise InputError("command failed", where=job)

    with pytest.raises(InputError, match="command failed"):
        run_jobs(("waits", "fails", "never"), (0, 1), run, stage.stop)
    assert stage.stopped.is_set()


def test_what_was_not_begun_is_not_begun_after_a_failure() -> None:
    ran = []

    def run(job: int, cpu: int) -> None:
        del cpu
        ran.append(job)
        raise InputError("command failed")

    with pytest.raises(InputError):
        run_jobs(range(50), (0,), run, lambda: None)
    assert len(ran) < 5


def test_ctrl_c_stops_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()

    def interrupted(*_: object, **__: object) -> None:
        stage.started.acquire()
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr("relsign.build.jobs.wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_jobs(("a", "b"), (0, 1), lambda _job, _cpu: stage.wait(), stage.stop)
    assert stage.stopped.is_set()


def test_an_engine_that_does_not_stop_them_is_asked_again() -> None:
    stage, asked = Stage(), []

    def stop() -> None:
        asked.append(1)
        if len(asked) == 1:
            raise HostError("the container engine refused")
        stage.stop()

    def run(job: str, cpu: int) -> None:
        del cpu
        if job == "waits":
            stage.wait()
        stage.started.acquire()
        raise InputError("command failed", where=job)

    with pytest.raises(InputError, match="command failed"):
        run_jobs(("waits", "fails"), (0, 1), run, stop)
    assert len(asked) > 1


@pytest.mark.engine
def test_what_this_process_has_is_removed_and_nobody_elses(engine: Engine) -> None:
    names = {}
    for owner in (this_process(), replace(this_process(), machine="another")):
        name = f"relsign-{secrets.token_hex(8)}"
        labels = {OWNER_LABEL: owner.to_label()}
        engine.post("/volumes/create", msgspec.Raw, {"Name": name, "Labels": labels})
        names[name] = owner
    mine, theirs = names
    try:
        remove_own(engine)
        left = {volume.name for volume in list_volumes(engine)}
        assert mine not in left
    finally:
        assert remove_volume(engine, theirs)
