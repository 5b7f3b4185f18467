"""A root file system is what its lock becomes, whatever else has its digest."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from relsign.build.engine.connection import Engine
from relsign.build.engine.image import image_tag
from relsign.build.gc import remove_image
from relsign.build.inputs.bundle import export_inputs, import_inputs
from relsign.build.rootfs import accept_rootfs, environment_file, environment_image, keep_rootfs
from relsign.build.store import Store
from relsign.errors import NotEnoughError, VerificationError
from relsign.formats.lock import BuilderLock, LockedPackage, RootFileSystem, parse_lock
from tests.build.conftest import RootFs
from tests.build.inputs_project import Bundled, change_lock, debian_project, image_project
from tests.build.marked import mark
from tests.build.registry import layer_tar
from tests.projects import make_lock


def with_its_digest(store: Store) -> BuilderLock:
    """Put a file into the store, and return a lock whose root file system has its digest."""
    stored = store.add_new(lambda sink: sink.write(b"a source"))
    lock = parse_lock(make_lock(stored.sha256))
    rootfs = RootFileSystem(sha256=stored.sha256, size=stored.size)
    return msgspec.structs.replace(lock, rootfs=rootfs)


def test_a_source_is_no_root_file_system(tmp_path: Path) -> None:
    store, heard = Store(tmp_path / "store"), list[str]()
    lock = with_its_digest(store)
    # It is bootstrapped, for which its packages are not there.
    with pytest.raises(NotEnoughError), environment_file(lock, store, heard.append):
        pytest.fail("taken from the store")
    with pytest.raises(NotEnoughError):
        keep_rootfs(lock, store)
    assert heard == ["debian-c"]


def test_what_was_imported_is_taken_for_its_very_lock(tmp_path: Path) -> None:
    store, heard = Store(tmp_path / "store"), list[str]()
    lock = with_its_digest(store)
    accept_rootfs(lock, store)
    keep_rootfs(lock, store)
    with environment_file(lock, store, heard.append) as path:
        assert path.read_bytes() == b"a source"
    assert heard == []
    other = msgspec.structs.replace(lock, packages=(*lock.packages, new_package(lock)))
    with pytest.raises(NotEnoughError), environment_file(other, store, heard.append):
        pytest.fail("taken for another lock")


def new_package(lock: BuilderLock) -> LockedPackage:
    return msgspec.structs.replace(lock.packages[0], name="zz", path="pool/main/z/zz.deb")


def test_a_root_file_system_of_another_size_is_not_accepted(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    lock = with_its_digest(store)
    lock = msgspec.structs.replace(lock, rootfs=RootFileSystem(sha256=lock.rootfs.sha256, size=7))
    with pytest.raises(VerificationError, match="another size") as caught:
        accept_rootfs(lock, store)
    assert (caught.value.expected, caught.value.got) == ("7 bytes", "8 bytes")
    with pytest.raises(NotEnoughError), environment_file(lock, store, lambda _: None):
        pytest.fail("taken from the store")


@pytest.mark.parametrize("with_rootfs", [True, False])
def test_a_bundle_is_believed_where_it_brings_a_root_file_system(
    tmp_path: Path, *, with_rootfs: bool
) -> None:
    project, other = debian_project(tmp_path), Store(tmp_path / "other")
    export_inputs(project.workspace, project.store, tmp_path / "b", with_rootfs=with_rootfs)
    # As a project's source may, the file itself is there in any case.
    other.add_new(lambda sink: sink.write(b"rootfs"))
    import_inputs(tmp_path / "b", other)
    lock, heard = project.workspace.lock("small"), list[str]()
    for package in lock.packages:
        other.path(package.sha256).unlink()
    if with_rootfs:
        with environment_file(lock, other, heard.append) as path:
            assert path.read_bytes() == b"rootfs"
    else:
        with pytest.raises(NotEnoughError), environment_file(lock, other, heard.append):
            pytest.fail("taken from the store")


def test_a_bundle_with_a_root_file_system_of_another_size_is_refused(tmp_path: Path) -> None:
    project = debian_project(tmp_path)
    wrong = RootFileSystem(sha256=project.workspace.lock("small").rootfs.sha256, size=7)
    mark(change_lock(project, rootfs=wrong), project.store)
    export_inputs(project.workspace, project.store, tmp_path / "b", with_rootfs=True)
    with pytest.raises(VerificationError, match="another size"):
        import_inputs(tmp_path / "b", Store(tmp_path / "other"), into=tmp_path / "into")
    assert not (tmp_path / "into").exists()


@pytest.mark.engine
def test_an_image_with_its_digest_is_no_root_file_system(
    engine: Engine, image: str, rootfs: RootFs, tmp_path: Path
) -> None:
    store, lock = Store(tmp_path / "store"), parse_lock(make_lock(rootfs.sha256))
    with pytest.raises(NotEnoughError):
        environment_image(engine, lock, store, lambda _: None)
    mark(lock, store)
    assert environment_image(engine, lock, store, lambda _: None) == image


@pytest.mark.engine
def test_layers_are_looked_at_once_and_others_never_pass_as_them(
    engine: Engine, tmp_path: Path
) -> None:
    project = image_project(tmp_path, (layer_tar({"etc/one": tmp_path.name.encode()}),))
    lock = project.workspace.lock("small")
    image = environment_image(engine, lock, project.store, pytest.fail)
    try:
        others = image_project(tmp_path / "others", (layer_tar({"etc/two": b"2"}),))
        wrong = change_lock(others, rootfs=lock.rootfs)
        with pytest.raises(VerificationError, match="not the lock's root file system"):
            environment_image(engine, wrong, others.store, pytest.fail)
        empty_but_for_its_mark(project, lock)
        assert environment_image(engine, lock, project.store, pytest.fail) == image
    finally:
        remove_image(engine, project.store, image_tag(lock.rootfs.sha256).rpartition(":")[2])


def empty_but_for_its_mark(project: Bundled, lock: BuilderLock) -> None:
    assert not isinstance(lock.image, msgspec.UnsetType)
    for layer in lock.image.layers:
        project.store.path(layer.sha256).unlink()
