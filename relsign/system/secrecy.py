"""Secrets in this process: no core dump, and no other process that looks in.

A process that called `forbid_dumps` leaves no core, and no other process of its user
may attach to it or read its memory (root always may).

What Python cannot keep, said plainly.  Its `bytes` and `str` cannot be wiped: a
passphrase and a decrypted key stay in memory, perhaps in several copies, until the
process ends and its pages are used again.  Its memory is not locked, so the system
may write it to swap: encrypt the swap, or have none.  Its arithmetic on long integers
takes time that depends on the values.  A process of root, the kernel, and whoever
stops the machine and reads its memory see everything.  So commands that hold a
secret are short, and a key that must not be copied lives in a token or an agent.
"""

from __future__ import annotations

import os

from relsign.errors import HostError

_PR_GET_DUMPABLE = 3
_PR_SET_DUMPABLE = 4


def forbid_dumps() -> None:
    """Make sure that this process leaves no core and cannot be looked into (prctl(2)).

    Both are needed: a core that the kernel pipes to a program heeds no size limit, and
    children, which become dumpable again when they start, keep the limit.  May be called
    again at any time.  Raises HostError where the system refuses: then no secret may be
    read or made.
    """
    # Only commands that hold a secret need them; `verify` starts sooner.
    import ctypes  # noqa: PLC0415
    import resource  # noqa: PLC0415

    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, ValueError, AttributeError) as error:
        raise _cannot_forbid(str(error)) from error
    if prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 or prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise _cannot_forbid(os.strerror(ctypes.get_errno()).lower())


def _cannot_forbid(reason: str) -> HostError:
    return HostError(
        "this system does not let a process forbid core dumps, so no secret is read",
        where="prctl, setrlimit",
        got=reason,
        hint="run it on Linux, outside of a sandbox that forbids prctl(2)",
    )
