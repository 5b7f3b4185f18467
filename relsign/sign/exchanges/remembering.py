"""An exchange beside a folder of one's own, which keeps whatever was once heard.

A relay may forget, and may show one person less than another.  What was heard counts all
the same: a participant who answered before must know it, and a message that contradicts
an earlier one must be seen to.  What the exchange lacks is given to it again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from relsign.sign.exchanges.interface import Exchange, Received


@dataclass(frozen=True, slots=True)
class RememberingExchange:
    """Messages of `inner`, and those `own` kept of it."""

    inner: Exchange
    own: Exchange
    keeps: Callable[[bytes], bool]
    """Whether a message is by one of those who may speak: nothing else is kept or passed on."""

    def put(self, topic: str, message: bytes) -> None:
        """Add a message to both, first to one's own: raise what either raises.

        Where the line is cut then, the message goes out with the next visit.
        """
        self.own.put(topic, message)
        self.inner.put(topic, message)

    def messages(self, topic: str) -> Received:
        """Return the messages of both, each having what the other had when this returns."""
        received = self.inner.messages(topic)
        kept = self.own.messages(topic)
        there, here = set(received.messages), set(kept.messages)
        for message in filter(self.keeps, received.messages):
            if message not in here:
                self.own.put(topic, message)
        for message in filter(self.keeps, kept.messages):
            if message not in there:
                self.inner.put(topic, message)
        return Received(tuple(sorted(there | here)), received.ignored + kept.ignored)
