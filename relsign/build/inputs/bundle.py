"""The input bundle: all a project's builds read, in one file, for years without a network.

A tar in one form (see `relsign.build.archives.plain_tar`): `inputs.json`, then every file as
``sha256/DIGEST``, sorted.  The same inputs give the same bytes.  It is not parsed but
compared: once `inputs.json` is read, every other header has only one form it may have.

    export_inputs(workspace, store, Path("gzip-1.12.inputs"), with_rootfs=True)
    import_inputs(Path("gzip-1.12.inputs"), Store(empty), into=Path("gzip"))
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from relsign.build.archives.plain_tar import BLOCK, END, header, padding
from relsign.build.inputs.project import Wanted, wanted_inputs
from relsign.build.profile import choose_profile
from relsign.build.rootfs import accept_rootfs, keep_rootfs
from relsign.build.store import Store
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.fingerprint import ProfileDigest
from relsign.formats.inputs import (
    INPUTS_FILE,
    MAX_INPUTS_BYTES,
    BundledFile,
    Content,
    Inputs,
    ProjectFile,
    parse_inputs,
)
from relsign.formats.lock import BuilderLock
from relsign.formats.names import Digest
from relsign.system.fetch import Progress, Sink, silent
from relsign.system.files import (
    READ_BYTES,
    host_error,
    make_folder,
    new_file,
    open_regular,
    read_bounded,
    replacing,
    sync_folder,
)
from relsign.system.workspace import MAX_TEXT_BYTES, Workspace

MAX_NAMED = 20
_SIZE = re.compile(rb"[0-7]{11}")
_SIZE_FIELD = slice(124, 135)


def export_inputs(
    workspace: Workspace,
    store: Store,
    destination: Path,
    *,
    profile: str | None = None,
    with_rootfs: bool = False,
    progress: Progress = silent,
) -> Inputs:
    """Write a project's bundle, whole or not at all, and return what it holds.

    `profile` names the sandbox profile to build in, where not the recipe's is.
    With `with_rootfs` each environment's finished root file system comes along.  Raises
    NotEnoughError naming what was not fetched, InputError for a stale lock.
    """

    def read(path: str) -> bytes:
        return workspace.read(workspace.folder / path, "the recipe asks for it")

    wanted = wanted_inputs(read)
    chosen = choose_profile(wanted.recipe, profile)
    _require_stored(wanted, store)
    contents = list(wanted.contents)
    if with_rootfs:
        contents += _rootfs_contents(wanted.locks, store)
    project = {path: read(path) for path in wanted.paths}
    digests = {path: _keep(store, data) for path, data in project.items()}
    used = {*digests.values(), *(content.sha256 for content in contents)}
    inputs = Inputs(
        project=wanted.recipe.project.name,
        version=wanted.recipe.project.version,
        profile=ProfileDigest(name=chosen.name, sha256=chosen.sha256),
        project_files=tuple(ProjectFile(path=p, sha256=d) for p, d in sorted(digests.items())),
        contents=tuple(sorted(contents, key=lambda content: content.label)),
        files=tuple(
            BundledFile(sha256=digest, size=store.path(digest).stat().st_size)
            for digest in sorted(used)
        ),
    )
    with replacing(destination) as stream:
        _write(stream, inputs, store, progress)
    return inputs


def import_inputs(
    bundle: Path, store: Store, *, into: Path | None = None, progress: Progress = silent
) -> Inputs:
    """Read a bundle into the store, each file under the digest it has, and say what came.

    `into` is a folder that is made for the project's files; it must not be there yet.
    Raises InputError for a bundle that is damaged, not in its one form or not complete,
    VerificationError for a file with other bytes than its name says.
    """
    if into is not None and os.path.lexists(into):
        raise InputError(
            "is there already", where=os.fspath(into), hint="name a folder that does not exist"
        )
    with open_regular(bundle) as stream:
        inputs = _read_inputs(stream, os.fspath(bundle))
        done = 0
        for file in inputs.files:
            _read_file(stream, file, store)
            done += file.size
            progress(done, inputs.size_bytes)
        _expect(stream, END, "end")
        if stream.read(1):
            raise _not_ours("bytes after its end")
    _accept_rootfs(inputs, _require_complete(inputs, store).locks, store)
    if into is not None:
        _write_project(inputs, store, into)
    return inputs


def _keep(store: Store, data: bytes) -> Digest:
    return store.add_new(lambda sink: sink.write(data)).sha256


def _require_stored(wanted: Wanted, store: Store) -> None:
    missing = [content.name for content in wanted.contents if not store.has(content.sha256)]
    if missing:
        raise NotEnoughError(
            f"{len(missing)} files are not in the store",
            where=os.fspath(store.root),
            got=", ".join(missing[:MAX_NAMED]),
            hint="run `relsign fetch` first",
        )


def _rootfs_contents(locks: tuple[BuilderLock, ...], store: Store) -> Iterator[Content]:
    """Yield each environment's tar, bootstrapped if the store lacks it.

    An environment that starts from an image has none: its layers are there, and no other
    program is needed to join them.
    """
    for lock in locks:
        if not lock.packages:
            continue
        keep_rootfs(lock, store)
        digest = lock.rootfs.sha256
        yield Content(kind="rootfs", of=lock.builder, name="rootfs.tar", sha256=digest)


def _write(stream: BinaryIO, inputs: Inputs, store: Store, progress: Progress) -> None:
    data = inputs.to_bytes()
    if len(data) > MAX_INPUTS_BYTES:
        raise InputError("too many inputs for one bundle", expected=f"{MAX_INPUTS_BYTES} bytes")
    stream.write(header(INPUTS_FILE, len(data)) + data + padding(len(data)))
    done = 0
    for file in inputs.files:
        stream.write(header(_member(file), file.size))
        with open_regular(store.path(file.sha256)) as source:
            _copy(source, stream, file)
        stream.write(padding(file.size))
        done += file.size
        progress(done, inputs.size_bytes)
    stream.write(END)


def _member(file: BundledFile) -> str:
    return f"sha256/{file.sha256}"


def _copy(source: BinaryIO, sink: Sink, file: BundledFile) -> None:
    """Copy exactly a file's bytes; raise VerificationError if they are not its own."""
    digest = hashlib.sha256()
    left = file.size
    while left and (chunk := source.read(min(left, READ_BYTES))):
        digest.update(chunk)
        sink.write(chunk)
        left -= len(chunk)
    if left:
        raise _not_ours("it ends too early")
    if digest.hexdigest() != file.sha256:
        raise VerificationError(
            "wrong digest",
            where=_member(file),
            expected=file.sha256,
            got=digest.hexdigest(),
            hint="the bundle was damaged or changed: get it again, from somebody else",
        )


def _read_inputs(stream: BinaryIO, where: str) -> Inputs:
    """Return the first member, and refuse a file whose length is not the one it states."""
    block = stream.read(BLOCK)
    field = block[_SIZE_FIELD]
    size = int(field, 8) if _SIZE.fullmatch(field) else -1
    if not 0 <= size <= MAX_INPUTS_BYTES or block != header(INPUTS_FILE, size):
        raise _not_ours("it does not begin with inputs.json")
    data = stream.read(size)
    inputs = parse_inputs(data)
    _expect(stream, padding(size), INPUTS_FILE)
    members = (BLOCK + file.size + len(padding(file.size)) for file in inputs.files)
    expected = stream.tell() + sum(members) + len(END)
    found = os.fstat(stream.fileno()).st_size
    if found != expected:
        raise InputError(
            "the bundle was cut off or added to",
            where=where,
            expected=f"{expected} bytes",
            got=str(found),
            hint="get it again",
        )
    return inputs


def _read_file(stream: BinaryIO, file: BundledFile, store: Store) -> None:
    _expect(stream, header(_member(file), file.size), _member(file))
    if store.has(file.sha256):
        stream.seek(file.size, os.SEEK_CUR)
    else:
        store.add(file.sha256, lambda sink: _copy(stream, sink, file), where=_member(file))
    _expect(stream, padding(file.size), _member(file))


def _expect(stream: BinaryIO, wanted: bytes, name: str) -> None:
    """Read and compare: nothing but names, sizes and zeros stands between the files."""
    if stream.read(len(wanted)) != wanted:
        raise _not_ours(f"at {name}")


def _not_ours(got: str) -> InputError:
    return InputError(
        "not an input bundle in the form relsign writes",
        got=got,
        hint="make it with `relsign inputs export`, or get it again",
    )


def _require_complete(inputs: Inputs, store: Store) -> Wanted:
    """Return what its own recipe and locks name; refuse other files of the project.

    All that they ask for must be there, and no file of the project besides.
    """
    digests = {file.path: file.sha256 for file in inputs.project_files}

    def read(path: str) -> bytes:
        if path not in digests:
            raise InputError(
                "the bundle lacks a file of the project",
                where=path,
                hint="ask for a bundle made by `relsign inputs export`",
            )
        return read_bounded(store.path(digests[path]), MAX_TEXT_BYTES)

    wanted = wanted_inputs(read)
    have = {file.sha256 for file in inputs.files}
    missing = [content.name for content in wanted.contents if content.sha256 not in have]
    missing += [path for path in wanted.paths if path not in digests]
    if missing:
        raise InputError(
            f"the bundle lacks {len(missing)} files that its builds need",
            where=INPUTS_FILE,
            got=", ".join(missing[:MAX_NAMED]),
            hint="what it holds is in the store; ask for a bundle made by `relsign inputs export`",
        )
    extra = sorted(digests.keys() - set(wanted.paths))
    if extra:
        raise InputError(
            f"the bundle brings {len(extra)} files that no build of the project reads",
            where=INPUTS_FILE,
            got=extra[0],
            hint="ask whoever made it why; `relsign inputs export` bundles no such file",
        )
    return wanted


def _accept_rootfs(inputs: Inputs, locks: tuple[BuilderLock, ...], store: Store) -> None:
    """Believe the finished root file systems that the bundle brings for its own locks."""
    came = {(content.of, content.sha256) for content in inputs.contents if content.kind == "rootfs"}
    for lock in locks:
        if lock.packages and (lock.builder, lock.rootfs.sha256) in came:
            accept_rootfs(lock, store)


def _write_project(inputs: Inputs, store: Store, into: Path) -> None:
    """Make the project's folder, whole or not at all."""
    make_folder(into.parent)
    with _new_folder(into) as folder:
        for file in inputs.project_files:
            path = folder / file.path
            make_folder(path.parent)
            with new_file(path) as stream:
                stream.write(read_bounded(store.path(file.sha256), MAX_TEXT_BYTES))


@contextmanager
def _new_folder(into: Path) -> Iterator[Path]:
    """Yield a folder beside `into` that takes its name when the block ends well."""
    with tempfile.TemporaryDirectory(prefix=".relsign-", dir=into.parent) as name:
        made = Path(name) / "project"
        make_folder(made)
        yield made
        try:
            # A folder that came meanwhile is replaced only if it is empty.
            made.rename(into)
        except OSError as error:
            raise host_error(error, into) from error
        sync_folder(into.parent)
