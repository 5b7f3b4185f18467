"""A build whose papers a bill of materials is made of."""

from __future__ import annotations

import msgspec

from relsign.crypto.digest import sha256_hex
from relsign.formats.fingerprint import Fingerprint, SourceDigest
from relsign.formats.lock import BuilderLock
from relsign.formats.recipe import Recipe, parse_recipe
from tests.formats.dependency_samples import RICH_RECIPE, make_image_lock, make_rich_lock
from tests.formats.samples import make_fingerprint

RECIPE: Recipe = parse_recipe(RICH_RECIPE)
TARGET = RECIPE.target[0]
LOCKS = {"debian": make_rich_lock(), "oci": make_image_lock()}


def built(lock: BuilderLock, **changes: object) -> Fingerprint:
    """Return the fingerprint of a build of `RECIPE` in the lock's environment."""
    whole = make_fingerprint()
    environment = msgspec.structs.replace(
        whole.environment, builder=lock.builder, lock_sha256=sha256_hex(lock.to_bytes())
    )
    sources = tuple(
        SourceDigest(name=s.name, sha256=s.sha256)
        for s in sorted(RECIPE.source, key=lambda source: source.name)
    )
    fields = {"environment": environment, "sources": sources} | changes
    return msgspec.structs.replace(whole, **fields)
