"""How much of a relay one member may fill."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from relsign.relay.refusal import RefusedError


@dataclass(frozen=True, slots=True)
class Quota:
    """What one member may have on a relay."""

    topics: int = 1024
    topic_messages: int = 128
    topic_bytes: int = 2 << 20
    all_messages: int = 16_384
    all_bytes: int = 256 << 20


@dataclass(frozen=True, slots=True)
class Usage:
    """What one member has there, by topic."""

    messages: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)

    def add(self, topic: str, size: int) -> None:
        """Count one message."""
        self.messages[topic] += 1
        self.bytes[topic] += size

    def refuse_beyond(self, quota: Quota, topic: str, size: int) -> None:
        """Raise RefusedError if one more message of `size` bytes is too much."""
        for what, used, most in (
            ("messages in this topic", self.messages[topic] + 1, quota.topic_messages),
            ("bytes in this topic", self.bytes[topic] + size, quota.topic_bytes),
            ("topics", len(+self.messages) + (not self.messages[topic]), quota.topics),
            ("messages", self.messages.total() + 1, quota.all_messages),
            ("bytes", self.bytes.total() + size, quota.all_bytes),
        ):
            if used > most:
                raise RefusedError(
                    507, f"your share is full: {most} {what}", "ask who runs the relay"
                )
