"""Where this machine gets Debian files from, and how they are fetched.

No document of ours names a server.  The archive's addresses are those of the
machine's own apt sources, or the ones given with ``--mirror``, which come
first.  The transport is apt's own, through its helper, so that apt's proxies,
certificates, credentials and schemes (``file:``, ``mirror+http:``) all work and
the network is read by apt's unprivileged user.

A server named here is not trusted: every file is compared with the digest and
size that a reviewed document gives.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from relsign.build.store import Store
from relsign.errors import HostError, InputError, RelsignError, VerificationError
from relsign.formats.names import Digest
from relsign.system.fetch import Progress, network_environment, redacted
from relsign.system.process import require_program, run_program

APT_HELPER = Path("/usr/lib/apt/apt-helper")
APT_USER = "_apt"
FILES_PER_CALL = 12
PARALLEL_CALLS = 4
MAX_FILE_BYTES = 2 << 30
_MIRROR = re.compile(r"[a-z][a-z0-9+.-]*:[\x21-\x7e]{1,1000}")
_TARGET_FIELDS = ("REPO_URI", "RELEASE", "CODENAME", "COMPONENT", "SOURCESENTRY")


@dataclass(frozen=True, slots=True)
class IndexTarget:
    """One line of the machine's apt sources: archive, suite, component, where it stands."""

    uri: str
    release: str
    codename: str
    component: str
    entry: str
    """``path:line`` of the source it comes from."""


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A file below a Debian archive; `where` is the document that states its digest."""

    path: str
    sha256: Digest
    size: int | None
    where: str


def parse_mirror(text: str) -> str:
    """Return an archive address ending in one ``/``; raise InputError if it is none."""
    if not _MIRROR.fullmatch(text):
        raise InputError("not a mirror address", got=text[:200], hint="like https://HOST/debian")
    return text.rstrip("/") + "/"


def index_targets() -> tuple[IndexTarget, ...]:
    """Return what the machine's apt is configured for; raise HostError without apt."""
    apt_get = require_program("apt-get", "apt (or name an archive with --mirror)")
    wanted = "\t".join(f"$({field})" for field in _TARGET_FIELDS)
    command = [apt_get, "indextargets", "--format", wanted, "Created-By: Packages"]
    result = run_program(command, timeout_seconds=60)
    if result.returncode:
        raise HostError("apt cannot say its sources", got=last_words(result.stderr))
    rows = (line.split("\t") for line in result.stdout.decode("utf-8", "replace").splitlines())
    return tuple(IndexTarget(*row) for row in rows if len(row) == len(_TARGET_FIELDS))


def archive_mirrors(given: Sequence[str]) -> tuple[str, ...]:
    """Return the addresses to try in order: those given, then the machine's apt sources.

    Raises InputError for a malformed one, HostError if none is known.
    """
    chosen = [parse_mirror(text) for text in given]
    try:
        chosen += [parse_mirror(target.uri) for target in index_targets()]
    except HostError:
        if not chosen:
            raise
    if not chosen:
        raise HostError("no Debian archive is known", hint="name one with --mirror")
    return tuple(dict.fromkeys(chosen))


def fetch_archive_files(
    files: Iterable[ArchiveFile], store: Store, mirrors: Sequence[str], progress: Progress
) -> None:
    """Bring every file into the store, trying each mirror for what is still missing.

    Raises one error that names every file that could not be had: VerificationError
    if some mirror served other bytes, HostError if no mirror has it.
    """
    wanted = tuple(files)
    missing = [file for file in wanted if not store.has(file.sha256)]
    failures: dict[str, RelsignError] = {}
    total = sum(file.size or 0 for file in wanted) or None
    for mirror in mirrors if missing else ():
        for batch, failed in _fetch_all(mirror, missing, store):
            # That a mirror served other bytes is not forgotten because the next has none.
            lied = {p: e for p, e in failures.items() if isinstance(e, VerificationError)}
            failures |= failed | lied
            missing = [f for f in missing if f not in batch or f.path in failed]
            progress((total or 0) - sum(file.size or 0 for file in missing), total)
        if not missing:
            return
    if missing:
        raise _missing_error(missing, failures)


def _fetch_all(
    mirror: str, files: Sequence[ArchiveFile], store: Store
) -> Iterator[tuple[Sequence[ArchiveFile], dict[str, RelsignError]]]:
    batches = [files[i : i + FILES_PER_CALL] for i in range(0, len(files), FILES_PER_CALL)]
    with ThreadPoolExecutor(PARALLEL_CALLS) as pool:
        yield from pool.map(lambda batch: (batch, _fetch_batch(mirror, batch, store)), batches)


def _fetch_batch(
    mirror: str, files: Sequence[ArchiveFile], store: Store
) -> dict[str, RelsignError]:
    """Fetch a few files with one call of the helper; return why some did not come."""
    failures: dict[str, RelsignError] = {}
    with apt_folder() as folder:
        places = [folder / str(number) for number in range(len(files))]
        words = _run_helper(mirror, files, places)
        for file, place in zip(files, places, strict=True):
            try:
                _keep(file, place, store, words)
            except RelsignError as error:
                failures[file.path] = error
    return failures


def _run_helper(mirror: str, files: Sequence[ArchiveFile], places: Sequence[Path]) -> str:
    # The size limit is the kernel's, so a server that never stops cannot fill the disk.
    limit = max(file.size or MAX_FILE_BYTES for file in files)
    command: list[str | Path] = [
        *(require_program("prlimit", "util-linux"), f"--fsize={limit}", "--"),
        *(APT_HELPER, "-qq", "-o", "Acquire::Retries=3", "download-file"),
    ]
    for file, place in zip(files, places, strict=True):
        # The helper takes triples; the empty third says that we compare digests ourselves.
        command += [mirror + file.path, place, ""]
    if not APT_HELPER.exists():
        raise HostError("apt's download helper is not installed", where=str(APT_HELPER))
    result = run_program(command, environment=network_environment(), timeout_seconds=3600)
    return last_words(result.stderr) if result.returncode else ""


def _keep(file: ArchiveFile, place: Path, store: Store, words: str) -> None:
    if not place.exists():
        raise HostError("not served", where=file.path, got=words)
    stored = store.add_file(place, file.sha256, where=file.where)
    if file.size not in {None, stored.size}:
        raise VerificationError(
            "wrong size", where=file.where, expected=str(file.size), got=str(stored.size)
        )


def _missing_error(
    missing: Sequence[ArchiveFile], failures: dict[str, RelsignError]
) -> RelsignError:
    """Return one error for all: the only way to learn what to look for elsewhere."""
    lied = [error for error in failures.values() if isinstance(error, VerificationError)]
    if lied and len(missing) == 1:
        return lied[0]
    names = ", ".join(file.path for file in missing)
    if lied:
        changed = [f for f in missing if isinstance(failures.get(f.path), VerificationError)]
        gone = ", ".join(file.path for file in missing if file not in changed)
        return VerificationError(
            f"{len(changed)} files were served with other bytes than the lock's",
            where=changed[0].where,
            got=", ".join(file.path for file in changed),
            hint=f"on no mirror at all: {gone}" if gone else "do not use these mirrors",
        )
    reasons = {failure.got for failure in failures.values() if failure.got}
    return HostError(
        f"{len(missing)} file(s) on no mirror: {names}",
        where=missing[0].where,
        got="; ".join(sorted(reasons))[:500],
        hint="name an archive that still has them with --mirror, copy them from another "
        "builder's store, or lock the environment anew with `relsign lock`",
    )


@contextmanager
def apt_folder() -> Iterator[Path]:
    """Yield a temporary folder that apt's unprivileged user may write to, then remove it."""
    with tempfile.TemporaryDirectory(prefix="relsign-") as name:
        if os.geteuid() == 0:
            with suppress(LookupError):  # a system without that user downloads as root
                shutil.chown(name, APT_USER)
        yield Path(name)


def last_words(stderr: bytes) -> str:
    """Return the errors a program ended with, in one line, without credentials."""
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines()]
    errors = [line for line in lines if line.startswith("E:")] or lines[-3:]
    words = " ".join(line.removeprefix("E:").strip() for line in errors)
    return re.sub(r"\S+://\S+", lambda found: redacted(found[0]), words)[:500]
