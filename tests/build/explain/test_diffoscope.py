"""A second opinion: asked within bounds, and never missed."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import pytest

from relsign.build.explain.diffoscope import Allowance, ask_diffoscope

# What stands in for diffoscope: the report's path is argument `--json=…`.
REPORT = """for word; do
case $word in --json=*) json=${word#*=};; --html=*) html=${word#*=};; esac; done"""


def program(folder: Path, script: str) -> str:
    """Write a program named diffoscope and return a search path that has it."""
    path = folder / "bin" / "diffoscope"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{REPORT}\n{script}\n")
    path.chmod(0o755)
    return f"{path.parent}"


def pair(folder: Path) -> tuple[Path, Path]:
    paths = folder / "one.txt", folder / "two.txt"
    for path, text in zip(paths, ("fox\n", "dog\n"), strict=True):
        path.write_text(text)
    return paths


def test_the_real_one_says_what_differs(tmp_path: Path) -> None:
    found = ask_diffoscope(*pair(tmp_path))
    assert found.problem == ""
    assert "  -fox" in found.lines
    assert b"diffoscope-json-version" in found.json
    assert b"<html" in found.html


def test_absent(tmp_path: Path) -> None:
    found = ask_diffoscope(*pair(tmp_path), path=os.fspath(tmp_path))
    assert found.problem == "diffoscope is not installed: apt-get install diffoscope"


def test_no_room_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", os.fspath(tmp_path / "gone"))
    found = ask_diffoscope(*pair(tmp_path), path=program(tmp_path, "exit 1"))
    assert found.problem.startswith("diffoscope gave no answer: ")


ANSWER = '{"source1": "a", "source2": "b", "unified_diff": "%s"}'
FAILING = {
    "crash": ("exit 3", "failed with 3"),
    "words": ("echo '\033[2J stop' >&2; exit 2", r"failed with 2: \x1b[2J stop"),
    "many words": ("echo warning >&2; echo Traceback >&2; echo why >&2; exit 2", "with 2: why"),
    "endless": ("sleep 60", "gave no answer"),
    "greedy for memory": ("exec python3 -c 'x = bytes(1 << 40)'", "failed with 1"),
    "greedy for disk": ('exec head -c 9000000 /dev/zero >"$json"', "failed with"),
    "no JSON": ('echo junk >"$json"; echo >"$html"; exit 1', "gave no answer"),
    "deep JSON": (
        """python3 -c 'print("[" * 100000)' >"$json"; echo >"$html"; exit 1""",
        "gave no answer",
    ),
    "nothing found": ("exit 0", "finds no difference"),
    "no page": ('echo "{}" >"$json"; exit 1', "failed with 1"),
    "another JSON": ('echo "{}" >"$json"; echo >"$html"; exit 1', "gave no answer"),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_failing_one_is_said(name: str, tmp_path: Path) -> None:
    script, words = FAILING[name]
    few = Allowance(seconds=3, memory_bytes=2 << 30, file_bytes=4 << 20)
    found = ask_diffoscope(*pair(tmp_path), few, path=program(tmp_path, script))
    assert words in found.problem
    assert (found.json, found.html, found.lines) == (b"", b"", ())


def test_it_gets_no_network_no_environment_and_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "canary")
    said = tmp_path / "said"
    script = f"""env >{said}; pwd >>{said}; readlink /proc/self/ns/net >>{said}
    echo '{ANSWER % "-canned"}' >"$json"; echo page >"$html"; exit 1"""
    found = ask_diffoscope(*pair(tmp_path), path=program(tmp_path, script))
    assert found.lines == ("file", "  -canned")
    text = said.read_text()
    assert "canary" not in text
    assert "net:[" in text
    assert os.fspath(Path("/proc/self/ns/net").readlink()) not in text
    (folder,) = re.findall("(?m)^TMPDIR=(.*)$", text)
    assert folder in text.splitlines()
    assert not Path(folder).exists()


def test_what_it_quotes_is_escaped(tmp_path: Path) -> None:
    answer = ANSWER % r"-\u001b[2J"
    script = f"""printf %s '{answer}' >"$json"; echo page >"$html"; exit 1"""
    found = ask_diffoscope(*pair(tmp_path), path=program(tmp_path, script))
    assert found.lines == ("file", r"  -\x1b[2J")
