"""A folder served over HTTP on this machine, as a mirror or an index would be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ENDLESS = "endless"
CHUNK = bytes(1 << 16)


class Handler(SimpleHTTPRequestHandler):
    """Serves files; a name with the word in it never ends."""

    def do_GET(self) -> None:
        if ENDLESS not in self.path:
            super().do_GET()
            return
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(CHUNK)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """A server that stays silent about clients that hang up."""

    daemon_threads = True

    def handle_error(self, *_arguments: object) -> None:
        """Stay silent."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder and yield its address."""
    with serving(Server(("127.0.0.1", 0), partial(Handler, directory=folder))) as address:
        yield address


@contextmanager
def serving(server: Server) -> Iterator[str]:
    """Run a server while the block runs, and yield its address."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
