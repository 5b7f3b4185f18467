"""`relsign relay` as it is called: HTTPS, and options that cannot be."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from relsign.cli.main import execute
from relsign.errors import HostError
from relsign.sign.exchanges.open import open_exchange
from relsign.system.fetch import network_environment
from tests.relay.people import ANN, BO, TOPIC, relay, roster


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Return a certificate for this machine and its key."""
    paths = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-days", "2", "-subj", "/CN=relay", "-addext", "subjectAltName=IP:127.0.0.1",
         "-out", paths[0], "-keyout", paths[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    return paths


def test_https(
    tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in network_environment():
        monkeypatch.delenv(name)
    more = ("--certificate", str(certificate[0]), "--key", str(certificate[1]))
    with relay(tmp_path, *more) as one:
        assert one.url.startswith("https://127.0.0.1:")
        with pytest.raises(HostError, match="no answer"):
            open_exchange(one.url, ANN).put(TOPIC, b"nobody knows that certificate")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        open_exchange(one.url, ANN).put(TOPIC, b"over TLS")
        assert open_exchange(one.url, BO).messages(TOPIC).messages == (b"over TLS",)
        with pytest.raises(HostError, match="no answer"):
            open_exchange(one.url.replace("https", "http"), ANN).messages(TOPIC)
        assert one.stop() == 0
        assert "Traceback" not in one.log.read_text()


WRONG = [
    (["--listen", "8440"], 2, "not a host and a port"),
    (["--listen", ":8440"], 2, "not a host and a port"),
    (["--listen", "127.0.0.1:x"], 2, "not a host and a port"),
    (["--listen", "127.0.0.1:70000"], 2, "not a host and a port"),
    (["--listen", "127.0.0.1:"], 2, "not a host and a port"),
    (["--listen", "no.such.host.invalid:1"], 5, "error:"),
    (["--listen", "192.0.2.1:1"], 5, "error:"),
    (["--url", "relay.example"], 2, "not the address of a relay"),
    (["--url", "https://relay.example/?x"], 2, "not the address of a relay"),
    (["--certificate", "roster.toml"], 2, "certificate without its key"),
    (["--certificate", "roster.toml", "--key", "roster.toml"], 2, "cannot be used"),
    (["--members", "absent"], 2, "absent"),
    (["--members", "broken"], 2, "broken"),
]


@pytest.mark.parametrize(("words", "code", "said"), WRONG)
def test_options_that_cannot_be(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("roster.toml").write_bytes(roster(ann=ANN))
    Path("broken").write_text("broken")
    given = ["--members", "roster.toml", "--store", "store", "--listen", "127.0.0.1:0", *words]
    assert execute(["relay", *given]) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert said in told.err
    assert "Traceback" not in told.err


def test_an_address_in_use_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with relay(tmp_path) as one:
        host = one.url.removeprefix("http://")
        given = ["--members", str(tmp_path / "roster.toml"), "--store", str(tmp_path / "second")]
        assert execute(["relay", *given, "--listen", host]) == 5
    assert f"error: {host}: address already in use" in capsys.readouterr().err
