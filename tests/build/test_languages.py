"""All languages together: side files, what must be in the store, tars, one error for all."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path

import msgspec
import pytest

from relsign.build.inputs.environment import fetch_environment, missing_files
from relsign.build.inputs.languages import (
    Languages,
    fetch_languages,
    language_files,
    language_tars,
    resolve_languages,
)
from relsign.build.store import Store
from relsign.errors import HostError, InputError, NotEnoughError
from relsign.formats.lock import (
    BuilderDefinition,
    BuilderLock,
    DefinitionFile,
    LockedCrate,
    LockedModule,
    LockedNpm,
    LockedPackage,
    LockedWheel,
    RootFileSystem,
    parse_lock,
)
from relsign.formats.names import Digest
from tests.build.archives import Entry, tar

NOTHING = Digest("0" * 64)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def put(store: Store, data: bytes) -> tuple[Digest, int]:
    stored = store.add_new(lambda sink: sink.write(data))
    return stored.sha256, stored.size


def wheel(store: Store, name: str, *files: str) -> LockedWheel:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for file in files:
            archive.writestr(file, name)
    digest, size = put(store, stream.getvalue())
    return LockedWheel(
        name=name, version="1", file=f"{name}-1-py3-none-any.whl", sha256=digest, size=size
    )


def lock_of(*wheels: LockedWheel, epoch: int = 7, **languages: object) -> BuilderLock:
    package = LockedPackage(
        name="aa",
        version="1.0",
        architecture="all",
        sha256=Digest(hashlib.sha256(b"aa").hexdigest()),
        size=2,
        path="pool/main/a/aa/aa_1.0_all.deb",
    )
    lock = BuilderLock(
        builder="b",
        definition_sha256=NOTHING,
        suite="bookworm",
        architecture="amd64",
        source_date_epoch=epoch,
        packages=(package,),
        wheels=wheels,
        rootfs=RootFileSystem(sha256=NOTHING, size=0),
    )
    return parse_lock(msgspec.structs.replace(lock, **languages).to_bytes())


def all_languages(store: Store) -> BuilderLock:
    manifest = Entry("package/package.json", b"{}")
    npm = put(store, tar(manifest))
    crate = put(store, tar(Entry("c-1.0.0/Cargo.toml", b"")))
    zipped, mod = put(store, b"zip"), put(store, b"module m\n")
    return lock_of(
        wheel(store, "w", "w.py"),
        npm=(
            LockedNpm(
                name="n",
                version="1.0.0",
                integrity="sha512-" + "A" * 86 + "==",
                sha256=npm[0],
                size=npm[1],
                places=("node_modules/n",),
            ),
        ),
        go=(
            LockedModule(
                path="example.org/M",
                version="v1.0.0",
                sha256=zipped[0],
                size=zipped[1],
                mod_sha256=mod[0],
                mod_size=mod[1],
            ),
        ),
        crates=(LockedCrate(name="c", version="1.0.0", sha256=crate[0], size=crate[1]),),
    )


def test_one_tar_for_each_language_with_names_from_the_root(store: Store, tmp_path: Path) -> None:
    lock = all_languages(store)
    tars = language_tars(lock, store, tmp_path)
    assert [path.name for path in tars] == ["python.tar", "npm.tar", "go.tar", "cargo.tar"]
    files: list[str] = []
    for path in tars:
        with tarfile.open(path) as archive:
            members = archive.getmembers()
        assert {member.mtime for member in members} == {7}
        assert {(member.uid, member.gid) for member in members} == {(0, 0)}
        assert {member.mode for member in members} == {0o755, 0o644}
        assert members[0].isdir()
        assert members[0].name == f"usr/lib/relsign/{path.stem}"
        files += [member.name for member in members if member.isfile()]
    assert files == [
        "usr/lib/relsign/python/w.py",
        "usr/lib/relsign/npm/node_modules/n/package.json",
        "usr/lib/relsign/go/example.org/!m/@v/list",
        "usr/lib/relsign/go/example.org/!m/@v/v1.0.0.info",
        "usr/lib/relsign/go/example.org/!m/@v/v1.0.0.mod",
        "usr/lib/relsign/go/example.org/!m/@v/v1.0.0.zip",
        "usr/lib/relsign/cargo/config.toml",
        "usr/lib/relsign/cargo/vendor/c-1.0.0/.cargo-checksum.json",
        "usr/lib/relsign/cargo/vendor/c-1.0.0/Cargo.toml",
    ]
    again = tmp_path / "again"
    again.mkdir()
    other = language_tars(lock, store, again)
    assert [path.read_bytes() for path in other] == [path.read_bytes() for path in tars]
    assert language_tars(lock_of(), store, tmp_path) == ()


def test_every_file_of_every_language_is_in_the_list(store: Store, tmp_path: Path) -> None:
    lock = all_languages(store)
    names = (
        "w-1-py3-none-any.whl",
        "npm n@1.0.0",
        "go example.org/M@v1.0.0",
        "go example.org/M@v1.0.0/go.mod",
        "c-1.0.0.crate",
    )
    assert tuple(name for name, _, _ in language_files(lock)) == names
    empty = Store(tmp_path / "empty")
    assert missing_files(lock, empty) == (lock.packages[0].path, *names)
    assert missing_files(lock, store) == (lock.packages[0].path,)
    fetch_languages(lock, store)


def test_one_error_names_what_is_missing_of_every_language(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = all_languages(store)
    for name, value in {
        "PIP_INDEX_URL": f"file://{tmp_path}/none",
        "npm_config_registry": f"file://{tmp_path}/none",
        "npm_config_userconfig": "/dev/null",
        "GOPROXY": f"file://{tmp_path}/none",
        "CARGO_HOME": str(tmp_path / "cargo"),
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "cargo").mkdir()
    (tmp_path / "cargo/config.toml").write_text(
        '[source.crates-io]\nreplace-with = "none"\n'
        f'[source.none]\nregistry = "file://{tmp_path}/none"\n'
    )
    with pytest.raises(HostError) as caught:
        fetch_environment(lock, Store(tmp_path / "empty"), [f"file://{tmp_path}/none"])
    for name in missing_files(lock, Store(tmp_path / "empty")):
        assert name in caught.value.what
    assert caught.value.hint


@pytest.mark.parametrize(
    ("files", "what"),
    [
        (("w.py",), "two things of one name"),
        (("w.py/x",), "below something that is not a folder"),
        (("v-1.data/scripts/x",), ".data folder"),
        (("../x",), "'..' part"),
    ],
)
def test_a_second_wheel_that_does_not_fit_is_refused(
    store: Store, tmp_path: Path, files: tuple[str, ...], what: str
) -> None:
    lock = lock_of(wheel(store, "w", "w.py"), wheel(store, "v", *files))
    with pytest.raises(InputError, match=what):
        language_tars(lock, store, tmp_path)


def test_two_wheels_may_share_a_folder(store: Store, tmp_path: Path) -> None:
    lock = lock_of(wheel(store, "w", "shared/w.py"), wheel(store, "v", "shared/v.py"))
    [path] = language_tars(lock, store, tmp_path)
    with tarfile.open(path) as archive:
        assert archive.getnames()[1:] == [
            f"usr/lib/relsign/python/{name}" for name in ("shared", "shared/v.py", "shared/w.py")
        ]


def test_a_file_missing_from_the_store_is_no_empty_folder(store: Store, tmp_path: Path) -> None:
    lock = all_languages(store)
    with pytest.raises(NotEnoughError, match="not in the store"):
        language_tars(lock, Store(tmp_path / "empty"), tmp_path)


def definition(
    npm: str | None = None, go: str | None = None, cargo: str | None = None
) -> BuilderDefinition:
    return BuilderDefinition(
        name="b", suite="bookworm", packages=("gcc",), npm=npm, go=go, cargo=cargo
    )


def test_a_definition_without_languages_needs_no_side_files(store: Store, tmp_path: Path) -> None:
    assert resolve_languages(definition(), tmp_path, store) == Languages()


def test_side_files_are_bound_even_where_they_name_nothing(store: Store, tmp_path: Path) -> None:
    side = {
        "package-lock.json": json.dumps({"lockfileVersion": 3, "packages": {"": {}}}),
        "go.mod": "module m\n",
        "go.sum": "",
        "Cargo.lock": "version = 3\n",
    }
    for name, text in side.items():
        (tmp_path / name).write_text(text)
    wanted = definition(npm="package-lock.json", go="go.mod", cargo="Cargo.lock")
    languages = resolve_languages(wanted, tmp_path, store)
    assert languages == Languages(
        files=tuple(
            DefinitionFile(
                name=name, sha256=Digest(hashlib.sha256(side[name].encode()).hexdigest())
            )
            for name in sorted(side)
        )
    )


def test_a_side_file_that_is_missing_is_named(store: Store, tmp_path: Path) -> None:
    (tmp_path / "go.mod").write_text("module m\n")
    with pytest.raises(InputError, match="no such file") as caught:
        resolve_languages(definition(go="go.mod"), tmp_path, store)
    assert caught.value.where == str(tmp_path / "go.sum")
    assert caught.value.hint


def test_a_mistake_in_one_file_is_told_before_anything_is_fetched(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOPROXY", "off")
    (tmp_path / "go.mod").write_text("module m\n")
    (tmp_path / "go.sum").write_text(f"a.b v1.0.0/go.mod h1:{'A' * 43}=\n")
    (tmp_path / "Cargo.lock").write_text("version = 2\n")
    with pytest.raises(InputError, match="unknown version"):
        resolve_languages(definition(go="go.mod", cargo="Cargo.lock"), tmp_path, store)
