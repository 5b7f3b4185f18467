"""What a relay says to a request that it does not do."""

from __future__ import annotations

from relsign.errors import InputError


class RefusedError(InputError):
    """A request that is not done, and the HTTP status that says why."""

    def __init__(self, status: int, what: str, hint: str = "") -> None:
        """Keep what the member is told."""
        super().__init__(what, hint=hint)
        self.status = status
