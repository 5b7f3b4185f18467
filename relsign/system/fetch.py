"""Download one file over HTTP, bounded in size, time and redirects.

The machine decides the way there, as it does for pip: proxies come from
``http_proxy``, ``https_proxy``, ``all_proxy`` and ``no_proxy``, certificates from
``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE``, ``SSL_CERT_FILE`` or ``SSL_CERT_DIR``.
Nothing here decides whether the bytes are the right ones: callers compare the
digest that is returned.

    download("https://example.org/a.tar.gz", sink, FetchLimits(max_bytes=1 << 20))
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urljoin

import urllib3
from urllib3.util import Retry, Timeout, make_headers
from urllib3.util.url import Url, parse_url

from relsign.errors import HostError, InputError
from relsign.formats.names import Digest

CHUNK_BYTES = 1 << 18
USER_AGENT = "relsign"
REDIRECTS = frozenset({301, 302, 303, 307, 308})
RETRY_AFTER = frozenset({429, 500, 502, 503, 504})
WHOLE = frozenset({200})
CERTIFICATE_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")

BROKEN_OFF = (urllib3.exceptions.ProtocolError, urllib3.exceptions.ReadTimeoutError)
"""What urllib3 raises where a body ends too early or stalls."""

_CREDENTIALS = re.compile(r"//[^/?#]*@")
_QUERY = re.compile(r"\?[^#\s]*")

Progress = Callable[[int, int | None], None]
"""Called with bytes done and bytes in all, or None where the server does not say."""


class Sink(Protocol):
    """Where bytes go: any binary file opened for writing."""

    def write(self, data: bytes, /) -> int:
        """Write all of `data`."""
        ...


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """How much and how long; times are in seconds."""

    max_bytes: int = 2 << 30
    connect_seconds: float = 20
    read_seconds: float = 60
    redirects: int = 5
    retries: int = 3
    slowest: int = 0
    """Bytes per second that must come, on average of each `read_seconds`; 0 asks for none.

    Without it a server that sends a byte now and then can hold a client for ever."""


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What came: digest and count of the bytes given to the sink."""

    sha256: Digest
    size: int


class ServerRefusedError(HostError):
    """A server answered with a status that is no success."""

    def __init__(self, url: str, status: int) -> None:
        """Keep the status, which says whether there is no such file or something else."""
        super().__init__("server refused", where=redacted(url), got=f"status {status}")
        self.status = status


class TooLargeError(HostError):
    """A body is longer than the caller allows, or says that it will be."""


def silent(_done: int, _total: int | None) -> None:
    """Report progress to nobody."""


def download(
    url: str,
    sink: Sink,
    limits: FetchLimits | None = None,
    progress: Progress = silent,
) -> Downloaded:
    """Write the body at `url` into `sink` and return its digest and size.

    Raises InputError for a URL that is not HTTP, HostError naming the URL for
    everything the network does: no answer, an error status, too many redirects,
    one from https to http, more than `limits.max_bytes`, fewer than announced.
    """
    bounds = limits or FetchLimits()
    shown = redacted(url)
    try:
        response = open_response(url, bounds)
        try:
            return _copy(response, sink, bounds, progress, shown)
        finally:
            response.close()
    except urllib3.exceptions.HTTPError as error:
        raise network_error(error, shown) from error


def download_bytes(url: str, limits: FetchLimits) -> bytes:
    """Return the body at `url`, for small files; one that breaks off is asked for again.

    Raises as `download`, ServerRefusedError for an error status among them.
    """
    shown = redacted(url)
    for left in reversed(range(limits.retries + 1)):
        sink = io.BytesIO()
        try:
            response = open_response(url, limits)
            try:
                _copy(response, sink, limits, silent, shown)
            finally:
                response.close()
        except BROKEN_OFF as error:
            if not left:
                raise network_error(error, shown) from error
        except urllib3.exceptions.HTTPError as error:
            raise network_error(error, shown) from error
        else:
            break
    return sink.getvalue()


def network_error(error: urllib3.exceptions.HTTPError, shown: str) -> HostError:
    """Return what to say of a request that failed."""
    return HostError("download failed", where=shown, got=_reason(error), hint=_hint(error))


def redacted(url: str) -> str:
    """Return `url` without user name, password and values in its query, for messages.

    A token may stand in any of them; the names before ``=`` stay.
    """
    return _QUERY.sub(_without_values, _CREDENTIALS.sub("//", url))


def _without_values(query: re.Match[str]) -> str:
    parts = (part.partition("=") for part in query[0][1:].split("&"))
    return "?" + "&".join(f"{name}=..." if equals else "..." for name, equals, _value in parts)


def open_response(
    url: str,
    limits: FetchLimits,
    headers: Mapping[str, str] | None = None,
    accepted: frozenset[int] = WHOLE,
    method: str = "GET",
) -> urllib3.BaseHTTPResponse:
    """Send a GET or HEAD request, follow redirects, and return the response before its body.

    Each hop has its own proxy and its own rule.  The caller closes it.  Raises as
    `download`, and urllib3's HTTPError for what the network does.
    """
    current, sent = url, dict(headers or {})
    for _hop in range(limits.redirects + 1):
        response = _request(method, parse_http_url(current), limits, sent)
        if response.status not in REDIRECTS:
            if response.status not in accepted:
                response.close()
                raise ServerRefusedError(current, response.status)
            return response
        response.close()
        target = _target(current, response.headers.get("Location", ""))
        if current.startswith("https:") and not target.startswith("https:"):
            raise HostError("redirect leaves https", where=redacted(current), got=redacted(target))
        if not target.startswith(("http:", "https:")):
            raise HostError(
                "redirect to no web address",
                where=redacted(current),
                hint="the server is set up wrongly, or another one answers: try another network",
            )
        if parse_http_url(target).netloc != parse_http_url(current).netloc:
            sent.pop("Authorization", None)  # it is meant for the host that asked for it
        current = target
    raise HostError("too many redirects", where=redacted(url), expected=f"{limits.redirects}")


def _target(current: str, location: str) -> str:
    try:
        return urljoin(current, location)
    except ValueError as error:
        raise HostError("redirect to no URL", where=redacted(current)) from error


def parse_http_url(url: str) -> Url:
    """Return the parts of `url`; raise InputError unless it is http or https with a host."""
    try:
        parsed = parse_url(url)
    except urllib3.exceptions.LocationParseError as error:
        raise InputError("not a URL", got=redacted(url)) from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise InputError("not an http or https URL", got=redacted(url))
    return parsed


def _request(
    method: str, url: Url, limits: FetchLimits, more: Mapping[str, str]
) -> urllib3.BaseHTTPResponse:
    # The digest is of the bytes as stored on the server, so no content encoding.
    headers = make_headers(accept_encoding="identity", user_agent=USER_AGENT)
    if url.auth:
        headers |= make_headers(basic_auth=unquote(url.auth))
    with pool_to(url, limits) as pool:
        return pool.request(
            method,
            url._replace(auth=None).url,
            headers=headers | dict(more),
            redirect=False,
            preload_content=False,
            decode_content=False,
        )


def pool_to(url: Url, limits: FetchLimits) -> urllib3.PoolManager:
    """Return the connections by which this machine reaches `url`; raise HostError for none."""
    retries = Retry(
        total=limits.retries,
        redirect=0,
        status_forcelist=RETRY_AFTER,
        raise_on_status=False,
        backoff_factor=0.5,
        respect_retry_after_header=False,
    )
    timeout = Timeout(connect=limits.connect_seconds, read=limits.read_seconds)
    proxy = _proxy(url)
    # Reading all authorities costs more than a small download over plain HTTP.
    secure = "https" in {url.scheme, (proxy or "").partition(":")[0]}
    context = certificates() if secure else None
    if proxy is None:
        return urllib3.PoolManager(retries=retries, timeout=timeout, ssl_context=context)
    credentials = parse_url(proxy).auth
    return urllib3.ProxyManager(
        proxy,
        proxy_headers=make_headers(proxy_basic_auth=unquote(credentials)) if credentials else None,
        retries=retries,
        timeout=timeout,
        ssl_context=context,
    )


def _proxy(url: Url) -> str | None:
    if url.host is None or urllib.request.proxy_bypass(url.netloc or url.host):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(url.scheme or "") or proxies.get("all")


def certificates() -> ssl.SSLContext:
    """Return the machine's certificate authorities; raise HostError if they cannot be read.

    Without one of pip's variables, OpenSSL itself reads SSL_CERT_FILE and
    SSL_CERT_DIR, or its built-in folder.
    """
    bundle = next((os.environ[v] for v in CERTIFICATE_VARIABLES if os.environ.get(v)), None)
    try:
        if bundle and Path(bundle).is_dir():
            return ssl.create_default_context(capath=bundle)
        return ssl.create_default_context(cafile=bundle)
    except OSError as error:
        raise HostError("certificates cannot be read", where=bundle or "") from error


def _copy(
    response: urllib3.BaseHTTPResponse,
    sink: Sink,
    limits: FetchLimits,
    progress: Progress,
    shown: str,
) -> Downloaded:
    total = announced_bytes(response)
    digest = hashlib.sha256()
    done = 0
    for chunk in read_body(response, limits, shown):
        done += len(chunk)
        digest.update(chunk)
        sink.write(chunk)
        progress(done, total)
    return Downloaded(Digest(digest.hexdigest()), done)


def announced_bytes(response: urllib3.BaseHTTPResponse) -> int | None:
    """Return how long the server says that the body is, or None."""
    announced = response.headers.get("Content-Length", "")
    return int(announced) if announced.isascii() and announced.isdigit() else None


def read_body(
    response: urllib3.BaseHTTPResponse, limits: FetchLimits, shown: str, start: int = 0
) -> Iterator[bytes]:
    """Yield a body in chunks as they come; `start` bytes of the file are there already.

    Raises HostError for more than `limits.max_bytes` in all and for a body that comes
    slower than `limits.slowest`; urllib3's HTTPError for one that breaks off.
    """
    total = announced_bytes(response)
    if total is not None and start + total > limits.max_bytes:
        raise _too_large(shown, limits)
    done = mark = 0
    window = time.monotonic()
    # A whole `read` would wait for CHUNK_BYTES, and nobody could measure the pace.
    while chunk := response.read1(CHUNK_BYTES, decode_content=False):
        done += len(chunk)
        if start + done > limits.max_bytes:
            raise _too_large(shown, limits)
        now = time.monotonic()
        if now - window > limits.read_seconds:
            if done - mark < limits.slowest * (now - window):
                raise HostError(
                    "the server is too slow",
                    where=shown,
                    expected=f"at least {limits.slowest} bytes per second",
                    hint="run the same command again, or use another mirror",
                )
            window, mark = now, done
        yield chunk


def _too_large(shown: str, limits: FetchLimits) -> TooLargeError:
    return TooLargeError(
        "file is too large", where=shown, expected=f"at most {limits.max_bytes} bytes"
    )


def _reason(error: urllib3.exceptions.HTTPError) -> str:
    """Return urllib3's reason in one line, without object addresses."""
    cause = getattr(error, "reason", None) or error
    # urllib3 begins with a connection's repr, such as HTTPConnection(host='a', port=1).
    words = re.sub(r"^(?:<.*?>|\w+\(.*?\)): ", "", str(cause))
    return " ".join(words.split())[:300]


def _hint(error: urllib3.exceptions.HTTPError) -> str:
    cause = getattr(error, "reason", None)
    if isinstance(error, urllib3.exceptions.SSLError) or isinstance(
        cause, urllib3.exceptions.SSLError
    ):
        return "if your network replaces certificates, name its bundle in SSL_CERT_FILE"
    return "check the connection and the proxy variables, then run the same command again"


def network_environment() -> dict[str, str]:
    """Return the proxy and certificate variables, for children that go to the network."""
    lower = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    names = (*lower, *(name.upper() for name in lower), *CERTIFICATE_VARIABLES)
    wanted = (*names, "SSL_CERT_FILE", "SSL_CERT_DIR")
    return {name: os.environ[name] for name in wanted if name in os.environ}
