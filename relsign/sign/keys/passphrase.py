"""Passphrases: from a prompt or a file descriptor, never from argv or environment.

Both of those can be read by other processes and end up in logs and histories.
"""

from __future__ import annotations

import os

import click

from relsign.errors import InputError

MAX_PASSPHRASE_BYTES = 1_024
_CONTROL_BELOW = 0x20
_STDIN = 0


def read_passphrase(prompt: str, *, descriptor: int | None = None, twice: bool = False) -> bytes:
    """Return a passphrase, UTF-8, without its line end.

    `descriptor` is an open file descriptor whose first line is the passphrase;
    without it a person is asked, `twice` when a key is being made.  Raises
    InputError if there is no terminal to ask on, or it is empty, longer than 1,024
    bytes, or has a control character.
    """
    if descriptor is not None:
        line = _first_line(descriptor)
    elif os.isatty(_STDIN):
        line = _ask(prompt, twice=twice)
    else:
        raise InputError(
            "no terminal to ask for a passphrase",
            hint="pass an open file descriptor with --passphrase-fd",
        )
    if not line or len(line) > MAX_PASSPHRASE_BYTES:
        raise InputError("not a passphrase", expected=f"1 to {MAX_PASSPHRASE_BYTES} bytes")
    if any(byte < _CONTROL_BELOW for byte in line):
        raise InputError("passphrase has a control character")
    return line


def _ask(prompt: str, *, twice: bool) -> bytes:
    try:
        answer: str = click.prompt(prompt, hide_input=True, confirmation_prompt=twice, err=True)
    except click.Abort as error:
        raise InputError("no passphrase given") from error
    return answer.encode("utf-8")


def _first_line(descriptor: int) -> bytes:
    """Read up to a line end, and no byte further: another passphrase may follow."""
    line = bytearray()
    try:
        while len(line) <= MAX_PASSPHRASE_BYTES:
            byte = os.read(descriptor, 1)
            if byte in {b"", b"\n"}:
                break
            line += byte
    except OSError as error:
        raise InputError(
            "cannot read the passphrase",
            where=f"file descriptor {descriptor}",
            got=(error.strerror or "").lower(),
        ) from error
    return bytes(line)
