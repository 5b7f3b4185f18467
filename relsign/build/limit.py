"""The time a build may take: at its end the container is killed, whatever runs in it.

    with TimeLimit(container, seconds) as limit:
        ...
    if limit.is_over: ...

A killed container makes whatever waits for it fail; the caller asks `is_over` to
tell that failure from another.  A kill that the engine refuses is tried again until
the limit is left.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Self

from relsign.build.engine.container import Container
from relsign.errors import HostError, RelsignError

LOOK_SECONDS = 60
"""For programs of an environment that only say how they see their container."""
AGAIN_SECONDS = 1.0
"""Between two tries to kill."""


class TimeLimit:
    """Kills a container when its time is up, and remembers that it did."""

    def __init__(self, container: Container, seconds: float) -> None:
        """Allow `seconds` from entering to leaving; less than none is none."""
        self._container = container
        self._timer = threading.Timer(max(seconds, 0), self._end)
        self._timer.daemon = True
        self._left = threading.Event()
        self.is_over = False

    def __enter__(self) -> Self:
        """Start the clock."""
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop the clock; if it is ringing, wait for the answer to the kill under way."""
        self._left.set()
        self._timer.cancel()
        self._timer.join()

    def _end(self) -> None:
        self.is_over = True
        while not self._left.is_set():
            try:
                self._container.kill()
            except HostError:
                self._left.wait(AGAIN_SECONDS)
            else:
                return


@contextlib.contextmanager
def looking(container: Container) -> Iterator[None]:
    """Let programs of the environment look at their `container` for `LOOK_SECONDS` at most.

    Raises HostError if they do not end by then, whatever the block made of that: an
    environment's own shell may run for ever.
    """
    failure: RelsignError | None = None
    with TimeLimit(container, LOOK_SECONDS) as limit:
        try:
            yield
        except RelsignError as error:
            failure = error
    if limit.is_over:
        raise HostError(
            "the container does not say in time how it is set up",
            expected=f"an answer within {LOOK_SECONDS} seconds",
            hint="try again; if it stays so, a program of the environment (`env`, `sh`, `cat` ...) "
            "does not end: look at its packages and lock it anew",
        ) from failure
    if failure is not None:
        raise failure
