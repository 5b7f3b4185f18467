"""A build that is told to end: the first signal unwinds it, and nothing breaks that off.

with ending_on_signals(say_again):
    ...  # SIGINT raises KeyboardInterrupt, SIGTERM and SIGHUP SystemExit, once
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

GRACE_SECONDS = 10
"""How long cleaning up may take before another signal ends it: an engine may hang."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

SayAgain = Callable[[bool], object]
"""Hears of a signal while everything is cleaned up, and whether that ends here and now.

It is called between any two steps of the program, so it must not use Python's streams.
"""


class _Ending:
    """Handles signals: the first ends the block, those after it wait for the clean-up."""

    def __init__(self, say_again: SayAgain) -> None:
        self._say_again = say_again
        self._since: float | None = None
        self._held: int | None = None
        self.is_holding = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._since is None:
            self._since = time.monotonic()
            self._held = number
            if not self.is_holding:
                self.end()
            return
        is_over = time.monotonic() - self._since > GRACE_SECONDS
        self._say_again(is_over)
        if is_over:
            # What is left is out of sight, and the next build removes it.
            os._exit(128 + number)

    def end(self) -> None:
        """Raise what the first signal means, if there was one and it was not raised yet."""
        number, self._held = self._held, None
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        if number is not None:
            raise SystemExit(128 + number)


@contextlib.contextmanager
def ending_on_signals(say_again: SayAgain = lambda _is_over: None) -> Iterator[None]:
    """Make SIGINT, SIGTERM and SIGHUP unwind the block once, so that everything is removed.

    Those that come while it unwinds only call `say_again`; after `GRACE_SECONDS` one of them
    ends the process at once.  A signal the caller ignores stays ignored: `nohup` wants that.
    A block within another one, or in another thread than the main one, changes nothing.
    """
    is_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in _SIGNALS} if is_main else {}
    if any(isinstance(handler, _Ending) for handler in before.values()):
        before = {}
    ending = _Ending(say_again)
    heard = {n: handler for n, handler in before.items() if handler is not signal.SIG_IGN}
    try:
        for number in heard:
            signal.signal(number, ending)
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Let a signal wait until the block has ended: what it makes must be known to be removed.

    Only of those that `ending_on_signals` hears, and in the main thread.
    """
    handlers = [signal.getsignal(number) for number in _SIGNALS]
    ending = next((handler for handler in handlers if isinstance(handler, _Ending)), None)
    if threading.current_thread() is not threading.main_thread() or ending is None:
        yield
        return
    ending.is_holding = True
    try:
        yield
    finally:
        ending.is_holding = False
        ending.end()
