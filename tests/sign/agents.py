"""ssh-agents: the real one in a private folder, and ones that answer what they are told."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

Answer = Callable[[bytes], bytes | None]
"""From a request's bytes to the bytes sent back, framing and all; None hangs."""


def string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def message(kind: int, contents: bytes) -> bytes:
    return string(bytes([kind]) + contents)


def keys(*blobs: bytes) -> bytes:
    """Return the answer that lists these keys."""
    body = b"".join(string(blob) + string(b"comment") for blob in blobs)
    return message(12, struct.pack(">I", len(blobs)) + body)


@contextlib.contextmanager
def real_agent(folder: Path, *key_files: Path) -> Iterator[Path]:
    """Run ssh-agent with these keys while the block runs; give its socket."""
    path = folder / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        for file in key_files:
            subprocess.run(
                ["ssh-add", "-q", file], env={"SSH_AUTH_SOCK": str(path)}, check=True,
                capture_output=True,
            )  # fmt: skip
        yield path
    finally:
        process.terminate()
        process.wait(10)
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def told_agent(folder: Path, answer: Answer) -> Iterator[Path]:
    """Listen at a socket and answer each connection's one request as told."""
    path = folder / "told"
    done = threading.Event()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(0.05)

        def serve() -> None:
            while not done.is_set():
                try:
                    stream, _ = listener.accept()
                except TimeoutError:
                    continue
                with stream, contextlib.suppress(OSError):
                    _talk(stream, answer, done)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield path
        finally:
            done.set()
            thread.join()
            path.unlink()


def _talk(stream: socket.socket, answer: Answer, done: threading.Event) -> None:
    stream.settimeout(10)
    (length,) = struct.unpack(">I", stream.recv(4, socket.MSG_WAITALL))
    reply = answer(stream.recv(length, socket.MSG_WAITALL))
    if reply is None:
        done.wait(10)
        return
    stream.sendall(reply)
