"""The root file system of an environment as the engine takes it, from wherever it is.

1. An environment that starts from an image comes as an archive of its layers.
2. One whose finished tar is in the store, as an input bundle may bring it, is that tar:
   so it outlives the mmdebstrap that made it.
3. Any other is bootstrapped from its locked packages.

    ensure_image(engine, lock.rootfs.sha256, lambda: environment_file(lock, store, tell),
                 image_kind(lock))
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from relsign.build.bootstrap import bootstrap
from relsign.build.engine.image import ImageKind
from relsign.build.layers import image_archive
from relsign.build.store import Store
from relsign.formats.lock import BuilderLock


def image_kind(lock: BuilderLock) -> ImageKind:
    """Return the form in which `environment_file` gives this lock's environment."""
    return "tar" if isinstance(lock.image, msgspec.UnsetType) else "archive"


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
            yield path
    elif store.has(lock.rootfs.sha256):  # (2)
        yield store.path(lock.rootfs.sha256)
    else:
        on_bootstrap(lock.builder)  # (3)
        with tempfile.TemporaryDirectory(prefix="relsign-") as folder:
            path = Path(folder) / "rootfs.tar"
            bootstrap(lock, store, path)
            yield path
