"""Progress on stderr: live on a terminal, one line per step elsewhere."""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from relsign.build.run import BuildEvent
from relsign.build.target import Listener
from relsign.cli.talk import printable, talk
from relsign.formats.canonical import shorten

STAGES = {
    "start": "starting the container",
    "sources": "unpacking sources",
    "command": "running",
    "pack": "packing",
    "collect": "collecting",
    "done": "done",
}
_TEXT = re.compile(r"[^\n\t]+")


Told = Callable[[int, int | None], None]
"""Hears how much is done, and of how much if that is known."""


def fetching(words: str) -> AbstractContextManager[Told]:
    """Show bytes fetched while the block runs; only on a terminal."""
    return _bar(words, "bytes")


def counting(words: str) -> AbstractContextManager[Told]:
    """Show how many of some things are done while the block runs; only on a terminal."""
    return _bar(words, "things")


@contextmanager
def _bar(words: str, unit: Literal["bytes", "things"]) -> Iterator[Told]:
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
    )

    count = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
    columns = (TextColumn(words), BarColumn(), count)
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(words, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@dataclass(frozen=True, slots=True)
class BuildTalk:
    """Tells of one target's build, and keeps its log."""

    target: str
    log: BinaryIO
    show_log: bool
    _decoder: codecs.IncrementalDecoder = field(
        # A character may come in two chunks; what is not UTF-8 is replaced.
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"),
        init=False,
    )

    def listener(self) -> Listener:
        """Return the callbacks the build calls."""
        return Listener(self._event, self._log, self._bootstrap)

    def _event(self, event: BuildEvent) -> None:
        if event.stage == "done":
            return
        count = f" {event.number}/{event.of}" if event.of > 1 else ""
        words = f": {shorten(event.words, 60)}" if event.words else ""
        talk(f"  ● {self.target}  {STAGES[event.stage]}{count}{words}")

    def _log(self, chunk: bytes) -> None:
        self.log.write(chunk)
        if self.show_log:
            # The log is the build's: nothing but its lines and tabs may steer the terminal.
            text = self._decoder.decode(chunk)
            sys.stderr.write(_TEXT.sub(lambda found: printable(found[0]), text))

    def _bootstrap(self, builder: str) -> None:
        talk(f"  ● {builder}  bootstrapping the environment from its lock (about 20 s)")
