"""Every locked file into the store: the packages and wheels of an environment.

Where they come from is the machine's business; what they are is the lock's.

    fetch_environment(lock, store, mirrors=archive_mirrors(()))
    bootstrap(lock, store, Path("rootfs.tar"))      # see bootstrap.py, needs no network
"""

from __future__ import annotations

from collections.abc import Sequence

from relsign.build.inputs.index import fetch_wheels
from relsign.build.inputs.mirrors import ArchiveFile, archive_mirrors, fetch_archive_files
from relsign.build.store import Store
from relsign.formats.lock import BuilderLock, LockedPackage
from relsign.system.fetch import Progress, silent


def missing_files(lock: BuilderLock, store: Store) -> tuple[str, ...]:
    """Return the names of locked files the store does not have, packages first."""
    entries = [(package.path, package.sha256) for package in lock.packages]
    entries += [(wheel.file, wheel.sha256) for wheel in lock.wheels]
    return tuple(name for name, digest in entries if not store.has(digest))


def fetch_environment(
    lock: BuilderLock,
    store: Store,
    mirrors: Sequence[str] = (),
    progress: Progress = silent,
) -> None:
    """Bring every locked package and wheel into the store; touch no network if all are there.

    `mirrors` are tried before the machine's apt sources; `progress` counts bytes of
    packages.  Raises one error that names every package that could not be had, or
    VerificationError for other bytes than the lock's.
    """
    if not missing_files(lock, store):
        return
    packages = [archive_file(package) for package in lock.packages]
    if any(not store.has(package.sha256) for package in packages):
        fetch_archive_files(packages, store, archive_mirrors(mirrors), progress)
    fetch_wheels(lock.wheels, store)


def archive_file(package: LockedPackage) -> ArchiveFile:
    """Return where a locked package lies below any archive."""
    where = f"builder.lock: package {package.name}"
    return ArchiveFile(package.path, package.sha256, package.size, where)
