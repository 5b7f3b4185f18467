"""Ask a server whether it still has a file.

`is_served` does not fetch it: HEAD (RFC 9110, 9.3.2), and GET without its body where that
says too little.  Its answer is about a name and a size.  Where no size is known, anything
may answer, such as the page of who bought the domain, so `has_file` reads the file and
compares its digest.

Only a server's own word that there is no such file is a no; another file is no answer.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import urllib3

from relsign.errors import HostError, VerificationError
from relsign.formats.names import Digest
from relsign.system.fetch import (
    FetchLimits,
    ServerRefusedError,
    announced_bytes,
    download,
    network_error,
    open_response,
    redacted,
)

LIMITS = FetchLimits(connect_seconds=10, read_seconds=20, retries=2, slowest=1 << 10)
FILE_SECONDS = 3600
"""For one file that is read; as long as a Git server has for a commit."""
OK = 200
NO_HEAD = frozenset({400, 403, 405, 501})
"""What servers answer that serve a file and know no HEAD, or sign addresses for GET only."""
GONE = frozenset({404, 410, 451})


def is_served(url: str, size: int | None, headers: Mapping[str, str] | None = None) -> bool:
    """Say whether the file is there, and has `size` bytes if that is known.

    Raises HostError where the server gives no answer to the question, VerificationError
    where it has something of another size, InputError for an address that is not http or
    https.
    """
    try:
        status, length = _asked("HEAD", url, headers or {})
        if status in NO_HEAD or (status == OK and size not in {None, length}):
            status, length = _asked("GET", url, headers or {})
    except urllib3.exceptions.HTTPError as error:
        raise network_error(error, redacted(url)) from error
    if status in GONE:
        return False
    if status != OK:
        raise ServerRefusedError(url, status)
    if size in {None, length}:
        return True
    if length is None:
        raise HostError(
            "the server does not say how long the file is",
            where=redacted(url),
            expected=f"{size} bytes",
            hint="fetch it into an empty store to know: `relsign fetch --store FOLDER`",
        )
    raise _another(url, f"{size} bytes", f"{length} bytes")


def has_file(url: str, sha256: Digest) -> bool:
    """Read the file, keep nothing of it, and say whether it is there.

    Raises VerificationError where something with another digest is served, HostError where
    the server gives no answer, or one that is too large or takes too long.
    """
    try:
        found = download(url, _Nowhere(url), LIMITS)
    except ServerRefusedError as error:
        if error.status in GONE:
            return False
        raise
    if found.sha256 != sha256:
        raise _another(url, sha256, found.sha256)
    return True


def _another(url: str, expected: str, got: str) -> VerificationError:
    return VerificationError(
        "something else answers under this name",
        where=redacted(url),
        expected=expected,
        got=got,
        hint="see what it is: a login page of this network, who has the domain now, or a file "
        "that was replaced",
    )


class _Nowhere:
    """Takes bytes until the time is up, and keeps none."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ends_at = time.monotonic() + FILE_SECONDS

    def write(self, data: bytes, /) -> int:
        if time.monotonic() > self._ends_at:
            raise HostError(
                "the server is too slow",
                where=redacted(self._url),
                expected=f"the file within {FILE_SECONDS} seconds",
                hint="try again when the network is less busy",
            )
        return len(data)


def _asked(method: str, url: str, headers: Mapping[str, str]) -> tuple[int, int | None]:
    """Return status and length that a request ends with; no body is read."""
    try:
        response = open_response(url, LIMITS, headers, method=method)
    except ServerRefusedError as error:
        return error.status, None
    response.close()
    return OK, announced_bytes(response)
