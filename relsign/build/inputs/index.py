"""The Python index this machine's pip is configured for.

No document of ours names a server.  pip itself resolves and downloads wheels;
its configuration (index, certificates, proxies) is the machine's.  A source
distribution is picked from the index's page and downloaded here, because pip
would run its build back end to read its metadata.

The index is not trusted once a document gives a digest.
"""

from __future__ import annotations

import importlib.util
import io
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec
import urllib3
from pypi_simple import (
    PYPI_SIMPLE_ENDPOINT,
    NoSuchProjectError,
    PyPISimple,
    UnsupportedRepoVersionError,
)

from relsign.build.inputs.clients import Arrived, keep
from relsign.build.inputs.mirrors import last_words
from relsign.build.store import Store
from relsign.errors import HostError, InputError
from relsign.formats.canonical import decode_json
from relsign.formats.lock import LockedWheel, WheelVersion
from relsign.formats.names import Digest, HexDigest, Name
from relsign.formats.recipe import PypiSdist
from relsign.system.fetch import FetchLimits, network_environment, read_body, redacted
from relsign.system.files import hash_file, read_bounded
from relsign.system.process import require_program, run_program

if TYPE_CHECKING:
    from requests import Response

PIP_VARIABLES = (
    "HOME",
    "XDG_CONFIG_HOME",
    "XDG_CONFIG_DIRS",
    "PIP_CONFIG_FILE",
    "PIP_INDEX_URL",
    "PIP_CERT",
    "PIP_CLIENT_CERT",
    "PIP_PROXY",
    "PIP_TRUSTED_HOST",
    "PIP_DEFAULT_TIMEOUT",
)
PATH_VARIABLES = (
    "PIP_CONFIG_FILE",
    "PIP_CERT",
    "PIP_CLIENT_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
_ODD = (
    *(OSError, urllib3.exceptions.HTTPError),  # of the network: the library's, and our reader's
    *(ValueError, RecursionError, UnsupportedRepoVersionError),  # of pages
)
PURE_WHEEL = re.compile(r"[A-Za-z0-9_.]+-[A-Za-z0-9_.!+]+-(?:py2\.)?py3-none-any\.whl")
PIP_QUIET = ("--quiet", "--no-input", "--disable-pip-version-check", "--no-cache-dir")
INDEX_KEYS = (":env:.index-url", "global.index-url")
MAX_REPORT_BYTES = 64 << 20
PAGE_SECONDS = 60
PAGE_LIMITS = FetchLimits(max_bytes=32 << 20, read_seconds=PAGE_SECONDS, slowest=1 << 10)
"""Several times the page of a project with ten thousand files."""
PIP_SECONDS = 1800


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A file the index offers: where it is and the digest the index states, if any."""

    url: str
    sha256: Digest | None


class _ReportHashes(msgspec.Struct):
    # What the index states, which pip passes on unread: it ends up in a requirements file.
    sha256: HexDigest


class _ReportArchive(msgspec.Struct):
    hashes: _ReportHashes


class _ReportDownload(msgspec.Struct):
    url: str
    archive_info: _ReportArchive


class _ReportMetadata(msgspec.Struct):
    name: Name
    version: WheelVersion


class _ReportItem(msgspec.Struct):
    metadata: _ReportMetadata
    download_info: _ReportDownload


class _Report(msgspec.Struct):
    """The parts used of pip's installation report, version 1."""

    install: list[_ReportItem]


@dataclass(frozen=True, slots=True)
class ResolvedWheel:
    """A wheel pip chose, not yet downloaded."""

    name: str
    version: str
    file: str
    sha256: Digest


def configured_index() -> str:
    """Return the address of the index: pip's configuration, or the library's default."""
    # `config get` does not read PIP_CONFIG_FILE; `config list` shows all pip would use,
    # each as NAME='VALUE'.
    lines = (line.partition("=") for line in _pip("config", "list", check=False).splitlines())
    settings = {name: value.strip("'\"") for name, _, value in lines}
    return next((settings[key] for key in INDEX_KEYS if settings.get(key)), PYPI_SIMPLE_ENDPOINT)


def find_sdist(source: PypiSdist, index: str) -> IndexFile:
    """Return the file of that name on the index's page of the project.

    Raises InputError if the project or the file is not there, HostError if the
    index does not answer.
    """
    try:
        with PyPISimple(endpoint=index) as client:
            client.s.stream = True
            client.s.hooks["response"] = [_read_bounded]
            page = client.get_project_page(
                source.package, timeout=PAGE_SECONDS, headers={"Accept-Encoding": "identity"}
            )
    except NoSuchProjectError as error:
        raise InputError(
            "the index has no such project",
            got=source.package,
            hint="check the name, and that `pip config get global.index-url` is the right index",
        ) from error
    except _ODD as error:
        raise HostError(
            "the index does not answer",
            where=redacted(index),
            got=type(error).__name__,
            hint="check the connection and `pip config get global.index-url`",
        ) from error
    for package in page.packages:
        if package.filename == source.file and package.version == source.version:
            stated = package.digests.get("sha256")
            return IndexFile(package.url, Digest(stated) if stated else None)
    if not any(package.version for package in page.packages):
        raise HostError(
            "what answers in the index's place lists no file",
            where=redacted(index),
            got=f"a page about {source.package} without one",
            hint="check the connection and `pip config get global.index-url`",
        )
    raise InputError(
        "the index has no such file",
        got=source.file,
        hint="check file and version; if it was withdrawn, name another version",
    )


def _read_bounded(answer: Response, **_settings: object) -> None:
    """Read a body for the library, which itself would read on for as long as one comes."""
    data = b"".join(read_body(answer.raw, PAGE_LIMITS, redacted(answer.url)))
    answer.raw = io.BytesIO(data)


def resolve_wheels(requirements: Sequence[str], python_version: str) -> tuple[ResolvedWheel, ...]:
    """Return the pure wheels the requirements need on that Python, sorted by file.

    Raises HostError if pip fails, InputError if something has no pure wheel.
    """
    if not requirements:
        return ()
    with tempfile.TemporaryDirectory(prefix="relsign-") as folder:
        report = Path(folder, "report.json")
        where = ("--target", f"{folder}/target", "--report", os.fspath(report))
        choose = ("--python-version", python_version, "--implementation", "py")
        pure = ("--only-binary=:all:", "--abi", "none", "--platform", "any")
        plan = ("--dry-run", "--ignore-installed")
        _pip("install", *PIP_QUIET, *plan, *choose, *pure, *where, "--", *requirements)
        data = read_bounded(report, MAX_REPORT_BYTES)
    return read_report(data)


def read_report(data: bytes) -> tuple[ResolvedWheel, ...]:
    """Return the wheels of pip's installation report, sorted by file.

    Raises HostError for another form, InputError if something is no pure wheel.
    """
    try:
        parsed = decode_json(data, _Report, "pip's report", max_bytes=MAX_REPORT_BYTES)
    except InputError as error:
        raise HostError("pip's report cannot be read", where=error.where, got=error.what) from error
    return tuple(sorted(map(_resolved, parsed.install), key=lambda wheel: wheel.file))


def _resolved(item: _ReportItem) -> ResolvedWheel:
    file = unquote(urlsplit(item.download_info.url).path).rsplit("/", 1)[-1]
    if not PURE_WHEEL.fullmatch(file):
        raise InputError("not a pure Python wheel", got=file, hint="only py3-none-any is locked")
    digest = item.download_info.archive_info.hashes.sha256
    return ResolvedWheel(item.metadata.name, item.metadata.version, file, digest)


def fetch_wheels(wheels: Sequence[ResolvedWheel | LockedWheel], store: Store) -> None:
    """Bring the wheels that are missing into the store; pip downloads, we compare.

    Raises HostError naming the wheels if pip fails, VerificationError for other bytes.
    """
    missing = [wheel for wheel in wheels if not store.has(wheel.sha256)]
    if not missing:
        return
    with tempfile.TemporaryDirectory(prefix="relsign-") as folder:
        listed = Path(folder, "requirements.txt")
        listed.write_text("".join(f"{_requirement(wheel)}\n" for wheel in missing), "utf-8")
        pure = ("--only-binary=:all:", "--abi", "none", "--platform", "any")
        # Which Python runs them was decided when the lock was resolved.
        python = (
            "--python-version",
            "3",
            "--implementation",
            "py",
            "--ignore-requires-python",
            "--require-hashes",
        )
        place = ("--dest", f"{folder}/wheels", "--requirement", os.fspath(listed), "--no-deps")
        names = ", ".join(wheel.file for wheel in missing)
        _pip("download", *PIP_QUIET, *pure, *python, *place, what=f"wheels not fetched: {names}")
        arrived = [_arrived(wheel, Path(folder, "wheels", wheel.file)) for wheel in missing]
        absent = [file.name for file in arrived if not file.path.is_file()]
        keep([file for file in arrived if file.name not in absent], store)
    if absent:
        raise HostError(
            f"pip fetched files of other names instead of {', '.join(absent)}",
            where=f"builder.lock: {absent[0]}",
            hint="the index renamed them: lock anew, or use another index",
        )


def _requirement(wheel: ResolvedWheel | LockedWheel) -> str:
    return f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}"


def _arrived(wheel: ResolvedWheel | LockedWheel, path: Path) -> Arrived:
    size = wheel.size if isinstance(wheel, LockedWheel) else None
    return Arrived(f"wheel {wheel.file}", path, wheel.sha256, size)


def locked_wheel(wheel: ResolvedWheel, store: Store) -> LockedWheel:
    """Return the lock's entry of a wheel that is in the store."""
    size = hash_file(store.path(wheel.sha256)).size
    return LockedWheel(
        name=wheel.name, version=wheel.version, file=wheel.file, sha256=wheel.sha256, size=size
    )


def _pip(*words: str, check: bool = True, what: str = "pip failed") -> str:
    environment = network_environment()
    environment |= {name: os.environ[name] for name in PIP_VARIABLES if name in os.environ}
    command = [*_pip_program(), *words]
    paths = [name for name in PATH_VARIABLES if environment.get(name)]
    environment |= {name: os.path.abspath(environment[name]) for name in paths}  # noqa: PTH100
    # pip takes "x==1.0.zip" for a file if the current folder has one of that name, and
    # would run what is in it: so it starts in a folder where nobody can plant any.
    with tempfile.TemporaryDirectory(prefix="relsign-") as empty:
        result = run_program(
            command, environment=environment, cwd=Path(empty), timeout_seconds=PIP_SECONDS
        )
    if result.returncode and check:
        lines = result.stderr.replace(b"ERROR: ", b"E:")
        raise HostError(
            what, got=last_words(lines), hint="check the network, and that pip is installed"
        )
    return result.stdout.decode("utf-8", "replace") if not result.returncode else ""


def _pip_program() -> tuple[str, ...]:
    """Return our Python's pip, or the system's where ours was installed without one."""
    if importlib.util.find_spec("pip") is None:
        return (require_program("pip3", "python3-pip"),)
    # -I: neither the current folder nor PYTHON* variables may plant a module.
    return (sys.executable, "-I", "-m", "pip")
