"""Several targets at once, each on a CPU of its own; all of them or none.

    built = run_jobs(targets, (0, 1), build_one, stop_all)

The first failure, Ctrl-C included, ends the others: `stop_all` kills what they wait
for, so that they fail by themselves and clean up after themselves.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from relsign.build.engine.connection import Engine
from relsign.build.engine.leftovers import (
    OWNER_LABEL,
    list_containers,
    remove_container,
    this_process,
)

J = TypeVar("J")
R = TypeVar("R")


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
    # caught by the next turn.
    while any(future.running() for future in futures):
        stop_all()
        wait([future for future in futures if future.running()], timeout=1)


def stop_own_containers(engine: Engine) -> None:
    """Kill and remove every container this process started; raise HostError if that fails."""
    mine = this_process().to_label()
    for container in list_containers(engine):
        if (container.labels or {}).get(OWNER_LABEL) == mine:
            remove_container(engine, container.identity)
