"""A relay that is hostile, broken or slow: the client ends with one clear error, in time."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from relsign.errors import HostError
from relsign.formats.relay import MAX_TOPIC_MESSAGES
from relsign.sign.exchanges.relay import RelayExchange, RelayPatience
from relsign.system.address import audience_of
from relsign.system.ask import Patience
from relsign.system.fetch import network_environment
from tests.relay.people import ANN

TOPIC = "ab" * 32
QUICK = RelayPatience(one=Patience(connect=2, read=0.5, answer=0.7), topic=3, pause=0.01)
Serve = Callable[[socket.socket, int], None]
"""Answers a request that was read: the connection, and how many were there before."""


@dataclass
class Hostile:
    """A server of which every byte is written by the test."""

    serve: Serve
    listener: socket.socket
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    self.requests.append(read_request(connection))
                    self.serve(connection, len(self.requests) - 1)
                except OSError:
                    continue


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(1 << 16)
        if not chunk:
            break
        data += chunk
    return data


@contextmanager
def hostile(serve: Serve) -> Iterator[Hostile]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Hostile(serve, listener)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in network_environment():
        monkeypatch.delenv(name)


def exchange(server: Hostile) -> RelayExchange:
    return RelayExchange(audience_of(server.url), ANN, QUICK)


def answer(body: bytes, status: str = "200 OK", headers: str = "") -> Serve:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode()
    return lambda connection, _count: connection.sendall(head + body)


def raw(data: bytes) -> Serve:
    return lambda connection, _count: connection.sendall(data)


def drip(start: bytes, drop: bytes) -> Serve:
    def serve(connection: socket.socket, _count: int) -> None:
        connection.sendall(start)
        for _ in range(600):
            connection.sendall(drop)
            time.sleep(0.05)

    return serve


def silent(_connection: socket.socket, _count: int) -> None:
    time.sleep(1)


def endless(connection: socket.socket, _count: int) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(bytes(1 << 16))


def page(*messages: bytes, number: int = 1, more: bool = False) -> bytes:
    entries = [
        {"message": base64.b64encode(one).decode(), "number": number + at}
        for at, one in enumerate(messages)
    ]
    document = {"format": "relsign/relay-page/1", "messages": entries, "more": more}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def receipt(message: bytes) -> bytes:
    digest = hashlib.sha256(message).hexdigest()
    return f'{{"format":"relsign/relay-receipt/1","number":1,"sha256":"{digest}"}}'.encode()


def refusal(words: str) -> bytes:
    return f'{{"error":"{words}","format":"relsign/relay-refusal/1","hint":null}}'.encode()


OK = b"HTTP/1.1 200 OK\r\n"
NONSENSE = "the relay talks nonsense"
WRONG: list[tuple[str, Serve, str]] = [
    ("junk", answer(b"junk"), NONSENSE),
    ("nothing", answer(b""), NONSENSE),
    ("other json", answer(b'{"hello":1}'), NONSENSE),
    ("nested", answer(b"[" * 100_000), NONSENSE),
    ("a web page", answer(b"<html>", headers="Content-Type: text/html\r\n"), NONSENSE),
    ("more behind nothing", answer(page(more=True)), NONSENSE),
    ("number 0", answer(page(b"x", number=0)), NONSENSE),
    ("other receipt", answer(receipt(b"another")), NONSENSE),
    ("an endless body", endless, "file is too large"),
    (
        "a body that is announced as endless",
        raw(OK + b"Content-Length: 9999999999\r\n\r\n"),
        "too large",
    ),
    ("a body that is cut off", raw(OK + b"Content-Length: 100\r\n\r\nx"), "no answer"),
    ("a status that is none", raw(b"HTTP/1.1 abc\r\n\r\n"), "no answer"),
    ("no http", raw(b"\x00\x01\x02" * 100), "no answer"),
    ("a closed door", raw(b""), "no answer"),
    ("endless headers", raw(OK + b"X: y\r\n" * 100_000), "no answer"),
    ("a long header", raw(OK + b"X: " + b"y" * 100_000), "no answer"),
    ("a silent server", silent, "no answer"),
    ("headers that drip", drip(OK, b"X: y\r\n"), "no answer"),
    ("a header that drips", drip(OK + b"X: ", b"y"), "no answer"),
    ("a body that drips", drip(OK + b"Content-Length: 1000000\r\n\r\n", b"{"), "no answer"),
    (
        "chunks that drip",
        drip(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n"),
        "no answer",
    ),
    ("a redirect", answer(b"", "302 Found", "Location: http://127.0.0.1:1/\r\n"), "elsewhere"),
    ("a redirect that keeps the method", answer(b"", "307 x", "Location: /\r\n"), "elsewhere"),
    ("members only", answer(refusal("members only"), "401 No"), "status 401: members only"),
    ("a refusal that steers", answer(refusal("\\u001b[2J"), "403 No"), "status 403"),
    ("a refusal without words", answer(b"<html>" * 1000, "403 No"), "status 403"),
    ("not found", answer(b"", "404 No"), "status 404"),
    ("always busy", answer(refusal("slow down"), "429 No"), "status 429: slow down"),
    ("always broken", answer(b"", "500 No"), "status 500"),
]


@pytest.mark.parametrize("method", ["put", "messages"])
@pytest.mark.parametrize(("serve", "words"), [row[1:] for row in WRONG], ids=[r[0] for r in WRONG])
def test_a_bad_relay_ends_in_one_error(serve: Serve, words: str, method: str) -> None:
    start = time.monotonic()
    ask: Callable[[RelayExchange], object] = {
        "put": lambda one: one.put(TOPIC, b"message"),
        "messages": lambda one: one.messages(TOPIC),
    }[method]
    with hostile(serve) as server, pytest.raises(HostError) as caught:
        ask(exchange(server))
    assert words in str(caught.value)
    assert caught.value.hint or "too large" in words
    assert "\x1b" not in str(caught.value)
    # Three tries of under a second, and some for this machine.
    assert time.monotonic() - start < 8


def test_good_and_bad_messages_are_told_apart() -> None:
    # One is a byte too large, one has bits that say nothing.
    body = page(b"good", b"good", bytes(65_537), b"BAD", b"other").replace(b"QkFE", b"AAB=")
    with hostile(answer(body)) as server:
        got = exchange(server).messages(TOPIC)
    assert set(got.messages) == {b"good", b"other"}
    assert len(got.ignored) == 2


def test_a_relay_cannot_send_for_ever() -> None:
    def serve(connection: socket.socket, count: int) -> None:
        batch = [b"%d-%d" % (count, n) for n in range(256)]
        answer(page(*batch, number=1 + 256 * count, more=True))(connection, count)

    with hostile(serve) as server:
        got = exchange(server).messages(TOPIC)
    assert len(got.messages) == MAX_TOPIC_MESSAGES
    assert got.ignored == (f"more than {MAX_TOPIC_MESSAGES} messages: the rest is not read",)


def test_the_same_message_again_and_again_ends() -> None:
    def serve(connection: socket.socket, count: int) -> None:
        answer(page(b"same", number=1 + count, more=True))(connection, count)

    with hostile(serve) as server, pytest.raises(HostError, match="too slow"):
        exchange(server).messages(TOPIC)


def test_the_same_page_again_is_nonsense() -> None:
    with hostile(answer(page(b"same", more=True))) as server:
        with pytest.raises(HostError, match="the same messages again"):
            exchange(server).messages(TOPIC)
        assert len(server.requests) == 2


def test_a_relay_that_was_busy_is_asked_again_with_a_new_signature() -> None:
    def serve(connection: socket.socket, count: int) -> None:
        bad = [answer(b"", "503 Busy"), raw(b"")]
        (bad[count] if count < 2 else answer(receipt(b"message"), "201 Created"))(connection, count)

    with hostile(serve) as server:
        exchange(server).put(TOPIC, b"message")
    headers = [
        request.split(b"Authorization: ")[1].split(b"\r\n")[0] for request in server.requests
    ]
    assert len(set(headers)) == 3


def test_no_relay_at_all_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(HostError, match="no answer"):
        RelayExchange(f"http://127.0.0.1:{port}", ANN, QUICK).messages(TOPIC)
