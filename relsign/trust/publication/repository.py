"""The TUF client: the newest metadata of a repository, and the targets it names.

python-tuf's `Updater` walks the roots, refuses every step back and keeps what it
believed on disk (TUF specification 1.0, section 5).  Around it stand: our downloads
(bounded in bytes, redirects and pace), one clock for the whole run, files written whole
or not at all, refusal of one key under two names in a role, and our errors.

    client = TufClient(place, folder, root, now)
    client.refresh()
    data = client.read_target("1.0/demo-1.0.relsign")

A place is an http or https address, or a folder on this machine.  The metadata folder
is the client's memory: whoever can write there can undo the refusal to go back.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from securesystemslib.exceptions import Error as SecuresystemslibError
from tuf.api import exceptions
from tuf.api.metadata import TargetFile
from tuf.ngclient import Updater, UpdaterConfig

from relsign.errors import HostError, InputError, NotEnoughError, RelsignError, VerificationError
from relsign.formats.canonical import shorten
from relsign.formats.listing import MAX_SNAPSHOT_BYTES, MAX_TARGETS_BYTES, MAX_TIMESTAMP_BYTES
from relsign.formats.root import MAX_ROOT_BYTES
from relsign.system.fetch import FetchLimits, redacted
from relsign.system.files import host_error, make_folder, read_bounded, write_whole
from relsign.system.lock import hold
from relsign.trust.publication.fetcher import LIMITS, TufFetcher, is_address, refuse_twin_keys

MAX_TARGET_BYTES = 64 << 20
"""Bound on a target; bundles are smaller still."""
LOCK_SECONDS = 30
_ROOT_FILE = re.compile(r"([1-9][0-9]{0,8})\.root\.json")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a repository is: two addresses, or two folders' paths."""

    metadata: str
    targets: str
    targets_have_hash_names: bool = False
    """Whether a target's file is named after its digest (`prefix_targets_with_hash`)."""


def project_place(source: str) -> Place:
    """Return the place of a project that relsign publishes: its address or its folder.

    Raises InputError for what is neither an http or https address nor a folder.
    """
    if is_address(source):
        if re.search(r"[?#]", source):
            raise InputError(
                "an address with a query or fragment",
                got=shorten(redacted(source)),
                hint="give the address of the project's folder alone, without ? and #",
            )
        scheme, _, rest = source.rstrip("/").partition("://")
        base = f"{scheme.lower()}://{rest}"
        return Place(f"{base}/metadata/", f"{base}/")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", source):
        raise InputError("not an http or https address", got=shorten(redacted(source)))
    if not source:
        raise InputError(
            "no address and no folder is named", hint="relsign get NAME --from URL|DIR"
        )
    try:
        # Without `..`, which no path below the folder may have.
        folder = Path(os.path.abspath(source))  # noqa: PTH100 - absolute() would leave `..` in
    except FileNotFoundError as error:
        raise InputError(
            "the current folder is gone", hint="change into one that exists"
        ) from error
    if not folder.is_dir():
        raise InputError(
            "no such folder", where=os.fspath(folder), hint="name the one that holds root.json"
        )
    return Place(f"{folder}/metadata/", f"{folder}/")


class _Updater(Updater):
    """python-tuf's, with the caller's clock and files that survive a crash."""

    _held: dict[str, bytes] | None = None
    """Role -> metadata that TUF's rules believe and the caller has not judged yet."""

    def start_at(self, now: datetime) -> None:
        """Fix the time of the whole run (section 5.1); `now` is aware UTC."""
        self._trusted_set.reference_time = now

    def hold_back(self) -> None:
        """Keep metadata in memory from now on; roots are written as they come."""
        self._held = {}

    def keep(self) -> None:
        """Write what was held back, the timestamp last, and hold nothing back any more."""
        held, self._held = self._held or {}, None
        for role, data in reversed(held.items()):
            self._persist_metadata(role, data)

    def held(self, role: str) -> bytes | None:
        """Return a file that is held back, or None."""
        return (self._held or {}).get(role)

    def _persist_metadata(self, rolename: str, data: bytes) -> None:
        if self._held is None:
            super()._persist_metadata(rolename, data)
        else:
            self._held[rolename] = data

    def _persist_file(self, filename: str, data: bytes) -> None:
        write_whole(Path(filename), data)


class TufClient:
    """One run against one repository; make a new one to look again."""

    def __init__(
        self,
        place: Place,
        folder: Path,
        root: bytes,
        now: datetime,
        limits: FetchLimits = LIMITS,
    ) -> None:
        """Start from a trusted root; `folder` keeps what this client believed before.

        Raises VerificationError for a root that does not hold by itself, HostError for
        a folder that cannot be written.
        """
        config = UpdaterConfig(
            max_root_rotations=256,
            max_delegations=32,
            root_max_length=MAX_ROOT_BYTES,
            timestamp_max_length=MAX_TIMESTAMP_BYTES,
            snapshot_max_length=MAX_SNAPSHOT_BYTES,
            targets_max_length=MAX_TARGETS_BYTES,
            prefix_targets_with_hash=place.targets_have_hash_names,
        )
        make_folder(folder)
        self._folder = folder
        with self._ours("root.json"):
            refuse_twin_keys(root)
            self._updater = _Updater(
                os.fspath(folder),
                place.metadata,
                target_base_url=place.targets,
                fetcher=TufFetcher(limits),
                config=config,
                bootstrap=root,
            )
            self._updater.start_at(now)

    def refresh(self) -> None:
        """Bring root, timestamp, snapshot and targets up to date.

        Raises VerificationError for metadata that does not verify or goes back,
        NotEnoughError for expired metadata, HostError for the network and the disk.
        What verified before that is kept.
        """
        with self._alone(), self._ours("the repository's metadata"):
            self._updater.refresh()

    def hold_back(self) -> None:
        """Remember nothing but roots until `keep` is called.

        For the caller who has rules beyond TUF's: a repository that breaks them must
        not take the place of what was believed before.
        """
        self._updater.hold_back()

    def keep(self) -> None:
        """Remember what was held back; raise HostError if that cannot be written."""
        with self._alone(), self._ours("the repository's metadata"):
            self._updater.keep()

    def read_metadata(self, role: str, max_bytes: int) -> bytes:
        """Return a top-level role's file as this client believes it, held back or kept."""
        held = self._updater.held(role)
        return held or read_bounded(self._folder / f"{role}.json", max_bytes)

    def read_target(self, path: str) -> bytes:
        """Return a target's bytes, as long as the metadata says and with its digest.

        Raises as `refresh`, and NotEnoughError where no metadata names such a target.
        """
        target = self._find(path)
        # In our own folder, not where it goes: python-tuf would follow a link there.
        scratch = self._folder / "target.part"
        with self._alone():
            try:
                with self._ours(shorten(path)):
                    self._updater.download_target(target, os.fspath(scratch))
                return read_bounded(scratch, MAX_TARGET_BYTES)
            finally:
                scratch.unlink(missing_ok=True)

    def save_target(self, path: str, folder: Path) -> Path:
        """Keep a target in `folder` under its quoted path, unless it is there already.

        Raises as `read_target`.
        """
        target = self._find(path)
        final = folder / quote(path, "")
        if self._updater.find_cached_target(target, os.fspath(final)) is None:
            write_whole(final, self.read_target(path))
        return final

    def newer_roots(self, version: int) -> tuple[bytes, ...]:
        """Return the root files after `version` that were believed, in order."""
        names = [entry.name for entry in os.scandir(self._folder / "root_history")]
        found = sorted(int(m[1]) for m in map(_ROOT_FILE.fullmatch, names) if m)
        history = self._folder / "root_history"
        return tuple(
            read_bounded(history / f"{number}.root.json", MAX_ROOT_BYTES)
            for number in found
            if number > version
        )

    def forget_roots(self, version: int) -> None:
        """Forget every root after `version`: TUF believed it, but it broke our rules."""
        for path in (self._folder / "root_history").iterdir():
            match = _ROOT_FILE.fullmatch(path.name)
            if match and int(match[1]) > version:
                path.unlink()

    def _find(self, path: str) -> TargetFile:
        with self._alone(), self._ours("the repository's metadata"):
            target = self._updater.get_targetinfo(path)
        if target is None:
            raise NotEnoughError("the repository names no such target", got=shorten(path))
        if target.length > MAX_TARGET_BYTES:
            raise VerificationError(
                "a target is too large",
                where=shorten(path),
                expected=f"at most {MAX_TARGET_BYTES} bytes",
                got=str(target.length),
            )
        return target

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one process at a time read and write the client's memory."""
        busy = "another process is refreshing the same project"
        with hold(self._folder / ".lock", busy, patience_seconds=LOCK_SECONDS):
            yield

    @contextlib.contextmanager
    def _ours(self, where: str) -> Iterator[None]:
        """Turn what python-tuf and securesystemslib raise into our errors."""
        try:
            yield
        except exceptions.ExpiredMetadataError as error:
            raise NotEnoughError(
                f"the repository shows only expired metadata: {_words(error)}",
                where=where,
                hint="try again later or from another mirror; if it stays, tell the publishers",
            ) from error
        except exceptions.DownloadLengthMismatchError as error:
            raise VerificationError(
                "the server sends more than is allowed", where=where, got=_words(error)
            ) from error
        except exceptions.DownloadError as error:
            raise _download_failed(error, where) from error
        except (exceptions.RepositoryError, SecuresystemslibError, ValueError) as error:
            raise VerificationError(
                f"the repository's metadata does not verify: {_words(error)}",
                where=where,
                hint="nothing new was believed; if it stays, tell the publishers",
            ) from error
        except OSError as error:
            raise host_error(error, error.filename or self._folder) from error


def _words(error: Exception) -> str:
    return shorten(" ".join(str(error).split()) or type(error).__name__, 200)


def _download_failed(error: exceptions.DownloadError, where: str) -> RelsignError:
    if isinstance(error, exceptions.DownloadHTTPError):
        return NotEnoughError(
            "the repository lacks a file",
            where=where,
            got=_words(error),
            hint="give the address of the project's folder, the one with root.json in it",
        )
    if isinstance(error.__cause__, RelsignError):
        return error.__cause__
    return HostError("download failed", where=where, got=_words(error))
