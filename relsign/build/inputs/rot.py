"""Which inputs can still be fetched today: what is vanishing is told while it is here.

Every locked file and every source is asked for where it would be fetched from.  Debian's
packages at the mirrors and layers at the registry are asked for by name and size, wheels and
source distributions by the digest on the index's page, each without its bytes.  Where nothing
but a name could be compared, anything that answers would look like the file: files at an
address, Debian's sources, and what the index states no digest of are read to their digest and
not kept.  npm, Go and Cargo have programs of their own, which know no such question, and a git
server answers only for the tips of its branches: those are fetched into a folder that is
thrown away.

Who does not answer has withdrawn nothing, nor has a login page in a server's place.  So
"gone" is said only where a server said so, and "no answer" where none could be reached,
something else answered, or this machine knows none to ask.

    for standing in find_rot(wanted, store, asking): print(standing.state, standing.name)
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import unquote, urljoin, urlsplit

import msgspec

from relsign.build.inputs.asking import has_file, is_served
from relsign.build.inputs.cargo import crate_file, fetch_crates
from relsign.build.inputs.clients import WithdrawnError
from relsign.build.inputs.git_source import fetch_commit
from relsign.build.inputs.go import fetch_go, module_files
from relsign.build.inputs.index import configured_index, find_sdist
from relsign.build.inputs.lock import Asking
from relsign.build.inputs.mirrors import (
    ArchiveFile,
    archive_mirrors,
    fetch_archive_files,
    parse_mirror,
)
from relsign.build.inputs.npm import fetch_npm, npm_file
from relsign.build.inputs.oci import image_files, image_parts
from relsign.build.inputs.registry import Registry, registry_address
from relsign.build.inputs.sources import pool_path
from relsign.build.store import Store
from relsign.errors import HostError, InputError, RelsignError, VerificationError
from relsign.formats.canonical import shorten
from relsign.formats.lock import BuilderLock, LockedWheel
from relsign.formats.names import Digest
from relsign.formats.recipe import Archive, DebianSource, Git, PypiSdist, Source
from relsign.system.fetch import Progress, silent
from relsign.system.files import hash_file

PARALLEL = 8
State = Literal["served", "only in this store", "gone", "no answer"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Standing:
    """One input and whether it can still be had; `reason` is why a server did not say yes."""

    of: str
    name: str
    sha256: Digest
    state: State
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Question:
    """An input, and how to ask for it: true, false, or a RelsignError for no answer."""

    of: str
    name: str
    sha256: Digest
    ask: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a server said, or the error for why none said anything of this file."""

    is_there: bool
    reason: str = ""
    silence: RelsignError | None = None


class _NotAskedError(HostError):
    """This machine knows nobody to ask."""


def find_rot(
    locks: Sequence[BuilderLock], sources: Sequence[Source], store: Store, asking: Asking
) -> tuple[Standing, ...]:
    """Return the standing of every locked file and source, in the documents' order.

    Progress counts files.  Raises HostError where nobody answered at all: then it is this
    machine's network that is gone, not the inputs.  Where there was nobody to ask, raises
    what kept it from asking, such as InputError for a registry that nobody named.
    """
    questions = [
        *(question for lock in locks for question in _of_lock(lock, asking)),
        *(question for source in sources for question in _of_source(source, asking)),
    ]
    answers = _ask_all(questions, asking.progress)
    silences = [answer.silence for answer in answers if answer.silence is not None]
    # Who sends something else has answered: the network is there.
    others = any(isinstance(silence, VerificationError) for silence in silences)
    if silences and len(silences) == len(answers) and not others:
        raise _nobody(silences)
    return tuple(
        Standing(question.of, question.name, question.sha256, _state(question, answer, store),
                 answer.reason)
        for question, answer in zip(questions, answers, strict=True)
    )  # fmt: skip


def _nobody(silences: Sequence[RelsignError]) -> BaseException:
    asked = [error for error in silences if not isinstance(error, _NotAskedError)]
    if not asked:
        return silences[0].__cause__ or silences[0]
    return HostError(
        "nobody answers, which does not say that anything was withdrawn",
        got=shorten("; ".join(dict.fromkeys(map(str, asked)))),
        hint="check the network and the proxy variables, then run the same command again",
    )


def _state(question: _Question, answer: _Answer, store: Store) -> State:
    if answer.silence is not None:
        return "no answer"
    if answer.is_there:
        return "served"
    return "only in this store" if store.has(question.sha256) else "gone"


def _ask_all(questions: Sequence[_Question], progress: Progress) -> tuple[_Answer, ...]:
    answers: list[_Answer] = []
    with ThreadPoolExecutor(PARALLEL) as pool:
        for answer in pool.map(_ask, questions):
            answers.append(answer)
            progress(len(answers), len(questions))
    return tuple(answers)


def _ask(question: _Question) -> _Answer:
    try:
        is_there = question.ask()
    except (InputError, WithdrawnError) as error:
        # Somebody spoke: there is no such thing.
        return _Answer(is_there=False, reason=str(error))
    except RelsignError as error:
        return _Answer(is_there=False, reason=str(error), silence=error)
    return _Answer(is_there, reason="" if is_there else "not there any more")


def _known(find: Callable[[], T]) -> Callable[[], T]:
    """Find out whom to ask; if that fails, only the questions for them have no answer."""
    try:
        found = find()
    except RelsignError as error:
        cause = error

        def nobody() -> T:
            raise _NotAskedError(f"not asked: {cause}; {cause.hint}") from cause

        return nobody
    return lambda: found


def _of_lock(lock: BuilderLock, asking: Asking) -> Iterator[_Question]:
    mirrors = _known(lambda: _mirrors(asking) if lock.packages else ())
    for package in lock.packages:
        where = f"builder.lock: package {package.name}"
        file = ArchiveFile(package.path, package.sha256, package.size, where)
        yield _Question(lock.builder, package.path, package.sha256, _in_archive(file, mirrors))
    index = _known(lambda: configured_index() if lock.wheels else "")
    for wheel in lock.wheels:
        yield _Question(lock.builder, wheel.file, wheel.sha256, _on_index(_as_file(wheel), index))
    yield from _of_image(lock, asking)
    yield from _of_clients(lock)


def _of_image(lock: BuilderLock, asking: Asking) -> Iterator[_Question]:
    if isinstance(lock.image, msgspec.UnsetType):
        return
    registry = _known(lambda: Registry(registry_address(asking.registry)))
    repository, _ = image_parts(lock.image.name)
    for name, digest, size in image_files(lock):
        ask = _in_registry(registry, repository, digest, size)
        yield _Question(lock.builder, name, digest, ask)


def _of_clients(lock: BuilderLock) -> Iterator[_Question]:
    """Yield questions that the languages' own programs answer, by fetching."""
    for package in lock.npm or ():
        ask = _fetches(partial(fetch_npm, [package]), package.sha256)
        yield _Question(lock.builder, npm_file(package), package.sha256, ask)
    for module in lock.go or ():
        # A go.mod may be there where the zip is not: each is asked for by itself.
        alone = msgspec.structs.replace(module, sha256=msgspec.UNSET, size=msgspec.UNSET)
        for name, digest, _ in module_files(module):
            asked = alone if digest == module.mod_sha256 else module
            ask = _fetches(partial(fetch_go, [asked]), digest)
            yield _Question(lock.builder, name, digest, ask)
    for crate in lock.crates or ():
        ask = _fetches(partial(fetch_crates, [crate]), crate.sha256)
        yield _Question(lock.builder, crate_file(crate), crate.sha256, ask)


def _of_source(source: Source, asking: Asking) -> Iterator[_Question]:
    """Yield a source's file, and the signature beside it."""
    if isinstance(source, DebianSource):
        mirrors = _known(lambda: _mirrors(asking))
        pairs = [(source.file, source.sha256)]
        if source.signature is not None:
            pairs.append((source.signature.file, source.signature.sha256))
        for name, digest in pairs:
            file = ArchiveFile(pool_path(source, name), digest, None, "relsign.toml: source")
            yield _Question(source.name, name, digest, _in_archive(file, mirrors))
    elif isinstance(source, PypiSdist):
        ask = _on_index(source, _known(configured_index))
        yield _Question(source.name, source.file, source.sha256, ask)
    elif isinstance(source, Git):
        bare = msgspec.structs.replace(source, tag=None)
        fetch = _fetches(lambda store: fetch_commit(bare, store, b"", "source"), source.sha256)
        yield _Question(source.name, source.file, source.sha256, fetch)
    else:
        yield from _of_archive(source)


def _of_archive(source: Archive) -> Iterator[_Question]:
    ask = partial(has_file, source.url, source.sha256)
    yield _Question(source.name, source.file, source.sha256, ask)
    if source.signature is not None:
        beside = urljoin(source.url, source.signature.file)
        digest = source.signature.sha256
        ask = partial(has_file, beside, digest)
        yield _Question(source.name, source.signature.file, digest, ask)


def _mirrors(asking: Asking) -> tuple[str, ...]:
    """Return whom to ask for Debian's files: those named, else the machine's own."""
    return tuple(map(parse_mirror, asking.mirrors)) or archive_mirrors(())


def _in_archive(file: ArchiveFile, mirrors: Callable[[], Sequence[str]]) -> Callable[[], bool]:
    def ask() -> bool:
        failure: RelsignError | None = None
        for mirror in mirrors():
            try:
                if _on_mirror(mirror, file):
                    return True
            except RelsignError as error:
                failure = error
        if failure is not None:
            raise failure
        return False

    return ask


def _on_mirror(mirror: str, file: ArchiveFile) -> bool:
    scheme, _, rest = mirror.partition(":")
    if scheme in {"file", "copy"}:
        path = Path(unquote(urlsplit(rest).path), file.path)
        if not path.is_file():
            return False
        if hash_file(path).sha256 == file.sha256:
            return True
    if scheme in {"http", "https"}:
        try:
            # Without a size to compare, only the bytes tell.
            is_there = is_served(mirror + file.path, file.size)
            if not is_there or file.size is not None:
                return is_there
        except HostError:
            pass  # apt may know a way that we do not: its own proxy, a login
    with tempfile.TemporaryDirectory(prefix="relsign-") as folder:
        fetch_archive_files([file], Store(Path(folder)), [mirror], silent)
    return True


def _as_file(wheel: LockedWheel) -> PypiSdist:
    """Return a wheel as the index's page knows any file: by project, version and name."""
    return PypiSdist(
        name=wheel.name,
        sha256=wheel.sha256,
        package=wheel.name,
        version=wheel.version,
        file=wheel.file,
    )


def _on_index(file: PypiSdist, index: Callable[[], str]) -> Callable[[], bool]:
    def ask() -> bool:
        found = find_sdist(file, index())
        if found.sha256 is None:
            return has_file(found.url, file.sha256)
        return found.sha256 == file.sha256

    return ask


def _in_registry(
    registry: Callable[[], Registry], repository: str, digest: Digest, size: int
) -> Callable[[], bool]:
    return lambda: registry().has_blob(repository, digest, size)


def _fetches(fetch: Callable[[Store], object], digest: Digest) -> Callable[[], bool]:
    """Return a question that is answered by fetching into a store that is thrown away."""

    def ask() -> bool:
        with tempfile.TemporaryDirectory(prefix="relsign-") as folder:
            store = Store(Path(folder))
            fetch(store)
            return store.has(digest)

    return ask
