"""An environment that starts from an image: what the engine loads, and its identity.

The engine gets an archive as ``docker load`` reads it: the locked layers as plain tars,
one more with the language packages where there are any, and a configuration of our own.
That says architecture and layers and nothing else, so that no variable, volume or command
of the image's publisher reaches a build.

    with image_archive(lock, store) as path: ...
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from relsign.build.archives.plain_tar import END, header, padding
from relsign.build.chain import chain_id
from relsign.build.engine.image import image_tag
from relsign.build.inputs.languages import language_tars
from relsign.build.inputs.layer import read_layer
from relsign.build.inputs.oci import layer_sizes
from relsign.build.store import Store
from relsign.errors import InputError, VerificationError
from relsign.formats.canonical import encode_canonical
from relsign.formats.lock import BuilderLock, LockedImage, RootFileSystem
from relsign.formats.names import Digest
from relsign.system.files import READ_BYTES, hash_file, open_regular


@dataclass(frozen=True, slots=True)
class _Added:
    """A layer of language packages, which lies ready as a tar."""

    path: Path
    sha256: Digest
    size: int


def image_rootfs(lock: BuilderLock, store: Store) -> RootFileSystem:
    """Return digest and size of the root file system that image and languages make.

    Needs every locked file in `store`.  Raises as `read_layer` and `language_tars`.
    """
    image = _image(lock)
    with tempfile.TemporaryDirectory(prefix="relsign-") as folder:
        added = _added(lock, store, Path(folder))
        return _rootfs(image, added, sum(layer_sizes(image, store)))


@contextmanager
def image_archive(lock: BuilderLock, store: Store) -> Iterator[Path]:
    """Yield an archive of the lock's environment as the engine loads it, then remove it.

    Raises NotEnoughError for a file that is not in `store`, VerificationError if the
    layers are not the lock's root file system.
    """
    image = _image(lock)
    with tempfile.TemporaryDirectory(prefix="relsign-") as name:
        folder = Path(name)
        added = _added(lock, store, folder)
        path = folder / "image.tar"
        with path.open("wb") as stream:
            size = _write(stream, lock, store, added)
        # Sizes are known when all is decompressed, and nobody gets the file before this.
        made = _rootfs(image, added, size)
        if made != lock.rootfs:
            raise VerificationError(
                "the image's layers are not the lock's root file system",
                where="builder.lock: rootfs",
                expected=f"{lock.rootfs.sha256} of {lock.rootfs.size} bytes",
                got=f"{made.sha256} of {made.size} bytes",
                hint=f"run `relsign lock {lock.builder}` and look at what changed",
            )
        yield path


def _image(lock: BuilderLock) -> LockedImage:
    if isinstance(lock.image, msgspec.UnsetType):
        raise InputError("this environment starts from no image", where="builder.lock: image")
    return lock.image


def _added(lock: BuilderLock, store: Store, folder: Path) -> tuple[_Added, ...]:
    """Make the layers of the languages."""
    made = ((path, hash_file(path)) for path in language_tars(lock, store, folder))
    return tuple(_Added(path, found.sha256, found.size) for path, found in made)


def _rootfs(image: LockedImage, added: tuple[_Added, ...], image_bytes: int) -> RootFileSystem:
    size = image_bytes + sum(layer.size for layer in added)
    return RootFileSystem(sha256=chain_id(_diffs(image, added)), size=size)


def _diffs(image: LockedImage, added: tuple[_Added, ...]) -> tuple[Digest, ...]:
    ours = tuple(layer.sha256 for layer in added)
    return tuple(layer.diff_sha256 for layer in image.layers) + ours


def _write(stream: BinaryIO, lock: BuilderLock, store: Store, added: tuple[_Added, ...]) -> int:
    """Write the archive; return how many bytes the image's own layers have in it."""
    image = _image(lock)
    diffs = _diffs(image, added)
    config = encode_canonical(
        {
            "architecture": lock.architecture,
            "config": {},
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff}" for diff in diffs]},
        }
    )
    names = [f"{number:03}.tar" for number in range(len(diffs))]
    entry = {
        "Config": "config.json",
        "Layers": names,
        "RepoTags": [image_tag(lock.rootfs.sha256)],
    }
    _write_file(stream, "config.json", config)
    size = sum(
        _write_layer(stream, name, store.path(layer.sha256), layer.diff_sha256)
        for name, layer in zip(names, image.layers, strict=False)
    )
    for name, ours in zip(names[len(image.layers) :], added, strict=True):
        stream.write(header(name, ours.size))
        with open_regular(ours.path) as tar:
            while chunk := tar.read(READ_BYTES):
                stream.write(chunk)
        stream.write(padding(ours.size))
    _write_file(stream, "manifest.json", encode_canonical([entry]))
    stream.write(END)
    return size


def _write_file(stream: BinaryIO, name: str, data: bytes) -> None:
    stream.write(header(name, len(data)) + data + padding(len(data)))


def _write_layer(stream: BinaryIO, name: str, blob: Path, diff_sha256: Digest) -> int:
    """Write a layer's tar and return its size, known when it has been decompressed."""
    start = stream.tell()
    stream.write(header(name, 0))
    size = read_layer(blob, diff_sha256, stream)
    stream.write(padding(size))
    end = stream.tell()
    stream.seek(start)
    stream.write(header(name, size))
    stream.seek(end)
    return size
