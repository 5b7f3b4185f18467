"""An image by digest: its manifest, configuration and layers into the store.

    image = resolve_image(name, "amd64", store, Registry(registry_address(None)))
    fetch_layers(image, store, registry)            # later, on another machine

The name holds a digest, so the manifest is what was reviewed, and through it every byte
below.  Of the configuration only the digests of the uncompressed layers are used: its
variables, volumes and commands are the publisher's, and no build sees them.

Read are OCI and Docker manifests, version 2, and an index of them; layers are tars, plain
or compressed with gzip.  zstd is refused: what cannot be decompressed with bounds here is
not guessed at, and every tool that copies images can compress them anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec

from relsign.build.inputs.clients import do_all
from relsign.build.inputs.layer import read_layer
from relsign.build.inputs.registry import MAX_MANIFEST_BYTES, Registry, registry_address
from relsign.build.store import Store
from relsign.errors import InputError, VerificationError
from relsign.formats.canonical import decode_json, shorten
from relsign.formats.lock import BuilderLock, LockedImage, LockedLayer
from relsign.formats.names import Digest
from relsign.system.fetch import Progress, silent
from relsign.system.files import read_bounded

MAX_LAYERS = 120
"""Below what engines stack (125 and more): each language adds one."""
MAX_LAYER_BYTES = 4 << 30
MAX_CONFIG_BYTES = 4 << 20
_ANOTHER = "name the digest of another image"
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_LAYER_TYPES = frozenset(
    {
        "application/vnd.oci.image.layer.v1.tar",
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.docker.image.rootfs.diff.tar",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    }
)


class _Platform(msgspec.Struct):
    architecture: str = ""
    os: str = ""
    variant: str = ""


class _Descriptor(msgspec.Struct, rename="camel"):
    digest: str
    size: int
    media_type: str = ""
    platform: _Platform | None = None


class _Manifest(msgspec.Struct, rename="camel"):
    """A manifest (`config`, `layers`) or an index (`manifests`)."""

    schema_version: int = 0
    config: _Descriptor | None = None
    layers: list[_Descriptor] = []
    manifests: list[_Descriptor] = []


class _RootFS(msgspec.Struct):
    diff_ids: list[str] = []


class _Config(msgspec.Struct):
    architecture: str = ""
    os: str = ""
    rootfs: _RootFS = msgspec.field(default_factory=_RootFS)


@dataclass(frozen=True, slots=True)
class _Place:
    """Whose image it is, and what to call it in errors."""

    repository: str
    architecture: str
    where: str = "builder.toml: image"


def image_parts(name: str) -> tuple[str, Digest]:
    """Return repository and digest of an image's name."""
    repository, _, digest = name.partition("@sha256:")
    return repository, Digest(digest)


def resolve_image(
    name: str, architecture: str, store: Store, registry: Registry, progress: Progress = silent
) -> LockedImage:
    """Return all of an image for one architecture; its files are in `store` afterwards.

    Not compared yet are the digests of the layers' tars: `read_layer` does so whenever one
    is decompressed, which for all of them `image_rootfs` does before there is a lock.
    Raises InputError where the image has no such architecture or a form that is not
    read, VerificationError for other bytes than a digest names, HostError for the network.
    """
    repository, digest = image_parts(name)
    place = _Place(repository, architecture)
    manifest = _manifest(place, digest, store, registry)
    if manifest.manifests:
        digest = _choose(place, manifest.manifests)
        manifest = _manifest(place, digest, store, registry)
    if manifest.config is None or manifest.schema_version != 2:  # noqa: PLR2004 - the version
        raise InputError(
            "not an image manifest",
            where=place.where,
            expected="schema version 2",
            hint=f"look at what the digest names in the registry, and {_ANOTHER}",
        )
    diffs = _diffs(place, manifest.config, store, registry)
    if not 0 < len(diffs) == len(manifest.layers) <= MAX_LAYERS:
        raise InputError(
            "an image's manifest and configuration must name the same layers",
            where=place.where,
            expected=f"{len(diffs)}, of 1 to {MAX_LAYERS}",
            got=str(len(manifest.layers)),
            hint=f"{_ANOTHER}, or pack the image anew with fewer layers",
        )
    image = LockedImage(
        name=name,
        manifest_sha256=digest,
        config_sha256=_digest(manifest.config, place),
        layers=tuple(_layers(place, manifest.layers, diffs)),
    )
    fetch_layers(image, store, registry, progress)
    return image


def missing_layers(image: LockedImage, store: Store) -> tuple[LockedLayer, ...]:
    """Return the layers whose blobs the store does not have."""
    return tuple(layer for layer in image.layers if not store.has(layer.sha256))


def image_files(lock: BuilderLock) -> tuple[tuple[str, Digest, int], ...]:
    """Return name, digest and size in bytes of every layer that must be in the store."""
    if isinstance(lock.image, msgspec.UnsetType):
        return ()
    layers = lock.image.layers
    return tuple((f"layer {layer.sha256[:12]}", layer.sha256, layer.size) for layer in layers)


def fetch_image(
    lock: BuilderLock, store: Store, progress: Progress = silent, registry: str | None = None
) -> None:
    """Bring the layers of a lock's image into the store, if it has one and they are missing.

    `registry` is an address; RELSIGN_REGISTRY where it is None.  Raises as `fetch_layers`,
    InputError where no registry is known.
    """
    image = lock.image
    if not isinstance(image, msgspec.UnsetType) and missing_layers(image, store):
        fetch_layers(image, store, Registry(registry_address(registry)), progress)


def fetch_layers(
    image: LockedImage, store: Store, registry: Registry, progress: Progress = silent
) -> None:
    """Bring every layer into the store; touch no network if all are there.

    Raises one error that names every layer which did not come: VerificationError if one
    has other bytes or another size than the lock's, else HostError.
    """
    repository, _ = image_parts(image.name)
    blobs = (
        _Blob(
            repository, layer.sha256, layer.size, f"builder.lock: image layer {layer.sha256[:12]}"
        )
        for layer in missing_layers(image, store)
    )
    do_all(partial(_fetch, registry, store, blob, progress) for blob in blobs)


def layer_sizes(image: LockedImage, store: Store) -> tuple[int, ...]:
    """Return the size of each layer's tar, after comparing its digest.

    Raises as `read_layer`, and NotEnoughError for a layer that is not in the store.
    """
    return tuple(
        read_layer(store.path(layer.sha256), layer.diff_sha256, None) for layer in image.layers
    )


def _manifest(place: _Place, digest: Digest, store: Store, registry: Registry) -> _Manifest:
    if not store.has(digest):
        data = registry.manifest(place.repository, digest)
        store.add(digest, lambda sink: sink.write(data), where=place.where)
    data = read_bounded(store.path(digest), MAX_MANIFEST_BYTES)
    return decode_json(data, _Manifest, f"{place.where}: manifest", max_bytes=MAX_MANIFEST_BYTES)


def _choose(place: _Place, entries: Sequence[_Descriptor]) -> Digest:
    """Return the one manifest of an index that is for the lock's architecture."""
    platforms = [entry.platform or _Platform() for entry in entries]
    found = [
        entry
        for entry, platform in zip(entries, platforms, strict=True)
        if (platform.os, platform.architecture) == ("linux", place.architecture)
    ]
    if len(found) != 1:
        offered = sorted({f"{p.os}/{p.architecture}/{p.variant}".rstrip("/") for p in platforms})
        raise InputError(
            "the index has no single image for this architecture",
            where=place.where,
            expected=f"linux/{place.architecture}",
            got=shorten(", ".join(offered)),
            hint="name the digest of the image itself instead of the index's",
        )
    return _digest(found[0], place)


def _diffs(
    place: _Place, config: _Descriptor, store: Store, registry: Registry
) -> tuple[Digest, ...]:
    """Return the digests of the uncompressed layers, from the image's configuration."""
    digest = _digest(config, place)
    if not 0 < config.size <= MAX_CONFIG_BYTES:
        raise InputError(
            "odd size of an image's configuration",
            where=place.where,
            expected=f"1 to {MAX_CONFIG_BYTES} bytes",
            got=str(config.size),
            hint=_ANOTHER,
        )
    _fetch(registry, store, _Blob(place.repository, digest, config.size, place.where), silent)
    data = read_bounded(store.path(digest), MAX_CONFIG_BYTES)
    where = f"{place.where}: configuration"
    found = decode_json(data, _Config, where, max_bytes=MAX_CONFIG_BYTES)
    if (found.os, found.architecture) != ("linux", place.architecture):
        raise InputError(
            "the image is for another machine",
            where=place.where,
            expected=f"linux/{place.architecture}",
            got=shorten(f"{found.os}/{found.architecture}"),
            hint="name another digest, or set `architecture`",
        )
    return tuple(_hex(diff, place) for diff in found.rootfs.diff_ids)


def _layers(
    place: _Place, layers: Sequence[_Descriptor], diffs: Sequence[Digest]
) -> Iterator[LockedLayer]:
    for layer, diff in zip(layers, diffs, strict=True):
        if layer.media_type not in _LAYER_TYPES:
            raise InputError(
                "the image has a layer of a kind that is not read",
                where=place.where,
                expected="a tar, plain or with gzip",
                got=shorten(layer.media_type),
                hint="copy the image with gzip layers and name that copy's digest",
            )
        if not 0 < layer.size <= MAX_LAYER_BYTES:
            raise InputError(
                "a layer of the image is too large or empty",
                where=place.where,
                expected=f"1 to {MAX_LAYER_BYTES} bytes",
                got=str(layer.size),
                hint=f"pack the image anew in smaller layers, or {_ANOTHER}",
            )
        yield LockedLayer(sha256=_digest(layer, place), size=layer.size, diff_sha256=diff)


@dataclass(frozen=True, slots=True)
class _Blob:
    """A blob wanted: its exact size is known from the document that names it."""

    repository: str
    sha256: Digest
    size: int
    where: str


def _fetch(registry: Registry, store: Store, blob: _Blob, progress: Progress) -> None:
    if store.has(blob.sha256):
        return
    path = store.add(
        blob.sha256,
        lambda sink: registry.blob(blob.repository, blob.sha256, sink, blob.size, progress),
        where=blob.where,
    )
    found = path.stat().st_size
    if found != blob.size:
        raise VerificationError(
            "wrong size",
            where=blob.where,
            expected=str(blob.size),
            got=str(found),
            hint="its digest is right, so the document that names it was edited or badly made: "
            f"lock anew and look at what changed, or {_ANOTHER}",
        )


def _digest(descriptor: _Descriptor, place: _Place) -> Digest:
    return _hex(descriptor.digest, place)


def _hex(text: str, place: _Place) -> Digest:
    found = _DIGEST.fullmatch(text)
    if found is None:
        raise InputError(
            "not a SHA-256 digest",
            where=place.where,
            got=shorten(text),
            hint="images with other digests are not read",
        )
    return Digest(found[1])
