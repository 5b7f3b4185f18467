"""Every source of a recipe into the store, its digest compared, its author checked.

Four kinds (see `relsign.formats.recipe`): a file of a Debian source package, a
source distribution from the Python index, a file at a URL, a git commit.  Whoever
serves them is not trusted: the recipe's SHA-256 decides, and where the recipe names
an upstream signature, that must hold too, each time, also for stored files.

    fetched = fetch_sources(recipe, store, SourceContext(project=Path(".")))
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urljoin

from relsign.build.inputs.git_source import fetch_commit
from relsign.build.inputs.index import configured_index, find_sdist
from relsign.build.inputs.mirrors import ArchiveFile, archive_mirrors, fetch_archive_files
from relsign.build.inputs.upstream import UpstreamSigned, verify_upstream
from relsign.build.store import Store
from relsign.errors import InputError, NotEnoughError, VerificationError
from relsign.formats.names import Digest
from relsign.formats.recipe import (
    Archive,
    DebianSource,
    Git,
    PypiSdist,
    Recipe,
    Source,
    TagSignature,
    UpstreamSignature,
)
from relsign.system.fetch import FetchLimits, Progress, download, silent
from relsign.system.files import hash_file, read_bounded

MAX_CERTIFICATE_BYTES = 1 << 20
MAX_SOURCE_BYTES = 2 << 30
SLOWEST = 1 << 10
"""Bytes per second: a server that drips holds nobody for ever."""
LIBRARY_PREFIX_LETTERS = 4


@dataclass(frozen=True, slots=True)
class SourceContext:
    """Where the project's keys lie, what to call the source in errors, machine settings."""

    project: Path
    where: str = "relsign.toml: source[0]"
    mirrors: tuple[str, ...] = ()
    """Debian archives to try before the machine's own."""
    index: str | None = None
    """Python index; pip's configuration if None."""


@dataclass(frozen=True, slots=True)
class FetchedSource:
    """A source that is in the store and is what the recipe says."""

    name: str
    file: str
    sha256: Digest
    size: int
    signed: UpstreamSigned | None = None


def fetch_sources(
    recipe: Recipe, store: Store, context: SourceContext, progress: Progress = silent
) -> tuple[FetchedSource, ...]:
    """Fetch every source of the recipe, in its order; see `fetch_source`."""
    return tuple(
        fetch_source(
            source, store, replace(context, where=f"relsign.toml: source[{position}]"), progress
        )
        for position, source in enumerate(recipe.source)
    )


def fetch_source(
    source: Source, store: Store, context: SourceContext, progress: Progress = silent
) -> FetchedSource:
    """Bring one source into the store unless it is there, and verify it.

    Raises VerificationError at ``context.where`` for a wrong digest or signature,
    InputError for what the recipe names and nobody has, HostError for the network.
    """
    signed = None
    if isinstance(source, Git):
        signed = fetch_commit(source, store, _certificate(source.tag, context), context.where)
    elif isinstance(source, PypiSdist):
        _fetch_sdist(source, store, context, progress)
    elif isinstance(source, DebianSource):
        _fetch_debian(source, store, context, progress)
        signed = _verify_signature(source, store, context)
    else:
        _fetch_archive(source, store, context, progress)
        signed = _verify_signature(source, store, context)
    size = hash_file(store.path(source.sha256)).size
    return FetchedSource(source.name, source.file, source.sha256, size, signed)


def pool_path(source: DebianSource, file: str) -> str:
    """Return where a source package's file lies below an archive.

    The pool's folders are the first letter, or ``lib`` and the next (Debian's
    archive layout, Debian Developer's Reference 4.6.1).
    """
    letters = LIBRARY_PREFIX_LETTERS if source.package.startswith("lib") else 1
    return f"pool/{source.component}/{source.package[:letters]}/{source.package}/{file}"


def _fetch_debian(
    source: DebianSource, store: Store, context: SourceContext, progress: Progress
) -> None:
    place = f"{context.where}.sha256"
    wanted = [ArchiveFile(pool_path(source, source.file), source.sha256, None, place)]
    if source.signature is not None:
        signature = source.signature
        path = pool_path(source, signature.file)
        place = f"{context.where}.signature.sha256"
        wanted.append(ArchiveFile(path, signature.sha256, None, place))
    if all(store.has(file.sha256) for file in wanted):
        return
    fetch_archive_files(wanted, store, archive_mirrors(context.mirrors), progress)


def _fetch_sdist(
    source: PypiSdist, store: Store, context: SourceContext, progress: Progress
) -> None:
    if store.has(source.sha256):
        return
    found = find_sdist(source, context.index or configured_index())
    place = f"{context.where}.sha256"
    if found.sha256 not in {None, source.sha256}:
        raise VerificationError(
            "the index states another digest",
            where=place,
            expected=source.sha256,
            got=found.sha256 or "",
        )
    _download(found.url, source.sha256, store, place, progress)


def _fetch_archive(
    source: Archive, store: Store, context: SourceContext, progress: Progress
) -> None:
    _download(source.url, source.sha256, store, f"{context.where}.sha256", progress)
    if source.signature is not None:
        beside = urljoin(source.url, source.signature.file)
        place = f"{context.where}.signature.sha256"
        _download(beside, source.signature.sha256, store, place, silent)


def _download(url: str, digest: Digest, store: Store, where: str, progress: Progress) -> None:
    limits = FetchLimits(max_bytes=MAX_SOURCE_BYTES, slowest=SLOWEST)
    store.add(digest, lambda sink: download(url, sink, limits, progress), where=where)


def _verify_signature(
    source: DebianSource | Archive, store: Store, context: SourceContext
) -> UpstreamSigned | None:
    if source.signature is None:
        return None
    return verify_upstream(
        store.path(source.sha256),
        store.path(source.signature.sha256),
        _certificate(source.signature, context),
        source.signature.fingerprint,
        f"{context.where}.signature",
    )


def _certificate(signer: UpstreamSignature | TagSignature | None, context: SourceContext) -> bytes:
    """Return the author's public key from the project, or nothing where none is named."""
    if signer is None:
        return b""
    try:
        return read_bounded(context.project / signer.key, MAX_CERTIFICATE_BYTES)
    except NotEnoughError as error:
        raise InputError(
            "key file is missing", where=f"{context.where}: key", got=signer.key
        ) from error
