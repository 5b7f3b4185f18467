"""Several targets at once, each on a CPU of its own; all of them or none.

    built = run_jobs(targets, (0, 1), build_one, stop_all)

The first failure, Ctrl-C included, ends the others: `stop_all` kills what they wait
for, so that they fail by themselves and clean up after themselves.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from relsign.build.engine.connection import Engine
from relsign.build.engine.leftovers import (
    OWNER_LABEL,
    Labels,
    list_containers,
    list_volumes,
    remove_container,
    remove_volume,
)
from relsign.errors import HostError
from relsign.system.owner import this_process

J = TypeVar("J")
R = TypeVar("R")

TURN_SECONDS = 1
REMOVE_TURNS = 50
REMOVE_TURN_SECONDS = 0.1


def run_jobs(
    jobs: Sequence[J],
    cpus: Sequence[int],
    run: Callable[[J, int], R],
    stop_all: Callable[[], object],
) -> tuple[R, ...]:
    """Return what `run(job, cpu)` returns for each job, in their order.

    As many run at once as there are `cpus`, and no CPU has two of them.  Raises what
    the first failed job raised, once none runs any more.
    """
    free: queue.SimpleQueue[int] = queue.SimpleQueue()
    for cpu in cpus:
        free.put(cpu)

    def run_one(job: J) -> R:
        cpu = free.get()
        try:
            return run(job, cpu)
        finally:
            free.put(cpu)

    with ThreadPoolExecutor(len(cpus)) as pool:
        futures = [pool.submit(run_one, job) for job in jobs]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            failed = _first_failure(futures, done)
            if failed is None:
                return tuple(future.result() for future in futures)
        except BaseException:
            _end(futures, stop_all)
            raise
        # Looked at before the others are stopped, whose failures say nothing of their own.
        _end(futures, stop_all)
        raise failed


def _first_failure(futures: Sequence[Future[R]], done: set[Future[R]]) -> BaseException | None:
    failures = (future.exception() for future in futures if future in done)
    return next((failure for failure in failures if failure is not None), None)


def _end(futures: Sequence[Future[R]], stop_all: Callable[[], object]) -> None:
    for future in futures:
        future.cancel()
    # One that was about to start its container when the others were stopped is
    # caught by the next turn, and so is one that the engine did not stop this time.
    while any(future.running() for future in futures):
        with contextlib.suppress(HostError):
            stop_all()
        wait([future for future in futures if future.running()], timeout=TURN_SECONDS)


def stop_own_containers(engine: Engine) -> None:
    """Kill and remove every container this process started; raise HostError if that fails.

    Their volumes stay: an engine would make one anew, without our labels, for a container
    that is about to be created.
    """
    for container in list_containers(engine):
        if _is_own(container.labels):
            remove_container(engine, container.identity)


def remove_own(engine: Engine) -> None:
    """Remove whatever this process still has in the engine, once no build of it runs.

    Waits, five seconds at most, for removals that were under way; the next build's
    `remove_leftovers` finds what is left then.  Raises HostError if the engine refuses.
    """
    for _turn in range(REMOVE_TURNS):
        stop_own_containers(engine)
        volumes = [volume.name for volume in list_volumes(engine) if _is_own(volume.labels)]
        for name in volumes:
            remove_volume(engine, name)
        if not volumes:
            return
        time.sleep(REMOVE_TURN_SECONDS)


def _is_own(labels: Labels | None) -> bool:
    return (labels or {}).get(OWNER_LABEL) == this_process().to_label()
