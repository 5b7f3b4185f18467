"""Crates: from a registry on this machine, through Cargo, to a build without network."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from relsign.build.archives.tree import layout
from relsign.build.inputs.cargo import fetch_crates, lay_out_crates, lock_crates
from relsign.build.store import Store
from relsign.errors import HostError, InputError, VerificationError
from relsign.formats.cargo_lock import Crate, parse_cargo_lock
from relsign.formats.lock import LockedCrate
from relsign.formats.names import Digest
from tests.build.archives import Entry, tar
from tests.build.rooted import unpack

CARGO = "/usr/bin/cargo"


def crate_bytes(name: str, version: str, code: str, **more: str) -> bytes:
    """Return a crate's archive; `more` are further files, `-` in their names written `_`."""
    needs = more.pop("needs", "")
    manifest = (
        f'[package]\nname = "{name}"\nversion = "{version}"\nedition = "2018"\n'
        f"[dependencies]\n{needs}"
    )
    files = {"Cargo.toml": manifest, "src/lib.rs": code, **more}
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for path, text in files.items():
            info = tarfile.TarInfo(f"{name}-{version}/{path}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return stream.getvalue()


class Registry:
    """A registry in a Git repository and a folder, which Cargo takes for its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = folder / "index"
        self.files = folder / "files"
        self.index.mkdir(parents=True)
        self.files.mkdir()
        place = f"file://{self.files}/{{crate}}-{{version}}.crate"
        self._git("init", "-q")
        (self.index / "config.json").write_text(json.dumps({"dl": place, "api": None}))
        self._commit()

    def put(self, name: str, version: str, data: bytes, *needs: str) -> Digest:
        """Publish a version that needs others in any version."""
        digest = Digest(hashlib.sha256(data).hexdigest())
        (self.files / f"{name}-{version}.crate").write_bytes(data)
        line = {
            "name": name,
            "vers": version,
            "deps": [
                {"name": need, "req": "*", "features": [], "optional": False, "target": None,
                 "default_features": True, "kind": "normal"}
                for need in needs
            ],
            "cksum": digest,
            "features": {},
            "yanked": False,
        }  # fmt: skip
        self._line(name).parent.mkdir(parents=True, exist_ok=True)
        with self._line(name).open("a") as stream:
            stream.write(json.dumps(line) + "\n")
        self._commit()
        return digest

    def yank(self, name: str) -> None:
        """Withdraw all versions: Cargo takes them no more, unless a lock names them."""
        text = self._line(name).read_text()
        self._line(name).write_text(text.replace('"yanked": false', '"yanked": true'))
        self._commit()

    def _line(self, name: str) -> Path:
        return self.index / name[:2] / name[2:4] / name

    def _commit(self) -> None:
        self._git("add", "-A")
        self._git("-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "x")

    def _git(self, *words: str) -> None:
        subprocess.run(["git", "-C", self.index, *words], check=True, capture_output=True)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    registry = Registry(tmp_path / "registry")
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text(
        '[source.crates-io]\nreplace-with = "here"\n'
        f'[source.here]\nregistry = "file://{registry.index}"\n'
    )
    monkeypatch.setenv("CARGO_HOME", str(home))
    return registry


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def cargo(folder: Path, *words: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CARGO, *words],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **extra},
        capture_output=True,
        text=True,
        check=False,
    )


def laid_out(crates: tuple[LockedCrate, ...], store: Store) -> bytes:
    stream = io.BytesIO()
    with layout() as tree:
        lay_out_crates(crates, store, tree)
        tree.write(stream, top="usr/lib/relsign/cargo", mtime=1)
    return stream.getvalue()


def project(folder: Path, needs: str) -> None:
    (folder / "src").mkdir(parents=True)
    (folder / "src/main.rs").write_text('fn main() { println!("{}", alpha::said()); }\n')
    (folder / "Cargo.toml").write_text(
        f'[package]\nname = "app"\nversion = "0.1.0"\nedition = "2018"\n[dependencies]\n{needs}\n'
    )


def test_from_a_lock_file_to_a_build_without_network(
    registry: Registry, store: Store, tmp_path: Path
) -> None:
    planted = tmp_path / "ran"
    script = f'fn main() {{ std::fs::write("{planted}", "x").unwrap(); }}'
    beta = crate_bytes("beta", "0.3.1", 'pub fn word() -> &\'static str { "moin" }')
    registry.put("beta", "0.3.1", beta)
    alpha = crate_bytes(
        *("alpha", "1.0.0", "pub fn said() -> &'static str { beta::word() }"),
        needs='beta = "*"\n',
        **{"build.rs": script},
    )
    registry.put("alpha", "1.0.0", alpha, "beta")
    project(tmp_path / "app", 'alpha = "1"')
    done = cargo(tmp_path / "app", "generate-lockfile", CARGO_HOME=os.environ["CARGO_HOME"])
    assert done.returncode == 0, done.stderr
    crates = parse_cargo_lock((tmp_path / "app/Cargo.lock").read_bytes())
    assert [(crate.name, crate.version) for crate in crates] == [
        ("alpha", "1.0.0"),
        ("beta", "0.3.1"),
    ]
    locked = lock_crates(crates, store)
    assert locked[1].size == len(beta)
    assert not planted.exists()
    assert [path.name for path in Path(os.environ["CARGO_HOME"]).iterdir()] != []
    assert not list(Path(os.environ["CARGO_HOME"]).glob("relsign-*"))

    # The same again from the lock alone, into an empty store, after the authors withdrew all.
    registry.yank("alpha")
    registry.yank("beta")
    fetch_crates(locked, Store(tmp_path / "other"))
    data = laid_out(locked, store)
    assert laid_out(locked, Store(tmp_path / "other")) == data

    # Now the registry is gone, and the laid out folder is all there is.
    shutil.rmtree(registry.folder)
    root = tmp_path / "root"
    unpack(data, root)
    top = root / "usr/lib/relsign/cargo"
    config = top / "config.toml"
    # Only the test moves the root: in a container it lies where the settings say.
    config.write_text(config.read_text().replace("/usr/lib/relsign", str(top.parent)))
    words = ("--config", str(config), "build", "--offline", "--locked")
    done = cargo(tmp_path / "app", *words, CARGO_HOME=str(tmp_path / "empty"))
    assert done.returncode == 0, done.stderr
    ran = subprocess.run([tmp_path / "app/target/debug/app"], capture_output=True, check=True)
    assert ran.stdout == b"moin\n"
    assert planted.exists(), "the build, and nothing before it, runs build scripts"


def test_what_is_stored_is_not_fetched_again(registry: Registry, store: Store) -> None:
    digest = registry.put("alpha", "1.0.0", crate_bytes("alpha", "1.0.0", ""))
    locked = lock_crates([Crate(name="alpha", version="1.0.0", checksum=digest)], store)
    shutil.rmtree(registry.folder)
    fetch_crates(locked, store)


def test_every_crate_that_did_not_come_is_named(registry: Registry, store: Store) -> None:
    digest = registry.put("alpha", "1.0.0", crate_bytes("alpha", "1.0.0", ""))
    crates = [
        Crate(name="alpha", version="1.0.0", checksum=digest),
        Crate(name="gone", version="2.0.0", checksum=Digest("0" * 64)),
        Crate(name="lost", version="2.0.0", checksum=Digest("1" * 64)),
    ]
    with pytest.raises(HostError) as caught:
        lock_crates(crates, store)
    assert "gone-2.0.0.crate" in caught.value.what
    assert "lost-2.0.0.crate" in caught.value.what
    assert "gone" in caught.value.got
    assert caught.value.hint


def test_another_crate_under_a_locked_name_is_refused(registry: Registry, store: Store) -> None:
    registry.put("alpha", "1.0.0", crate_bytes("alpha", "1.0.0", "// evil"))
    honest = Digest(hashlib.sha256(b"the reviewed bytes").hexdigest())
    with pytest.raises(VerificationError) as caught:
        lock_crates([Crate(name="alpha", version="1.0.0", checksum=honest)], store)
    assert caught.value.where == "builder.lock: alpha-1.0.0.crate"
    assert not store.has(honest)


def test_a_lock_that_lies_about_the_size_is_refused(registry: Registry, store: Store) -> None:
    digest = registry.put("alpha", "1.0.0", crate_bytes("alpha", "1.0.0", ""))
    with pytest.raises(VerificationError, match="wrong size"):
        fetch_crates([LockedCrate(name="alpha", version="1.0.0", sha256=digest, size=1)], store)


def stored_crate(store: Store, tmp_path: Path, *entries: Entry) -> tuple[LockedCrate, ...]:
    (tmp_path / "crate").write_bytes(tar(*entries))
    stored = store.add_file(tmp_path / "crate")
    return (LockedCrate(name="a", version="1.0.0", sha256=stored.sha256, size=stored.size),)


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        (Entry("a-1.0.0/../../x", b"x"), "'..' part"),
        (Entry("b-1.0.0/src/lib.rs", b"x"), "outside its folder"),
        (Entry("a-1.0.0/x", b"", type=b"2", target="/etc"), "link to an absolute"),
        (Entry("a-1.0.0/x", b"", type=b"2", target="../../etc"), "leads out"),
        (Entry("a-1.0.0/.cargo-checksum.json", b"{}"), "two things of one name"),
        (Entry("a-1.0.0/dev", b"", type=b"3"), "device"),
    ],
)
def test_a_crate_that_would_land_elsewhere_is_refused(
    store: Store, tmp_path: Path, entry: Entry, what: str
) -> None:
    crates = stored_crate(store, tmp_path, Entry("a-1.0.0/Cargo.toml", b"x"), entry)
    with pytest.raises(InputError, match=what) as caught:
        laid_out(crates, store)
    assert caught.value.where == "builder.lock: crate a-1.0.0"


def test_a_crate_is_laid_out_for_everybody_and_without_its_rights(
    store: Store, tmp_path: Path
) -> None:
    crates = stored_crate(
        *(store, tmp_path, Entry("a-1.0.0/Cargo.toml", b"x")),
        Entry("a-1.0.0/run", b"y", mode=0o6777, mtime=99),
    )
    with tarfile.open(fileobj=io.BytesIO(laid_out(crates, store))) as archive:
        members = {member.name: member for member in archive}
        checksums = archive.extractfile("usr/lib/relsign/cargo/vendor/a-1.0.0/.cargo-checksum.json")
        assert checksums is not None
        stated = json.load(checksums)
    run = members["usr/lib/relsign/cargo/vendor/a-1.0.0/run"]
    assert (run.mode, run.uid, run.gid, run.mtime) == (0o755, 0, 0, 1)
    assert "usr/lib" not in members
    assert stated["package"] == crates[0].sha256
    assert stated["files"]["run"] == hashlib.sha256(b"y").hexdigest()
