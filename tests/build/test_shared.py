"""No file passes as two things: not a source as a package, not one package as another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from relsign.build.inputs.bundle import export_inputs, import_inputs
from relsign.build.inputs.shared import refuse_shared
from relsign.build.moved import check_lock_is_current
from relsign.build.store import Store
from relsign.errors import InputError
from relsign.formats.lock import (
    BuilderLock,
    LockedCrate,
    LockedImage,
    LockedLayer,
    LockedModule,
    LockedNpm,
    LockedPackage,
    LockedWheel,
    RootFileSystem,
)
from relsign.formats.names import Digest
from relsign.formats.recipe import Archive, Recipe
from tests.build.inputs_project import change_lock, debian_project

X = Digest("f" * 64)
Change = Callable[[BuilderLock], BuilderLock]


def digest(number: int) -> Digest:
    return Digest(f"{number:064x}")


def package(name: str, sha256: Digest) -> LockedPackage:
    return LockedPackage(
        name=name, version="1", architecture="amd64", sha256=sha256, size=1,
        path=f"pool/main/{name}.deb",
    )  # fmt: skip


def wheel(sha256: Digest) -> LockedWheel:
    return LockedWheel(name="w", version="1", file="w-1.whl", sha256=sha256, size=1)


def npm(sha256: Digest) -> LockedNpm:
    return LockedNpm(
        name="n", version="1.0.0", integrity=f"sha512-{'A' * 86}==", sha256=sha256, size=1,
        places=("node_modules/n",),
    )  # fmt: skip


def module(sha256: Digest, mod_sha256: Digest) -> LockedModule:
    return LockedModule(
        path="m.org/m", version="v1.0.0", sha256=sha256, size=1, mod_sha256=mod_sha256, mod_size=1
    )


def crate(sha256: Digest) -> LockedCrate:
    return LockedCrate(name="c", version="1.0.0", sha256=sha256, size=1)


DEBIAN = BuilderLock(
    builder="rich", definition_sha256=digest(0), suite="stable", architecture="amd64",
    source_date_epoch=1, packages=(package("aa", digest(1)), package("bb", digest(2))),
    wheels=(wheel(digest(3)),), npm=(npm(digest(4)),), go=(module(digest(5), digest(6)),),
    crates=(crate(digest(7)),), rootfs=RootFileSystem(sha256=digest(8), size=1),
)  # fmt: skip
IMAGE = BuilderLock(
    builder="image", definition_sha256=digest(0), architecture="amd64", source_date_epoch=1,
    packages=(), wheels=(), rootfs=RootFileSystem(sha256=digest(22), size=1),
    image=LockedImage(
        name=f"i@sha256:{'1' * 64}", manifest_sha256=digest(23), config_sha256=digest(24),
        layers=(LockedLayer(sha256=digest(21), size=1, diff_sha256=digest(22)),),
    ),
)  # fmt: skip


def locked(**fields: object) -> Change:
    return lambda lock: msgspec.structs.replace(lock, **fields)


def layered(**fields: object) -> Change:
    def change(lock: BuilderLock) -> BuilderLock:
        assert not isinstance(lock.image, msgspec.UnsetType)
        layer = msgspec.structs.replace(lock.image.layers[0], **fields)
        return locked(image=msgspec.structs.replace(lock.image, layers=(layer,)))(lock)

    return change


ROOTFS = RootFileSystem(sha256=X, size=1)
USES = {
    "root file system of rich": (DEBIAN, locked(rootfs=ROOTFS)),
    "package aa 1 of rich": (DEBIAN, locked(packages=(package("aa", X),))),
    "wheel w-1.whl of rich": (DEBIAN, locked(wheels=(wheel(X),))),
    "npm package n 1.0.0 of rich": (DEBIAN, locked(npm=(npm(X),))),
    "module m.org/m v1.0.0 of rich": (DEBIAN, locked(go=(module(X, digest(6)),))),
    "go.mod of rich": (DEBIAN, locked(go=(module(digest(5), X),))),
    "crate c 1.0.0 of rich": (DEBIAN, locked(crates=(crate(X),))),
    "image of image": (IMAGE, layered(sha256=X)),
}


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return debian_project(tmp_path).workspace.recipe()


def with_source(recipe: Recipe, **fields: object) -> Recipe:
    source = msgspec.structs.replace(recipe.source[0], **fields)
    return msgspec.structs.replace(recipe, source=(source,))


def test_what_has_a_digest_of_its_own_passes(recipe: Recipe) -> None:
    same = msgspec.structs.replace(DEBIAN, builder="same")
    refuse_shared(recipe, (DEBIAN, IMAGE, same))
    mods = (module(digest(5), X), LockedModule(
        path="m.org/m", version="v2.0.0", mod_sha256=X, mod_size=1
    ))  # fmt: skip
    refuse_shared(recipe, [locked(go=mods)(DEBIAN)])
    # A single layer that is not compressed is the image's root file system as well.
    refuse_shared(recipe, [layered(sha256=digest(22))(IMAGE)])


@pytest.mark.parametrize("words", USES)
@pytest.mark.parametrize("by", ["source", "signature"])
def test_nothing_of_the_recipe_passes_as_part_of_an_environment(
    recipe: Recipe, words: str, by: str
) -> None:
    lock, change = USES[words]
    source = recipe.source[0]
    assert isinstance(source, Archive)
    assert source.signature is not None
    signature = msgspec.structs.replace(source.signature, sha256=X)
    hostile = with_source(recipe, **({"sha256": X} if by == "source" else {"signature": signature}))
    with pytest.raises(InputError, match="one file is given for two things") as caught:
        refuse_shared(hostile, [DEBIAN, IMAGE, change(lock)])
    assert (caught.value.where, caught.value.got) == (f"sha256 {X}", f"{by} of hello, {words}")
    assert f"relsign lock {lock.builder}" in caught.value.hint


@pytest.mark.parametrize(
    ("lock", "change"),
    [
        (DEBIAN, locked(packages=(package("aa", digest(1)), package("bb", digest(1))))),
        (DEBIAN, locked(rootfs=RootFileSystem(sha256=digest(1), size=1))),
        (DEBIAN, locked(wheels=(wheel(digest(4)),))),
        (DEBIAN, locked(npm=(npm(digest(7)),))),
        (DEBIAN, locked(go=(module(digest(6), digest(6)),))),
        (DEBIAN, locked(crates=(crate(digest(2)),))),
        # Between the environments of one project too.
        (DEBIAN, locked(rootfs=RootFileSystem(sha256=digest(22), size=1))),
        (DEBIAN, locked(packages=(package("aa", digest(21)),))),
        (IMAGE, layered(diff_sha256=digest(8))),
        (IMAGE, locked(rootfs=RootFileSystem(sha256=digest(8), size=1))),
    ],
)
def test_nothing_of_the_environments_passes_as_something_else(
    recipe: Recipe, lock: BuilderLock, change: Change
) -> None:
    others = [other for other in (DEBIAN, IMAGE) if other is not lock]
    with pytest.raises(InputError, match="one file is given for two things"):
        refuse_shared(recipe, [*others, change(lock)])


def test_it_is_looked_at_before_a_build_and_before_a_bundle(tmp_path: Path) -> None:
    project = debian_project(tmp_path)
    workspace = project.workspace
    check_lock_is_current(workspace, "small", workspace.lock("small"))
    export_inputs(workspace, project.store, tmp_path / "good")
    source = workspace.recipe().source[0].sha256
    lock = change_lock(project, rootfs=RootFileSystem(sha256=source, size=1))
    with pytest.raises(InputError, match="two things"):
        check_lock_is_current(workspace, "small", lock)
    with pytest.raises(InputError, match="two things"):
        export_inputs(workspace, project.store, tmp_path / "bad")
    import_inputs(tmp_path / "good", Store(tmp_path / "other"))
