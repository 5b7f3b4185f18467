"""The relay as an ASGI application: request in, JSON out, one line of log.

    GET  /v1/topics/TOPIC?after=N    messages behind the N-th
    POST /v1/topics/TOPIC            one message, kept once

Every path and method is behind the same gate, so a stranger who asks for anything at all
sees one and the same answer.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from relsign.errors import HostError, RelsignError
from relsign.formats.names import Digest
from relsign.formats.relay import (
    Page,
    PageMessage,
    Receipt,
    RelayRefusal,
    RelayRequest,
)
from relsign.relay.admission import (
    Asked,
    Gate,
    Moment,
    announced_bytes,
    check_body,
)
from relsign.relay.refusal import RefusedError
from relsign.relay.store import Store
from relsign.system.clock import now_utc

BODY_SECONDS = 20
"""How long a member may take to send a message."""
HEADERS = {"Connection": "close", "Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Relay:
    """One relay: its rules, its messages and where it tells what it did."""

    gate: Gate
    store: Store
    log: Callable[[str], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3)."""
        if scope["type"] != "http":
            return
        asked = _asked(scope)
        # A name for the log before it is known who asks.
        who = ["-"]
        try:
            response = await self._answer(asked, Request(scope, receive), who)
        except ClientDisconnect:
            self._tell(asked, who[0], "went away")
            return
        if response.status_code != HTTPStatus.TOO_MANY_REQUESTS or who[0] != "-":
            # Whoever floods the relay cannot fill the log as well.
            self._tell(asked, who[0], f"{response.status_code}")
        await response(scope, receive, send)

    def _tell(self, asked: Asked, who: str, how: str) -> None:
        moment = now_utc().isoformat()
        self.log(f"{moment} {asked.address} {who} {asked.method[:8]} {asked.path[:100]} {how}")

    async def _answer(self, asked: Asked, request: Request, who: list[str]) -> Response:
        try:
            admitted = self.gate.admit(asked, Moment(now_utc(), time.monotonic()))
            who[0] = admitted.member.name
            body = await _read_body(request, admitted.request)
            if admitted.request.method == "GET":
                return await run_in_threadpool(self._get, admitted.request)
            keyid = admitted.member.key.keyid
            return await run_in_threadpool(self._post, admitted.request, body, keyid)
        except RefusedError as refused:
            return _refusal(refused.status, refused)
        except HostError as error:
            # What the disk said is for whoever runs the relay, not for its members.
            self.log(f"error: {error}")
            return _refusal(503, HostError("the relay's disk refuses", hint="tell who runs it"))

    def _get(self, request: RelayRequest) -> Response:
        stored = self.store.page(request.topic, request.after)
        messages = tuple(
            PageMessage(message=base64.b64encode(data).decode(), number=number)
            for number, data in stored.messages
        )
        return _json(200, Page(messages=messages, more=stored.more).to_bytes())

    def _post(self, request: RelayRequest, body: bytes, keyid: str) -> Response:
        number, new = self.store.put(request.topic, body, keyid)
        receipt = Receipt(number=number, sha256=Digest(request.body_sha256))
        return _json(201 if new else 200, receipt.to_bytes())


def _asked(scope: Scope) -> Asked:
    client = scope.get("client")
    query = scope["query_string"]
    target = scope["raw_path"] + (b"?" + query if query else b"")
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    credentials = [value for name, value in headers if name == b"authorization"]
    return Asked(
        address=str(client[0]) if client else "-",
        method=str(scope["method"]),
        path=target.decode("latin-1"),
        authorization=credentials[0].decode("latin-1") if len(credentials) == 1 else "",
    )


async def _read_body(request: Request, wanted: RelayRequest) -> bytes:
    """Return the body that was signed; raise RefusedError for any other, and a slow one."""
    size = announced_bytes(
        wanted,
        request.headers.get("content-length", ""),
        request.headers.get("transfer-encoding", ""),
    )
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await request.body() if size else b""
    except TimeoutError as error:
        raise RefusedError(408, "the message did not come in time") from error
    check_body(wanted, body)
    return body


def _refusal(status: int, error: RelsignError) -> Response:
    return _json(status, RelayRefusal(error=error.what, hint=error.hint or None).to_bytes())


def _json(status: int, body: bytes) -> Response:
    headers = HEADERS | (
        {"WWW-Authenticate": "Relsign"} if status == HTTPStatus.UNAUTHORIZED else {}
    )
    return Response(body, status, headers, media_type="application/json")
