"""Packages of npm: from a registry on this machine, through npm, to its own folders."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import subprocess
import tarfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from relsign.build.archives.tree import layout
from relsign.build.inputs.npm import fetch_npm, lock_npm
from relsign.build.inputs.npm_folders import lay_out_npm
from relsign.build.store import Store
from relsign.errors import HostError, InputError, VerificationError
from relsign.formats.lock import LockedNpm
from relsign.formats.names import Digest
from relsign.formats.npm_lock import NpmPackage, parse_npm_lock
from tests.build.archives import Entry, tar
from tests.build.rooted import unpack
from tests.build.served import served

TOP = "usr/lib/relsign/npm/node_modules"


def integrity_of(data: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()


def tarball(name: str, version: str, *entries: Entry, **manifest: object) -> bytes:
    """Return a package; what would run while installing leaves a file behind."""
    scripts = {"preinstall": "touch ran", "install": "touch ran", "prepack": "touch ran"}
    fields = {"name": name, "version": version, "scripts": scripts, **manifest}
    return tar(Entry("package/package.json", json.dumps(fields).encode()), *entries)


class Registry:
    """A folder served as npm expects a registry."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self.address = address

    def put(self, name: str, version: str, data: bytes, **manifest: object) -> NpmPackage:
        """Publish one version and return the lock file's entry of it."""
        file = f"{name.replace('/', '-')}-{version}.tgz"
        (self.folder / file).write_bytes(data)
        entry = {
            "name": name,
            "version": version,
            **manifest,
            "dist": {"tarball": f"{self.address}/{file}", "integrity": integrity_of(data)},
        }
        page = self.folder / name
        page.parent.mkdir(exist_ok=True)
        known = json.loads(page.read_text())["versions"] if page.exists() else {}
        document = {"name": name, "dist-tags": {"latest": version}}
        page.write_text(json.dumps({**document, "versions": {**known, version: entry}}))
        return NpmPackage(
            name=name,
            version=version,
            integrity=integrity_of(data),
            places=(f"node_modules/{name}",),
        )


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    (tmp_path / "registry").mkdir()
    with served(tmp_path / "registry") as address:
        monkeypatch.setenv("npm_config_registry", address)
        monkeypatch.setenv("npm_config_userconfig", "/dev/null")
        yield Registry(tmp_path / "registry", address)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def laid_out(packages: tuple[LockedNpm, ...], store: Store) -> bytes:
    stream = io.BytesIO()
    with layout() as tree:
        lay_out_npm(packages, store, tree)
        tree.write(stream, top="usr/lib/relsign/npm", mtime=1)
    return stream.getvalue()


def tree_of(folder: Path) -> dict[str, object]:
    """Return what lies below a folder: a file's bytes and rights, a link's target."""
    found: dict[str, object] = {}
    for path in folder.rglob("*"):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = (path.read_bytes(), path.stat().st_mode & 0o777)
    return found


PROGRAMS = {"tool": "./bin/tool.js", "../other": "bin/other.js", "none": "none.js"}
TOOL = (
    Entry("package/bin/tool.js", b"#!/usr/bin/env node\r\nlet a;\r\n"),
    Entry("package/bin/other.js", b"#!/usr/bin/env node\n", mode=0o600),
    Entry("package/.gitignore", b"ignored"),
    Entry("package/sub/.gitignore", b"dropped"),
    Entry("package/sub/.npmignore", b"kept"),
    Entry("package/link", type=b"2", target="package.json"),
    Entry("package/run.sh", b"", mode=0o6755),
)


def put_odd_packages(registry: Registry) -> None:
    """Serve packages with whatever npm treats in a way of its own."""
    more = {"bin": PROGRAMS, "dependencies": {"@a/word": "^1.0.0"}}
    registry.put("tool", "1.0.0", tarball("tool", "1.0.0", *TOOL, **more), **more)
    word = tarball("@a/word", "1.5.0", Entry("package/x.js", b"one"), bin="x.js")
    registry.put("@a/word", "1.5.0", word, bin="x.js")
    word = tarball("@a/word", "2.0.0", Entry("package/y.js", b"two"))
    registry.put("@a/word", "2.0.0", word)
    registry.put("only-mac", "1.0.0", tarball("only-mac", "1.0.0"), os=["darwin"])


def install_with_npm(project: Path, cache: Path) -> dict[str, object]:
    """Return the folders that npm itself makes of those packages."""
    project.mkdir()
    wanted = {
        "name": "project",
        "version": "1.0.0",
        "dependencies": {"@a/word": "2.0.0", "again": "npm:@a/word@1.5.0"},
        "devDependencies": {"tool": "1.0.0"},
        "optionalDependencies": {"only-mac": "1.0.0"},
    }
    (project / "package.json").write_text(json.dumps(wanted))
    words = ["npm", "install", "--ignore-scripts", "--cache", str(cache)]
    quiet = ["--no-audit", "--no-fund", "--no-update-notifier"]
    subprocess.run([*words, *quiet], cwd=project, check=True, capture_output=True)
    made = tree_of(project / "node_modules")
    del made[".package-lock.json"]
    return made


def test_the_folders_are_those_that_npm_itself_makes(
    registry: Registry, store: Store, tmp_path: Path
) -> None:
    put_odd_packages(registry)
    made = install_with_npm(tmp_path / "project", tmp_path / "cache")
    packages = parse_npm_lock((tmp_path / "project/package-lock.json").read_bytes(), "amd64")
    locked = lock_npm(packages, store)
    fetch_npm(locked, Store(tmp_path / "other"))
    data = laid_out(locked, store)
    assert laid_out(locked, Store(tmp_path / "other")) == data
    unpack(data, tmp_path / "root")
    assert tree_of(tmp_path / "root" / TOP) == made
    assert not [name for name in made if name.endswith("ran")]


def test_what_is_stored_is_not_fetched_again(registry: Registry, store: Store) -> None:
    locked = lock_npm([registry.put("a", "1.0.0", tarball("a", "1.0.0"))], store)
    (registry.folder / "a").unlink()
    fetch_npm(locked, store)
    assert lock_npm([], store) == ()


def test_two_packages_that_npm_packs_under_one_name_both_come(
    registry: Registry, store: Store
) -> None:
    one = registry.put("@a/b", "1.0.0", tarball("@a/b", "1.0.0"))
    data = tarball("a-b", "1.0.0")
    two = registry.put("a-b", "1.0.0", data)
    # The registry here names its files the same way, so give the first its own again.
    (registry.folder / "first.tgz").write_bytes(tarball("@a/b", "1.0.0"))
    page = registry.folder / "@a/b"
    page.write_text(page.read_text().replace("@a-b-1.0.0.tgz", "first.tgz"))
    assert [entry.name for entry in lock_npm([one, two], store)] == ["@a/b", "a-b"]


def test_every_package_that_did_not_come_is_named(registry: Registry, store: Store) -> None:
    packages = [registry.put(name, "1.0.0", tarball(name, "1.0.0")) for name in ("a", "b", "c")]
    (registry.folder / "a").unlink()
    (registry.folder / "c").unlink()
    with pytest.raises(HostError) as caught:
        lock_npm(packages, store)
    assert caught.value.what == "2 file(s) not fetched: npm a@1.0.0, npm c@1.0.0"
    assert "404" in caught.value.got
    assert "127.0.0.1" not in caught.value.got.replace("//127.0.0.1", "")
    assert caught.value.hint


def test_a_registry_that_does_not_answer_is_not_asked_for_each_package(
    registry: Registry, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = [registry.put(name, "1.0.0", tarball(name, "1.0.0")) for name in ("a", "b")]
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:1")
    monkeypatch.setenv("npm_config_userconfig", str(registry.folder / "npmrc"))
    (registry.folder / "npmrc").write_text("fetch-retries=0\n")
    with pytest.raises(HostError) as caught:
        lock_npm(packages, store)
    assert caught.value.what == "2 file(s) not fetched: npm a@1.0.0, npm b@1.0.0"


@pytest.mark.parametrize("is_honest_about_it", [True, False])
def test_other_bytes_than_the_lock_files_are_refused(
    registry: Registry, store: Store, *, is_honest_about_it: bool
) -> None:
    good = registry.put("good", "1.0.0", tarball("good", "1.0.0"))
    evil = registry.put("evil", "1.0.0", tarball("evil", "1.0.0"))
    changed = tarball("evil", "1.0.0", evil=True)
    if is_honest_about_it:
        registry.put("evil", "1.0.0", changed)
    else:
        (registry.folder / "evil-1.0.0.tgz").write_bytes(changed)
    with pytest.raises(VerificationError, match="other bytes than package") as caught:
        lock_npm([evil, good], store)
    assert caught.value.got == "npm evil@1.0.0"


def test_a_lock_that_lies_about_the_size_is_refused(registry: Registry, store: Store) -> None:
    data = tarball("a", "1.0.0")
    package = registry.put("a", "1.0.0", data)
    lie = LockedNpm(
        name="a",
        version="1.0.0",
        integrity=package.integrity,
        sha256=Digest(hashlib.sha256(data).hexdigest()),
        size=len(data) + 1,
        places=package.places,
    )
    with pytest.raises(VerificationError, match="wrong size"):
        fetch_npm([lie], store)


def test_no_setting_or_module_of_the_current_folder_is_read(
    registry: Registry, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".npmrc").write_text("registry=http://127.0.0.1:1\n")
    (tmp_path / "package.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert lock_npm([registry.put("a", "1.0.0", tarball("a", "1.0.0"))], store)


def stored(store: Store, tmp_path: Path, name: str, data: bytes, *places: str) -> LockedNpm:
    (tmp_path / "package").write_bytes(data)
    file = store.add_file(tmp_path / "package")
    return LockedNpm(
        name=name,
        version="1.0.0",
        integrity=integrity_of(data),
        sha256=file.sha256,
        size=file.size,
        places=places or (f"node_modules/{name}",),
    )


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (tarball("a", "1.0.0", Entry("package/../../x")), "'..' part"),
        (tarball("a", "1.0.0", Entry("/etc/passwd")), "absolute name"),
        (tarball("a", "1.0.0", Entry("package/x", type=b"3")), "device"),
        (tarball("a", "1.0.0", Entry("package/x", b"1"), Entry("package/x", b"2")), "twice"),
        (tar(Entry("package/x", b"1")), "without a package.json"),
        (tar(Entry("package/package.json", b"[]")), "not a package.json"),
        (b"no archive", "it ends too early"),
    ],
)
def test_a_tarball_against_the_rules_is_refused(
    store: Store, tmp_path: Path, data: bytes, what: str
) -> None:
    with pytest.raises(InputError, match=what) as caught:
        laid_out((stored(store, tmp_path, "a", data),), store)
    assert caught.value.where.startswith("builder.lock: npm a@1.0.0")


def test_a_program_cannot_be_linked_out_of_its_package(store: Store, tmp_path: Path) -> None:
    programs = {"../../up": "../../../../etc/passwd", "ok": "../cli.js"}
    data = tarball("a", "1.0.0", Entry("package/cli.js", b""), bin=programs)
    with tarfile.open(
        fileobj=io.BytesIO(laid_out((stored(store, tmp_path, "a", data),), store))
    ) as t:
        links = {member.name: member.linkname for member in t if member.issym()}
    assert links == {f"{TOP}/.bin/ok": "../a/cli.js"}


def test_a_large_program_is_not_read_whole(store: Store, tmp_path: Path) -> None:
    code = b"#!/bin/sh\r\n" + b"x" * (24 << 20) + b"end"
    data = tarball("a", "1.0.0", Entry("package/x", code), bin={"x": "x"})
    package = stored(store, tmp_path, "a", data)
    path = tmp_path / "laid.tar"
    tracemalloc.start()
    try:
        with layout() as tree, path.open("wb") as stream:
            lay_out_npm((package,), store, tree)
            tree.write(stream, top="usr/lib/relsign/npm", mtime=1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20
    with tarfile.open(path) as archive:
        program = archive.extractfile(f"{TOP}/a/x")
        assert program is not None
        assert program.read() == code.replace(b"\r", b"")


def test_two_packages_in_one_place_are_refused(store: Store, tmp_path: Path) -> None:
    inner = tarball("b", "1.0.0")
    outer = tarball("a", "1.0.0", Entry("package/node_modules/b/package.json", b"{}"))
    packages = (
        stored(store, tmp_path, "a", outer),
        stored(store, tmp_path, "b", inner, "node_modules/a/node_modules/b"),
    )
    with pytest.raises(InputError, match="two things of one name") as caught:
        laid_out(packages, store)
    assert caught.value.where == "builder.lock: npm b@1.0.0"
    assert "npm a@1.0.0" in caught.value.got


def test_of_two_programs_of_one_name_the_first_one_wins(store: Store, tmp_path: Path) -> None:
    packages = tuple(
        stored(
            *(store, tmp_path, name),
            tarball(name, "1.0.0", Entry("package/x", name.encode()), bin={"x": "x"}),
        )
        for name in ("b", "a")
    )
    with tarfile.open(fileobj=io.BytesIO(laid_out(packages, store))) as archive:
        assert archive.getmember(f"{TOP}/.bin/x").linkname == "../a/x"


@pytest.mark.engine
def test_a_package_of_the_machines_own_registry(store: Store) -> None:
    # A package that has not changed since 2017, with the integrity everybody has locked.
    package = NpmPackage(
        name="isarray",
        version="2.0.5",
        integrity="sha512-xHjhDr3cNBK0BzdUJSPXZntQUx/mwMS5Rw4A7lPJ90XGAO6ISP/ePDNuo0vhqOZU+"
        "UD5JoodwCAAoZQd3FeAKw==",
        places=("node_modules/isarray",),
    )
    [locked] = lock_npm([package], store)
    assert store.has(locked.sha256)
