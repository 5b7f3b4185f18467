"""Go modules: fetched by Go itself, compared with what `go.sum` states.

Go is asked for one version of each module and runs none of their code.  The sums are
counted here, from the bytes that are stored.  What they become is a file tree that
Go takes as a proxy (Go Modules Reference, "Module proxy protocol").

    locked = lock_go(parse_go_sum(data), store)
    fetch_go(locked, another_store)
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from relsign.build.archives.members import Kind, Limits, refuse
from relsign.build.archives.read_zip import ZipReader
from relsign.build.archives.tree import Tree, member_sha256
from relsign.build.inputs.clients import Arrived, Client, keep, not_fetched, other_bytes
from relsign.build.store import Store
from relsign.errors import InputError
from relsign.formats.go_sum import MOD_SUFFIX, GoModule, escape_module, hash1
from relsign.formats.lock import LockedModule
from relsign.formats.names import Digest
from relsign.system.files import open_regular, read_bounded, write_whole

GO_FOLDER = "usr/lib/relsign/go"
GO = Client(
    "go",
    "golang-go",
    (
        *("HOME", "XDG_CONFIG_HOME", "GOENV", "GOPROXY", "GOPRIVATE", "GONOPROXY", "GOINSECURE"),
        *("GOVCS", "GOAUTH", "NETRC"),
    ),
    re.compile(rb": (?:404|410) |: unknown revision |: no such file or directory"),
)
MODULES_PER_CALL = 200
LIST = ("list", "-e", "-m", "-f", "{{with .Error}}go: {{.Err}}{{end}}")
"""Fetches a ``go.mod`` alone, and prints what went wrong."""
MAX_MOD_BYTES = 16 << 20
# Twice what Go itself takes, which is 500 MiB in a module's zip.
MODULE_LIMITS = Limits(entries=100_000, total_bytes=1 << 30)


def zip_name(module: GoModule | LockedModule) -> str:
    """Return what a module's zip is called in messages."""
    return f"go {module.path}@{module.version}"


def mod_name(module: GoModule | LockedModule) -> str:
    """Return what a module's ``go.mod`` is called in messages."""
    return zip_name(module) + MOD_SUFFIX


def lock_go(modules: Sequence[GoModule], store: Store) -> tuple[LockedModule, ...]:
    """Bring modules into the store and return their entries.

    Raises one error that names all that did not come: VerificationError if some came
    with another sum than `go.sum` states, else HostError.
    """
    wanted = {mod_name(m): m for m in modules} | {zip_name(m): m for m in modules if m.zip_sum}
    if not wanted:
        return ()
    with tempfile.TemporaryDirectory(prefix="relsign-") as folder:
        cache = Path(folder)
        words = _bring(wanted, cache)
        files = _found(wanted, cache)
        lies = [name for name, path in files.items() if not _has_sum(name, path, wanted[name])]
        if lies:
            raise other_bytes(lies, "go.sum's")
        _refuse_absent(wanted, files, words)
        stored = keep([Arrived(name, path) for name, path in files.items()], store)
    return tuple(_locked(module, stored) for module in modules)


def _locked(module: GoModule, stored: Mapping[str, tuple[Digest, int]]) -> LockedModule:
    has_zip = zip_name(module) in stored
    return LockedModule(
        path=module.path,
        version=module.version,
        sha256=stored[zip_name(module)][0] if has_zip else msgspec.UNSET,
        size=stored[zip_name(module)][1] if has_zip else msgspec.UNSET,
        mod_sha256=stored[mod_name(module)][0],
        mod_size=stored[mod_name(module)][1],
    )


def module_files(module: LockedModule) -> tuple[tuple[str, Digest, int], ...]:
    """Return name, digest and size of what a locked module has in the store."""
    mod = (mod_name(module), module.mod_sha256, module.mod_size)
    if module.sha256 is msgspec.UNSET or module.size is msgspec.UNSET:
        return (mod,)
    return (zip_name(module), module.sha256, module.size), mod


def fetch_go(modules: Sequence[LockedModule], store: Store) -> None:
    """Bring every locked module that is missing into the store; raises as `lock_go` does."""
    stated = {
        name: (module, digest, size)
        for module in modules
        for name, digest, size in module_files(module)
        if not store.has(digest)
    }
    if not stated:
        return
    wanted = {name: module for name, (module, _, _) in stated.items()}
    with tempfile.TemporaryDirectory(prefix="relsign-") as folder:
        words = _bring(wanted, Path(folder))
        files = _found(wanted, Path(folder))
        keep([Arrived(name, path, *stated[name][1:]) for name, path in files.items()], store)
    _refuse_absent(wanted, files, words)


def _refuse_absent(wanted: Iterable[str], files: Iterable[str], words: bytes) -> None:
    absent = sorted(set(wanted) - set(files))
    if absent:
        raise not_fetched(absent, GO, words)


def _bring(wanted: Mapping[str, GoModule | LockedModule], folder: Path) -> bytes:
    """Let Go fetch into `folder`; return what it complained of."""
    # A module of its own, so that Go takes none from a folder above.
    write_whole(folder / "go.mod", b"module relsign.invalid/fetch\n\ngo 1.17\n")
    with_zip = [name.removeprefix("go ") for name in wanted if not name.endswith(MOD_SUFFIX)]
    names = (name.removeprefix("go ").removesuffix(MOD_SUFFIX) for name in wanted)
    mod_only = sorted(set(names) - set(with_zip))
    words = b""
    for command, specs in ((("mod", "download"), with_zip), (LIST, mod_only)):
        for start in range(0, len(specs), MODULES_PER_CALL):
            some = specs[start : start + MODULES_PER_CALL]
            words += _go((*command, *some), folder)
    return words


def _go(words: Sequence[str], folder: Path) -> bytes:
    settings = {
        "GO111MODULE": "on",
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
        # An empty value would let a configured one through.
        "GOFLAGS": "-modcacherw",
        # The sums are in go.sum already, and nobody need be told what we build.
        "GOSUMDB": "off",
        "GOPATH": f"{folder}/path",
        "GOMODCACHE": f"{folder}/path/pkg/mod",
        "GOCACHE": f"{folder}/cache",
    }
    result = GO.run(words, folder, settings)
    # Go's own lines begin with "go: "; "E:" is what our reader of last words looks for.
    return re.sub(rb"^go: ", b"E:", result.stdout + result.stderr, flags=re.MULTILINE)


def _found(wanted: Mapping[str, GoModule | LockedModule], folder: Path) -> dict[str, Path]:
    cache = folder / "path/pkg/mod/cache/download"
    places = {
        name: cache / _proxy_path(module, "mod" if name.endswith(MOD_SUFFIX) else "zip")
        for name, module in wanted.items()
    }
    return {name: place for name, place in places.items() if place.is_file()}


def _proxy_path(module: GoModule | LockedModule, ending: str) -> str:
    return f"{escape_module(module.path)}/@v/{escape_module(module.version)}.{ending}"


def _has_sum(name: str, path: Path, module: GoModule) -> bool:
    """Say whether a file is what `go.sum` states; raise InputError for a zip it cannot be."""
    if name.endswith(MOD_SUFFIX):
        digest = hashlib.sha256(read_bounded(path, MAX_MOD_BYTES)).hexdigest()
        return hash1({"go.mod": digest}) == module.mod_sum
    return zip_sum(path, f"{module.path}@{module.version}/", name) == module.zip_sum


def zip_sum(path: Path, prefix: str, where: str) -> str:
    """Return Hash1 of a module's zip, all of whose files lie below `prefix`.

    Raises InputError at `where` for a zip that is damaged, too large or has other names.
    """
    with tempfile.TemporaryFile() as spool, open_regular(path) as stream:
        try:
            members = tuple(ZipReader(stream, spool, MODULE_LIMITS).members())
            for member in members:
                if member.kind is not Kind.FILE or not member.name.startswith(prefix):
                    raise refuse("not a file of this module", member.name)
        except InputError as error:
            raise InputError(error.what, where=where, got=error.got) from error
        digests = {member.name: member_sha256(member, spool) for member in members}
    if len(digests) != len(members):
        raise InputError("archive refused: name stands twice", where=where)
    return hash1(digests)


def lay_out_go(modules: Sequence[LockedModule], store: Store, tree: Tree) -> None:
    """Put modules as a proxy that Go reads from a folder; a zip stays a zip."""
    versions: dict[str, list[str]] = defaultdict(list)
    for module in modules:
        where = f"builder.lock: {zip_name(module)}"
        for name, digest, _ in module_files(module):
            ending = "mod" if name.endswith(MOD_SUFFIX) else "zip"
            place = f"{GO_FOLDER}/{_proxy_path(module, ending)}"
            tree.add_file(place, store.path(digest), where=where)
        info = msgspec.json.encode({"Version": module.version})
        tree.add_bytes(f"{GO_FOLDER}/{_proxy_path(module, 'info')}", info, where=where)
        versions[module.path].append(module.version)
    for path, known in versions.items():
        listed = "".join(f"{version}\n" for version in sorted(known)).encode()
        place = f"{GO_FOLDER}/{escape_module(path)}/@v/list"
        tree.add_bytes(place, listed, where=f"builder.lock: go {path}")
