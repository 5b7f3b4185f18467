"""From `builder.toml` to `builder.lock`: resolve, fetch, bootstrap once, write down.

Everything the network decides is decided here, once, and reviewed: which versions,
which bytes.  Resolving the same definition against the same archive gives the same
lock, byte for byte.

    lock = resolve_lock(parse_builder(data), data, store)
    Path("builder.lock").write_bytes(lock.to_bytes())
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from relsign.build.bootstrap import make_rootfs
from relsign.build.inputs.environment import fetch_environment
from relsign.build.inputs.index import fetch_wheels, locked_wheel, resolve_wheels
from relsign.build.inputs.private_apt import private_apt
from relsign.build.store import Store
from relsign.errors import InputError
from relsign.formats.lock import (
    BuilderDefinition,
    BuilderLock,
    LockedPackage,
    LockedWheel,
    RootFileSystem,
    parse_lock,
)
from relsign.formats.names import Digest
from relsign.system.fetch import Progress, silent

NO_ROOTFS = RootFileSystem(sha256=Digest("0" * 64), size=0)
_PYTHON_VERSION = re.compile(r"(3\.\d{1,2})\.")


def resolve_lock(
    definition: BuilderDefinition,
    definition_bytes: bytes,
    store: Store,
    mirrors: Sequence[str] = (),
    progress: Progress = silent,
) -> BuilderLock:
    """Return the lock of a definition; every file it names is in `store` afterwards.

    `mirrors` replace the machine's archive addresses.  Raises InputError for a
    definition that cannot be met, HostError for what the machine cannot do.
    """
    with private_apt(definition, mirrors) as apt:
        packages = apt.resolve(definition.packages)
        epoch = apt.release_epoch()
    draft = BuilderLock(
        builder=definition.name,
        definition_sha256=Digest(hashlib.sha256(definition_bytes).hexdigest()),
        suite=definition.suite,
        architecture=definition.architecture,
        source_date_epoch=epoch,
        packages=packages,
        wheels=_wheels(definition, packages, store),
        rootfs=NO_ROOTFS,
    )
    fetch_environment(draft, store, mirrors, progress)
    with tempfile.TemporaryDirectory(prefix="relsign-") as folder:
        rootfs = make_rootfs(draft, store, Path(folder, "rootfs.tar"))
    # Parsing checks what apt and pip said against the rules a reader will apply.
    return parse_lock(msgspec.structs.replace(draft, rootfs=rootfs).to_bytes())


def _wheels(
    definition: BuilderDefinition, packages: Sequence[LockedPackage], store: Store
) -> tuple[LockedWheel, ...]:
    if not definition.python:
        return ()
    resolved = resolve_wheels(definition.python, _python_version(packages))
    fetch_wheels(resolved, store)
    return tuple(locked_wheel(wheel, store) for wheel in resolved)


def _python_version(packages: Sequence[LockedPackage]) -> str:
    """Return the environment's own Python, as ``3.11``."""
    for package in packages:
        found = _PYTHON_VERSION.match(package.version)
        if package.name == "python3-minimal" and found:
            return found[1]
    raise InputError(
        "wheels are wanted, but no Python to run them",
        where="builder.toml: packages",
        hint='add "python3" to packages',
    )
