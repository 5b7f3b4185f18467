"""The one place that asks what time it is."""

from __future__ import annotations

from datetime import UTC, datetime


def now_utc() -> datetime:
    """Return the current time, aware, UTC, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)
