"""A real relay, asked by members, strangers and people with bad intent."""

from __future__ import annotations

import base64
import json
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from relsign.errors import HostError, InputError
from relsign.formats.relay import MAX_MESSAGE_BYTES, parse_page, topic_path
from relsign.sign.exchanges.open import open_exchange
from relsign.system.address import audience_of
from tests.relay.people import (
    ANN,
    BO,
    EVE,
    OTHER,
    TOPIC,
    Running,
    Said,
    Spoilt,
    credential,
    post,
    relay,
    send,
)

PATH = topic_path(TOPIC)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with relay(tmp_path_factory.mktemp("relay")) as one:
        yield one


def error_of(said: Said) -> str:
    text = json.loads(said.body)["error"]
    assert isinstance(text, str)
    return text


def test_two_members_read_what_the_other_wrote(running: Running) -> None:
    ann, bo = open_exchange(running.url + "/", ANN), open_exchange(running.url, BO)
    topic = "11" * 32
    assert ann.messages(topic).messages == ()
    ann.put(topic, b"from ann")
    bo.put(topic, b"from bo")
    bo.put(topic, b"from ann")
    bo.put(topic, bytes(MAX_MESSAGE_BYTES))
    for one in (ann, bo):
        got = one.messages(topic)
        assert set(got.messages) == {b"from ann", b"from bo", bytes(MAX_MESSAGE_BYTES)}
        assert got.ignored == ()
    assert bo.messages(OTHER).messages == ()


def test_a_message_that_is_there_is_acknowledged_again(running: Running) -> None:
    first, again = post(running.url, ANN, b"twice"), post(running.url, BO, b"twice")
    assert (first.status, again.status) == (201, 200)
    assert first.body == again.body


def test_many_messages_come_in_pages(running: Running) -> None:
    topic = "22" * 32
    exchange = open_exchange(running.url, BO)
    wanted = {bytes([n]) * 60_000 for n in range(20)}
    for message in wanted:
        exchange.put(topic, message)
    assert set(exchange.messages(topic).messages) == wanted
    path = topic_path(topic, 0)
    said = send(
        running.url,
        "GET",
        path,
        headers={"Authorization": credential(BO, running.url, "GET", path, b"")},
    )
    page = parse_page(said.body, "page")
    assert page.more
    assert len(page.messages) == 8


# --- strangers ---------------------------------------------------------------------------------


def tampered(header: str, at: int) -> str:
    return header[:at] + ("0" if header[at] != "0" else "1") + header[at + 1 :]


def test_strangers_see_one_answer_whatever_they_ask(running: Running) -> None:
    good = credential(ANN, running.url, "POST", PATH, b"x")
    headers: list[dict[str, str]] = [
        {},
        {"Authorization": ""},
        {"Authorization": "Basic YTpi"},
        {"Authorization": credential(EVE, running.url, "POST", PATH, b"x")},
        {"Authorization": tampered(good, -1)},
        {"Authorization": tampered(good, 90)},
        {"Authorization": good.replace(ANN.keyid, BO.keyid)},
        {"Authorization": good.replace(ANN.keyid, EVE.keyid)},
        {"Authorization": "Relsign " + "00" * 4000},
    ]
    answers = [send(running.url, "POST", PATH, b"x", one) for one in headers]
    for target in ("/", "/v1/topics/", "/etc/passwd", PATH, "/v1/topics/" + "a" * 64):
        answers += [send(running.url, "GET", target), send(running.url, "DELETE", target)]
    assert {one.status for one in answers} <= {401, 429}
    assert answers[0].headers["www-authenticate"] == "Relsign"
    assert len({one.body for one in answers if one.status == 401}) == 1
    assert error_of(answers[0]) == "members only"


def test_a_stranger_who_keeps_asking_is_sent_away_and_members_are_not(tmp_path: Path) -> None:
    with relay(tmp_path) as one:
        answers = [send(one.url, "GET", PATH).status for _ in range(40)]
        assert answers[:20] == [401] * 20
        assert answers[-1] == 429
        assert post(one.url, ANN, b"still served").status == 201
        # Nor can the log be filled that way.
        assert one.log.read_text().count("\n") < 30


# --- members who send what they did not sign ---------------------------------------------------

SPOILT = [
    (Spoilt(audience="https://another.example"), 403, "signed for another address"),
    (Spoilt(path=topic_path(OTHER)), 403, "signed for another request"),
    (Spoilt(path=topic_path(TOPIC, 1), method="GET"), 403, "signed for another request"),
    (Spoilt(method="GET"), 403, "signed for another request"),
    (Spoilt(late=400), 403, "seconds behind the relay's"),
    (Spoilt(late=-400), 403, "seconds ahead of the relay's"),
    (Spoilt(body=b"another body"), 400, "the body is not the one that was signed"),
]


@pytest.mark.parametrize(("spoilt", "status", "words"), SPOILT)
def test_a_member_is_told_what_is_wrong(
    running: Running, spoilt: Spoilt, status: int, words: str
) -> None:
    said = post(running.url, ANN, b"spoilt", spoilt)
    assert said.status == status
    assert words in error_of(said)
    assert b"spoilt" not in open_exchange(running.url, ANN).messages(TOPIC).messages


def test_a_replayed_request_is_refused(running: Running) -> None:
    header = {"Authorization": credential(ANN, running.url, "POST", PATH, b"replay")}
    assert send(running.url, "POST", PATH, b"replay", header).status == 201
    said = send(running.url, "POST", PATH, b"replay", header)
    assert (said.status, error_of(said)) == (409, "this request was here before")


def test_a_document_that_is_not_canonical_is_refused(running: Running) -> None:
    for request in (b"{}", b"junk", b"[" * 800):
        signed = b"DSSEv1 42 application/vnd.relsign.relay-request+json %d %b" % (
            len(request),
            request,
        )
        header = f"Relsign {ANN.keyid}.{request.hex()}.{ANN.sign(signed).hex()}"
        said = send(running.url, "POST", PATH, b"x", {"Authorization": header})
        assert (said.status, error_of(said)) == (400, "not a request that relsign makes")


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Length": str(MAX_MESSAGE_BYTES + 1)}, b"", 413),
        ({"Content-Length": "9" * 18}, b"", 413),
        ({"Content-Length": "0"}, b"", 411),
        ({}, b"", 411),
        ({"Transfer-Encoding": "chunked"}, b"", 411),
        ({"Content-Length": "-1"}, b"", 400),
        ({"Content-Length": "1x"}, b"", 400),
    ],
)
def test_sizes_are_bounded_before_a_byte_is_read(
    running: Running, headers: dict[str, str], body: bytes, status: int
) -> None:
    signed = {"Authorization": credential(ANN, running.url, "POST", PATH, b"x")}
    start = time.monotonic()
    assert send(running.url, "POST", PATH, body, {**signed, **headers}).status == status
    assert time.monotonic() - start < 5


def test_get_takes_no_body(running: Running) -> None:
    path = topic_path(TOPIC, 0)
    signed = {"Authorization": credential(ANN, running.url, "GET", path, b"")}
    assert send(running.url, "GET", path, b"x", signed).status == 400


TRICKS = [
    f"/v1/topics/../topics/{TOPIC}",
    f"/v1/topics/%2e%2e/topics/{TOPIC}",
    f"/v1/topics%2f{TOPIC}",
    f"/v1/topics/{TOPIC}%00",
    f"/v1/topics/{TOPIC}/",
    f"//v1/topics/{TOPIC}",
    f"/v1/topics/{TOPIC[:-2]}%61%62",
    f"/v1/topics/{TOPIC}?after=0&after=1",
    f"/v1/topics/{TOPIC}?topic={OTHER}",
    "/v1/topics/../../../../etc/passwd",
    "*",
    f"http://elsewhere.example/v1/topics/{TOPIC}",
]


@pytest.mark.parametrize("target", TRICKS)
def test_tricks_with_paths_lead_nowhere(running: Running, target: str) -> None:
    # A path that cannot be signed is tried with the signature of the one that it imitates.
    header = {"Authorization": credential(ANN, running.url, "POST", PATH, b"trick")}
    assert send(running.url, "POST", target, b"trick", header).status in {400, 403}
    assert b"trick" not in open_exchange(running.url, ANN).messages(TOPIC).messages


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1/topics/\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"GET /" + b"a" * 100_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_http_is_closed(running: Running, raw: bytes) -> None:
    address = urlsplit(running.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        try:
            connection.sendall(raw)
            answer = connection.recv(1 << 16)
        except ConnectionError:
            answer = b""
    assert answer == b"" or re.match(rb"HTTP/1\.1 (400|401|429|431) ", answer)
    assert b"Traceback" not in answer
    assert post(running.url, ANN, b"after junk").status in {200, 201}


# --- shares, time and the end ------------------------------------------------------------------


def test_a_member_cannot_fill_a_topic_for_the_others(tmp_path: Path) -> None:
    with relay(tmp_path) as one:
        ann = open_exchange(one.url, ANN)
        for number in range(128):
            ann.put(TOPIC, b"%d" % number)
        with pytest.raises(HostError, match="your share is full: 128 messages in this topic"):
            ann.put(TOPIC, b"one more")
        ann.put(TOPIC, b"0")
        ann.put(OTHER, b"another topic")
        open_exchange(one.url, BO).put(TOPIC, b"bo is not held up")
        assert len(ann.messages(TOPIC).messages) == 129


def test_a_member_who_asks_too_often_waits(tmp_path: Path) -> None:
    with relay(tmp_path) as one:
        path = topic_path(TOPIC, 0)
        statuses: list[int] = []
        # On a slow machine some tokens come back meanwhile.
        while len(statuses) < 2000 and 429 not in statuses:
            signed = {"Authorization": credential(ANN, one.url, "GET", path, b"")}
            statuses.append(send(one.url, "GET", path, headers=signed).status)
        assert statuses[:240] == [200] * 240
        assert statuses[-1] == 429
        assert post(one.url, BO, b"not me").status == 201


def is_closed(connection: socket.socket, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        return connection.recv(100) == b""
    except ConnectionError:
        return True


def test_a_silent_client_does_not_hold_the_others(running: Running) -> None:
    address = urlsplit(running.url)
    silent = [socket.create_connection((address.hostname, address.port)) for _ in range(60)]
    for one in silent:
        one.sendall(b"POST / HTTP/1.1\r\nHost")
    start = time.monotonic()
    try:
        assert post(running.url, ANN, b"in between").status in {200, 201}
        assert time.monotonic() - start < 5
        # The relay ends what says nothing.
        assert is_closed(silent[0], 40)
    finally:
        for one in silent:
            one.close()


def test_what_was_acknowledged_survives_kill_9_at_any_moment(tmp_path: Path) -> None:
    acknowledged: set[bytes] = set()
    for cycle in range(6):
        with relay(tmp_path) as one:
            killer = threading.Timer(0.05 + 0.07 * cycle, one.process.kill)
            killer.start()
            try:
                for number in range(100):
                    message = b"%d %d " % (cycle, number) + b"x" * 5000
                    if post(one.url, (ANN, BO)[number % 2], message).status == 201:
                        acknowledged.add(message)
            except (OSError, HTTPException):
                assert one.process.wait(20) == -signal.SIGKILL
            killer.join()
    assert len(acknowledged) > 20
    with relay(tmp_path) as one:
        got = set(open_exchange(one.url, ANN).messages(TOPIC).messages)
        assert acknowledged <= got
        # At most one message per kill was written and not acknowledged; none is half.
        assert len(got - acknowledged) <= 6
        assert all(re.fullmatch(rb"\d \d+ x{5000}", message) for message in got)
    assert not list((tmp_path / "store" / TOPIC).glob(".*.tmp"))


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_asked_and_goes_on_where_it_was(tmp_path: Path, ending: int) -> None:
    with relay(tmp_path) as one:
        open_exchange(one.url, ANN).put(TOPIC, b"kept")
        one.process.send_signal(ending)
        assert one.process.wait(20) == 0
    text = one.log.read_text()
    assert text.splitlines()[-1] == "stopped"
    assert "Traceback" not in text
    with relay(tmp_path) as again:
        assert open_exchange(again.url, BO).messages(TOPIC).messages == (b"kept",)


def test_the_log_has_a_line_for_each_request_and_no_secret(tmp_path: Path) -> None:
    with relay(tmp_path) as one:
        post(one.url, ANN, b"the message itself")
        send(one.url, "GET", "/%1b[2J%0a2026%20ann%20POST%20201")
        one.stop()
        lines = one.log.read_text().splitlines()
    assert re.fullmatch(rf"\S+ 127\.0\.0\.1 ann POST {PATH} 201", lines[1])
    text = "\n".join(lines)
    assert "\x1b" not in text
    assert "the message itself" not in text
    assert "Relsign" not in text
    assert base64.b64encode(b"the message itself").decode() not in text


def test_another_relay_cannot_have_the_same_store(tmp_path: Path) -> None:
    with relay(tmp_path), pytest.raises(AssertionError, match="another relay"), relay(tmp_path):
        pass


def test_behind_a_proxy_the_address_is_the_public_one(tmp_path: Path) -> None:
    with relay(tmp_path, "--url", "https://Relay.example:443/team/") as one:
        assert one.url == "https://relay.example/team"
    assert audience_of(one.url) == one.url


def test_no_member_is_an_error_of_whoever_runs_it(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with (
        pytest.raises(AssertionError, match="nobody to serve"),
        relay(tmp_path / "a", members=b"member = []\n"),
    ):
        pass


def test_a_bad_topic_does_not_leave_this_machine() -> None:
    exchange = open_exchange("http://127.0.0.1:1", ANN)
    for topic in ("", "../x", "A" * 64, TOPIC + "\n"):
        with pytest.raises(InputError, match="not a topic"):
            exchange.messages(topic)
    for message in (b"", bytes(MAX_MESSAGE_BYTES + 1)):
        with pytest.raises(InputError, match="not a message"):
            exchange.put(TOPIC, message)
