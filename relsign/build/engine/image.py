"""The root file system as an image of the engine.

An image is found by a tag that carries the tar's digest, and is used only if
the engine says that its one layer has exactly that digest (an engine names a
layer by the SHA-256 of its uncompressed tar) and that it carries no settings of
its own, which would reach the build as variables or volumes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec

from relsign.build.engine.connection import Engine, NotThereError
from relsign.errors import HostError
from relsign.formats.canonical import shorten
from relsign.formats.names import Digest
from relsign.system.files import open_regular

REPOSITORY = "relsign/rootfs"
TAG_DIGITS = 32
LARGEST_ANSWER = 1 << 20


class _Settings(msgspec.Struct, rename="pascal"):
    env: list[str] | None = None
    entrypoint: list[str] | None = None
    volumes: dict[str, object] | None = None
    on_build: list[str] | None = None


class _Layers(msgspec.Struct, rename="pascal"):
    layers: list[str] = []


class _Image(msgspec.Struct):
    identity: str = msgspec.field(name="Id")
    layers: _Layers = msgspec.field(name="RootFS", default_factory=_Layers)
    settings: _Settings | None = msgspec.field(name="Config", default=None)


def image_tag(rootfs_sha256: Digest) -> str:
    """Return the name an image goes by in the engine."""
    return f"{REPOSITORY}:{rootfs_sha256[:TAG_DIGITS]}"


def ensure_image(
    engine: Engine,
    rootfs_sha256: Digest,
    make_rootfs: Callable[[], AbstractContextManager[Path]],
) -> str:
    """Return the engine's id of the image whose only layer is the tar of that digest.

    `make_rootfs` gives the uncompressed tar; it is called only if the engine
    does not have the image yet.  Raises HostError if the engine fails or if what
    it imported is something else.
    """
    found = _find(engine, rootfs_sha256)
    if found is None:
        with make_rootfs() as path:
            _import(engine, rootfs_sha256, path)
        found = _find(engine, rootfs_sha256)
    if found is None:
        raise HostError(
            "the imported root file system has another digest",
            where=image_tag(rootfs_sha256),
            expected=rootfs_sha256,
            hint="the tar changed while it was imported, or the engine rewrites layers",
        )
    return found


def _find(engine: Engine, rootfs_sha256: Digest) -> str | None:
    try:
        image = engine.get(f"/images/{image_tag(rootfs_sha256)}/json", _Image)
    except NotThereError:
        return None
    if image.layers.layers != [f"sha256:{rootfs_sha256}"] or _has_settings(image.settings):
        return None
    # The id, not the tag: a tag can be moved between this look and the start.
    return image.identity


def _has_settings(settings: _Settings | None) -> bool:
    if settings is None:
        return False
    # Engines give an image without variables a default path, which ours replaces.
    variables = [v for v in settings.env or [] if not v.startswith("PATH=")]
    return bool(variables or settings.entrypoint or settings.volumes or settings.on_build)


def _import(engine: Engine, rootfs_sha256: Digest, path: Path) -> None:
    place = {
        "fromSrc": "-",
        "repo": REPOSITORY,
        "tag": rootfs_sha256[:TAG_DIGITS],
    }
    with (
        open_regular(path) as tar,
        engine.stream("POST", "/images/create", parameters=place, body=tar) as reply,
    ):
        words = reply.read(LARGEST_ANSWER)
    # An import that fails half-way still answers 200; the last line holds the fault.
    if b'"error"' in words:
        raise HostError(
            "the root file system cannot be imported",
            where=image_tag(rootfs_sha256),
            got=shorten(words.decode("utf-8", "replace"), 400),
        )
