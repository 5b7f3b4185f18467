"""An image registry on this machine, and images made for it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import socket
import subprocess
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

from relsign.formats.names import Digest
from tests.build.served import Server, serving

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
GZIP_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def sha256(data: bytes) -> Digest:
    return Digest(hashlib.sha256(data).hexdigest())


def layer_tar(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


@dataclass(frozen=True)
class Made:
    """Blobs and manifest of an image, before it is anywhere."""

    manifest: bytes
    blobs: tuple[bytes, ...]

    @property
    def digest(self) -> Digest:
        return sha256(self.manifest)


def make_image(
    tars: Sequence[bytes],
    *,
    architecture: str = "amd64",
    layer_type: str = GZIP_LAYER,
    manifest_type: str = MANIFEST,
    diffs: Sequence[bytes] | None = None,
) -> Made:
    """Make an image whose publisher also wanted variables, volumes and a command."""
    packed = [gzip.compress(tar, 1, mtime=0) for tar in tars]
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Env": ["LD_PRELOAD=/evil.so"], "Entrypoint": ["/evil"], "Volumes": {"/v": {}}},
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{sha256(tar)}" for tar in (tars if diffs is None else diffs)],
        },
    }
    config_bytes = json.dumps(config).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": descriptor(config_bytes, "application/vnd.oci.image.config.v1+json"),
        "layers": [descriptor(blob, layer_type) for blob in packed],
    }
    return Made(json.dumps(manifest).encode(), (config_bytes, *packed))


def descriptor(data: bytes, kind: str) -> dict[str, object]:
    return {"mediaType": kind, "digest": f"sha256:{sha256(data)}", "size": len(data)}


def make_index(images: dict[str, Made]) -> bytes:
    """Make an index of images by architecture."""
    entries = [
        {**descriptor(i.manifest, MANIFEST), "platform": {"os": "linux", "architecture": a}}
        for a, i in images.items()
    ]
    # As builders add for what they attest; registries want it to be there, too.
    some = descriptor(next(iter(images.values())).manifest, MANIFEST)
    unknown = {**some, "platform": {"os": "unknown", "architecture": "unknown"}}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*entries, unknown]}
    return json.dumps(index).encode()


def push(address: str, repository: str, made: Made) -> None:
    for blob in made.blobs:
        place = call("POST", f"{address}/v2/{repository}/blobs/uploads/")
        join = "&" if "?" in place else "?"
        kind = "application/octet-stream"
        call("PUT", f"{place}{join}digest=sha256:{sha256(blob)}", blob, kind)
    kind = json.loads(made.manifest)["mediaType"]
    push_manifest(address, repository, made.manifest, kind)


def push_manifest(address: str, repository: str, data: bytes, kind: str = INDEX) -> None:
    call("PUT", f"{address}/v2/{repository}/manifests/sha256:{sha256(data)}", data, kind)


def call(method: str, url: str, data: bytes | None = None, kind: str = "") -> str:
    """Send a request and return where the answer points to."""
    request = urllib.request.Request(url, data, {"Content-Type": kind}, method=method)  # noqa: S310
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return str(answer.headers.get("Location", ""))


@contextmanager
def docker_registry(folder: Path) -> Iterator[str]:
    """Run Debian's docker-registry over `folder` and yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = folder / "registry.yml"
    settings.write_text(
        "version: 0.1\nlog: {level: error}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n"
    )
    with subprocess.Popen(
        ["docker-registry", "serve", settings],
        env={"PATH": "/usr/bin:/bin"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as child:
        try:
            wait_for(f"http://127.0.0.1:{port}/v2/")
            yield f"http://127.0.0.1:{port}"
        finally:
            child.terminate()
            child.wait(20)


def wait_for(url: str) -> None:
    for _ in range(200):
        try:
            call("GET", url)
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
        else:
            return
    raise AssertionError(url)


class _Static(BaseHTTPRequestHandler):
    """A registry that serves what it is given, and may want a token or a password."""

    files: ClassVar[dict[str, bytes]] = {}
    token: ClassVar[str] = ""
    token_answer: ClassVar[bytes] = b""
    blobs: ClassVar[str] = ""
    seen: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        host = self.headers["Host"]
        wanted = f"Bearer {self.token}"
        if self.path.startswith("/token?"):
            assert "scope=repository%3Ateam%2Fsmall%3Apull" in self.path
            self.seen.extend(self.headers.get_all("Authorization", []))
            self._answer(200, self.token_answer or json.dumps({"token": self.token}).encode())
        elif self.token and self.headers.get("Authorization") != wanted:
            challenge = f'Bearer realm="http://{host}/token",service="here"'
            self._answer(401, b"", "Basic realm=x" if self.token == "basic" else challenge)
        elif self.blobs and "/blobs/" in self.path:
            self.send_response(307)
            self.send_header("Location", self.blobs + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.seen.append(", ".join(self.headers.get_all("Authorization", [])))
            data = self.files.get(self.path.rpartition(":")[2])
            self._answer(404 if data is None else 200, data or b"")

    def _answer(self, status: int, data: bytes, challenge: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


def static(
    made: Made,
    lies: dict[Digest, bytes] | None = None,
    token: str = "",
    *,
    token_answer: bytes = b"",
    blobs: str = "",
    seen: list[str] | None = None,
) -> AbstractContextManager[str]:
    """Serve one image: some files as lies, behind a token, blobs redirected to another host.

    `token_answer` is said instead where a token is asked for; `seen` collects the
    credentials that came with questions for files, and any that came for tokens.
    """
    files = {sha256(data): data for data in (made.manifest, *made.blobs)} | (lies or {})
    fields = {
        "files": files,
        "token": token,
        "token_answer": token_answer,
        "blobs": blobs,
        "seen": [] if seen is None else seen,
    }
    return serving(Server(("127.0.0.1", 0), type("Handler", (_Static,), fields)))
