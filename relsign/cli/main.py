"""The program `relsign`: which command, and what an error looks like.

Commands are loaded when they are called, so that `relsign verify` starts fast and
loads no engine, no gpg and no reference verifier; the plainest calls load no click
either (`relsign.cli.fast`).
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable

from relsign.cli.talk import talk
from relsign.errors import HostError, RelsignError

COMMANDS = {
    "init": "relsign.cli.init:init",
    "key": "relsign.cli.key:key",
    "lock": "relsign.cli.lock:lock",
    "fetch": "relsign.cli.fetch:fetch",
    "inputs": "relsign.cli.input_bundle:inputs",
    "build": "relsign.cli.build:build",
    "check": "relsign.cli.check:check",
    "collect": "relsign.cli.collect:collect",
    "status": "relsign.cli.status:status",
    "root": "relsign.cli.root:root",
    "policy": "relsign.cli.policy:policy",
    "sign": "relsign.cli.sign:sign",
    "publish": "relsign.cli.publish:publish",
    "trust": "relsign.cli.trust:trust",
    "get": "relsign.cli.get:get",
    "verify": "relsign.cli.verify:verify",
    "verify-dsse": "relsign.cli.verify_dsse:verify_dsse",
    "ceremony": "relsign.cli.ceremony:ceremony",
    "relay": "relsign.cli.relay:relay",
    "rehearse": "relsign.cli.rehearse:rehearse",
    "diff": "relsign.cli.diff:diff",
    "store": "relsign.cli.store:store",
    "doctor": "relsign.cli.doctor:doctor",
}
"""Command -> where it is, in the order a release needs them."""

INTERRUPTED = 130
INTERNAL = 5


def run() -> None:
    """Run the program and exit; no traceback ever reaches a user."""
    try:
        if None in {sys.stdout, sys.stderr}:
            _refuse_closed()
        code = execute(sys.argv[1:])
    except KeyboardInterrupt:
        # Before `guarded` began, or while it spoke.
        code = INTERRUPTED
    sys.exit(code)


def _refuse_closed() -> None:
    """End: somebody closed a stream (`>&-`), so not everything decided could be said."""
    import contextlib

    for stream, name in ((sys.stderr, "stdout"), (sys.stdout, "stderr")):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.write(f"error: {name} is closed\nhint: send it to a file or to /dev/null\n")
                stream.flush()
    _silence()
    sys.exit(HostError.exit_code)


def execute(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    return guarded(_run, arguments)


def _run(arguments: list[str]) -> int:
    # Loaded here, where an interrupt shows no traceback.
    from relsign.cli.fast import answer_quickly

    code = answer_quickly(arguments)
    if code is None:
        from relsign.cli.commands import run_command

        code = run_command(arguments)
    return code


def guarded(command: Callable[[list[str]], int], arguments: list[str]) -> int:
    """Call `command`; return its exit code, or that of the error it raised, once shown.

    The exit code is the error's also where its words cannot be written.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name the terminal's encoding lacks is shown escaped; it must not end a command.
            stream.reconfigure(errors="backslashreplace")
    try:
        code = command(arguments)
        sys.stdout.flush()
    except RelsignError as error:
        _try_to_say(*error_lines(error))
        return error.exit_code
    except KeyboardInterrupt:
        _try_to_say("interrupted; run the same command again to go on")
        return INTERRUPTED
    except OSError as error:
        _machine_failed(error)
        return HostError.exit_code
    except Exception as error:  # noqa: BLE001 - the last line of defence against tracebacks
        _try_to_say(
            f"error: internal error: {type(error).__name__}: {error}",
            "hint: this is a bug in relsign; nothing is verified. Please report it",
        )
        return INTERNAL
    return code


def _try_to_say(*lines: str) -> None:
    """Say something on stderr if that can be; a full disk behind it decides nothing."""
    try:
        for line in lines:
            talk(line)
    except OSError:
        _silence()


def _machine_failed(error: OSError) -> None:
    """Say that the system refused something; a reader that went away is told nothing."""
    if error.errno == errno.EPIPE:
        _silence()
        return
    from relsign.system.files import host_error

    name = error.filename if isinstance(error.filename, str | os.PathLike) else ""
    _try_to_say(*error_lines(host_error(error, name)))


def _silence() -> None:
    """Keep the interpreter from writing at its end what could not be written: it would fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            try:
                stream.flush()
            except OSError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def error_lines(error: RelsignError) -> list[str]:
    """Return the lines that say what is wrong, where, expected, got, and what to do next."""
    place = f"{error.where}: " if error.where else ""
    lines = [f"error: {place}{error.what}"]
    if error.expected:
        lines.append(f"  expected: {error.expected}")
    if error.got:
        lines.append(f"  got:      {error.got}")
    # The only words of several lines are ours: how a build's log ends, each line escaped.
    hint = error.hint.splitlines()
    return [*lines, *(line if number else f"hint: {line}" for number, line in enumerate(hint))]
