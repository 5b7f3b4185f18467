"""Downloads against a real server on this machine: right bytes, or one of our errors."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from relsign.errors import HostError, InputError
from relsign.system.fetch import FetchLimits, download, network_environment, redacted

BODY = bytes(range(256)) * 4096
QUICK = FetchLimits(max_bytes=2 << 20, connect_seconds=2, read_seconds=2, redirects=3, retries=0)


class Handler(BaseHTTPRequestHandler):
    """Answers by path; every request line is kept by the server."""

    server: Server

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.path, headers))
        name = self.path.rsplit("/", 1)[-1]
        if name.startswith("status-"):
            self._send(int(name.removeprefix("status-")), b"no")
        elif name == "loop":
            self._redirect("/loop")
        elif name.startswith("hop-"):
            left = int(name.removeprefix("hop-"))
            self._redirect(f"/hop-{left - 1}" if left else "/file")
        elif name == "to-file-scheme":
            self._redirect("file:///etc/passwd")
        elif name == "to-nowhere":
            self._redirect("http://[::1/a")
        elif name == "short":
            self._send(200, BODY, announced=len(BODY) + 1)
        elif name == "liar":
            self._send(200, b"", announced=1 << 40)
        elif name == "endless":
            self._endless()
        elif name == "packed":
            self._send(200, BODY, encoding="gzip")
        else:
            self._send(200, BODY)

    def _send(
        self, status: int, body: bytes, *, announced: int | None = None, encoding: str = ""
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if announced is None else announced))
        if encoding:
            self.send_header("Content-Encoding", encoding)
        self.end_headers()
        self.wfile.write(body)

    def _redirect(self, target: str) -> None:
        self.send_response(302)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(BODY)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """A server that remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, dict[str, str]]] = []

    def handle_error(self, *_arguments: object) -> None:
        """Stay silent about clients that hang up; they are what we test."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def running(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in network_environment():
        monkeypatch.delenv(name)


@pytest.fixture
def server() -> Iterator[Server]:
    with running(Server()) as one:
        yield one


def test_the_body_arrives_hashed_and_counted(server: Server) -> None:
    sink = io.BytesIO()
    seen: list[tuple[int, int | None]] = []
    result = download(
        f"{server.url}/file", sink, QUICK, lambda done, total: seen.append((done, total))
    )
    assert sink.getvalue() == BODY
    assert result.sha256 == hashlib.sha256(BODY).hexdigest()
    assert result.size == len(BODY)
    assert seen[-1] == (len(BODY), len(BODY))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_bytes_are_taken_as_stored_on_the_server(server: Server) -> None:
    sink = io.BytesIO()
    download(f"{server.url}/packed", sink, QUICK)
    assert sink.getvalue() == BODY
    assert server.seen[0][1]["accept-encoding"] == "identity"


def test_redirects_are_followed_up_to_the_limit(server: Server) -> None:
    sink = io.BytesIO()
    download(f"{server.url}/hop-2", sink, QUICK)
    assert sink.getvalue() == BODY


@pytest.mark.parametrize(
    ("path", "what", "got"),
    [
        ("status-404", "server refused", "status 404"),
        ("status-500", "server refused", "status 500"),
        ("status-304", "server refused", "status 304"),
        ("status-206", "server refused", "status 206"),
        ("loop", "too many redirects", ""),
        ("to-nowhere", "redirect to no URL", ""),
        ("hop-3", "too many redirects", ""),
        ("short", "download failed", "1 more expected"),
        ("liar", "file is too large", ""),
        ("endless", "file is too large", ""),
    ],
)
def test_a_server_that_misbehaves_is_named(server: Server, path: str, what: str, got: str) -> None:
    with pytest.raises(HostError) as caught:
        download(f"{server.url}/{path}", io.BytesIO(), QUICK)
    assert caught.value.what == what
    assert got in caught.value.got
    assert "127.0.0.1" in caught.value.where


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/a", "http:///a", "-o", "", "http://[::1/a"]
)
def test_only_http_is_spoken(url: str) -> None:
    with pytest.raises(InputError):
        download(url, io.BytesIO(), QUICK)


def test_a_redirect_to_a_file_is_refused(server: Server) -> None:
    with pytest.raises(HostError, match="redirect to no web address"):
        download(f"{server.url}/to-file-scheme", io.BytesIO(), QUICK)


def test_nobody_listening_is_a_host_error_with_a_hint(server: Server) -> None:
    url = server.url
    server.server_close()
    with pytest.raises(HostError) as caught:
        download(f"{url}/file", io.BytesIO(), QUICK)
    assert caught.value.where == f"{url}/file"
    assert "0x" not in caught.value.got
    assert caught.value.hint


def test_credentials_reach_the_server_and_no_message(server: Server) -> None:
    url = server.url.replace("http://", "http://ann:s3cret@")
    download(f"{url}/file", io.BytesIO(), QUICK)
    assert server.seen[0][1]["authorization"].startswith("Basic ")
    with pytest.raises(HostError) as caught:
        download(f"{url}/status-404", io.BytesIO(), QUICK)
    assert "s3cret" not in f"{caught.value} {caught.value.hint}"
    with pytest.raises(HostError) as caught:
        download(f"{url}/?token=s3cret&s3cret/status-404", io.BytesIO(), QUICK)
    assert caught.value.got == "status 404"
    assert caught.value.where == f"{server.url}/?token=...&..."


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a:b@h:1/x", "https://h:1/x"),
        ("https://h/x?token=s3cret", "https://h/x?token=..."),
        ("https://h/x?a=1&s3cret&b=?=s3cret#end", "https://h/x?a=...&...&b=...#end"),
        ("https://h/x?s3cret", "https://h/x?..."),
        ("https://h/x?", "https://h/x?..."),
        ("https://h/x#a=b", "https://h/x#a=b"),
    ],
)
def test_messages_keep_no_secret_of_a_url(url: str, shown: str) -> None:
    assert redacted(url) == shown


def test_the_proxy_variable_is_honoured_and_no_proxy_too(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    sink = io.BytesIO()
    download("http://files.invalid/file", sink, QUICK)
    assert sink.getvalue() == BODY
    assert server.seen[0][0] == "http://files.invalid/file"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    download(f"{server.url}/file", io.BytesIO(), QUICK)
    assert server.seen[1][0] == "/file"
    assert network_environment() == {"http_proxy": server.url, "no_proxy": "127.0.0.1"}


def make_certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test server")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def secure_server(tmp_path: Path) -> Iterator[Server]:
    server = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(make_certificate(tmp_path))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with running(server):
        yield server


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_come_from_the_variables_pip_reads(
    secure_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    url = f"https://127.0.0.1:{secure_server.server_port}"
    with pytest.raises(HostError) as caught:
        download(f"{url}/file", io.BytesIO(), QUICK)
    assert "SSL_CERT_FILE" in caught.value.hint
    monkeypatch.setenv(variable, str(tmp_path / "server.pem"))
    sink = io.BytesIO()
    download(f"{url}/file", sink, QUICK)
    assert sink.getvalue() == BODY


def test_a_redirect_that_leaves_https_is_refused(
    secure_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    with pytest.raises(HostError, match="redirect leaves https"):
        download(
            f"https://127.0.0.1:{secure_server.server_port}/to-file-scheme", io.BytesIO(), QUICK
        )


def test_an_unreadable_bundle_is_a_host_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "absent.pem"))
    with pytest.raises(HostError, match="certificates cannot be read"):
        download("https://127.0.0.1:1/", io.BytesIO(), QUICK)
