"""A process that holds a secret leaves no core and lets nobody look in."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from relsign.errors import HostError
from relsign.system.secrecy import forbid_dumps

TOP = Path(__file__).parents[2]
CRASH = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
FORBID = "from relsign.system.secrecy import forbid_dumps; forbid_dumps(); "
SHOW = """
import ctypes
print([line.split()[4:6] for line in open("/proc/self/limits") if "core file" in line])
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


def run(script: str, folder: Path) -> tuple[bool, list[str]]:
    """Run a script in `folder`, where it may dump; return if it did, and what it left."""

    def allow() -> None:
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=folder, preexec_fn=allow,  # noqa: PLW1509
        env={**os.environ, "PYTHONPATH": str(TOP)},
    )  # fmt: skip
    _, status = os.waitpid(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return os.WCOREDUMP(status), sorted(path.name for path in folder.iterdir())


def test_a_crash_leaves_no_core(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    assert run(FORBID + CRASH, one) == (False, [])
    # The same crash dumps where it is not forbidden: but a test before this one may have
    # forbidden it to this process, and so to its children, for good.
    allowed = resource.getrlimit(resource.RLIMIT_CORE)[1] != 0
    dumped, _left = run(CRASH, two)
    assert dumped == allowed


def test_the_kernel_agrees() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", FORBID + SHOW],
        capture_output=True, text=True, check=True, cwd=TOP,
    ).stdout.splitlines()  # fmt: skip
    assert shown == ["[['0', '0']]", "0"]


def test_it_may_be_asked_again_and_children_start() -> None:
    twice = FORBID + "forbid_dumps(); import subprocess; subprocess.run(['true'], check=True)"
    subprocess.run([sys.executable, "-c", twice], check=True, cwd=TOP)


def test_where_the_system_refuses_no_secret_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_what: int, _limits: tuple[int, int]) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    with pytest.raises(HostError, match="no secret is read") as refused:
        forbid_dumps()
    assert refused.value.hint
