"""Download a large file into a `.part` beside its place, going on where it broke off.

A server that goes away, stalls or ends a body too early is asked again for the rest
(RFC 9110, section 14: `Range`, and `If-Range` where it named a strong validator).
Bytes of an earlier run are used as well; if the whole then has another digest than
the caller hopes for, it is fetched once more from the start.  Nothing here decides
whether the bytes are the right ones: callers compare the digest that is returned.

    with open_part(folder / "a.tar.part") as part:
        got = fetch_to_part(url, part, expected, limits)
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import urllib3

from relsign.system.fetch import (
    BROKEN_OFF,
    WHOLE,
    Downloaded,
    FetchLimits,
    Progress,
    announced_bytes,
    network_error,
    open_response,
    read_body,
    redacted,
    silent,
)
from relsign.system.part import Part

PARTIAL = 206
NOT_SATISFIABLE = 416
WORTH_A_TRY = 1 << 20
"""Bytes that must come between two breaks for the second not to count: 1 MiB."""
_FIRST_BYTE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/(?:\*|[0-9]{1,18})")
_LENGTH = re.compile(r"bytes \*/([0-9]{1,18})")


def fetch_to_part(
    url: str,
    part: Part,
    sha256: str,
    limits: FetchLimits | None = None,
    progress: Progress = silent,
) -> Downloaded:
    """Fill `part` with the body at `url` and return its digest and size.

    `sha256` is the digest the caller hopes for.  Raises what
    `relsign.system.fetch.download` raises, and then `part` keeps what came.
    """
    bounds = limits or FetchLimits()
    part.take_over(bounds.max_bytes)
    if part.sha256 != sha256:
        transfer = _Transfer(url, part, bounds, progress)
        transfer.run()
        if transfer.guessed and part.sha256 != sha256:
            # What an earlier run left was of another file, or the server changed it.
            part.restart()
            transfer.run()
    part.finish()
    return Downloaded(part.sha256, part.size)


@dataclass
class _Transfer:
    """One file's way here, over as many requests as it takes."""

    url: str
    file: Part
    limits: FetchLimits
    progress: Progress
    validator: str = ""
    """A strong ETag of the body that `file` holds the beginning of."""
    guessed: bool = False
    """Whether bytes were joined that only the digest can show to belong together."""

    def run(self) -> None:
        """Fetch until the body is whole; breaks that bring little are counted."""
        breaks = 0
        self.guessed = False
        while True:
            before = self.file.size
            try:
                self._request()
            except BROKEN_OFF as error:
                breaks = 1 if self.file.size - before >= WORTH_A_TRY else breaks + 1
                if breaks > self.limits.retries:
                    raise network_error(error, redacted(self.url)) from error
                time.sleep(0.5 * (breaks - 1))
            except urllib3.exceptions.HTTPError as error:
                raise network_error(error, redacted(self.url)) from error
            else:
                return

    def _request(self) -> None:
        """Ask for what is missing, or for everything where the server cannot do that."""
        start = self.file.size
        headers = {"Range": f"bytes={start}-"} if start else {}
        if start and self.validator:
            headers["If-Range"] = self.validator
        accepted = WHOLE | {PARTIAL, NOT_SATISFIABLE} if start else WHOLE
        response = open_response(self.url, self.limits, headers, accepted)
        try:
            again = self._take(response, start)
        finally:
            response.close()
        if again:
            self._request()

    def _take(self, response: urllib3.BaseHTTPResponse, start: int) -> bool:
        """Append a body; say whether the server must be asked for the whole file instead."""
        where = response.headers.get("Content-Range", "")
        if response.status == NOT_SATISFIABLE:
            length = _LENGTH.fullmatch(where)
            self.guessed = True
            if length and int(length[1]) == start:
                return False
            self.file.restart()
            return True
        if response.status == PARTIAL:
            first = _FIRST_BYTE.fullmatch(where)
            if not first or int(first[1]) != start:
                self.file.restart()
                return True
            self.guessed = self.guessed or not self.validator
        else:
            self.file.restart()
            self.guessed = False
            self.validator = _strong(response.headers.get("ETag", ""))
        self._append(response)
        return False

    def _append(self, response: urllib3.BaseHTTPResponse) -> None:
        announced = announced_bytes(response)
        total = None if announced is None else self.file.size + announced
        shown = redacted(self.url)
        for chunk in read_body(response, self.limits, shown, self.file.size):
            self.file.append(chunk)
            self.progress(self.file.size, total)


def _strong(etag: str) -> str:
    """Return an entity tag that promises equal bytes, or nothing."""
    return etag if re.fullmatch(r'"[!#-~]{1,200}"', etag) else ""
