"""A project for `relsign build` on the real engine, and the command in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from relsign.build.engine.connection import Engine
from relsign.build.engine.leftovers import OWNER_LABEL, list_containers, list_volumes
from relsign.build.store import Store
from relsign.cli.main import execute
from relsign.crypto.digest import sha256_hex
from relsign.formats.lock import BuilderLock, LockedPackage, RootFileSystem
from relsign.formats.names import Digest
from relsign.sign.keys.keystore import KeyStore, wanted_member
from relsign.system.files import write_whole
from relsign.system.workspace import Workspace
from tests.build.marked import mark
from tests.projects import PASSPHRASE, POLICY

HEAD = """\
[project]
name = "a"
version = "1"

[[source]]
kind = "archive"
name = "a"
file = "a-1.tar"
url = "https://example.org/a-1.tar"
sha256 = "{sha256}"
"""
TARGET = """
[[target]]
name = "{name}"
builder = "b"
source_date_epoch = 1700000000
commands = [{commands}]
artifact = [{{ path = "{name}.bin" }}]
"""
PROGRAM = "import sys; from relsign.cli.main import run; sys.exit(run())"
SECONDS = 60
CHECK = """
[[check]]
name = "content"
builder = "b"
commands = ["{command}"]
"""


@dataclass(frozen=True)
class Place:
    folder: Path
    store: Path
    source: Digest

    def recipe(self, *parts: str) -> None:
        text = HEAD.format(sha256=self.source) + "".join(parts)
        (self.folder / "relsign.toml").write_text(text)

    @property
    def words(self) -> list[str]:
        return ["build", "--offline", "--project", str(self.folder), "--store", str(self.store)]

    def build(self, *words: str) -> int:
        return execute([*self.words, *words])

    def add_builder(self) -> None:
        """Put `builder-a` into the roster, whose key opens with `PASSPHRASE`."""
        store = KeyStore(self.keys)
        wanted = wanted_member("builder-a", "anna", "acme", ("builder",), "ed25519")
        store.create(wanted, "builder-a", PASSPHRASE, None)
        write_whole(Workspace(self.folder).policy_file, POLICY.encode())
        card = str(store.card_file("builder-a"))
        assert execute(["key", "add", card, "--project", str(self.folder)]) == 0

    @property
    def keys(self) -> Path:
        return self.store.parent / "keys"

    @contextmanager
    def signing(self) -> Iterator[tuple[str, ...]]:
        """Give the words with which `builder-a` signs; the passphrase waits in a pipe."""
        read_end, write_end = os.pipe()
        os.set_inheritable(read_end, True)  # noqa: FBT003 - it takes no name
        os.write(write_end, PASSPHRASE + b"\n")
        os.close(write_end)
        try:
            words = ("--as", "builder-a", "--keys", str(self.keys))
            yield (*words, "--passphrase-fd", str(read_end))
        finally:
            os.close(read_end)

    @property
    def release(self) -> Path:
        return self.folder / "release" / "a-1"

    @property
    def built(self) -> Path:
        return self.release / "unsigned"

    def files(self) -> list[str]:
        """Return every file of the release and every link, whatever its name begins with."""
        return sorted(
            str(path.relative_to(self.release))
            for path in self.release.rglob("*")
            if path.is_symlink() or not path.is_dir()
        )

    def staged(self) -> list[str]:
        """Return what lies where a build is made before it is shown."""
        return sorted(path.name for path in (self.release / "builds").iterdir())

    @contextmanager
    def started(
        self, *words: str, first: str = "", before: tuple[str, ...] = ()
    ) -> Iterator[subprocess.Popen[str]]:
        """Start the command in a process of its own; kill it at the end.

        `first` are lines of Python before it, `before` the words of a program that runs it.
        """
        program = f"{first}\n{PROGRAM}"
        with subprocess.Popen(
            [*before, sys.executable, "-c", program, *self.words, *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            close_fds=False,
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def make_place(folder: Path, rootfs_sha256: Digest) -> Place:
    """Return a project whose environment is in the engine already."""
    store = Store(folder / "store")
    source = folder / "a.tar"
    with tarfile.open(source, "w") as tar:
        tar.addfile(tarfile.TarInfo("a-1/empty"))
    digest = store.add_file(source).sha256
    package = folder / "package"
    package.write_bytes(b"package")
    builder = folder / "project" / "builders" / "b"
    builder.mkdir(parents=True)
    definition = b'name = "b"\nsuite = "bookworm"\npackages = ["make"]\n'
    (builder / "builder.toml").write_bytes(definition)
    lock = BuilderLock(
        builder="b",
        definition_sha256=sha256_hex(definition),
        suite="bookworm",
        architecture="amd64",
        source_date_epoch=1,
        packages=(
            LockedPackage(
                name="make",
                version="1",
                architecture="amd64",
                sha256=store.add_file(package).sha256,
                size=7,
                path="pool/main/make.deb",
            ),
        ),
        wheels=(),
        rootfs=RootFileSystem(sha256=rootfs_sha256, size=1),
    )
    (builder / "builder.lock").write_bytes(lock.to_bytes())
    mark(lock, store)
    return Place(folder / "project", store.root, digest)


def target(name: str, *commands: str) -> str:
    """Return a target of the recipe that makes NAME.bin."""
    listed = ", ".join(json.dumps(command) for command in commands)
    return TARGET.format(name=name, commands=listed)


def left_by(process: int, engine: Engine) -> list[str]:
    """Return the containers and volumes of a process of this machine, by their labels."""
    every = [found.labels for found in list_containers(engine)]
    every += [found.labels for found in list_volumes(engine)]
    labels = [(each or {}).get(OWNER_LABEL, "") for each in every]
    return [label for label in labels if f"/{process}/" in label]


def read_until(process: subprocess.Popen[str], words: str) -> None:
    """Read what the command says until a line with these words."""
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            return
    raise AssertionError(f"it ended with {process.wait(SECONDS)} and never said {words!r}")
