"""The root file system of an environment as the engine takes it, from wherever it is.

1. An environment that starts from an image comes as an archive of its layers.
2. One whose finished tar is in the store, as an input bundle may bring it, is that tar:
   so it outlives the mmdebstrap that made it.
3. Any other is bootstrapped from its locked packages.

What store or engine has under a root file system's digest may have come as anything, such
as a project's source, and be nothing that the lock's packages make.  So it is taken only
where a mark says that this very lock became it on this machine, or that somebody imported
it with this lock: the empty file ``rootfs/SHA256-OF-THE-LOCK`` of the store.  Without a
mark it is made again.  Who can write marks can, together with the author of a lock, have
an environment taken that its packages do not make.

    image = environment_image(engine, lock, store, tell)
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import msgspec

from relsign.build.bootstrap import bootstrap
from relsign.build.engine.connection import Engine
from relsign.build.engine.image import ImageKind, ensure_image
from relsign.build.layers import image_archive
from relsign.build.store import Store
from relsign.crypto.digest import sha256_hex
from relsign.errors import VerificationError
from relsign.formats.lock import BuilderLock
from relsign.system.files import write_whole


def image_kind(lock: BuilderLock) -> ImageKind:
    """Return the form in which `environment_file` gives this lock's environment."""
    return "tar" if isinstance(lock.image, msgspec.UnsetType) else "archive"


def environment_image(
    engine: Engine, lock: BuilderLock, store: Store, on_bootstrap: Callable[[str], object]
) -> str:
    """Return the engine's id of the lock's environment; raises as `environment_file`."""
    with ExitStack() as stack:
        made: Path | None = None
        if not _mark(lock, store).is_file():
            made = stack.enter_context(environment_file(lock, store, on_bootstrap))
        return ensure_image(
            engine,
            lock.rootfs.sha256,
            lambda: nullcontext(made) if made else environment_file(lock, store, on_bootstrap),
            image_kind(lock),
        )


@contextmanager
def environment_file(
    lock: BuilderLock, store: Store, on_bootstrap: Callable[[str], object]
) -> Iterator[Path]:
    """Yield the file the engine imports; `on_bootstrap` hears the builder's name before work.

    Raises NotEnoughError for a locked file that was not fetched, VerificationError if the
    root file system is not the lock's, HostError for the machine.
    """
    if image_kind(lock) == "archive":
        with image_archive(lock, store) as path:  # (1)
            _set_mark(lock, store)
            yield path
    elif _is_kept(lock, store):  # (2)
        yield store.path(lock.rootfs.sha256)
    else:
        on_bootstrap(lock.builder)  # (3)
        with _bootstrapped(lock, store) as path:
            _set_mark(lock, store)
            yield path


def keep_rootfs(lock: BuilderLock, store: Store) -> None:
    """Have the finished tar of an environment of packages in the store.

    Raises as `bootstrap`, which makes it where the store has none for this lock.
    """
    if not _is_kept(lock, store):
        with _bootstrapped(lock, store) as path:
            store.add_file(path, lock.rootfs.sha256, where="builder.lock: rootfs")
        _set_mark(lock, store)


def accept_rootfs(lock: BuilderLock, store: Store) -> None:
    """Believe that the stored tar is what the lock's packages become: somebody imports it so.

    Raises VerificationError if it has another size than the lock says.
    """
    size = store.path(lock.rootfs.sha256).stat().st_size
    if size != lock.rootfs.size:
        raise VerificationError(
            "root file system has another size than the lock says",
            where=f"builders/{lock.builder}/builder.lock: rootfs",
            expected=f"{lock.rootfs.size} bytes",
            got=f"{size} bytes",
            hint="the lock was edited: lock anew and look at what changed, or get the bundle "
            "from somebody else",
        )
    _set_mark(lock, store)


@contextmanager
def _bootstrapped(lock: BuilderLock, store: Store) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="relsign-") as folder:
        path = Path(folder) / "rootfs.tar"
        bootstrap(lock, store, path)
        yield path


def _is_kept(lock: BuilderLock, store: Store) -> bool:
    return _mark(lock, store).is_file() and store.has(lock.rootfs.sha256)


def _mark(lock: BuilderLock, store: Store) -> Path:
    return store.root / "rootfs" / sha256_hex(lock.to_bytes())


def _set_mark(lock: BuilderLock, store: Store) -> None:
    write_whole(_mark(lock, store), b"")
