"""Downloads that break off: they go on where they were, and the whole is the right file."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from relsign.errors import HostError
from relsign.system.fetch import (
    Downloaded,
    FetchLimits,
    Progress,
    ServerRefusedError,
    TooLargeError,
    download_bytes,
    network_environment,
    silent,
)
from relsign.system.part import open_part
from relsign.system.resume import fetch_to_part

BODY = bytes(range(256)) * 40
SHA = hashlib.sha256(BODY).hexdigest()
OTHER = b"x" * len(BODY)
QUICK = FetchLimits(max_bytes=1 << 20, connect_seconds=2, read_seconds=2, retries=2)


class Server(ThreadingHTTPServer):
    """Serves one body, as well or as badly as it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body = BODY
        self.ranges = True
        self.etag = ""
        self.cut: list[int] = []
        """After how many bytes the next answers break off."""
        self.then: bytes | None = None
        """The body after the first break."""
        self.content_range = ""
        """A `Content-Range` to lie with."""
        self.asked: list[dict[str, str]] = []

    def handle_error(self, *_arguments: object) -> None:
        """Stay silent about clients that hang up."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file"

    def ranges_asked(self) -> list[str]:
        """Return the ranges asked for, "" for the whole file."""
        return [headers.get("range", "") for headers in self.asked]


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        headers = {name.lower(): value for name, value in self.headers.items()}
        server.asked.append(headers)
        if self.path != "/file":
            self.send_error(404)
            return
        body, start = server.body, self._start(headers)
        if start is None or headers.get("if-range", server.etag) != server.etag:
            self.send_response(200)
            start = 0
        elif start >= len(body):
            self.send_response(416)
            self.send_header("Content-Range", server.content_range or f"bytes */{len(body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        else:
            self.send_response(206)
            told = f"bytes {start}-{len(body) - 1}/{len(body)}"
            self.send_header("Content-Range", server.content_range or told)
        if server.etag:
            self.send_header("ETag", server.etag)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = start + server.cut.pop(0) if server.cut else len(body)
        self.wfile.write(body[start:end])
        if end < len(body) and server.then is not None:
            server.body, server.then = server.then, None
        self.close_connection = True

    def _start(self, headers: dict[str, str]) -> int | None:
        match = re.fullmatch(r"bytes=([0-9]+)-", headers.get("range", ""))
        return int(match[1]) if match and self.server.ranges else None

    def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in network_environment():
        monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "file.part"


def fetch_part(
    url: str, path: Path, sha256: str, limits: FetchLimits, progress: Progress = silent
) -> Downloaded:
    """Open a part and fill it, as whoever downloads does."""
    with open_part(path) as part:
        return fetch_to_part(url, part, sha256, limits, progress)


def fetch(server: Server, part: Path) -> None:
    """Fetch, and demand that the right file is there."""
    got = fetch_part(server.url, part, SHA, QUICK)
    assert (got.sha256, got.size) == (SHA, len(BODY))
    assert part.read_bytes() == BODY


def test_a_file_arrives_in_one_piece(server: Server, part: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    fetch_part(server.url, part, SHA, QUICK, lambda done, total: seen.append((done, total)))
    assert part.read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    assert server.ranges_asked() == [""]


@pytest.mark.parametrize("etag", ["", '"v1"', 'W/"v1"'])
def test_a_break_is_mended_with_the_rest(server: Server, part: Path, etag: str) -> None:
    server.etag, server.cut = etag, [1000, 500]
    fetch(server, part)
    assert server.ranges_asked() == ["", "bytes=1000-", "bytes=1500-"]
    strong = etag if etag.startswith('"') else None
    assert [asked.get("if-range") for asked in server.asked[1:]] == [strong, strong]


def test_progress_counts_the_whole_file(server: Server, part: Path) -> None:
    part.write_bytes(BODY[:1000])
    seen: list[tuple[int, int | None]] = []
    fetch_part(server.url, part, SHA, QUICK, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(BODY), len(BODY))
    assert all(done > 1000 for done, _total in seen)


def test_an_earlier_run_is_gone_on_with(server: Server, part: Path) -> None:
    part.write_bytes(BODY[:777])
    fetch(server, part)
    assert server.ranges_asked() == ["bytes=777-"]


def test_a_whole_file_is_not_asked_for_again(server: Server, part: Path) -> None:
    part.write_bytes(BODY)
    fetch(server, part)
    assert server.asked == []


def test_a_server_without_ranges_sends_it_all(server: Server, part: Path) -> None:
    server.ranges = False
    server.cut = [1000]
    part.write_bytes(BODY[:10])
    fetch(server, part)
    assert server.ranges_asked() == ["bytes=10-", "bytes=1000-"]


@pytest.mark.parametrize("before", [OTHER[:1000], OTHER, OTHER + b"more"])
def test_what_an_earlier_run_left_may_be_of_another_file(
    server: Server, part: Path, before: bytes
) -> None:
    part.write_bytes(before)
    fetch(server, part)
    assert server.ranges_asked()[-1] == ""


def test_a_file_that_changes_meanwhile_is_fetched_whole(server: Server, part: Path) -> None:
    server.body, server.cut, server.then = OTHER, [1000], BODY
    fetch(server, part)
    assert server.ranges_asked() == ["", "bytes=1000-", ""]


def test_a_changed_validator_brings_the_whole_file(server: Server, part: Path) -> None:
    server.etag, server.body, server.cut, server.then = '"v1"', OTHER, [1000], BODY

    def change(_done: int, _total: int | None) -> None:
        server.etag = '"v2"'

    assert fetch_part(server.url, part, SHA, QUICK, change).sha256 == SHA
    assert [asked.get("if-range") for asked in server.asked] == [None, '"v1"']


@pytest.mark.parametrize(
    "told", ["bytes 0-9/10240", "bytes 5-10239/10240", "lines 1000-2000/3000", "bytes 1000-"]
)
def test_a_false_range_is_not_believed(server: Server, part: Path, told: str) -> None:
    server.content_range = told
    part.write_bytes(BODY[:1000])
    fetch(server, part)
    assert server.ranges_asked() == ["bytes=1000-", ""]


@pytest.mark.parametrize("told", ["", "bytes */3", "nonsense"])
def test_a_part_longer_than_the_file_starts_again(server: Server, part: Path, told: str) -> None:
    server.content_range = told
    part.write_bytes(BODY + b"more")
    fetch(server, part)
    assert server.ranges_asked()[-1] == ""


def test_wrong_bytes_are_handed_back_with_their_digest(server: Server, part: Path) -> None:
    server.body = OTHER
    got = fetch_part(server.url, part, SHA, QUICK)
    assert got.sha256 == hashlib.sha256(OTHER).hexdigest()
    assert server.ranges_asked() == [""]


def test_a_line_that_always_breaks_is_given_up_and_the_part_stays(
    server: Server, part: Path
) -> None:
    server.cut = [10] * 20
    with pytest.raises(HostError, match="download failed") as caught:
        fetch_part(server.url, part, SHA, QUICK)
    assert caught.value.hint
    assert part.read_bytes() == BODY[:30]
    server.cut = []
    fetch(server, part)


def test_breaks_that_bring_much_do_not_count(server: Server, part: Path) -> None:
    server.body = bytes(6 << 20)
    server.cut = [1 << 20] * 5
    digest = hashlib.sha256(server.body).hexdigest()
    limits = FetchLimits(max_bytes=8 << 20, read_seconds=2, retries=1)
    assert fetch_part(server.url, part, digest, limits).sha256 == digest


@pytest.mark.parametrize("there", [0, 1000])
def test_a_file_is_never_longer_than_allowed(server: Server, part: Path, there: int) -> None:
    part.write_bytes(BODY[:there])
    limits = FetchLimits(max_bytes=len(BODY) - 1, read_seconds=2, retries=0)
    with pytest.raises(TooLargeError):
        fetch_part(server.url, part, SHA, limits)


def test_an_error_status_keeps_the_part(server: Server, part: Path) -> None:
    part.write_bytes(BODY[:1000])
    with pytest.raises(ServerRefusedError) as caught:
        fetch_part(f"{server.url}-no-more", part, SHA, QUICK)
    assert caught.value.status == 404
    assert part.read_bytes() == BODY[:1000]


def test_no_answer_keeps_the_part(part: Path) -> None:
    part.write_bytes(BODY[:1000])
    with pytest.raises(HostError, match="download failed"):
        fetch_part("http://127.0.0.1:1/", part, SHA, FetchLimits(retries=0))
    assert part.read_bytes() == BODY[:1000]


def test_a_part_that_cannot_be_made_is_a_host_error(server: Server, tmp_path: Path) -> None:
    with pytest.raises(HostError):
        fetch_part(server.url, tmp_path / "absent" / "part", SHA, QUICK)


# --- small files ---------------------------------------------------------------------------------


def test_small_files_are_asked_for_again(server: Server) -> None:
    server.cut = [10, 20]
    assert download_bytes(server.url, QUICK) == BODY
    assert server.ranges_asked() == ["", "", ""]


def test_small_files_that_always_break_off_are_given_up(server: Server) -> None:
    server.cut = [10] * 9
    with pytest.raises(HostError, match="download failed"):
        download_bytes(server.url, QUICK)
    assert len(server.asked) == 3


def test_nobody_there_is_a_host_error() -> None:
    with pytest.raises(HostError, match="download failed"):
        download_bytes("http://127.0.0.1:1/", FetchLimits(retries=0))


def test_a_refusal_says_its_status(server: Server) -> None:
    with pytest.raises(ServerRefusedError) as caught:
        download_bytes(f"{server.url}-no-more", QUICK)
    assert (caught.value.status, caught.value.got) == (404, "status 404")
