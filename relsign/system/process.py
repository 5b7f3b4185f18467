"""Other programs: run with a stated environment, bounded in time and output.

The caller's environment is not passed on, so that no secret in it reaches a
child, its log, or what a child writes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from relsign.errors import HostError

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MAX_OUTPUT_BYTES = 16 << 20


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment children get: a fixed path and locale, plus `extra`."""
    return {"PATH": PATH, "LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": "/nonexistent", **(extra or {})}


def require_program(name: str, package: str) -> str:
    """Return the absolute path of a program; raise HostError naming its package."""
    found = shutil.which(name, path=PATH)
    if found is None:
        raise HostError(f"{name} is not installed", hint=f"apt-get install {package}")
    return found


def run_program(
    command: Sequence[str | Path],
    *,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout_seconds: float = 600,
    descriptors: Sequence[int] = (),
) -> subprocess.CompletedProcess[bytes]:
    """Run `command` to its end and return exit code, stdout and stderr.

    Raises HostError if it cannot be started, runs longer than `timeout_seconds`
    or prints more than 16 MiB.  A non-zero exit code is the caller's to judge.
    `descriptors` stay open in the child, for what must not stand in its arguments.
    """
    try:
        result = subprocess.run(
            [os.fspath(word) for word in command],
            input=stdin,
            capture_output=True,
            env=clean_environment(environment),
            cwd=cwd,
            timeout=timeout_seconds,
            check=False,
            pass_fds=descriptors,
        )
    except subprocess.TimeoutExpired as error:
        raise HostError(
            "took too long",
            where=os.fspath(command[0]),
            expected=f"{timeout_seconds:.0f} s at most",
        ) from error
    except OSError as error:
        raise HostError(
            "cannot be started", where=os.fspath(command[0]), got=error.strerror or ""
        ) from error
    if len(result.stdout) + len(result.stderr) > MAX_OUTPUT_BYTES:
        raise HostError("printed too much", where=os.fspath(command[0]))
    return result
