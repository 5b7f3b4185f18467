"""One file, one purpose: nothing that a recipe or a lock names may pass as something else.

The store knows files by digest alone.  So a lock could give the digest of a source for a
Debian package's, or for its whole root file system: the file would be there, every honest
builder would take it, and the bill of materials would name a package that was never used.

    refuse_shared(recipe, [workspace.lock(name) for name in recipe.builders])
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from relsign.errors import InputError
from relsign.formats.lock import BuilderLock
from relsign.formats.names import Digest
from relsign.formats.recipe import Archive, DebianSource, Recipe


@dataclass(frozen=True, slots=True)
class _Use:
    """What a digest is given for: uses of one `identity` may share it."""

    sha256: Digest
    identity: str
    owner: str

    @property
    def words(self) -> str:
        return f"{self.identity} of {self.owner}"


def refuse_shared(recipe: Recipe, locks: Iterable[BuilderLock]) -> None:
    """Raise InputError where a recipe and its environments' locks use one digest for two things.

    The same package in two locks is one thing.
    """
    first: dict[Digest, _Use] = {}
    for use in (*_recipe_uses(recipe), *(use for lock in locks for use in _lock_uses(lock))):
        other = first.setdefault(use.sha256, use)
        if other.identity != use.identity:
            raise InputError(
                "one file is given for two things",
                where=f"sha256 {use.sha256}",
                got=f"{other.words}, {use.words}",
                hint="one of them passes as the other: ask who wrote the recipe and the lock, "
                f"and run `relsign lock {use.owner}`",
            )


def _recipe_uses(recipe: Recipe) -> Iterator[_Use]:
    for source in recipe.source:
        yield _Use(source.sha256, "source", source.name)
        if isinstance(source, DebianSource | Archive) and source.signature is not None:
            yield _Use(source.signature.sha256, "signature", source.name)


def _lock_uses(lock: BuilderLock) -> Iterator[_Use]:
    if isinstance(lock.image, msgspec.UnsetType):
        named = [("root file system", lock.rootfs.sha256)]
    else:
        # An image of one layer that is not compressed has one digest for all three.
        layers = lock.image.layers
        named = [
            ("image", digest) for layer in layers for digest in (layer.sha256, layer.diff_sha256)
        ]
        named.append(("image", lock.rootfs.sha256))
    named += [(f"package {p.name} {p.version}", p.sha256) for p in lock.packages]
    named += [(f"wheel {w.file}", w.sha256) for w in lock.wheels]
    named += [(f"npm package {n.name} {n.version}", n.sha256) for n in lock.npm or ()]
    for module in lock.go or ():
        # Versions of a module may well have the same requirements.
        named.append(("go.mod", module.mod_sha256))
        if module.sha256 is not msgspec.UNSET:
            named.append((f"module {module.path} {module.version}", module.sha256))
    named += [(f"crate {c.name} {c.version}", c.sha256) for c in lock.crates or ()]
    return (_Use(digest, identity, lock.builder) for identity, digest in named)
