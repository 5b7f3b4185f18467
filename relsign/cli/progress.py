"""Progress on stderr: live on a terminal, one line per step elsewhere."""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

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


@contextmanager
def fetching(words: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show bytes fetched while the block runs; only on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    columns = (TextColumn(words), BarColumn(), DownloadColumn())
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


@contextmanager
def counting(words: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show how many of some things are done while the block runs; only on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn(words), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(words, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
