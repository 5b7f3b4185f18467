"""Why a command in a build container failed: its memory, its space, its container, or itself."""

from __future__ import annotations

import contextlib
import re

from relsign.build.engine.container import Container
from relsign.build.log import BuildLog
from relsign.build.profile import Profile
from relsign.errors import HostError, InputError

TOO_LITTLE_BYTES = 8 << 20
"""With less memory than this left, small programs are killed while they start."""
MAX_EVENTS_BYTES = 1 << 12
"""Of what the container's own `cat` prints: a kernel's counts are shorter."""


def explain_failure(
    container: Container, profile: Profile, where: str, code: int, log: BuildLog
) -> InputError | HostError:
    """Return the error for a command that ended with `code`.

    Memory, space, a container that was stopped, or the command itself; `where`
    names the command, and the end of `log` is the hint.  Raises HostError if the
    engine does not answer.
    """
    lines = log.lines()
    shown = log.shown()
    state = container.state()
    if state.out_of_memory or (state.running and _was_out_of_memory(container)):
        return InputError(
            "the build ran out of memory",
            where=where,
            expected=_memory_words(profile),
            got=f"exit code {code}",
            hint=shown,
        )
    if not container.state().running:
        # Where memory ended the first process of all, Podman does not always say so.
        doubt = f"if nobody stopped it, its memory was full: {_memory_words(profile)}"
        hint = "\n".join(filter(None, (shown, doubt)))
        return HostError("the build's container was stopped", where=where, hint=hint)
    full = any("no space left on device" in line.lower() for line in lines)
    return InputError(
        "the build folder is full" if full else "command failed",
        where=where,
        expected=f"at most {profile.build_bytes >> 20} MiB" if full else "exit code 0",
        got=f"exit code {code}" + (f", signal {code - 128}" if code > 128 else ""),  # noqa: PLR2004  shells add 128
        hint=shown,
    )


def _memory_words(profile: Profile) -> str:
    return f"at most {profile.memory_bytes >> 20} MiB, files in /build included"


def _was_out_of_memory(container: Container) -> bool:
    """Ask the container's own control group: make, for one, hides that a child was killed.

    Where files fill the memory, what asks is killed, too, or does not even start: then
    the engine, which counts from outside, says whether there is no room left.
    """
    said = b""
    files = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
    with contextlib.suppress(HostError):
        _, said = container.ask(("cat", *files), MAX_EVENTS_BYTES)
    kills = re.search(rb"^oom_kill (\d{1,19})$", said, re.MULTILINE)
    if kills or not container.state().running:
        return kills is not None and int(kills[1]) > 0
    memory = container.memory()
    return 0 < memory.limit <= memory.used + TOO_LITTLE_BYTES
