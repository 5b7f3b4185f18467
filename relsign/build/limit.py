"""The time a build may take: at its end the container is killed, whatever runs in it.

    with TimeLimit(container, seconds) as limit:
        ...
    if limit.is_over: ...

A killed container makes whatever waits for it fail; the caller asks `is_over` to
tell that failure from another.  An engine that does not answer the kill is the
engine's fault and ends by the connection's own limits.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Self

from relsign.build.engine.container import Container
from relsign.errors import HostError


class TimeLimit:
    """Kills a container when its time is up, and remembers that it did."""

    def __init__(self, container: Container, seconds: float) -> None:
        """Allow `seconds` from entering to leaving; less than none is none."""
        self._container = container
        self._timer = threading.Timer(max(seconds, 0), self._end)
        self._timer.daemon = True
        self.is_over = False

    def __enter__(self) -> Self:
        """Start the clock."""
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop the clock; if it is ringing, wait for the kill's answer."""
        self._timer.cancel()
        self._timer.join()

    def _end(self) -> None:
        self.is_over = True
        with contextlib.suppress(HostError):
            self._container.kill()
