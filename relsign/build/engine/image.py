"""The root file system as an image of the engine.

An image is found by a tag that carries its digest, and is used only if the engine says
that its layers have exactly that digest (an engine names a layer by the SHA-256 of its
uncompressed tar; several are named together by their ChainID, see `relsign.build.chain`)
and that it carries no settings of its own, which would reach the build as variables or
volumes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import msgspec

from relsign.build.chain import chain_id
from relsign.build.engine.connection import Engine, NotThereError, hint_for
from relsign.build.engine.podman import IMPORT_PATH, LOAD_PATH
from relsign.errors import HostError
from relsign.formats.canonical import shorten
from relsign.formats.names import Digest
from relsign.system.files import open_regular

REPOSITORY = "localhost/relsign/rootfs"
"""With `localhost` for a registry, no engine looks for it anywhere else."""
TAG_DIGITS = 32
LARGEST_ANSWER = 1 << 20

ImageKind = Literal["tar", "archive"]
"""How a root file system comes: its one tar, or layers as `docker save` writes them."""


class _Settings(msgspec.Struct, rename="pascal"):
    env: list[str] | None = None
    entrypoint: list[str] | None = None
    volumes: dict[str, object] | None = None
    on_build: list[str] | None = None


class _Layers(msgspec.Struct, rename="pascal"):
    layers: list[str] = []


class _Image(msgspec.Struct):
    identity: str = msgspec.field(name="Id")
    tags: list[str] | None = msgspec.field(name="RepoTags", default=None)
    layers: _Layers = msgspec.field(name="RootFS", default_factory=_Layers)
    settings: _Settings | None = msgspec.field(name="Config", default=None)


def image_tag(rootfs_sha256: Digest) -> str:
    """Return the name an image goes by in the engine."""
    return f"{REPOSITORY}:{rootfs_sha256[:TAG_DIGITS]}"


def ensure_image(
    engine: Engine,
    rootfs_sha256: Digest,
    make_file: Callable[[], AbstractContextManager[Path]],
    kind: ImageKind = "tar",
) -> str:
    """Return the engine's id of the image that is the root file system of that digest.

    `make_file` gives the uncompressed tar of its only layer, or, for an "archive",
    what ``docker load`` reads, tagged with `image_tag(rootfs_sha256)`; it is called
    only if the engine does not have the image yet.  What else had the tag is removed.
    Raises HostError if the engine fails or if what it took is something else.
    """
    name = image_tag(rootfs_sha256)
    found = old = _find(engine, name)
    if found is None or not _is_plain(found, rootfs_sha256):
        with make_file() as path:
            _BRING[kind](engine, name, path)
        found = _find(engine, name)
    if found is None or not _is_plain(found, rootfs_sha256):
        raise HostError(
            "the imported root file system has another digest",
            where=name,
            expected=rootfs_sha256,
            hint="the tar changed while it was imported, or the engine rewrites layers",
        )
    if old is not None and old.identity != found.identity:
        _remove_untagged(engine, old.identity)
    # The id, not the tag: a tag can be moved between this look and the start.
    return found.identity


def _find(engine: Engine, name: str) -> _Image | None:
    try:
        return engine.get(f"/images/{name}/json", _Image)
    except NotThereError:
        return None


def _is_plain(image: _Image, rootfs_sha256: Digest) -> bool:
    layers = [layer.removeprefix("sha256:") for layer in image.layers.layers]
    same = bool(layers) and chain_id(layers) == rootfs_sha256
    return same and not _has_settings(image.settings)


def _remove_untagged(engine: Engine, identity: str) -> None:
    """Remove an image that our tag left, and that nobody could find any more."""
    # One that a container uses stays, as does one that somebody gave a name of their own;
    # that the engine keeps it is no reason not to build.
    with contextlib.suppress(HostError):
        image = _find(engine, identity)
        if image is not None and not image.tags:
            engine.tell("DELETE", f"/images/{identity}")


def _has_settings(settings: _Settings | None) -> bool:
    if settings is None:
        return False
    # Engines give an image without variables a default path, which ours replaces.
    variables = [v for v in settings.env or [] if not v.startswith("PATH=")]
    return bool(variables or settings.entrypoint or settings.volumes or settings.on_build)


def _import(engine: Engine, name: str, path: Path) -> None:
    if engine.kind == "podman":
        _send(engine, name, path, IMPORT_PATH, {"reference": name})
    else:
        _send(engine, name, path, "/images/create", {"fromSrc": "-", "repo": name})


def _load(engine: Engine, name: str, path: Path) -> None:
    _send(engine, name, path, LOAD_PATH if engine.kind == "podman" else "/images/load", {})


def _send(engine: Engine, name: str, path: Path, place: str, parameters: dict[str, str]) -> None:
    with (
        open_regular(path) as tar,
        engine.stream("POST", place, parameters=parameters, body=tar) as reply,
    ):
        words = reply.read(LARGEST_ANSWER)
    # An import that fails half-way still answers 200; the last line holds the fault.
    if b'"error"' in words:
        text = words.decode("utf-8", "replace")
        raise HostError(
            "the root file system cannot be imported",
            where=name,
            got=shorten(text, 400),
            hint=hint_for(text),
        )


_BRING: Mapping[ImageKind, Callable[[Engine, str, Path], None]] = {
    "tar": _import,
    "archive": _load,
}
