"""From `builder.toml` to `builder.lock`: resolve, fetch, bootstrap once, write down.

Everything the network decides is decided here, once, and reviewed: which versions,
which bytes.  Resolving the same definition against the same archive gives the same
lock, byte for byte.

    asking = Asking(folder=Path("builders/debian-c"))
    lock = resolve_lock(parse_builder(data), data, store, asking)
    Path("builder.lock").write_bytes(lock.to_bytes())
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from relsign.build.bootstrap import make_rootfs
from relsign.build.inputs.environment import fetch_environment
from relsign.build.inputs.index import fetch_wheels, locked_wheel, resolve_wheels
from relsign.build.inputs.languages import resolve_languages
from relsign.build.inputs.layer import plain_names, read_layer
from relsign.build.inputs.oci import resolve_image
from relsign.build.inputs.private_apt import private_apt
from relsign.build.inputs.registry import Registry, registry_address
from relsign.build.layers import image_rootfs
from relsign.build.store import Store
from relsign.errors import InputError
from relsign.formats.lock import (
    BuilderDefinition,
    BuilderLock,
    LockedImage,
    LockedPackage,
    LockedWheel,
    RootFileSystem,
    parse_lock,
)
from relsign.formats.names import Digest
from relsign.system.fetch import Progress, silent

NO_ROOTFS = RootFileSystem(sha256=Digest("0" * 64), size=0)
IMAGE_EPOCH = 0
"""Nothing says when an image's archive was made; its own files keep their own times."""
_PYTHON_VERSION = re.compile(r"(3\.\d{1,2})\.")
_PYTHON_PROGRAM = re.compile(r"(?:\./)?usr/(?:local/)?bin/python(3\.\d{1,2})")


@dataclass(frozen=True, slots=True)
class Asking:
    """Where a definition lies and whom to ask; none of it enters the lock by itself."""

    folder: Path
    """Holds `builder.toml` and the files beside it."""
    mirrors: tuple[str, ...] = ()
    """Debian archives instead of the machine's own."""
    registry: str | None = None
    """Of images; RELSIGN_REGISTRY if None."""
    progress: Progress = silent


def resolve_lock(
    definition: BuilderDefinition, definition_bytes: bytes, store: Store, asking: Asking
) -> BuilderLock:
    """Return the lock of a definition; every file it names is in `store` afterwards.

    Raises InputError for a definition that cannot be met, HostError for what the machine
    cannot do, VerificationError for bytes that are not what a digest says.
    """
    draft = _draft(definition, definition_bytes, store, asking)
    fetch_environment(draft, store, asking.mirrors, asking.progress, asking.registry)
    if isinstance(draft.image, LockedImage):
        rootfs = image_rootfs(draft, store)
    else:
        with tempfile.TemporaryDirectory(prefix="relsign-") as folder:
            rootfs = make_rootfs(draft, store, Path(folder, "rootfs.tar"))
    # Parsing checks what apt and pip said against the rules a reader will apply.
    return parse_lock(msgspec.structs.replace(draft, rootfs=rootfs).to_bytes())


def _draft(
    definition: BuilderDefinition, definition_bytes: bytes, store: Store, asking: Asking
) -> BuilderLock:
    """Return the lock but for its root file system."""
    # The files beside the definition first: a mistake in them costs no download.
    languages = resolve_languages(definition, asking.folder, store)
    packages: tuple[LockedPackage, ...] = ()
    image: LockedImage | msgspec.UnsetType = msgspec.UNSET
    epoch = IMAGE_EPOCH
    if definition.image is not None:
        registry = Registry(registry_address(asking.registry))
        architecture = definition.architecture
        image = resolve_image(definition.image, architecture, store, registry, asking.progress)
    else:
        with private_apt(definition, asking.mirrors) as apt:
            packages = apt.resolve(definition.packages, definition.build_dependencies_of)
            epoch = apt.release_epoch()
    python = _python_version(packages, image, store) if definition.python else ""
    return BuilderLock(
        builder=definition.name,
        definition_sha256=Digest(hashlib.sha256(definition_bytes).hexdigest()),
        suite=definition.suite or msgspec.UNSET,
        image=image,
        architecture=definition.architecture,
        source_date_epoch=epoch,
        packages=packages,
        wheels=_wheels(definition, python, store),
        files=languages.files,
        npm=languages.npm,
        go=languages.go,
        crates=languages.crates,
        rootfs=NO_ROOTFS,
    )


def _wheels(
    definition: BuilderDefinition, python_version: str, store: Store
) -> tuple[LockedWheel, ...]:
    if not definition.python:
        return ()
    resolved = resolve_wheels(definition.python, python_version)
    fetch_wheels(resolved, store)
    return tuple(locked_wheel(wheel, store) for wheel in resolved)


def _python_version(
    packages: Sequence[LockedPackage], image: LockedImage | msgspec.UnsetType, store: Store
) -> str:
    """Return the environment's own Python, as ``3.11``."""
    for package in packages:
        found = _PYTHON_VERSION.match(package.version)
        if package.name == "python3-minimal" and found:
            return found[1]
    if isinstance(image, LockedImage):
        for layer in reversed(image.layers):
            version = _python_in(store.path(layer.sha256), layer.diff_sha256)
            if version:
                return version
    raise InputError(
        "wheels are wanted, but no Python to run them",
        where="builder.toml: packages",
        hint='add "python3" to packages, or start from an image that has it in /usr/bin',
    )


def _python_in(blob: Path, diff_sha256: Digest) -> str:
    """Return the version of the Python program in a layer, or nothing."""
    with tempfile.TemporaryFile() as tar:
        # Its digest is compared here too, before anything in it is read.  The pass is needed:
        # `image_rootfs` counts and compares what it decompresses, and keeps none of it.
        read_layer(blob, diff_sha256, tar)
        tar.seek(0)
        found = (_PYTHON_PROGRAM.fullmatch(name) for name in plain_names(tar))
        return next((match[1] for match in found if match), "")
