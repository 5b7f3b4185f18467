"""Input bundles: the same inputs, the same bytes; read by comparing, never by believing."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from relsign.build.archives.plain_tar import END, header, padding
from relsign.build.engine.connection import Engine
from relsign.build.engine.image import image_tag
from relsign.build.inputs.bundle import export_inputs, import_inputs
from relsign.build.inputs.lock import Asking, resolve_lock
from relsign.build.store import Store
from relsign.cli.main import execute
from relsign.errors import HostError, InputError, NotEnoughError, RelsignError, VerificationError
from relsign.formats.inputs import Inputs
from relsign.formats.lock import parse_builder
from relsign.formats.names import Digest
from tests.build.conftest import RootFs
from tests.build.inputs_project import Bundled, debian_project, image_project, recipe, source_tar
from tests.build.registry import layer_tar
from tests.projects import PROGRAM

ONE, TWO = layer_tar({"etc/one": b"1"}), layer_tar({"etc/marker": b"2\n"})
ALONE = ("unshare", "--net", *(() if os.geteuid() == 0 else ("--map-root-user", "--map-auto")))
"""What runs a program without any network."""
PROJECT_FILES = [
    "builders/small/builder.lock",
    "builders/small/builder.toml",
    "keys/upstream/hello.asc",
    "relsign.toml",
]


def stored(store: Store) -> set[str]:
    return {path.name for path in store.root.glob("sha256/*/*")}


def make(project: Bundled, path: Path, *, with_rootfs: bool = False) -> Inputs:
    return export_inputs(project.workspace, project.store, path, with_rootfs=with_rootfs)


def test_the_same_inputs_give_the_same_bytes_and_any_tar_reads_them(tmp_path: Path) -> None:
    project = image_project(tmp_path, (ONE, TWO))
    made = make(project, tmp_path / "one")
    assert make(project, tmp_path / "two") == made
    data = (tmp_path / "one").read_bytes()
    assert (tmp_path / "two").read_bytes() == data
    with tarfile.open(tmp_path / "one") as archive:
        names = archive.getnames()
        members = {m.name: archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]
    assert names[0] == "inputs.json"
    assert names[1:] == sorted(f"sha256/{file.sha256}" for file in made.files)
    assert all(
        name == f"sha256/{hashlib.sha256(data).hexdigest()}" for name, data in members.items()
        if name != "inputs.json"
    )  # fmt: skip
    assert [file.path for file in made.project_files] == PROJECT_FILES
    kinds = [(content.kind, content.of) for content in made.contents]
    assert kinds == [("image", "small")] * 2 + [("signature", "hello"), ("source", "hello")]


def test_an_empty_store_and_a_new_folder_hold_all_of_it_afterwards(tmp_path: Path) -> None:
    project = image_project(tmp_path, (ONE, TWO))
    made = make(project, tmp_path / "bundle")
    other = Store(tmp_path / "other")
    into = tmp_path / "years" / "later"
    assert import_inputs(tmp_path / "bundle", other, into=into) == made
    assert stored(other) == {file.sha256 for file in made.files}
    for name in PROJECT_FILES:
        assert (into / name).read_bytes() == (project.folder / name).read_bytes()
    assert [p.name for p in into.parent.iterdir()] == ["later"]
    assert import_inputs(tmp_path / "bundle", other) == made
    again = Bundled(into, other)
    make(again, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "bundle").read_bytes()
    with pytest.raises(InputError, match="is there already"):
        import_inputs(tmp_path / "bundle", other, into=into)


def test_a_finished_root_file_system_comes_along_when_asked(tmp_path: Path) -> None:
    project = debian_project(tmp_path)
    assert "rootfs" not in {c.kind for c in make(project, tmp_path / "small").contents}
    made = make(project, tmp_path / "large", with_rootfs=True)
    rootfs = [content for content in made.contents if content.kind == "rootfs"]
    assert [content.sha256 for content in rootfs] == [hashlib.sha256(b"rootfs").hexdigest()]
    import_inputs(tmp_path / "large", Store(tmp_path / "other"))


def test_what_was_not_fetched_is_named_and_nothing_is_written(tmp_path: Path) -> None:
    project = debian_project(tmp_path)
    for name in (b"aa", b"bb"):
        project.store.path(Digest(hashlib.sha256(name).hexdigest())).unlink()
    with pytest.raises(NotEnoughError, match="2 files are not in the store") as caught:
        make(project, tmp_path / "bundle")
    assert "aa_1.0_all.deb" in caught.value.got
    assert "bb_1.0_all.deb" in caught.value.got
    assert not (tmp_path / "bundle").exists()


def test_a_stale_lock_is_not_bundled(tmp_path: Path) -> None:
    project = debian_project(tmp_path)
    project.write(
        "builders/small/builder.toml", b'name = "small"\nsuite = "x"\npackages = ["bb"]\n'
    )
    with pytest.raises(InputError, match="changed since it was locked"):
        make(project, tmp_path / "bundle")


def test_a_full_disk_leaves_no_half_bundle(tmp_path: Path) -> None:
    project = image_project(tmp_path, (ONE, TWO))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(HostError):
        make(project, tmp_path / "file" / "bundle")
    assert [path.name for path in tmp_path.iterdir() if "tmp" in path.name] == []


# --- hostile bundles ----------------------------------------------------------------------------


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        assert data.count(old) >= 1
        return data.replace(old, new, 1)

    return change


def renamed_member(data: bytes) -> bytes:
    """Give the last file the name of one outside, with a good checksum of its header."""
    start = data.rindex(b"sha256/")
    size = int(data[start + 124 : start + 135], 8)
    return data[:start] + header("../../etc/cron.d/x", size) + data[start + 512 :]


def link_member(data: bytes) -> bytes:
    start = data.rindex(b"sha256/")
    member = tarfile.TarInfo(data[start : start + 71].decode())
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return data[:start] + member.tobuf(tarfile.USTAR_FORMAT) + data[start + 512 :]


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda data: data[:-1], InputError, "cut off or added to"),
        (lambda data: data + bytes(512), InputError, "cut off or added to"),
        (lambda data: data[:-1] + b"x", InputError, "not an input bundle"),
        (lambda _data: b"", InputError, "not an input bundle"),
        (lambda _data: b"\x1f\x8b" + bytes(600), InputError, "not an input bundle"),
        (lambda data: data[:300], InputError, "not an input bundle"),
        (renamed_member, InputError, "not an input bundle"),
        (link_member, InputError, "not an input bundle"),
        (replaced(b"hello-1.0/greeting", b"hello-1.0/greetinG"), VerificationError, "wrong digest"),
        (replaced(b'"project":"hello"', b'"project":"hell~"'), InputError, "up to 64"),
        (replaced(b'"relsign.toml"', b'"../sign.toml"'), InputError, "file names joined"),
    ],
)
def test_a_damaged_or_hostile_bundle_is_refused(
    tmp_path: Path, change: Callable[[bytes], bytes], kind: type[RelsignError], words: str
) -> None:
    project = image_project(tmp_path, (ONE, TWO))
    made = make(project, tmp_path / "bundle")
    bad = tmp_path / "bad"
    bad.write_bytes(change((tmp_path / "bundle").read_bytes()))
    store = Store(tmp_path / "other")
    with pytest.raises(kind, match=words):
        import_inputs(bad, store, into=tmp_path / "into")
    assert not (tmp_path / "into").exists()
    # What did enter before is whole and goes by its digest.
    assert stored(store) <= {file.sha256 for file in made.files}
    assert all(store.has(Digest(name)) for name in stored(store))


def write_bundle(path: Path, document: object, files: dict[str, bytes]) -> None:
    """Write a bundle in form, whatever it says."""
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    parts = [header("inputs.json", len(data)), data, padding(len(data))]
    for digest, content in sorted(files.items()):
        parts += [header(f"sha256/{digest}", len(content)), content, padding(len(content))]
    path.write_bytes(b"".join([*parts, END]))


@pytest.mark.parametrize("lacking", ["source", "builders/small/builder.lock"])
def test_a_bundle_that_lacks_what_its_own_recipe_names_is_refused(
    tmp_path: Path, lacking: str
) -> None:
    project = image_project(tmp_path, (ONE, TWO))
    made = make(project, tmp_path / "bundle")
    document = json.loads(made.to_bytes())
    document["contents"] = [c for c in document["contents"] if c["kind"] != lacking]
    document["project_files"] = [f for f in document["project_files"] if f["path"] != lacking]
    used = {use["sha256"] for use in document["contents"] + document["project_files"]}
    document["files"] = [file for file in document["files"] if file["sha256"] in used]
    files = {name: project.store.path(name).read_bytes() for name in used}
    write_bundle(tmp_path / "bad", document, files)
    with pytest.raises(InputError, match="lacks") as caught:
        import_inputs(tmp_path / "bad", Store(tmp_path / "other"), into=tmp_path / "into")
    assert "hello.tar" in caught.value.got or caught.value.where == lacking
    assert not (tmp_path / "into").exists()


def with_files(project: Bundled, made: Inputs, path: Path, more: dict[str, bytes]) -> None:
    """Write a bundle in form that has other files of the project, or more of them."""
    document = json.loads(made.to_bytes())
    digests = {f["path"]: f["sha256"] for f in document["project_files"]}
    digests |= {name: project.keep(data) for name, data in more.items()}
    document["project_files"] = [{"path": p, "sha256": d} for p, d in sorted(digests.items())]
    used = {*digests.values(), *(use["sha256"] for use in document["contents"])}
    files = {name: project.store.path(Digest(name)).read_bytes() for name in used}
    document["files"] = [{"sha256": d, "size": len(data)} for d, data in sorted(files.items())]
    write_bundle(path, document, files)


BUILT = "release/hello-1.0/unsigned/any.fingerprint.json"


@pytest.mark.parametrize("extra", [BUILT, "keys/roster.toml", "builders/small/more.txt"])
def test_a_bundle_that_brings_other_files_of_a_project_is_refused(
    tmp_path: Path, extra: str
) -> None:
    project = image_project(tmp_path, (ONE, TWO))
    made = make(project, tmp_path / "bundle")
    with_files(project, made, tmp_path / "bad", {"zzz": b"", extra: b"{}"})
    with pytest.raises(InputError, match="brings 2 files that no build") as caught:
        import_inputs(tmp_path / "bad", Store(tmp_path / "other"), into=tmp_path / "into")
    assert caught.value.got == extra
    assert not (tmp_path / "into").exists()


def test_no_input_lies_where_releases_are_made(tmp_path: Path) -> None:
    project = image_project(tmp_path, (ONE, TWO))
    made = make(project, tmp_path / "bundle")
    old = project.workspace.recipe_bytes()
    hostile = old.replace(b"keys/upstream/hello.asc", BUILT.encode())
    with_files(project, made, tmp_path / "bad", {"relsign.toml": hostile, BUILT: b"{}"})
    project.write("relsign.toml", hostile)
    project.write(BUILT, b"{}")
    with pytest.raises(InputError, match="lies where releases are made"):
        make(project, tmp_path / "exported")
    with pytest.raises(InputError, match="lies where releases are made"):
        import_inputs(tmp_path / "bad", Store(tmp_path / "other"), into=tmp_path / "into")
    assert not (tmp_path / "into").exists()


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_a_bundle_is_a_regular_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "bundle"
    if kind == "link":
        path.symlink_to("/dev/zero")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    with pytest.raises(RelsignError):
        import_inputs(path, Store(tmp_path / "store"))


# --- the commands -------------------------------------------------------------------------------


def test_the_commands_say_what_went_and_came(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = image_project(tmp_path, (ONE, TWO))
    bundle, into = tmp_path / "hello.inputs", tmp_path / "into"
    common = ["--store", str(project.store.root), "--project", str(project.folder)]
    assert execute(["inputs", "export", str(bundle), *common]) == 0
    digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
    captured = capsys.readouterr()
    assert captured.out.split()[0] == digest
    assert "2 image" in captured.err
    assert execute(["inputs", "export", str(bundle), *common]) == 2
    assert "already there" in capsys.readouterr().err
    assert hashlib.sha256(bundle.read_bytes()).hexdigest() == digest
    words = ["--store", str(tmp_path / "other"), "--into", str(into), "--json"]
    assert execute(["inputs", "import", str(bundle), *words]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["contents"] == {"image": 2, "signature": 1, "source": 1}
    assert shown["project_files"] == PROJECT_FILES
    assert execute(["inputs", "import", str(bundle), *words]) == 2


@pytest.mark.engine
def test_a_bundle_builds_the_same_with_an_empty_store_and_no_network(
    tmp_path: Path, rootfs: RootFs
) -> None:
    project = image_project(tmp_path, (rootfs.path.read_bytes(), TWO))
    project.write("relsign.toml", recipe(source_tar(), "http://127.0.0.1:1", signed=False))
    first = build(project.folder, project.store)
    make(project, tmp_path / "bundle")
    other, into = Store(tmp_path / "other"), tmp_path / "into"
    import_inputs(tmp_path / "bundle", other, into=into)
    assert build(into, other, *ALONE) == first


def build(folder: Path, store: Store, *before: str) -> str:
    """Build a project in a process of its own; return the lines with the fingerprints' ids."""
    places = ("--project", str(folder), "--store", str(store.root))
    words = [*before, str(PROGRAM), "build", "--offline", *places]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ".fingerprint.json" in done.stdout
    return done.stdout


NEEDED = b'name = "small"\nsuite = "bookworm"\npackages = ["ed"]\n'


@pytest.mark.engine
@pytest.mark.slow
@pytest.mark.parametrize("with_rootfs", [False, True])
def test_debians_packages_or_their_root_rebuild_with_nothing_else(
    tmp_path: Path, engine: Engine, *, with_rootfs: bool
) -> None:
    project = image_project(tmp_path, (ONE,))
    text = recipe(source_tar(), "http://127.0.0.1:1", signed=False)
    project.write("relsign.toml", text.replace(b"/etc/marker", b"/etc/debian_version"))
    project.write("builders/small/builder.toml", NEEDED)
    lock = resolve_lock(parse_builder(NEEDED), NEEDED, project.store, Asking(project.folder))
    project.write("builders/small/builder.lock", lock.to_bytes())
    first = build(project.folder, project.store)
    make(project, tmp_path / "bundle", with_rootfs=with_rootfs)
    engine.tell("DELETE", f"/images/{image_tag(lock.rootfs.sha256)}", {"force": "true"})
    other, into = Store(tmp_path / "other"), tmp_path / "into"
    import_inputs(tmp_path / "bundle", other, into=into)
    try:
        assert build(into, other, *ALONE) == first
    finally:
        engine.tell("DELETE", f"/images/{image_tag(lock.rootfs.sha256)}", {"force": "true"})


def test_a_bundle_says_in_which_profile_its_ids_come_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = image_project(tmp_path, (b"one",))
    store = ["--store", str(project.store.root)]
    for name, said in (("hardened-1", " --profile hardened-1\n"), ("hardened-2", "/hardened-2\n")):
        bundle, into = tmp_path / f"{name}.inputs", tmp_path / name
        words = ["--project", str(project.workspace.folder), "--profile", name, *store]
        assert execute(["inputs", "export", str(bundle), *words]) == 0
        capsys.readouterr()
        assert execute(["inputs", "import", str(bundle), "--into", str(into), *store]) == 0
        assert capsys.readouterr().err.endswith(said)


def test_a_profile_this_version_does_not_have_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = image_project(tmp_path, (b"one",))
    make(project, tmp_path / "b")
    # As a later version may be, which has the profile no more.
    monkeypatch.setattr("relsign.build.profile.profile_names", lambda: ("hardened-1",))
    store = ["--store", str(tmp_path / "other")]
    words = [str(tmp_path / "b"), "--into", str(tmp_path / "into"), *store]
    assert execute(["inputs", "import", *words]) == 0
    said = capsys.readouterr().err
    assert "hardened-2 is not the one this version of relsign has" in said
