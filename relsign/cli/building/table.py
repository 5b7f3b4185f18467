"""Several builds at once: one live table on a terminal, lines with the target's name elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from relsign.build.run import BuildEvent
from relsign.build.target import Listener
from relsign.cli.progress import STAGES
from relsign.formats.canonical import shorten

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

REFRESHES_PER_SECOND = 4
SHOWN_WORDS = 60


@dataclass(frozen=True, slots=True)
class _Row:
    stage: str = "waiting"
    words: str = ""
    started: float | None = None
    ended: float | None = None
    mark: str = "●"

    def elapsed(self) -> str:
        if self.started is None:
            return ""
        seconds = int((self.ended or time.monotonic()) - self.started)
        return f"{seconds // 60:02}:{seconds % 60:02}"


class LiveTable:
    """Shows where each target stands; used by several threads."""

    def __init__(self, names: tuple[str, ...]) -> None:
        """Show a row for each of the targets."""
        self._rows = dict.fromkeys(names, _Row())
        self._guard = threading.Lock()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        """Start showing, if there is a terminal."""
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True)
            self._live = Live(
                get_renderable=self._draw,
                console=console,
                refresh_per_second=REFRESHES_PER_SECOND,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Show the end and stop; where not all was built, what was not has another mark."""
        if error is not None:
            now = time.monotonic()
            with self._guard:
                for name, row in self._rows.items():
                    if row.ended is None:
                        self._rows[name] = replace(row, ended=now, mark="✗")
        if self._live is not None:
            self._live.stop()

    def listener(self, name: str, told: Listener) -> Listener:
        """Return callbacks that fill the row; without a terminal `told`'s own lines stay."""
        if self._live is None:
            return told

        def on_event(event: BuildEvent) -> None:
            with self._guard:
                self._rows[name] = self._after(self._rows[name], event)

        return replace(told, on_event=on_event)

    @staticmethod
    def _after(row: _Row, event: BuildEvent) -> _Row:
        count = f" {event.number}/{event.of}" if event.of > 1 else ""
        now, is_done = time.monotonic(), event.stage == "done"
        return _Row(
            stage=f"{STAGES[event.stage]}{count}",
            words=shorten(event.words, SHOWN_WORDS),
            started=row.started or now,
            ended=now if is_done else None,
            mark="✓" if is_done else "●",
        )

    def _draw(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        with self._guard:
            rows = dict(self._rows)
        for name, row in rows.items():
            # As plain text: a command may hold what would be markup.
            cells = (row.mark, name, row.elapsed(), row.stage, row.words)
            table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in cells))
        return table
