"""How often somebody may ask, and that nobody asks with the same nonce twice.

Both remember a bounded number of things, whatever the network does.  Times are seconds
of a clock that only goes forward, given as arguments.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and so many more each second."""

    burst: float
    per_second: float


MEMBER_RATE = Rate(burst=240, per_second=4)
STRANGER_RATE = Rate(burst=20, per_second=0.5)
MAX_KNOWN = 4096
"""Addresses or members whose asking is remembered."""


class Buckets:
    """Tokens that somebody spends by asking and gets back by waiting."""

    def __init__(self, rate: Rate) -> None:
        """Let everybody begin with a full bucket."""
        self._rate = rate
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def spend(self, who: str, now: float) -> bool:
        """Take a token of `who`; say whether there was one."""
        left, then = self._left.pop(who, (self._rate.burst, now))
        left = min(self._rate.burst, left + (now - then) * self._rate.per_second)
        allowed = left >= 1
        self._left[who] = (left - 1 if allowed else left, now)
        if len(self._left) > MAX_KNOWN:
            # Whoever asked longest ago has the fullest bucket: to forget him changes least.
            self._left.popitem(last=False)
        return allowed


class Nonces:
    """What was asked within the window in which a request is fresh."""

    def __init__(self, seconds: float, at_most: int) -> None:
        """Remember up to `at_most` nonces, each for `seconds`."""
        self._seconds = seconds
        self._at_most = at_most
        self._seen: OrderedDict[tuple[str, str], float] = OrderedDict()

    def is_new(self, keyid: str, nonce: str, now: float) -> bool:
        """Say whether a member's nonce was not seen before, and remember it.

        Beyond `at_most` every nonce counts as seen: then members wait, and no request
        is taken twice.
        """
        while self._seen and next(iter(self._seen.values())) < now - self._seconds:
            self._seen.popitem(last=False)
        if (keyid, nonce) in self._seen or len(self._seen) >= self._at_most:
            return False
        self._seen[keyid, nonce] = now
        return True
