"""The last line of defence: odd terminals, odd names, a machine that fails."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from relsign.cli.main import execute
from relsign.cli.talk import printable
from tests.projects import PROGRAM, Project
from tests.verify.releases import NAME


def shell(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ✓ █ é", "plain ✓ █ é"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("line\nline", "line\\nline"),
        ("\udcff", "\\udcff"),
        ("bell\a", "bell\\x07"),
    ],
)
def test_what_others_wrote_cannot_steer_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_no_escape_reaches_a_real_terminal(tmp_path: Path) -> None:
    """Click strips escapes only where there is no terminal, so ask on one."""
    odd = tmp_path / "\x1b[31mVERIFIED"
    os.mkfifo(odd)
    master, slave = pty.openpty()
    subprocess.run([PROGRAM, "verify", "--root", odd, odd], stdout=slave, stderr=slave, check=False)
    os.close(slave)
    said = os.read(master, 4096)
    os.close(master)
    assert b"\x1b" not in said
    assert b"not a regular file" in said


def test_a_reader_that_goes_away_is_not_a_refusal(project: Project) -> None:
    assert project.signed().publish() == 0
    command = f"{PROGRAM} verify --root ../root.json {NAME} | head -c 0; echo ${{PIPESTATUS[0]}}"
    done = shell(command, project.published)
    assert done.stdout.strip() in {"0", "5"}
    assert "Traceback" not in done.stderr
    bad = command.replace(NAME, "SHA256SUMS")
    assert shell(bad, project.published).stdout.strip() in {"1", "5"}


def test_a_full_disk_behind_stdout_is_this_machines_fault(project: Project) -> None:
    assert project.signed().publish() == 0
    done = shell(f"{PROGRAM} verify --root ../root.json {NAME} >/dev/full", project.published)
    assert done.returncode == 5
    assert "no space left" in done.stderr
    assert "internal error" not in done.stderr


def test_a_closed_stdout_is_this_machines_fault(project: Project) -> None:
    assert project.signed().publish() == 0
    done = shell(f"{PROGRAM} verify --root ../root.json {NAME} >&-", project.published)
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("error: stdout is closed\nhint: ")


def test_a_closed_stderr_is_said_on_stdout(tmp_path: Path) -> None:
    done = shell(f"{PROGRAM} --version 2>&-", tmp_path)
    assert (done.returncode, done.stderr) == (5, "")
    assert done.stdout.startswith("error: stderr is closed\nhint: ")
    assert shell(f"{PROGRAM} --version 2>&- >&-", tmp_path).returncode == 5
    assert shell(f"{PROGRAM} --version 2>&- >/dev/full", tmp_path).returncode == 5


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("verify --trust none --pin nope file", 4),
        ("status --project /nonexistent", 2),
        ("verify absent", 5),
        ("nonsense", 5),
        ("--version >/dev/full", 5),
    ],
)
def test_words_that_cannot_be_written_decide_nothing(tmp_path: Path, words: str, code: int) -> None:
    """A full disk behind stderr: neither VERIFIED nor REFUSED by accident."""
    (tmp_path / "file").write_bytes(b"")
    assert shell(f"{PROGRAM} {words} 2>/dev/full", tmp_path).returncode == code
    gone = shell(f"{PROGRAM} {words} 2>&1 | true; echo ${{PIPESTATUS[0]}}", tmp_path)
    assert gone.stdout.strip() in {str(code), "2", "5"}


def test_a_note_that_cannot_be_written_is_this_machines_fault(project: Project) -> None:
    project.signed()
    done = shell(f"{PROGRAM} root rotate --project {project.folder} 2>/dev/full", project.folder)
    assert done.returncode == 5


def test_no_name_makes_a_line_of_its_own(project: Project) -> None:
    evil = project.release.builds / "x\x1b]0;pwn\a\n  ✓ builders  3 (need 2)"
    evil.mkdir(parents=True)
    (evil / "a.intoto.jsonl").write_bytes(b"junk")
    done = shell(f"{PROGRAM} status --project {project.folder}", project.folder)
    assert "\x1b" not in done.stdout
    assert not any(line.startswith("  ✓ builders  3") for line in done.stdout.splitlines())


def test_a_current_folder_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    done = shell(f"mkdir {gone} && cd {gone} && rmdir {gone} && {PROGRAM} status", tmp_path)
    assert done.returncode == 2
    assert "current folder is gone" in done.stderr


def test_a_read_error_is_this_machines_fault(project: Project) -> None:
    assert project.signed().publish() == 0
    bundle = str(project.published / "demo-1.0.relsign")
    words = ["verify", "--root", str(project.root_file), "--bundle", bundle, "/proc/self/mem"]
    assert execute(words) == 5


def test_a_descriptor_that_cannot_be() -> None:
    words = ["key", "new", "a", "--role", "signer", "--operator", "a", "--organisation", "b"]
    assert execute([*words, "--passphrase-fd", "99999999999"]) == 2


def test_names_the_terminal_cannot_show(project: Project) -> None:
    odd = project.folder / os.fsdecode(b"odd-\xff")
    done = subprocess.run(
        [PROGRAM, "verify", "--root", odd, odd],
        env={"PATH": os.environ["PATH"], "PYTHONIOENCODING": "ascii:strict", "LC_ALL": "C"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"internal error" not in done.stderr
