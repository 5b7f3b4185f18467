"""Everything a project's builds read: which files of the project, which of the store.

Asked of a project folder when a bundle is made, and of the bundle itself when it is read:
so a bundle that lacks something is refused before anybody depends on it.

    wanted = wanted_inputs(lambda name: (folder / name).read_bytes())
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from relsign.build.inputs.languages import language_files
from relsign.build.inputs.oci import image_files
from relsign.build.inputs.shared import refuse_shared
from relsign.build.moved import refuse_stale
from relsign.errors import InputError
from relsign.formats.inputs import RECIPE_FILE, Content, Kind
from relsign.formats.lock import BuilderLock, parse_builder, parse_lock
from relsign.formats.names import Digest
from relsign.formats.recipe import (
    Archive,
    DebianSource,
    Git,
    Recipe,
    Source,
    TagSignature,
    UpstreamSignature,
    parse_recipe,
)

RELEASE_FOLDER = "release/"

Read = Callable[[str], bytes]
"""Returns a file of the project by its path below the project's folder."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a project's builds read; `paths` below its folder, `contents` in the store."""

    recipe: Recipe
    locks: tuple[BuilderLock, ...]
    paths: tuple[str, ...]
    contents: tuple[Content, ...]


def wanted_inputs(read: Read) -> Wanted:
    """Return what the project needs; raise InputError for a stale lock or a bad document.

    Nothing of it lies below ``release/``: a release is what builds make, not what they read.
    """
    recipe = parse_recipe(read(RECIPE_FILE))
    paths = {RECIPE_FILE, *_keys(recipe)}
    locks: list[BuilderLock] = []
    for name in recipe.builders:
        folder = f"builders/{name}"
        definition_bytes = read(f"{folder}/builder.toml")
        definition = parse_builder(definition_bytes, f"{folder}/builder.toml")
        lock = parse_lock(read(f"{folder}/builder.lock"), f"{folder}/builder.lock")
        side = {file: read(f"{folder}/{file}") for file in definition.files}
        refuse_stale(name, lock, definition_bytes, side)
        locks.append(lock)
        paths |= {f"{folder}/{file}" for file in ("builder.toml", "builder.lock", *side)}
    _refuse_below_release(paths)
    refuse_shared(recipe, locks)
    contents = {content for lock in locks for content in lock_contents(lock)}
    contents |= {content for source in recipe.source for content in source_contents(source)}
    ordered = sorted(contents, key=lambda content: content.label)
    return Wanted(recipe, tuple(locks), tuple(sorted(paths)), tuple(ordered))


def _refuse_below_release(paths: Iterable[str]) -> None:
    for path in sorted(paths):
        if path.startswith(RELEASE_FOLDER):
            raise InputError(
                "an input of the builds lies where releases are made",
                where=RECIPE_FILE,
                got=path,
                hint="move it, to keys/upstream/ for instance, and name it there in the recipe",
            )


def lock_contents(lock: BuilderLock) -> Iterator[Content]:
    """Yield every file of an environment that must be in the store."""
    for package in lock.packages:
        yield _content("package", lock.builder, package.path, package.sha256)
    for name, digest, _ in image_files(lock):
        yield _content("image", lock.builder, name, digest)
    for name, digest, _ in language_files(lock):
        yield _content("language", lock.builder, name, digest)


def source_contents(source: Source) -> Iterator[Content]:
    """Yield a source's file and the signature beside it."""
    yield _content("source", source.name, source.file, source.sha256)
    if isinstance(source, DebianSource | Archive) and source.signature is not None:
        signature = source.signature
        yield _content("signature", source.name, signature.file, signature.sha256)


def _content(kind: Kind, owner: str, name: str, digest: Digest) -> Content:
    return Content(kind=kind, of=owner, name=name, sha256=digest)


def _keys(recipe: Recipe) -> Iterator[str]:
    """Yield the upstream keys that the recipe names in the project."""
    for source in recipe.source:
        signer: UpstreamSignature | TagSignature | None = None
        if isinstance(source, Git):
            signer = source.tag
        elif isinstance(source, DebianSource | Archive):
            signer = source.signature
        if signer is not None:
            yield signer.key
