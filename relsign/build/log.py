"""A build's log: passed on as it comes, bounded, its end kept for an error message."""

from __future__ import annotations

from collections.abc import Callable

from relsign.errors import InputError
from relsign.formats.canonical import shorten

TAIL_LINES = 20
TAIL_BYTES = 16 << 10
SHOWN_COLUMNS = 200
MAX_LOG_BYTES = 1 << 30
"""A log longer than this is a fault of the recipe; it would fill the disk it is kept on."""


class BuildLog:
    """Passes a log on as it comes, bounds it, and remembers how it ends."""

    def __init__(self, write: Callable[[bytes], object], max_bytes: int = MAX_LOG_BYTES) -> None:
        """Pass everything on to `write`, `max_bytes` at most."""
        self._write = write
        self._end = bytearray()
        self._max = self._room = max_bytes

    def begin(self) -> None:
        """Forget the end of the previous command's log."""
        self._end.clear()

    def write(self, chunk: bytes) -> None:
        """Take the next bytes; raise InputError when a build prints without end."""
        self._room -= len(chunk)
        if self._room < 0:
            raise InputError(
                "the build prints too much",
                expected=f"{self._max} bytes at most",
                hint="send what nobody reads to a file, or to /dev/null",
            )
        self._write(chunk)
        self._end.extend(chunk)
        del self._end[:-TAIL_BYTES]

    def lines(self) -> list[str]:
        """Return the last lines, escaped so that they cannot steer a terminal."""
        text = bytes(self._end).decode("utf-8", "replace")
        return [shorten(line, SHOWN_COLUMNS) for line in text.splitlines()[-TAIL_LINES:]]

    def shown(self) -> str:
        """Return the last lines as a hint shows them, empty if there are none."""
        lines = self.lines()
        return "\n".join(["the log ends:", *(f"  {line}" for line in lines)]) if lines else ""
