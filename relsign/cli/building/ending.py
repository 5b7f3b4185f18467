"""What `relsign build` and `relsign check` do when they are told to end, or fail."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

from relsign.build.ending import ending_on_signals
from relsign.build.engine.connection import connect, other_engine
from relsign.build.jobs import remove_own
from relsign.errors import RelsignError

STDERR = 2
SHOW_CURSOR = "\x1b[?25h"
"""For a terminal whose live table cannot end as it should."""


@contextlib.contextmanager
def cleaning_up(environment: Mapping[str, str]) -> Iterator[None]:
    """Leave nothing in the engine if the block fails or is ended; a second signal waits for that.

    `environment` names the engine as `connect` reads it.
    """
    with ending_on_signals(_say_again):
        try:
            yield
        except BaseException:
            # What is being raised says more than an engine that does not answer.
            with contextlib.suppress(RelsignError), connect(environment) as engine:
                with contextlib.suppress(RelsignError):
                    remove_own(engine)
                # Twins may be built there, too.
                if (other := other_engine(environment, engine)) is not None:
                    with other:
                        remove_own(other)
            raise


def _say_again(is_over: bool) -> None:  # noqa: FBT001 - a callback's only word
    words = "still cleaning up; this takes some seconds\n"
    if is_over:
        words = "ended at once; the next build removes what is left in the container engine\n"
        words = SHOW_CURSOR + words if os.isatty(STDERR) else words
    # A terminal that went away is why this may be called at all.
    with contextlib.suppress(OSError):
        os.write(STDERR, words.encode())
