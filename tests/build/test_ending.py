"""A build that is told to end: once, after what must not be broken off, and in the end at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from relsign.build.ending import ending_on_signals, undisturbed

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SECONDS = 30

HANGING = """\
import os, signal
import relsign.build.ending as ending
ending.GRACE_SECONDS = -1
with ending.ending_on_signals(lambda is_over: os.write(1, b"over" if is_over else b"again")):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        os.write(1, b"never")
"""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Put every handler back."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(*numbers: signal.Signals) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


def unwind(said: list[bool], number: signal.Signals) -> None:
    with ending_on_signals(said.append), ending_on_signals():
        try:
            send(number)
        finally:
            send(*NUMBERS)
            said.append(True)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, None), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_the_first_signal_unwinds_and_the_others_are_told(
    number: signal.Signals, code: int | None
) -> None:
    said: list[bool] = []
    with pytest.raises(KeyboardInterrupt if code is None else SystemExit) as caught:
        unwind(said, number)
    assert getattr(caught.value, "code", None) == code
    assert said == [False, False, False, True]


def make(done: list[str], error: type[Exception] | None) -> None:
    with ending_on_signals():
        with undisturbed():
            send(signal.SIGTERM)
            done.append("made")
            if error is not None:
                raise error
        done.append("never")


@pytest.mark.parametrize("error", [None, ValueError])
def test_what_must_be_whole_is_ended_first(error: type[Exception] | None) -> None:
    done: list[str] = []
    with pytest.raises(SystemExit):
        make(done, error)
    assert done == ["made"]


def test_nothing_waits_where_nobody_hears() -> None:
    with pytest.raises(KeyboardInterrupt), undisturbed():
        send(signal.SIGINT)
    done = []

    def elsewhere() -> None:
        with ending_on_signals(), undisturbed():
            done.append(signal.getsignal(signal.SIGTERM))

    with ending_on_signals():
        heard = signal.getsignal(signal.SIGTERM)
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
    assert done == [heard]


@pytest.mark.parametrize("number", NUMBERS)
def test_what_is_ignored_stays_ignored(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    with ending_on_signals():
        send(number)
        assert signal.getsignal(number) is signal.SIG_IGN
    assert signal.getsignal(number) is signal.SIG_IGN


def test_a_clean_up_that_hangs_is_ended() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HANGING], capture_output=True, check=False, timeout=SECONDS
    )
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, b"over")
