"""The relay as a process: a socket, deadlines, a lock on the store, an end on request.

uvicorn speaks HTTP/1.1.  It has no limit on how long a client may take to send its
request, so every connection here has an end: one request, one answer, within
`CONNECTION_SECONDS`, whatever the client does.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from relsign.errors import InputError
from relsign.relay.admission import Gate
from relsign.relay.application import Relay
from relsign.relay.members import load_members
from relsign.relay.quota import Quota
from relsign.relay.store import Store
from relsign.system.address import audience_of
from relsign.system.files import host_error, make_folder
from relsign.system.lock import hold

CONNECTION_SECONDS = 60
"""From accepting a connection to its end."""
SILENT_SECONDS = 10
"""For the request's headers to be whole."""
MAX_CONNECTIONS = 256
MAX_ADDRESS_CONNECTIONS = 64
"""Of one address, which may be a proxy's."""
MAX_HEAD_BYTES = 16 << 10
STOP_SECONDS = 10
BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Settings:
    """What whoever runs a relay decides."""

    members: Path
    store: Path
    host: str
    port: int
    """0: any that is free."""
    url: str | None = None
    """How members address it, where that is not how it listens."""
    certificate: Path | None = None
    key: Path | None = None
    quota: Quota = field(default_factory=Quota)


def serve(settings: Settings, log: Callable[[str], None], ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is told the relay's address.

    Raises InputError for settings that cannot be, HostError for an address, a store or a
    certificate that cannot be used.
    """
    members = load_members(settings.members)
    context = _tls(settings)
    listener = _listen(settings)
    with listener:
        scheme = "https" if context else "http"
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        audience = audience_of(settings.url or f"{scheme}://{host}:{listener.getsockname()[1]}")
        make_folder(settings.store, 0o700)
        busy = "another relay has this store"
        with hold(settings.store / ".lock", busy):
            store = Store(settings.store, settings.quota, log)
            topics, messages = store.size
            log(f"members: {len(members)}, topics: {topics}, messages: {messages}")
            config = _config(Relay(Gate(audience, members), store, log), context)
            _keep_quiet(log)
            ready(audience)
            _run(uvicorn.Server(config), listener)


def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    # uvicorn ends on these and then sends them again to whoever was there before: nobody.
    before = {one: signal.signal(one, signal.SIG_IGN) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[listener])
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _listen(settings: Settings) -> socket.socket:
    try:
        family, kind, protocol, _name, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:
        refusal = error if isinstance(error, OSError) else OSError(0, "no such host")
        raise host_error(refusal, f"{settings.host}:{settings.port}") from error
    return listener


def _tls(settings: Settings) -> ssl.SSLContext | None:
    """Return what TLS needs, or None; raise InputError for half of it or what is no key."""
    if settings.certificate is None and settings.key is None:
        return None
    if settings.certificate is None or settings.key is None:
        raise InputError(
            "a certificate without its key, or a key without its certificate",
            hint="give both --certificate and --key, or neither",
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # Without a password: who asks for one would wait on a terminal that is not there.
        context.load_cert_chain(settings.certificate, settings.key, password=b"")
    except (OSError, ValueError) as error:
        raise InputError(
            "certificate or key cannot be used",
            where=f"{settings.certificate}, {settings.key}",
            got=str(error)[:120],
            hint="both as PEM, the key not encrypted, each belonging to the other",
        ) from error
    return context


def _config(relay: Relay, context: ssl.SSLContext | None) -> uvicorn.Config:
    config = uvicorn.Config(
        relay,
        http=limited_protocol(),
        loop="asyncio",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        ssl_context_factory=None if context is None else lambda _config, _default: context,
    )
    config.load()
    return config


class _OneLine(logging.Handler):
    """Says what a library has to say in one line, without the traceback."""

    def __init__(self, log: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        cause = f": {type(error).__name__}" if error is not None else ""
        self._log(f"error: {record.name}: {record.getMessage().splitlines()[0][:200]}{cause}")


def _keep_quiet(log: Callable[[str], None]) -> None:
    handler = _OneLine(log)
    for name in ("uvicorn", "uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers = [handler] if name != "uvicorn.error" else []
        logger.setLevel(logging.ERROR)
        logger.propagate = name == "uvicorn.error"


def limited_protocol() -> type[asyncio.Protocol]:
    """Return uvicorn's protocol with an end for every connection, counted by address."""
    open_now: Counter[str] = Counter()

    class Limited(H11Protocol):
        """One connection."""

        def __init__(
            self,
            config: uvicorn.Config,
            server_state: ServerState,
            app_state: dict[str, Any],
            _loop: asyncio.AbstractEventLoop | None = None,
        ) -> None:
            super().__init__(config, server_state, app_state, _loop)
            self._ends: list[asyncio.TimerHandle] = []
            self._address = ""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._address = self.client[0] if self.client else "-"
            open_now[self._address] += 1
            full = open_now[self._address] > MAX_ADDRESS_CONNECTIONS
            if full or open_now.total() > MAX_CONNECTIONS:
                transport.abort()
                return
            self._ends = [
                self.loop.call_later(SILENT_SECONDS, self._end_if_silent),
                self.loop.call_later(CONNECTION_SECONDS, transport.abort),
            ]

        def _end_if_silent(self) -> None:
            cycle: object = self.cycle  # None, against its type, until the headers are whole
            if cycle is None:
                self.transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            for end in self._ends:
                end.cancel()
            open_now[self._address] -= 1
            if not open_now[self._address]:
                del open_now[self._address]
            super().connection_lost(exc)

    return Limited
