"""A project whose environment is an image: small enough to be bundled and built in a test."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from relsign.build.chain import chain_id
from relsign.build.rootfs import accept_rootfs
from relsign.build.store import Store
from relsign.crypto.digest import sha256_hex
from relsign.formats.lock import (
    BuilderLock,
    LockedImage,
    LockedLayer,
    LockedPackage,
    RootFileSystem,
)
from relsign.formats.names import Digest
from relsign.system.workspace import Workspace

KEY = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
SIGNATURE = b"-----BEGIN PGP SIGNATURE-----\n"


def recipe(source: bytes, url: str, *, signed: bool = True) -> bytes:
    signature = f"""
[source.signature]
file = "hello.tar.asc"
sha256 = "{sha256_hex(SIGNATURE)}"
key = "keys/upstream/hello.asc"
fingerprint = "{"A" * 40}"
"""
    return f"""
[project]
name = "hello"
version = "1.0"

[[source]]
kind = "archive"
name = "hello"
url = "{url}/hello.tar"
file = "hello.tar"
sha256 = "{sha256_hex(source)}"
{signature if signed else ""}
[[target]]
name = "any"
builder = "small"
source_date_epoch = 1700000000
commands = ["cat greeting /etc/marker > out"]

[[target.artifact]]
path = "out"
""".encode()


def source_tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        member = tarfile.TarInfo("hello-1.0/greeting")
        member.size = 6
        tar.addfile(member, io.BytesIO(b"hello\n"))
    return stream.getvalue()


@dataclass(frozen=True)
class Bundled:
    """A project folder and a store with all it needs."""

    folder: Path
    store: Store

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.folder)

    def write(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def keep(self, data: bytes) -> Digest:
        return self.store.add_new(lambda sink: sink.write(data)).sha256


def image_project(
    folder: Path, tars: tuple[bytes, ...], url: str = "http://127.0.0.1:1"
) -> Bundled:
    """Write a project that builds in an image of these layers, everything in its store."""
    project = Bundled(folder / "project", Store(folder / "store"))
    digests = [project.keep(tar) for tar in tars]
    layers = [
        LockedLayer(sha256=digest, size=len(tar), diff_sha256=digest)
        for digest, tar in zip(digests, tars, strict=True)
    ]
    name = f"team/small@sha256:{'1' * 64}"
    definition = f'name = "small"\nbase = "oci"\nimage = "{name}"\n'.encode()
    lock = BuilderLock(
        builder="small",
        definition_sha256=sha256_hex(definition),
        image=LockedImage(
            name=name,
            manifest_sha256=Digest("1" * 64),
            config_sha256=Digest("2" * 64),
            layers=tuple(layers),
        ),
        architecture="amd64",
        source_date_epoch=0,
        packages=(),
        wheels=(),
        rootfs=RootFileSystem(sha256=chain_id(digests), size=sum(map(len, tars))),
    )
    _finish(project, definition, lock, url)
    return project


def debian_project(folder: Path, url: str = "http://127.0.0.1:1") -> Bundled:
    """Write a project of two pretended Debian packages and a pretended root file system."""
    project = Bundled(folder / "project", Store(folder / "store"))
    definition = b'name = "small"\nsuite = "bookworm"\npackages = ["aa"]\n'
    packages = tuple(
        LockedPackage(
            name=name,
            version="1.0",
            architecture="all",
            sha256=project.keep(name.encode()),
            size=2,
            path=f"pool/main/z/{name}/{name}_1.0_all.deb",
        )
        for name in ("aa", "bb")
    )
    lock = BuilderLock(
        builder="small",
        definition_sha256=sha256_hex(definition),
        suite="bookworm",
        architecture="amd64",
        source_date_epoch=0,
        packages=packages,
        wheels=(),
        rootfs=RootFileSystem(sha256=project.keep(b"rootfs"), size=6),
    )
    accept_rootfs(lock, project.store)
    _finish(project, definition, lock, url)
    return project


def _finish(project: Bundled, definition: bytes, lock: BuilderLock, url: str) -> None:
    source = source_tar()
    project.keep(source)
    project.keep(SIGNATURE)
    project.write("relsign.toml", recipe(source, url))
    project.write("keys/upstream/hello.asc", KEY)
    project.write("builders/small/builder.toml", definition)
    project.write("builders/small/builder.lock", lock.to_bytes())


def change_lock(project: Bundled, **fields: object) -> BuilderLock:
    """Write the lock with other fields, and return it."""
    lock = msgspec.structs.replace(project.workspace.lock("small"), **fields)
    project.write("builders/small/builder.lock", lock.to_bytes())
    return lock
