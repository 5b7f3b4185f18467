"""Ask a server whether it still has a file, without fetching it.

HEAD (RFC 9110, 9.3.2); where a server does not know it, GET without its body.  The answer
is about a name and a size, not about bytes: those are compared when a file is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping

import urllib3

from relsign.system.fetch import (
    FetchLimits,
    ServerRefusedError,
    announced_bytes,
    network_error,
    open_response,
    redacted,
)

LIMITS = FetchLimits(connect_seconds=10, read_seconds=20, retries=2)
OK = 200
NO_HEAD = frozenset({400, 403, 405, 501})
"""What servers answer that serve a file and know no HEAD, or sign addresses for GET only."""
GONE = frozenset({404, 410, 451})


def is_served(url: str, size: int | None, headers: Mapping[str, str] | None = None) -> bool:
    """Say whether the file is there, and has `size` bytes if that is known.

    Raises HostError where the server gives no answer to the question, InputError for an
    address that is not http or https.
    """
    try:
        status, length = _asked("HEAD", url, headers or {})
        if status in NO_HEAD:
            status, length = _asked("GET", url, headers or {})
    except urllib3.exceptions.HTTPError as error:
        raise network_error(error, redacted(url)) from error
    if status in GONE:
        return False
    if status != OK:
        raise ServerRefusedError(url, status)
    return None in {size, length} or size == length


def _asked(method: str, url: str, headers: Mapping[str, str]) -> tuple[int, int | None]:
    """Return status and length that a request ends with; no body is read."""
    try:
        response = open_response(url, LIMITS, headers, method=method)
    except ServerRefusedError as error:
        return error.status, None
    response.close()
    return OK, announced_bytes(response)
