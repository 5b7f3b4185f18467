"""Child processes that may be killed."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable


def forked(act: Callable[[], object]) -> int:
    """Run `act` in a child process and return its number."""
    child = os.fork()
    if child == 0:
        try:
            act()
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    return child


def ended(child: int) -> bool:
    """Wait for a child; say whether it came to its end, and was not killed."""
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return not os.WIFSIGNALED(status)
