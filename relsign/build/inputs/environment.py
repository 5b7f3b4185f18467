"""Every locked file into the store: of Debian, an image, Python, npm, Go and Cargo.

Where they come from is the machine's business; what they are is the lock's.

    fetch_environment(lock, store, mirrors=archive_mirrors(()))
    bootstrap(lock, store, Path("rootfs.tar"))      # see bootstrap.py, needs no network
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from relsign.build.inputs.clients import do_all
from relsign.build.inputs.languages import fetch_languages, language_files
from relsign.build.inputs.mirrors import ArchiveFile, archive_mirrors, fetch_archive_files
from relsign.build.inputs.oci import fetch_image, image_files
from relsign.build.store import Store
from relsign.formats.lock import BuilderLock, LockedPackage
from relsign.system.fetch import Progress, silent


def missing_files(lock: BuilderLock, store: Store) -> tuple[str, ...]:
    """Return the names of locked files the store lacks: packages, layers, languages."""
    entries = [(package.path, package.sha256) for package in lock.packages]
    files = (*image_files(lock), *language_files(lock))
    entries += [(name, digest) for name, digest, _ in files]
    return tuple(name for name, digest in entries if not store.has(digest))


def fetch_environment(
    lock: BuilderLock,
    store: Store,
    mirrors: Sequence[str] = (),
    progress: Progress = silent,
    registry: str | None = None,
) -> None:
    """Bring every locked file into the store; touch no network if all are there.

    `mirrors` are tried before the machine's apt sources; `progress` counts bytes of
    Debian packages, then of the image's layers; `registry` is where these are, by default
    what RELSIGN_REGISTRY says.  Raises one error that names every file
    that could not be had: VerificationError if one came with other bytes than the
    lock's, else HostError.
    """
    if not missing_files(lock, store):
        return
    tasks: tuple[Callable[[], None], ...] = (
        lambda: _fetch_packages(lock, store, mirrors, progress),
        lambda: fetch_image(lock, store, progress, registry),
        lambda: fetch_languages(lock, store),
    )
    do_all(tasks)


def _fetch_packages(
    lock: BuilderLock, store: Store, mirrors: Sequence[str], progress: Progress
) -> None:
    packages = [archive_file(package) for package in lock.packages]
    if any(not store.has(package.sha256) for package in packages):
        fetch_archive_files(packages, store, archive_mirrors(mirrors), progress)


def archive_file(package: LockedPackage) -> ArchiveFile:
    """Return where a locked package lies below any archive."""
    where = f"builder.lock: package {package.name}"
    return ArchiveFile(package.path, package.sha256, package.size, where)
