"""Where a rehearsal is played: a folder, its people, and the commands they run.

Commands are those of the program, run in this process with what they print caught; each
person has a key store of their own.  What a command should end with is said when it is
run, and anything else stops the act.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from relsign.cli.main import execute
from relsign.cli.options import show_path
from relsign.cli.rehearsal.shape import Shape
from relsign.errors import RelsignError
from relsign.system.files import make_folder
from relsign.system.workspace import Workspace

SHOWN_LINES = 6


@dataclass(frozen=True, slots=True)
class Done:
    """One command, or one misdeed, and what came of it."""

    who: str
    command: str
    exit_code: int
    expected: int
    said: tuple[str, ...]
    """The last lines it printed."""
    milliseconds: int


@dataclass(frozen=True, slots=True)
class Step:
    """One act, and whether it went as it should."""

    title: str
    should: str
    done: tuple[Done, ...]
    trouble: str
    """What went otherwise; empty where nothing did."""
    milliseconds: int


class WentOtherwiseError(Exception):
    """An act did not go as it should."""


@dataclass
class Stage:
    """A rehearsal under way."""

    folder: Path
    shape: Shape
    passphrase: bytes = field(default_factory=lambda: secrets.token_hex(16).encode(), repr=False)
    done: list[Done] = field(default_factory=list)

    @property
    def workspace(self) -> Workspace:
        """The project, which all share as if they pulled and pushed all the time."""
        return Workspace(self.folder / "project")

    @property
    def site(self) -> Path:
        """Where releases are published."""
        return self.folder / "site"

    @property
    def published(self) -> Path:
        """Where this project is published."""
        return self.site / self.shape.project

    def home(self, name: str) -> Path:
        """Return a person's key store; nobody else opens it."""
        folder = self.folder / "homes" / name
        make_folder(folder, 0o700)
        return folder

    def card(self, name: str) -> Path:
        """Return a person's public card."""
        return self.home(name) / name / "member.toml"

    def run(self, who: str, *words: str, code: int = 0, says: str = "") -> str:
        """Run a command on the project; return what it printed.

        Raises WentOtherwiseError unless it ends with `code` and prints `says`.
        """
        return self._play(who, words, ("--project", os.fspath(self.workspace.folder)), code, says)

    def run_outside(self, who: str, *words: str, code: int = 0, says: str = "") -> str:
        """Run a command that knows no project, as `run` does."""
        return self._play(who, words, (), code, says)

    def run_with_key(
        self, who: str, *words: str, code: int = 0, says: str = "", project: bool = True
    ) -> str:
        """Run a command that opens a person's key, as `run` does."""
        reading, writing = os.pipe()
        try:
            os.write(writing, self.passphrase + b"\n")
            os.close(writing)
            more = ["--keys", os.fspath(self.home(who)), "--passphrase-fd", str(reading)]
            if project:
                more += ["--project", os.fspath(self.workspace.folder)]
            return self._play(who, words, tuple(more), code, says)
        finally:
            os.close(reading)

    def misdeed(self, who: str, what: str, deed: Callable[[], object]) -> None:
        """Do what no command does: somebody cheats, or a disk breaks."""
        start = time.monotonic()
        try:
            deed()
        except (RelsignError, OSError) as error:
            raise WentOtherwiseError(f"{what}: {error}") from error
        self.done.append(Done(who, f"({what})", 0, 0, (), _since(start)))

    def act(self, title: str, should: str, play: Callable[[Stage], None]) -> Step:
        """Play one act to its end, or to the first thing that goes otherwise."""
        start, self.done, trouble = time.monotonic(), [], ""
        try:
            play(self)
        except WentOtherwiseError as error:
            trouble = str(error)
        except RelsignError as error:
            trouble = f"{type(error).__name__}: {error}"
        return Step(title, should, tuple(self.done), trouble, _since(start))

    def _play(
        self, who: str, words: tuple[str, ...], hidden: tuple[str, ...], code: int, says: str
    ) -> str:
        start, printed = time.monotonic(), io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            exit_code = execute([*words, *hidden])
        text = self._without_folder(printed.getvalue())
        lines = tuple(line for line in text.splitlines() if line.strip())
        shown = shlex.join(self._without_folder(word) for word in words)
        command = f"relsign {shown}"
        self.done.append(Done(who, command, exit_code, code, lines[-SHOWN_LINES:], _since(start)))
        if exit_code != code:
            raise WentOtherwiseError(f"{command}: exit code {exit_code}, not {code}")
        if says not in text:
            raise WentOtherwiseError(f"{command}: did not say `{says}`")
        return text

    def _without_folder(self, text: str) -> str:
        """Return text with names in this folder as a person in it would see them."""
        for folder in (os.fspath(self.folder), show_path(self.folder)):
            text = text.replace(f"{folder}{os.sep}", "")
        return text


def _since(start: float) -> int:
    return round((time.monotonic() - start) * 1000)
