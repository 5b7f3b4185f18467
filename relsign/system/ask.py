"""Ask a server one question: one request, one answer, bounded in bytes and in time.

For services that a person talks to, where `relsign.system.fetch` gets files that anybody
may have: no redirect is followed and nothing is sent twice, because a request may be
signed for one place and one moment.  Proxies and certificates are this machine's.

The time is counted for the whole answer: a server that sends a byte now and then, in the
body or in the headers, cannot hold a client.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import make_headers

from relsign.errors import HostError
from relsign.system.fetch import (
    REDIRECTS,
    USER_AGENT,
    FetchLimits,
    network_error,
    parse_http_url,
    pool_to,
    read_body,
    redacted,
)

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a server, in seconds."""

    connect: float = 15
    read: float = 20
    """For the next bytes."""
    answer: float = 60
    """From the end of the request to the last byte of its answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said; `status` may be one of failure."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class NoAnswerError(HostError):
    """The network or the server let a request fail; the same may succeed a little later."""


def ask(question: Question, max_bytes: int, patience: Patience) -> Answer:
    """Send one request and return the answer, whatever its status but a redirect.

    Raises InputError for a URL that is not HTTP, NoAnswerError for what the network does,
    HostError for a redirect and for more than `max_bytes`.
    """
    limits = FetchLimits(max_bytes, patience.connect, patience.read, redirects=0, retries=0)
    shown = redacted(question.url)
    try:
        response = _send(question, limits, patience)
        try:
            if response.status in REDIRECTS:
                raise HostError(
                    "the server sends requests elsewhere",
                    where=shown,
                    got=f"status {response.status}",
                    hint="use the address that it really has; redirects are not followed",
                )
            data = b"".join(read_body(response, limits, shown))
        finally:
            response.close()
    except urllib3.exceptions.HTTPError as error:
        failure = network_error(error, shown)
        raise NoAnswerError("no answer", where=shown, got=failure.got, hint=failure.hint) from error
    return Answer(response.status, response.headers, data)


def _send(question: Question, limits: FetchLimits, patience: Patience) -> urllib3.BaseHTTPResponse:
    address = parse_http_url(question.url)
    plain = make_headers(accept_encoding="identity", user_agent=USER_AGENT)
    with pool_to(address, limits) as pool:
        pool.pool_classes_by_scheme = _pools(patience)
        return pool.request(
            question.method,
            address._replace(auth=None).url,
            headers={**plain, **question.headers},
            body=question.body,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )


def _pools(patience: Patience) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3's pools, with connections whose answers have a deadline."""

    class Response(_Response):
        bounds = patience

    class Connection(HTTPConnection):
        response_class = Response

    class SecureConnection(HTTPSConnection):
        response_class = Response

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": Pool, "https": SecurePool}


class _Response(http.client.HTTPResponse):
    """An answer, headers and body, that must be whole before its deadline."""

    bounds = Patience()

    def __init__(
        self,
        sock: socket.socket,
        debuglevel: int = 0,
        method: str | None = None,
        url: str | None = None,
    ) -> None:
        super().__init__(sock, debuglevel, method, url)
        self.fp.close()
        self.fp = io.BufferedReader(_Deadline(sock, self.bounds))


class _Deadline(io.RawIOBase):
    """What a socket sends until a moment has come; then TimeoutError."""

    def __init__(self, connection: socket.socket, patience: Patience) -> None:
        self._connection = connection
        self._source = connection.makefile("rb", buffering=0)
        self._end = time.monotonic() + patience.answer
        self._read_seconds = patience.read

    def readable(self) -> bool:
        return True

    def readinto(self, room: WriteableBuffer, /) -> int | None:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._connection.settimeout(min(left, self._read_seconds))
        return self._source.readinto(room)

    def close(self) -> None:
        self._source.close()
        super().close()
