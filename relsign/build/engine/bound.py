"""The fixed files and folders a profile binds over the host's.

They live in a cache folder named by their content, are checked before each use,
and are never removed, so that a crash leaves nothing behind.  Only the user who
runs builds writes there; a hostile edit between the check and the start would
need that user's rights, which also command the engine.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from relsign.build.profile import Profile
from relsign.errors import RelsignError
from relsign.formats.canonical import encode_canonical
from relsign.system.files import read_bounded, replacing

FILE_MODE = 0o444


@dataclass(frozen=True, slots=True)
class BoundPath:
    """A path of this machine shown read-only at a path of the container."""

    source: Path
    target: str


def bound_paths(profile: Profile, cache: Path) -> tuple[BoundPath, ...]:
    """Write what `profile` binds below `cache`, if it is not there yet, and return the binds.

    Raises HostError if the folder cannot be written.
    """
    contents = [profile.files, profile.folders]
    name = hashlib.sha256(encode_canonical(contents)).hexdigest()
    root = cache.absolute() / f"profile-{name[:32]}"
    for relative, text in _texts(profile):
        _keep(root / relative, text.encode())
    return tuple(
        BoundPath(root / target.lstrip("/"), target)
        for target in (*sorted(profile.files), *sorted(profile.folders))
    )


def system_calls_file(profile: Profile, cache: Path) -> Path:
    """Write the profile's system calls below `cache`, for an engine that wants a file.

    Raises HostError if the folder cannot be written.
    """
    data = encode_canonical(profile.seccomp)
    name = hashlib.sha256(data).hexdigest()
    path = cache.absolute() / f"system-calls-{name[:32]}.json"
    _keep(path, data)
    return path


def _texts(profile: Profile) -> Iterator[tuple[str, str]]:
    for target, text in profile.files.items():
        yield target.lstrip("/"), text
    for target, files in profile.folders.items():
        for inside, text in files.items():
            yield f"{target.lstrip('/')}/{inside}", text


def _keep(path: Path, data: bytes) -> None:
    # Whatever else is there is replaced at once, so that no other build misses the file.
    with contextlib.suppress(RelsignError):
        if read_bounded(path, len(data)) == data:
            return
    with replacing(path, FILE_MODE) as stream:
        stream.write(data)
        stream.flush()
        # Times and modes show inside the container, so they are the same everywhere, and
        # from the first moment: another build may bind the file as soon as it is there.
        os.utime(stream.fileno(), (0, 0))
