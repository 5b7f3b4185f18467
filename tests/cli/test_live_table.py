"""The table of several builds: a row each on a terminal, plain lines elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from relsign.build.run import BuildEvent
from relsign.build.target import Listener
from relsign.cli.building.table import LiveTable


class Terminal(io.StringIO):
    """Something that shows what is written to it."""

    def isatty(self) -> bool:
        return True


def told(heard: list[str]) -> Listener:
    return Listener(
        on_event=lambda event: heard.append(event.words),
        on_log=lambda _chunk: None,
        on_bootstrap=lambda _builder: None,
    )


def test_without_a_terminal_the_lines_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere, listener = io.StringIO(), told([])
    monkeypatch.setattr(sys, "stderr", elsewhere)
    with LiveTable(("x",)) as table:
        assert table.listener("x", listener) is listener
    assert elsewhere.getvalue() == ""


def test_on_a_terminal_each_target_has_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, heard = Terminal(), list[str]()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    with LiveTable(("x", "y", "z")) as table:
        for name in ("x", "y"):
            listener = table.listener(name, told(heard))
            listener.on_event(BuildEvent("command", 2, 3, "[red]make[/red] \x1b]0;title\x07"))
        listener.on_event(BuildEvent("done"))
    shown = terminal.getvalue()
    # The end is drawn last; before it the same rows may have been drawn as they were.
    rows = [line.split() for line in shown[shown.rindex("●  x") :].splitlines()[:3]]
    assert [row[:2] for row in rows] == [["●", "x"], ["✓", "y"], ["●", "z"]]
    assert rows[0][3:6] == ["running", "2/3", "[red]make[/red]"]
    assert rows[1][3:] == ["done"]
    assert rows[2][2:] == ["waiting"]
    assert "\x1b]" not in shown
    assert heard == []


def break_off() -> None:
    with LiveTable(("x", "y", "z")) as table:
        table.listener("x", told([])).on_event(BuildEvent("done"))
        table.listener("y", told([])).on_event(BuildEvent("command", 1, 1, "make"))
        raise KeyboardInterrupt


def test_what_was_not_built_is_marked_when_all_end(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "120")
    with pytest.raises(KeyboardInterrupt):
        break_off()
    shown = terminal.getvalue()
    rows = [line.split() for line in shown[shown.rindex("✓  x") :].splitlines()[:3]]
    assert [(row[0], row[1], row[-1]) for row in rows] == [
        ("✓", "x", "done"), ("✗", "y", "make"), ("✗", "z", "waiting")
    ]  # fmt: skip
