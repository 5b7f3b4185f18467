"""Several builds at once: order, CPUs, the first failure, and Ctrl-C."""

from __future__ import annotations

import threading
import time

import pytest

from relsign.build.jobs import run_jobs
from relsign.errors import HostError, InputError

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
