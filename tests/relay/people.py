"""Members and strangers of a relay, and a relay in a process of its own."""

from __future__ import annotations

import hashlib
import http.client
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from nacl.signing import SigningKey

from relsign.crypto.keys import Ed25519Public
from relsign.formats.names import Digest
from relsign.formats.relay import Credential, RelayRequest, topic_path
from relsign.sign.exchanges.interface import Identity
from relsign.system.address import audience_of

TOPIC = "ab" * 32
OTHER = "cd" * 32
PROGRAM = Path(sys.executable).parent / "relsign"


def identity(name: str) -> Identity:
    """Return the identity that a name stands for: the same each time."""
    key = SigningKey(hashlib.sha256(name.encode()).digest())
    public = bytes(key.verify_key)

    def sign(message: bytes) -> bytes:
        return key.sign(message).signature

    return Identity(Ed25519Public(public).keyid, public, sign)


ANN, BO, EVE = identity("ann"), identity("bo"), identity("eve")


def roster(**members: Identity) -> bytes:
    """Return a roster of these members."""
    return b"".join(
        f'[[member]]\nname = "{name}"\noperator = "{name}"\norganisation = "{name}-org"\n'
        f'roles = ["signer"]\nkey = {{kind = "ed25519", public = "{one.public.hex()}"}}\n'.encode()
        for name, one in members.items()
    )


@dataclass(frozen=True)
class Spoilt:
    """A request as it is signed, where that is not as it is sent."""

    audience: str | None = None
    path: str | None = None
    method: Literal["GET", "POST"] | None = None
    body: bytes | None = None
    late: int = 0
    """Seconds that the sender's clock is behind."""
    nonce: str = field(default_factory=lambda: os.urandom(16).hex())


HONEST = Spoilt()


def credential(
    who: Identity, url: str, method: Literal["GET", "POST"], path: str, body: bytes,
    spoilt: Spoilt | None = None,
) -> str:  # fmt: skip
    """Return a header as relsign's own client makes it, but for what is spoilt."""
    other = spoilt or Spoilt()
    request = RelayRequest(
        audience=other.audience or audience_of(url),
        body_sha256=Digest(hashlib.sha256(body if other.body is None else other.body).hexdigest()),
        method=other.method or method,
        nonce=other.nonce,
        path=other.path or path,
        time=datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=other.late),
    ).to_bytes()
    signature = who.sign(Credential(who.keyid, request, b"").signed_bytes())
    return Credential(who.keyid, request, signature).to_header()


@dataclass(frozen=True)
class Said:
    """An answer."""

    status: int
    body: bytes
    headers: dict[str, str]


def send(
    url: str, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> Said:
    """Send a request exactly as it stands here and return the answer."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        given = {"Content-Length": str(len(body))} if body else {}
        for name, value in {**given, **(headers or {})}.items():
            connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        return Said(answer.status, answer.read(), {k.lower(): v for k, v in answer.getheaders()})
    finally:
        connection.close()


def post(url: str, who: Identity, body: bytes, spoilt: Spoilt | None = None) -> Said:
    """Put a message into `TOPIC`."""
    header = credential(who, url, "POST", topic_path(TOPIC), body, spoilt)
    return send(url, "POST", topic_path(TOPIC), body, {"Authorization": header})


@dataclass
class Running:
    """A relay in a process of its own."""

    process: subprocess.Popen[str]
    url: str
    log: Path

    def stop(self) -> int:
        """End it as a service manager does; return its exit code."""
        self.process.terminate()
        return self.process.wait(20)


@contextmanager
def relay(folder: Path, *more: str, members: bytes | None = None) -> Iterator[Running]:
    """Run a relay with its store in `folder`, for Ann and Bo unless told otherwise."""
    file = folder / "roster.toml"
    file.write_bytes(members or roster(ann=ANN, bo=BO))
    log = folder / "log"
    with log.open("a") as stderr:
        process = subprocess.Popen(
            [PROGRAM, "relay", "--members", file, "--store", folder / "store",
             "--listen", "127.0.0.1:0", *more],
            stdout=subprocess.PIPE, stderr=stderr, text=True,
        )  # fmt: skip
    assert process.stdout is not None
    with process.stdout as stdout:
        try:
            line = stdout.readline()
            assert line.startswith("listening at http"), log.read_text()
            yield Running(process, line.split()[-1], log)
        finally:
            process.kill()
            process.wait()
