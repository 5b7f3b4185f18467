"""Crates: fetched by Cargo itself, compared with the checksums `Cargo.lock` states.

Cargo is given a package of ours that does nothing but depend on each crate at its
version, and fetches without building, so no build script runs.  It works in a home of
its own that shares the machine's settings and its copy of the registry's index.

    fetch_crates(lock_crates(parse_cargo_lock(data), store), another_store)
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from relsign.build.archives.members import Kind, Member
from relsign.build.archives.tree import Tree
from relsign.build.inputs.clients import Arrived, Client, keep, not_fetched
from relsign.build.inputs.mirrors import last_words
from relsign.build.store import Store
from relsign.errors import HostError, InputError
from relsign.formats.canonical import decode_json, shorten
from relsign.formats.cargo_lock import Crate
from relsign.formats.lock import LockedCrate
from relsign.formats.names import Digest
from relsign.system.files import hash_file, host_error, make_folder, write_whole

CARGO_FOLDER = "usr/lib/relsign/cargo"
CHECKSUMS = ".cargo-checksum.json"
CARGO = Client(
    "cargo",
    "cargo",
    ("HOME", "CARGO_HTTP_PROXY", "CARGO_HTTP_CAINFO", "CARGO_NET_GIT_FETCH_WITH_CLI"),
    re.compile(rb"got (?:404|410)\b|no matching package|failed to select a version"),
)
SETTINGS = ("config", "config.toml", "credentials", "credentials.toml", ".package-cache")
"""What our home of Cargo shares with the machine's; the last is a lock on the index."""
OURS = "relsign-fetch"
MAX_METADATA_BYTES = 16 << 20

CONFIG = f"""\
[source.crates-io]
replace-with = "relsign"

[source.relsign]
directory = "/{CARGO_FOLDER}/vendor"

[net]
offline = true
"""


class _Dependency(msgspec.Struct, frozen=True):
    source: str


class _Package(msgspec.Struct, frozen=True):
    dependencies: tuple[_Dependency, ...]


class _Metadata(msgspec.Struct, frozen=True):
    """The part used of ``cargo metadata --format-version 1``."""

    packages: tuple[_Package, ...]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A crate to have; its size is known from a lock only."""

    name: str
    version: str
    sha256: Digest
    size: int | None = None


def crate_file(crate: LockedCrate | _Wanted) -> str:
    """Return the name of a crate's archive."""
    return f"{crate.name}-{crate.version}.crate"


def lock_crates(crates: Sequence[Crate], store: Store) -> tuple[LockedCrate, ...]:
    """Bring crates into the store and return their entries; raises as `fetch_crates`."""
    _fetch([_Wanted(crate.name, crate.version, crate.checksum) for crate in crates], store)
    return tuple(
        LockedCrate(
            name=crate.name,
            version=crate.version,
            sha256=crate.checksum,
            size=hash_file(store.path(crate.checksum)).size,
        )
        for crate in crates
    )


def fetch_crates(crates: Sequence[LockedCrate], store: Store) -> None:
    """Bring every locked crate that is missing into the store.

    Raises one error that names all that did not come: VerificationError if some came
    with other bytes, else HostError.
    """
    _fetch(
        [_Wanted(crate.name, crate.version, crate.sha256, crate.size) for crate in crates], store
    )


def _fetch(crates: Sequence[_Wanted], store: Store) -> None:
    missing = [crate for crate in crates if not store.has(crate.sha256)]
    if not missing:
        return
    with _home() as home:
        words = _bring(crates, home)
        files = {path.name: path for path in (home / "registry/cache").glob("*/*.crate")}
        here = [crate for crate in missing if crate_file(crate) in files]
        came = [Arrived(crate_file(c), files[crate_file(c)], c.sha256, c.size) for c in here]
        keep(came, store)
    absent = [crate_file(crate) for crate in missing if crate not in here]
    if absent:
        raise not_fetched(absent, CARGO, words)


@contextmanager
def _home() -> Iterator[Path]:
    """Yield a home for Cargo that is gone afterwards, but for what it learned of the index."""
    machine = Path(os.environ.get("CARGO_HOME") or "~/.cargo").expanduser()
    make_folder(machine / "registry/index")
    # Cargo reads settings from every folder above: so work below the machine's own home of
    # Cargo, not where anybody may put a file.
    with tempfile.TemporaryDirectory(prefix="relsign-", dir=machine) as name:
        home = Path(name)
        try:
            (machine / ".package-cache").touch()
            (home / "registry").mkdir()
            (home / "registry/index").symlink_to(machine / "registry/index")
            for setting in SETTINGS:
                if (machine / setting).exists():
                    (home / setting).symlink_to(machine / setting)
        except OSError as error:
            raise host_error(error, home) from error
        yield home


def _bring(crates: Sequence[_Wanted], home: Path) -> bytes:
    """Let Cargo fetch into `home`; return what it complained of."""
    folder = home / "work"
    folder.mkdir()
    lines = [f'[package]\nname = "{OURS}"\nversion = "0.0.0"\nedition = "2018"\n']
    lines += ['[lib]\npath = "lib.rs"\n', "[workspace]\n", "[dependencies]"]
    lines += [
        f'c{number} = {{ package = "{crate.name}", version = "={crate.version}", '
        "default-features = false }"
        for number, crate in enumerate(crates)
    ]
    write_whole(folder / "Cargo.toml", "\n".join(lines).encode())
    write_whole(folder / "lib.rs", b"")
    source = _default_source(folder, home)
    # A version that its author withdrew is served to those only who have it locked.
    locked = (
        f'[[package]]\nname = "{crate.name}"\nversion = "{crate.version}"\nsource = {source}\n'
        for crate in crates
    )
    write_whole(folder / "Cargo.lock", "\n".join(["version = 3\n", *locked]).encode())
    return _cargo(("fetch",), folder, home)[1]


def _default_source(folder: Path, home: Path) -> str:
    """Return what Cargo writes into lock files for its registry, as a quoted text."""
    words = ("metadata", "--no-deps", "--offline", "--format-version=1")
    stdout, stderr = _cargo(words, folder, home)
    if not stdout:
        raise HostError("cargo cannot say its registry", got=last_words(stderr))
    metadata = decode_json(stdout, _Metadata, "cargo metadata", max_bytes=MAX_METADATA_BYTES)
    return json.dumps(metadata.packages[0].dependencies[0].source)


def _cargo(words: Sequence[str], folder: Path, home: Path) -> tuple[bytes, bytes]:
    extra = {"CARGO_HOME": os.fspath(home), "CARGO_TERM_COLOR": "never"}
    result = CARGO.run([*words, "--quiet"], folder, extra)
    errors = re.sub(rb"^(?:error: |  *)", b"E:", result.stderr, flags=re.MULTILINE)
    return result.stdout, errors if result.returncode else b""


def lay_out_crates(crates: Sequence[LockedCrate], store: Store, tree: Tree) -> None:
    """Put crates as a folder that Cargo takes as a source, and the settings that name it."""
    for crate in crates:
        top = f"{crate.name}-{crate.version}"
        where = f"builder.lock: crate {top}"
        archive = tree.read_archive(store.path(crate.sha256), where=where)
        members = [_below(member, top, where) for member in archive if member.name != top]
        prefix = f"{CARGO_FOLDER}/vendor/{top}"
        tree.add(members, prefix, where=where)
        files = {m.name: tree.sha256(m) for m in members if m.kind is Kind.FILE}
        sums = json.dumps({"files": files, "package": crate.sha256}, sort_keys=True)
        tree.add_bytes(f"{prefix}/{CHECKSUMS}", sums.encode(), where=where)
    config = CONFIG.encode()
    tree.add_bytes(f"{CARGO_FOLDER}/config.toml", config, where="builder.lock: crates")


def _below(member: Member, top: str, where: str) -> Member:
    """Return a member without the folder that every file of a crate lies in."""
    if not member.name.startswith(f"{top}/"):
        raise InputError(
            "crate with a file outside its folder", where=where, got=shorten(member.name)
        )
    return replace(member, name=member.name.removeprefix(f"{top}/"))
