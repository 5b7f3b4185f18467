"""A recipe with a source of every kind, and locks with a package of every ecosystem."""

from __future__ import annotations

import msgspec
import tomlkit

from relsign.formats.lock import (
    BuilderLock,
    LockedCrate,
    LockedImage,
    LockedLayer,
    LockedModule,
    LockedNpm,
)
from tests.formats.samples import AA, BB, CC, RECIPE, SOURCE, make_lock

SECRET_URL = "https://user:t0ken-canary@mirror.invalid/odd.tar.gz"
SOURCES: list[dict[str, object]] = [
    SOURCE,
    {"kind": "pypi-sdist", "name": "attrs", "package": "attrs", "version": "26.1.0",
     "file": "attrs-26.1.0.tar.gz", "sha256": BB},
    {"kind": "archive", "name": "odd", "url": SECRET_URL, "file": "odd.tar.gz", "sha256": CC},
    {"kind": "git", "name": "tool", "url": "ssh://git@host.invalid/tool", "commit": "ab" * 20,
     "sha256": "dd" * 32},
]  # fmt: skip
RICH_RECIPE = tomlkit.dumps({**RECIPE, "source": SOURCES}).encode()


def make_rich_lock() -> BuilderLock:
    """Return an environment with packages of Debian, Python, npm, Go and Cargo."""
    return msgspec.structs.replace(
        make_lock(),
        npm=(
            LockedNpm(
                name="@scope/name",
                version="1.0.0",
                integrity=f"sha512-{'A' * 86}==",
                sha256=AA,
                size=1,
                places=("node_modules/@scope/name",),
            ),
        ),
        go=(
            LockedModule(
                path="example.org/Mod/x",
                version="v1.2.3+incompatible",
                sha256=AA,
                size=1,
                mod_sha256=BB,
                mod_size=1,
            ),
            LockedModule(path="example.org/only", version="v0.1.0", mod_sha256=CC, mod_size=1),
        ),
        crates=(LockedCrate(name="memchr", version="2.7.4", sha256=AA, size=1),),
    )


def make_image_lock() -> BuilderLock:
    """Return an environment that is an image and one wheel."""
    image = LockedImage(
        name=f"library/debian@sha256:{AA}",
        manifest_sha256=BB,
        config_sha256=CC,
        layers=(LockedLayer(sha256=AA, size=1, diff_sha256=BB),),
    )
    return msgspec.structs.replace(make_lock(), suite=msgspec.UNSET, packages=(), image=image)
