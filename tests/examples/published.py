"""The files their authors published, fetched as users do; pinned, so that they stay the same."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Miss:
    """An artifact that cannot be what its authors published, and what `relsign diff` says why."""

    example: str
    artifact: str
    published_sha256: str
    fetch: Callable[[Path], object]
    """Writes the published file, under the artifact's name, into a folder."""
    causes: tuple[str, ...]


def _pip(requirement: str) -> Callable[[Path], object]:
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:")
    program = (sys.executable, "-m", "pip", "download")
    return lambda folder: subprocess.run(
        (*program, *options, f"--dest={folder}", requirement), check=True, timeout=120
    )


def _npm(package: str) -> Callable[[Path], object]:
    options = ("--ignore-scripts", "--silent", "--no-update-notifier")
    return lambda folder: subprocess.run(
        ("npm", "pack", *options, f"--pack-destination={folder}", package),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=120,
    )


def fetch_published(miss: Miss, folder: Path) -> Path:
    """Return the published file, which must be the one this miss is about."""
    miss.fetch(folder)
    path = folder / miss.artifact
    assert hashlib.sha256(path.read_bytes()).hexdigest() == miss.published_sha256
    return path


MISSES = (
    Miss(
        "is-plain-object",
        "is-plain-object-5.0.0.tgz",
        "405ffdac90b988722906f2c25e627331c8ac952201c5e2eefab1c61f22d25bd3",
        _npm("is-plain-object@5.0.0"),
        ("tar-time", "compression-level", "gzip-system", "member-order", "missing-file"),
    ),
    Miss(
        "ms",
        "ms-2.1.3.tgz",
        "f6616e15e530ed552f9daa2d3ce71963947c6bc7c98c9b64fd3e673fd02622c6",
        _npm("ms@2.1.3"),
        ("compression-level", "gzip-system"),
    ),
    Miss(
        "tqdm",
        "tqdm-4.70.1-py3-none-any.whl",
        "c293e525e6fef9c20e8728fd4612df02a0aa31bb5fe91ecd93e123b1b7bffa73",
        _pip("tqdm==4.70.1"),
        ("zip-time", "missing-file"),
    ),
)
