"""A TUF repository in memory, made with python-tuf's own Metadata API, served over HTTP.

Everything a repository can do wrong is done here: sign with other keys, go back, let
time pass, serve other bytes, break off, stall, never end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FAR = NOW + timedelta(days=30)
PAST = NOW - timedelta(days=1)
ROLES = ("root", "timestamp", "snapshot", "targets")
Signed = TypeVar("Signed", Root, Timestamp, Snapshot, Targets)


def sealed(signed: Signed, signers: Sequence[CryptoSigner]) -> bytes:
    """Return a metadata file signed by each of `signers`."""
    metadata = Metadata(signed)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes()


class Repository:
    """The four roles' documents, their keys, and the files as they are served."""

    def __init__(self, *, consistent: bool = True, expires: datetime = FAR) -> None:
        self.signers: dict[str, list[CryptoSigner]] = {role: [] for role in ROLES}
        self.root = Root(version=1, expires=expires, consistent_snapshot=consistent)
        self.timestamp = Timestamp(version=1, expires=expires)
        self.snapshot = Snapshot(version=1, expires=expires)
        self.targets = Targets(version=1, expires=expires)
        self.delegated: dict[str, Targets] = {}
        self.files: dict[str, bytes] = {}
        for role in ROLES:
            self.add_key(role)
        self.place_root()
        self.publish()

    @property
    def trusted_root(self) -> bytes:
        """The first root, which a client starts from."""
        return self.files["metadata/1.root.json"]

    def add_key(self, role: str) -> CryptoSigner:
        """Give a role one more key."""
        signer = CryptoSigner.generate_ed25519()
        self.root.add_key(signer.public_key, role)
        self.signers[role].append(signer)
        return signer

    def replace_keys(self, role: str) -> None:
        """Give a role a new key and take all its old ones away."""
        for keyid in list(self.root.roles[role].keyids):
            self.root.revoke_key(keyid, role)
        self.signers[role] = []
        self.add_key(role)

    def place_root(self, signers: Sequence[CryptoSigner] | None = None) -> None:
        """Publish the root as it is."""
        data = sealed(self.root, self.signers["root"] if signers is None else signers)
        self.files[f"metadata/{self.root.version}.root.json"] = data

    def next_root(self, signers: Sequence[CryptoSigner] | None = None) -> None:
        """Publish the root as its next version."""
        self.root.version += 1
        self.place_root(signers)

    def place(self, role: str, data: bytes, version: int) -> None:
        """Serve a metadata file under the name that a client asks for."""
        numbered = self.root.consistent_snapshot and role != "timestamp"
        self.files[f"metadata/{version}.{role}.json" if numbered else f"metadata/{role}.json"] = (
            data
        )

    def publish(self) -> None:
        """Publish targets, snapshot and timestamp as they are, hanging together."""
        meta = {}
        for name, targets in {**self.delegated, "targets": self.targets}.items():
            data = sealed(targets, self.signers[name])
            self.place(quote(name, ""), data, targets.version)
            meta[f"{name}.json"] = MetaFile(targets.version, len(data), _hashes(data))
        self.snapshot.meta = meta
        self.publish_snapshot()

    def publish_snapshot(self) -> None:
        """Publish snapshot and timestamp."""
        data = sealed(self.snapshot, self.signers["snapshot"])
        self.place("snapshot", data, self.snapshot.version)
        self.timestamp.snapshot_meta = MetaFile(self.snapshot.version, len(data), _hashes(data))
        self.publish_timestamp()

    def publish_timestamp(self) -> None:
        """Publish the timestamp."""
        self.place("timestamp", sealed(self.timestamp, self.signers["timestamp"]), 0)

    def bump(self) -> None:
        """Publish the next version of targets, snapshot and timestamp."""
        self.targets.version += 1
        self.bump_snapshot()

    def bump_snapshot(self) -> None:
        """Publish the next version of snapshot and timestamp."""
        self.snapshot.version += 1
        self.timestamp.version += 1
        self.publish()

    def add_target(self, path: str, data: bytes, role: str = "targets") -> None:
        """Add a target, under its plain name and the one that starts with its digest."""
        targets = self.targets if role == "targets" else self.delegated[role]
        targets.targets[path] = TargetFile.from_data(path, data, ["sha256"])
        folder, slash, name = path.rpartition("/")
        self.files[f"targets/{path}"] = data
        self.files[f"targets/{folder}{slash}{sha256(data).hexdigest()}.{name}"] = data

    def delegate(
        self, parent: str, name: str, paths: list[str], *, terminating: bool = False
    ) -> None:
        """Let a role pass paths on to another."""
        signer = CryptoSigner.generate_ed25519()
        giver = self.targets if parent == "targets" else self.delegated[parent]
        if giver.delegations is None:
            giver.delegations = Delegations({}, roles={})
        assert giver.delegations.roles is not None
        giver.delegations.roles[name] = DelegatedRole(name, [], 1, terminating, paths)
        if name in self.signers:
            signer = self.signers[name][0]
        giver.add_key(signer.public_key, name)
        self.signers[name] = [signer]
        self.delegated.setdefault(name, Targets(version=1, expires=FAR))

    def write(self, folder: Path) -> None:
        """Write all files below a folder."""
        for name, data in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def _hashes(data: bytes) -> dict[str, str]:
    return {"sha256": sha256(data).hexdigest()}


class _Handler(BaseHTTPRequestHandler):
    server: TufServer

    def do_GET(self) -> None:
        path = self.path.lstrip("/")
        self.server.asked.append(path)
        if path in self.server.status:
            self.send_error(self.server.status[path])
            return
        if path in self.server.endless:
            self._endless()
            return
        data = self.server.repository.files.get(path)
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if path in self.server.breaks:
            self.server.breaks.remove(path)
            data = data[: len(data) // 2]
        if path in self.server.slow:
            self._drip(data)
        else:
            self.wfile.write(data)
        self.close_connection = True

    def _drip(self, data: bytes) -> None:
        for number in range(len(data)):
            self.wfile.write(data[number : number + 1])
            time.sleep(0.05)

    def _endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b" " * 65536)

    def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


class TufServer(ThreadingHTTPServer):
    """Serves a repository and remembers what it was asked for."""

    daemon_threads = True

    def __init__(self, repository: Repository) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repository = repository
        self.asked: list[str] = []
        self.status: dict[str, int] = {}
        """Path -> the error it is answered with."""
        self.endless: set[str] = set()
        self.slow: set[str] = set()
        self.breaks: list[str] = []
        """Paths whose next answer ends in the middle."""

    def handle_error(self, *_arguments: object) -> None:
        """Stay silent about clients that hang up; they are what we test."""

    @property
    def url(self) -> str:
        """The address of the repository's folder."""
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving(repository: Repository) -> Iterator[TufServer]:
    """Serve a repository while the block runs."""
    server = TufServer(repository)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
