"""Ask a server whether it still has a file, without fetching it.

HEAD (RFC 9110, 9.3.2); where a server does not know it, GET without its body.  The answer
is about a name and a size, not about bytes: those are compared when a file is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import unquote

import urllib3
from urllib3.util import make_headers
from urllib3.util.url import Url

from relsign.errors import HostError
from relsign.system.fetch import (
    REDIRECTS,
    USER_AGENT,
    FetchLimits,
    ServerRefusedError,
    announced_bytes,
    network_error,
    open_response,
    parse_http_url,
    pool_to,
    redacted,
    redirect_target,
)

LIMITS = FetchLimits(connect_seconds=10, read_seconds=20, retries=2)
OK = 200
NO_HEAD = frozenset({400, 403, 405, 501})
"""What servers answer that serve a file and know no HEAD, or sign addresses for GET only."""
GONE = frozenset({404, 410, 451})


def is_served(url: str, size: int | None, headers: Mapping[str, str] | None = None) -> bool:
    """Say whether the file is there, and has `size` bytes if that is known.

    Raises HostError where the server gives no answer to the question.
    """
    try:
        status, length = _head(url, dict(headers or {}))
        if status in NO_HEAD:
            status, length = _get(url, dict(headers or {}))
    except urllib3.exceptions.HTTPError as error:
        raise network_error(error, redacted(url)) from error
    if status in GONE:
        return False
    if status != OK:
        raise ServerRefusedError(url, status)
    return None in {size, length} or size == length


def _head(url: str, headers: dict[str, str]) -> tuple[int, int | None]:
    """Return status and length that a HEAD request ends with, redirects followed."""
    for _hop in range(LIMITS.redirects + 1):
        parsed = parse_http_url(url)
        with pool_to(parsed, LIMITS) as pool:
            address = parsed._replace(auth=None).url
            sent = _headers(parsed, headers)
            answer = pool.request("HEAD", address, headers=sent, redirect=False)
        if answer.status not in REDIRECTS:
            return answer.status, announced_bytes(answer)
        target = redirect_target(url, answer.headers.get("Location", ""))
        if url.startswith("https:") and not target.startswith("https:"):
            break
        if parse_http_url(target).netloc != parsed.netloc:
            headers.pop("Authorization", None)
        url = target
    raise HostError("redirects lead nowhere", where=redacted(url))


def _headers(url: Url, more: Mapping[str, str]) -> dict[str, str]:
    headers = make_headers(
        accept_encoding="identity",
        user_agent=USER_AGENT,
        basic_auth=unquote(url.auth) if url.auth else None,
    )
    return {**headers, **more}


def _get(url: str, headers: dict[str, str]) -> tuple[int, int | None]:
    """Return status and length of a GET request whose body is not read."""
    try:
        response = open_response(url, LIMITS, headers)
    except ServerRefusedError as error:
        return error.status, None
    response.close()
    return OK, announced_bytes(response)
