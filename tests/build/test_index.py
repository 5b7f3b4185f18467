"""Wheels through pip, from an index on this machine: pure ones only, compared by digest."""

from __future__ import annotations

import hashlib
import io
import json
import socket
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from relsign.build.inputs import index as pages
from relsign.build.inputs.index import (
    configured_index,
    fetch_wheels,
    find_sdist,
    locked_wheel,
    read_report,
    resolve_wheels,
)
from relsign.build.store import Store
from relsign.errors import HostError, InputError, VerificationError
from relsign.formats.lock import LockedWheel
from relsign.formats.names import Digest
from relsign.formats.recipe import PypiSdist
from relsign.system.fetch import FetchLimits
from tests.build.served import ENDLESS, Server, served, serving


def wheel(name: str, version: str, *requires: str) -> bytes:
    """Return a pure wheel with nothing but metadata and one module."""
    stream = io.BytesIO()
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {line}\n" for line in requires)
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(f"{name}.py", f"version = {version!r}\n")
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
        )
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return stream.getvalue()


def digest_of(data: bytes) -> Digest:
    return Digest(hashlib.sha256(data).hexdigest())


class Index:
    """A folder laid out as pip expects an index."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, file: str, data: bytes, stated: bytes | None = None) -> None:
        project = self.folder / "simple" / file.partition("-")[0].replace("_", "-")
        project.mkdir(parents=True, exist_ok=True)
        (project / file).write_bytes(data)
        page = project / "index.html"
        known = page.read_text() if page.exists() else ""
        digest = digest_of(data if stated is None else stated)
        page.write_text(f'{known}<a href="{file}#sha256={digest}">{file}</a>\n')


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    (tmp_path / "index").mkdir()
    with served(tmp_path / "index") as address:
        monkeypatch.setenv("PIP_INDEX_URL", f"{address}/simple/")
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        yield Index(tmp_path / "index")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_requirements_and_what_they_need_are_resolved_and_fetched(
    index: Index, store: Store
) -> None:
    front = wheel("front", "1.0", "back-end>=1", 'old; python_version < "3"')
    index.put("front-1.0-py3-none-any.whl", front)
    index.put("back_end-1.0-py2.py3-none-any.whl", wheel("back_end", "1.0"))
    index.put("back_end-2.0-cp311-cp311-manylinux_2_17_x86_64.whl", wheel("back_end", "2.0"))
    resolved = resolve_wheels(["front==1.0"], "3.11")
    assert [one.file for one in resolved] == [
        "back_end-1.0-py2.py3-none-any.whl",
        "front-1.0-py3-none-any.whl",
    ]
    fetch_wheels(resolved, store)
    locked = [locked_wheel(one, store) for one in resolved]
    assert [(one.sha256, one.size) for one in locked][1] == (digest_of(front), len(front))
    assert resolve_wheels([], "3.11") == ()


def test_what_is_stored_is_not_fetched_again(index: Index, store: Store) -> None:
    data = wheel("front", "1.0")
    index.put("front-1.0-py3-none-any.whl", data)
    resolved = resolve_wheels(["front==1.0"], "3.11")
    fetch_wheels(resolved, store)
    (index.folder / "simple/front/index.html").unlink()
    fetch_wheels([locked_wheel(one, store) for one in resolved], store)


def test_a_wheel_for_one_platform_is_not_resolved(index: Index) -> None:
    index.put("fast-1.0-cp311-cp311-manylinux_2_17_x86_64.whl", wheel("fast", "1.0"))
    with pytest.raises(HostError, match="pip failed"):
        resolve_wheels(["fast==1.0"], "3.11")


def test_a_wheel_named_oddly_is_refused(index: Index) -> None:
    index.put("odd-1.0-1-py3-none-any.whl", wheel("odd", "1.0"))
    with pytest.raises(InputError, match="not a pure Python wheel"):
        resolve_wheels(["odd==1.0"], "3.11")


def locked(data: bytes, size: int | None = None) -> LockedWheel:
    return LockedWheel(
        name="front",
        version="1.0",
        file="front-1.0-py3-none-any.whl",
        sha256=digest_of(data),
        size=len(data) if size is None else size,
    )


def test_an_index_that_changed_its_file_is_refused_with_the_wheels_name(
    index: Index, store: Store
) -> None:
    index.put("front-1.0-py3-none-any.whl", wheel("front", "1.0", "evil"))
    with pytest.raises(HostError) as caught:
        fetch_wheels([locked(wheel("front", "1.0"))], store)
    assert "front-1.0-py3-none-any.whl" in caught.value.what
    assert not (store.root / "sha256").exists()


def test_a_lock_that_lies_about_the_size_is_refused(index: Index, store: Store) -> None:
    data = wheel("front", "1.0")
    index.put("front-1.0-py3-none-any.whl", data)
    with pytest.raises(VerificationError, match="wrong size"):
        fetch_wheels([locked(data, 1)], store)


def test_every_wheel_with_another_size_is_named(index: Index, store: Store) -> None:
    files = {name: wheel(name, "1.0") for name in ("front", "back")}
    for name, data in files.items():
        index.put(f"{name}-1.0-py3-none-any.whl", data)
    lies = [
        LockedWheel(
            name=name, version="1.0", file=f"{name}-1.0-py3-none-any.whl", sha256=digest_of(data),
            size=1,
        )
        for name, data in files.items()
    ]  # fmt: skip
    with pytest.raises(VerificationError) as caught:
        fetch_wheels(lies, store)
    assert all(lie.file in caught.value.got for lie in lies)


def test_a_wheel_that_the_index_renamed_is_named(index: Index, store: Store) -> None:
    data = wheel("front", "1.0")
    index.put("front-1.0-py2.py3-none-any.whl", data)
    with pytest.raises(HostError, match=r"other names instead of wheel front-1\.0-py3") as caught:
        fetch_wheels([locked(data)], store)
    assert caught.value.hint


class _Page(BaseHTTPRequestHandler):
    """A project's page that comes a byte at a time, or is deep."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
        self.end_headers()
        if "deep" in self.path:
            self.wfile.write(b"[" * 100_000)
            return
        with suppress(OSError):
            while True:
                self.wfile.write(b" ")
                time.sleep(0.02)

    def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


SDIST = PypiSdist(name="x", sha256=Digest("a" * 64), package="x", version="1", file="x-1.tar.gz")


def test_a_page_of_the_index_is_not_read_for_ever(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    with served(index.folder) as address, pytest.raises(HostError, match="too large"):
        find_sdist(SDIST, f"{address}/{ENDLESS}")
    monkeypatch.setattr(pages, "PAGE_LIMITS", FetchLimits(read_seconds=0.2, slowest=1 << 10))
    with serving(Server(("127.0.0.1", 0), _Page)) as address:
        with pytest.raises(HostError, match="too slow"):
            find_sdist(SDIST, address)
        with pytest.raises(HostError, match="does not answer"):
            find_sdist(SDIST, f"{address}/deep")


def test_a_page_that_breaks_off_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def answer() -> None:
            with listener.accept()[0] as peer:
                peer.recv(1 << 16)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")

        with ThreadPoolExecutor(1) as pool:
            pool.submit(answer)
            with pytest.raises(HostError, match="does not answer"):
                find_sdist(SDIST, address)


def test_the_index_is_pips_own(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    assert configured_index().startswith("http://127.0.0.1:")
    monkeypatch.delenv("PIP_INDEX_URL")
    settings = index.folder / "pip.conf"
    settings.write_text("[global]\nindex-url = http://127.0.0.1:1/other\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(settings))
    assert configured_index() == "http://127.0.0.1:1/other"
    # pip runs elsewhere, but a path means what it means here.
    monkeypatch.chdir(index.folder)
    monkeypatch.setenv("PIP_CONFIG_FILE", settings.name)
    assert configured_index() == "http://127.0.0.1:1/other"


def test_a_module_planted_in_the_current_folder_is_not_run(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    index.put("front-1.0-py3-none-any.whl", wheel("front", "1.0"))
    resolve_wheels(["front==1.0"], "3.11")
    assert not (tmp_path / "ran").exists()


def _fetch_planted(store: Store) -> None:
    digest = digest_of(Path("front==1.0.zip").read_bytes())
    file = "front-1.0-py3-none-any.whl"
    wanted = LockedWheel(name="front", version="1.0.zip", file=file, sha256=digest, size=1)
    fetch_wheels([wanted], store)


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    "ask", [_fetch_planted, lambda _store: resolve_wheels(["front==1.0.zip"], "3.11")]
)
def test_an_archive_planted_in_the_current_folder_is_not_run(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Store], object]
) -> None:
    """For ``x==1.0.zip`` pip takes a file of that name where there is one, and builds it."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with zipfile.ZipFile("front==1.0.zip", "w") as planted:
        planted.writestr("front/setup.py", f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises((HostError, InputError)):
        ask(store)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "version", "digest"),
    [
        ("front", "1.0", "0" * 63),
        ("front", "1.0", "0" * 64 + "\n--index-url=http://127.0.0.1:1/"),
        ("front\n-r /etc/passwd", "1.0", "0" * 64),
        ("front", "1.0\n./evil.zip", "0" * 64),
    ],
)
def test_what_pip_reports_is_no_line_of_its_own(name: str, version: str, digest: str) -> None:
    """A hostile index decides these words, and they go into a requirements file."""
    found = {
        "metadata": {"name": name, "version": version},
        "download_info": {"url": "x", "archive_info": {"hashes": {"sha256": digest}}},
    }
    with pytest.raises(HostError, match="report cannot be read"):
        read_report(json.dumps({"install": [found]}).encode())


def test_a_page_that_lists_nothing_withdraws_nothing(index: Index) -> None:
    """A login page in the index's place answers every question."""
    index.put("front-1.0-py3-none-any.whl", wheel("front", "1.0"))
    (index.folder / "simple" / "front" / "index.html").write_text("<a href='/'>log in</a>")
    wanted = PypiSdist(
        name="front",
        package="front",
        version="1.0",
        file="front-1.0.tar.gz",
        sha256=Digest("0" * 64),
    )
    with pytest.raises(HostError, match="lists no file"):
        find_sdist(wanted, configured_index())


@pytest.mark.parametrize("odd", [b"[" * 100_000, b'{"install": "\xff"}', b'{"x":' * 100_000])
def test_a_report_of_another_form_is_refused(odd: bytes) -> None:
    with pytest.raises(HostError, match="report cannot be read"):
        read_report(odd)
