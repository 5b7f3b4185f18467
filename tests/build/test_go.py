"""Go modules: from a proxy in a folder, through Go, to a build without network."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import msgspec
import pytest

from relsign.build.archives.tree import layout
from relsign.build.inputs.go import fetch_go, lay_out_go, lock_go, zip_sum
from relsign.build.inputs.lock import Asking
from relsign.build.inputs.rot import find_rot
from relsign.build.store import Store
from relsign.errors import HostError, InputError, VerificationError
from relsign.formats.go_sum import escape_module, parse_go_sum
from relsign.formats.lock import LockedModule
from tests.build.archives import zipped
from tests.build.inputs_project import change_lock, image_project
from tests.build.rooted import unpack

GO = "/usr/bin/go"
NO_SUM = "h1:" + "A" * 43 + "="


class Proxy:
    """A folder that Go takes as a module proxy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, path: str, version: str, code: str, needs: str = "") -> None:
        place = self.folder / escape_module(path) / "@v"
        place.mkdir(parents=True, exist_ok=True)
        mod = f"module {path}\n\ngo 1.17\n{needs}"
        (place / f"{version}.mod").write_text(mod)
        (place / f"{version}.info").write_text(f'{{"Version":"{version}"}}')
        with zipfile.ZipFile(place / f"{version}.zip", "w") as archive:
            archive.writestr(f"{path}@{version}/go.mod", mod)
            archive.writestr(f"{path}@{version}/code.go", code)

    def remove(self, path: str) -> None:
        shutil.rmtree(self.folder / escape_module(path))


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proxy:
    monkeypatch.setenv("GOPROXY", f"file://{tmp_path}/proxy")
    monkeypatch.setenv("GOENV", "off")
    # What a person has set for other work does not enter.
    monkeypatch.setenv("GOFLAGS", "-mod=vendor")
    proxy = Proxy(tmp_path / "proxy")
    proxy.put(
        "example.org/Up/word", "v1.2.3", 'package word\n\nfunc Said() string { return "moin" }\n'
    )
    proxy.put("example.org/old", "v0.1.0", "package old\n")
    proxy.put(
        *("example.org/top", "v2.0.0+incompatible"),
        'package top\n\nimport "example.org/Up/word"\n\nconst Said = word.Said()\n',
        "require example.org/Up/word v1.2.3\n",
    )
    return proxy


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def go(folder: Path, *words: str, proxy: str, flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [GO, *words],
        cwd=folder,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "GOENV": "off",
            "CGO_ENABLED": "0",
            "GOPROXY": proxy,
            "GOSUMDB": "off",
            "GOFLAGS": flags,
            "GOPATH": f"{folder}/path",
            "GOCACHE": f"{folder}/cache",
        },
        capture_output=True,
        text=True,
        check=False,
    )


def project(folder: Path, proxy: Proxy) -> bytes:
    """Make a program that uses a module, let Go write its go.sum, and return that."""
    folder.mkdir()
    (folder / "main.go").write_text(
        'package main\n\nimport (\n\t"fmt"\n\n\t"example.org/Up/word"\n)\n\n'
        "func main() { fmt.Println(word.Said()) }\n"
    )
    (folder / "go.mod").write_text(
        "module example.org/app\n\ngo 1.17\n\nrequire example.org/Up/word v1.2.3\n"
    )
    done = go(folder, "mod", "tidy", proxy=f"file://{proxy.folder}", flags="-modcacherw")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(folder / "path")
    return (folder / "go.sum").read_bytes()


def laid_out(modules: tuple[LockedModule, ...], store: Store) -> bytes:
    stream = io.BytesIO()
    with layout() as tree:
        lay_out_go(modules, store, tree)
        tree.write(stream, top="usr/lib/relsign/go", mtime=1)
    return stream.getvalue()


def test_from_a_sum_file_to_a_build_without_network(
    proxy: Proxy, store: Store, tmp_path: Path
) -> None:
    locked = lock_go(parse_go_sum(project(tmp_path / "app", proxy)), store)
    fetch_go(locked, Store(tmp_path / "other"))
    data = laid_out(locked, store)
    assert laid_out(locked, Store(tmp_path / "other")) == data

    shutil.rmtree(proxy.folder)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = set(archive.getnames())
    unpack(data, tmp_path / "root")
    place = "usr/lib/relsign/go/example.org/!up/word/@v"
    endings = ("info", "mod", "zip")
    assert names >= {f"{place}/list", *(f"{place}/v1.2.3.{ending}" for ending in endings)}
    done = go(
        *(tmp_path / "app", "build", "-o", "app"),
        proxy=f"file://{tmp_path}/root/usr/lib/relsign/go",
        flags="-mod=readonly -modcacherw",
    )
    assert done.returncode == 0, done.stderr
    ran = subprocess.run([tmp_path / "app/app"], capture_output=True, check=True)
    assert ran.stdout == b"moin\n"


def sums(store: Store, proxy: Proxy, tmp_path: Path) -> dict[str, str]:
    """Return the true sums of every module of the proxy, by ``PATH VERSION``."""
    lines: dict[str, str] = {}
    (tmp_path / "sums").mkdir()
    (tmp_path / "sums/go.mod").write_text("module m\n\ngo 1.17\n")
    for path, version in (
        ("example.org/Up/word", "v1.2.3"),
        ("example.org/old", "v0.1.0"),
        ("example.org/top", "v2.0.0+incompatible"),
    ):
        words = ("mod", "download", "-json", f"{path}@{version}")
        done = go(tmp_path / "sums", *words, proxy=f"file://{proxy.folder}", flags="-modcacherw")
        said = msgspec.json.decode(done.stdout, type=dict[str, str])
        lines[f"{path} {version}"] = said["Sum"]
        lines[f"{path} {version}/go.mod"] = said["GoModSum"]
    assert not (store.root / "sha256").exists()
    return lines


def sum_file(lines: dict[str, str]) -> bytes:
    return "".join(f"{name} {value}\n" for name, value in sorted(lines.items())).encode()


def test_a_module_whose_go_mod_alone_is_needed_has_no_zip(
    proxy: Proxy, store: Store, tmp_path: Path
) -> None:
    lines = sums(store, proxy, tmp_path)
    del lines["example.org/old v0.1.0"]
    modules = parse_go_sum(sum_file(lines))
    locked = lock_go(modules, store)
    by_path = {module.path: module for module in locked}
    assert by_path["example.org/old"].sha256 is msgspec.UNSET
    assert by_path["example.org/top"].version == "v2.0.0+incompatible"
    assert by_path["example.org/top"].size is not msgspec.UNSET
    fetch_go(locked, Store(tmp_path / "other"))
    proxy.remove("example.org/old")
    fetch_go(locked, store)
    with tarfile.open(fileobj=io.BytesIO(laid_out(locked, store))) as archive:
        old = [name for name in archive.getnames() if "/old/@v/" in name]
    assert sorted(name.rpartition("/")[2] for name in old) == ["list", "v0.1.0.info", "v0.1.0.mod"]


@pytest.mark.parametrize("line", ["example.org/old v0.1.0", "example.org/old v0.1.0/go.mod"])
def test_other_bytes_than_the_sum_file_states_are_refused(
    proxy: Proxy, store: Store, tmp_path: Path, line: str
) -> None:
    lines = sums(store, proxy, tmp_path)
    lines[line] = NO_SUM
    with pytest.raises(VerificationError, match="other bytes than go") as caught:
        lock_go(parse_go_sum(sum_file(lines)), store)
    assert caught.value.got == f"go {line}".replace(" v", "@v")
    assert not (store.root / "sha256").exists()


def test_other_bytes_than_the_locks_are_refused_and_named(
    proxy: Proxy, store: Store, tmp_path: Path
) -> None:
    locked = lock_go(parse_go_sum(sum_file(sums(store, proxy, tmp_path))), store)
    proxy.put("example.org/old", "v0.1.0", "package evil\n")
    proxy.put("example.org/Up/word", "v1.2.3", "package evil\n")
    with pytest.raises(VerificationError) as caught:
        fetch_go(locked, Store(tmp_path / "other"))
    assert caught.value.got == "go example.org/Up/word@v1.2.3, go example.org/old@v0.1.0"


def test_every_module_that_did_not_come_is_named(
    proxy: Proxy, store: Store, tmp_path: Path
) -> None:
    lines = sums(store, proxy, tmp_path)
    del lines["example.org/old v0.1.0"]
    proxy.remove("example.org/old")
    proxy.remove("example.org/top")
    with pytest.raises(HostError) as caught:
        lock_go(parse_go_sum(sum_file(lines)), store)
    assert "go example.org/old@v0.1.0/go.mod" in caught.value.what
    assert "go example.org/top@v2.0.0+incompatible," in caught.value.what
    assert "word" not in caught.value.what
    assert "no such file" in caught.value.got
    assert caught.value.hint


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"no zip", "no end record"),
        (zipped(("example.org/old@v0.1.0/../x", b"", 0o644)), "'..' part"),
        (zipped(("example.org/new@v0.1.0/x", b"", 0o644)), "not a file of this module"),
        (zipped(("example.org/old@v0.1.0/x", b"/etc", 0o120777)), "not a file of this module"),
        (
            zipped(
                ("example.org/old@v0.1.0/x", b"1", 0o644),
                ("./example.org/old@v0.1.0/x", b"2", 0o644),
            ),
            "stands twice",
        ),
    ],
)
def test_a_zip_that_is_no_module_has_no_sum(tmp_path: Path, data: bytes, what: str) -> None:
    (tmp_path / "zip").write_bytes(data)
    with pytest.raises(InputError, match=what) as caught:
        zip_sum(tmp_path / "zip", "example.org/old@v0.1.0/", "go.sum: old")
    assert caught.value.where == "go.sum: old"


def test_a_zip_that_vanished_leaves_its_go_mod(
    tmp_path: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = image_project(tmp_path, (b"one",))
    monkeypatch.setenv("RELSIGN_REGISTRY", "http://127.0.0.1:1")
    modules = lock_go(parse_go_sum(project(tmp_path / "app", proxy)), small.store)
    lock = change_lock(small, go=modules)
    next(proxy.folder.rglob("v1.2.3.zip")).unlink()
    found = find_rot([lock], (), small.store, Asking(tmp_path))
    states = {each.name: each.state for each in found if each.name.startswith("go ")}
    name = "go example.org/Up/word@v1.2.3"
    assert states == {name: "only in this store", f"{name}/go.mod": "served"}
