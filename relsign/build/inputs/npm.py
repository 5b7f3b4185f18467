"""Packages of npm: fetched by npm itself, compared with what `package-lock.json` states.

``npm pack`` writes a package's tarball as the registry has it; with ``--ignore-scripts``
and a name and version it runs nothing.  The addresses in a lock file are not used.

    locked = lock_npm(parse_npm_lock(data, "amd64"), store)
    fetch_npm(locked, another_store)
"""

from __future__ import annotations

import base64
import hashlib
import re
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from relsign.build.inputs.clients import Arrived, Client, keep, not_fetched, other_bytes
from relsign.build.store import Store
from relsign.formats.lock import LockedNpm
from relsign.formats.names import Digest
from relsign.formats.npm_lock import NpmPackage
from relsign.system.files import READ_BYTES, open_regular

_SETTINGS = ("registry", "userconfig", "globalconfig", "cafile", "strict_ssl", "proxy", "noproxy")
NPM = Client(
    "npm",
    "npm",
    (
        *("HOME", "NODE_EXTRA_CA_CERTS"),
        *(f"npm_config_{name}" for name in _SETTINGS),
        *(f"NPM_CONFIG_{name.upper()}" for name in _SETTINGS),
    ),
    re.compile(rb"\bcode (?:E404|ETARGET|ENOVERSIONS)\b"),
)
QUIET = ("--loglevel=error", "--no-update-notifier", "--no-fund", "--no-audit", "--logs-max=0")
# Else a damaged file or a silent server costs minutes of waiting between attempts.
SOON = ("--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=1000")
PACKAGES_PER_CALL = 40
PARALLEL_CALLS = 4
# The registry answered, so the other packages of the call are worth a try of their own.
_ANSWERED = re.compile(rb"npm (?:error|ERR!) code (?:E404|ETARGET|ENOVERSIONS|EINTEGRITY)\b")
_LIED = re.compile(rb"npm (?:error|ERR!) code EINTEGRITY\b")
_TALK = re.compile(rb"^npm (?:error|ERR!) ?(?:A complete log of this run .*)?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Call:
    """What one call of npm brought: files by integrity, and how it ended."""

    files: Mapping[str, Path]
    has_answer: bool
    """The registry spoke about the packages, if not to our liking."""
    has_other_bytes: bool
    stderr: bytes


def npm_file(package: NpmPackage | LockedNpm) -> str:
    """Return what a package's file is called in messages."""
    return f"npm {package.name}@{package.version}"


def lock_npm(packages: Sequence[NpmPackage], store: Store) -> tuple[LockedNpm, ...]:
    """Bring packages into the store and return their entries; raises as `fetch_npm`."""
    stored = _fetch(packages, store)
    return tuple(
        LockedNpm(
            name=package.name,
            version=package.version,
            integrity=package.integrity,
            sha256=stored[npm_file(package)][0],
            size=stored[npm_file(package)][1],
            places=package.places,
        )
        for package in packages
    )


def fetch_npm(packages: Sequence[LockedNpm], store: Store) -> None:
    """Bring every locked package that is missing into the store.

    Raises one error that names all that did not come: VerificationError if some came
    with other bytes, else HostError.
    """
    _fetch([package for package in packages if not store.has(package.sha256)], store)


def _fetch(
    packages: Sequence[NpmPackage | LockedNpm], store: Store
) -> dict[str, tuple[Digest, int]]:
    names = {package.integrity: npm_file(package) for package in packages}
    if not names:
        return {}
    with tempfile.TemporaryDirectory(prefix="relsign-") as folder:
        calls = _bring(names, Path(folder))
        files = {integrity: path for call in calls for integrity, path in call.files.items()}
        here = [package for package in packages if package.integrity in files]
        stored = keep([_arrived(package, files[package.integrity]) for package in here], store)
    absent = [name for integrity, name in names.items() if integrity not in files]
    if any(call.has_other_bytes for call in calls):
        raise other_bytes(absent, "package-lock.json's")
    if absent:
        words = b"\n".join(_TALK.sub(b"", call.stderr) for call in calls if call.stderr)
        raise not_fetched(absent, NPM, words)
    return stored


def _arrived(package: NpmPackage | LockedNpm, path: Path) -> Arrived:
    if isinstance(package, LockedNpm):
        return Arrived(npm_file(package), path, package.sha256, package.size)
    return Arrived(npm_file(package), path)


def _bring(names: Mapping[str, str], folder: Path) -> tuple[_Call, ...]:
    """Call npm for many packages at once, then alone for those that one bad one held up."""
    specs = {integrity: name.removeprefix("npm ") for integrity, name in names.items()}
    wanted = list(specs.items())
    batches = [
        dict(wanted[start : start + PACKAGES_PER_CALL])
        for start in range(0, len(wanted), PACKAGES_PER_CALL)
    ]
    with ThreadPoolExecutor(PARALLEL_CALLS) as pool:
        first = list(pool.map(lambda batch: _call(batch, folder), batches))
        again = [
            {integrity: spec}
            for batch, call in zip(batches, first, strict=True)
            if call.has_answer
            for integrity, spec in batch.items()
            if integrity not in call.files
        ]
        # Alone, a file with other bytes cannot be one of another package.
        alone = list(pool.map(lambda batch: _call(batch, folder), again))
    # Where a call was tried again, the second says why, package by package.
    told = [replace(call, has_other_bytes=False) for call in first]
    told = [replace(call, stderr=b"") if call.has_answer else call for call in told]
    return (*told, *alone)


def _call(specs: Mapping[str, str], folder: Path) -> _Call:
    # A folder of its own with a package.json, so that npm looks for settings in none above,
    # and a file for itself, since packages "@a/b" and "a-b" are packed under one name.
    place = Path(tempfile.mkdtemp(dir=folder))
    (place / "package.json").write_bytes(b"{}")
    (place / "out").mkdir()
    words = ["pack", "--ignore-scripts", *QUIET, *SOON, "--cache", f"{place}/cache"]
    words += ["--pack-destination", f"{place}/out", "--", *specs.values()]
    result = NPM.run(words, place, {})
    found = {_integrity(path): path for path in sorted((place / "out").iterdir())}
    files = {integrity: path for integrity, path in found.items() if integrity in specs}
    return _Call(
        files,
        not result.returncode or bool(_ANSWERED.search(result.stderr)),
        len(files) < len(found) or bool(_LIED.search(result.stderr)),
        result.stderr if result.returncode else b"",
    )


def _integrity(path: Path) -> str:
    """Return a file's digest as npm writes it (Subresource Integrity, section 3.5)."""
    digest = hashlib.sha512()
    with open_regular(path) as stream:
        while chunk := stream.read(READ_BYTES):
            digest.update(chunk)
    return "sha512-" + base64.b64encode(digest.digest()).decode("ascii")
