"""Images by digest: every byte compared, nothing of the publisher's settings kept."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec
import pytest

from relsign.build.chain import chain_id
from relsign.build.engine.connection import Engine
from relsign.build.engine.image import ensure_image
from relsign.build.inputs.environment import fetch_environment, missing_files
from relsign.build.inputs.layer import plain_names, read_layer
from relsign.build.inputs.lock import Asking, resolve_lock
from relsign.build.inputs.oci import resolve_image
from relsign.build.inputs.registry import Registry, registry_address
from relsign.build.layers import image_archive
from relsign.build.rootfs import environment_file, image_kind
from relsign.build.store import Store
from relsign.cli.main import execute
from relsign.errors import HostError, InputError, NotEnoughError, RelsignError, VerificationError
from relsign.formats.lock import BuilderLock, RootFileSystem, parse_builder
from relsign.formats.names import Digest
from tests.build.conftest import RootFs
from tests.build.inputs_project import recipe
from tests.build.registry import (
    DOCKER_MANIFEST,
    Made,
    docker_registry,
    layer_tar,
    make_image,
    make_index,
    push,
    push_manifest,
    sha256,
    static,
)
from tests.build.room import Room
from tests.build.served import Server, serving

ONE, TWO = layer_tar({"etc/one": b"1"}), layer_tar({"etc/two": b"2"})


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def definition(digest: Digest, more: str = "") -> bytes:
    return f'name = "small"\nbase = "oci"\nimage = "team/small@sha256:{digest}"\n{more}'.encode()


def lock_of(digest: Digest, store: Store, address: str, folder: Path) -> BuilderLock:
    data = definition(digest)
    return resolve_lock(parse_builder(data), data, store, Asking(folder, registry=address))


def test_a_chain_binds_layers_and_their_order() -> None:
    a, b = sha256(b"a"), sha256(b"b")
    assert chain_id([a]) == a
    assert chain_id([a, b]) == sha256(f"sha256:{a} sha256:{b}".encode())
    assert chain_id([a, b]) != chain_id([b, a])
    with pytest.raises(ValueError, match="no layer"):
        chain_id([])


@pytest.mark.parametrize("kind", [DOCKER_MANIFEST, None])
def test_an_image_is_locked_and_fetched_by_digest(
    tmp_path: Path, store: Store, address: str, kind: str | None
) -> None:
    made = make_image([ONE, TWO], manifest_type=kind) if kind else make_image([ONE, TWO])
    push(address, "team/small", made)
    lock = lock_of(made.digest, store, address, tmp_path)
    assert lock.rootfs == RootFileSystem(
        sha256=chain_id([sha256(ONE), sha256(TWO)]), size=len(ONE) + len(TWO)
    )
    image = lock.image
    assert not isinstance(image, msgspec.UnsetType)
    assert image.manifest_sha256 == made.digest
    assert [layer.sha256 for layer in image.layers] == [sha256(blob) for blob in made.blobs[1:]]
    assert lock.to_bytes() == lock_of(made.digest, store, address, tmp_path).to_bytes()


def test_an_index_gives_the_image_of_the_locks_architecture(
    store: Store, address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    images = {"amd64": make_image([ONE]), "arm64": make_image([TWO], architecture="arm64")}
    for made in images.values():
        push(address, "team/small", made)
    index = make_index(images)
    push_manifest(address, "team/small", index)
    lock = lock_of(sha256(index), store, address, tmp_path)
    assert lock.rootfs.sha256 == sha256(ONE)
    name = f"team/small@sha256:{sha256(index)}"
    registry = Registry(registry_address(address))
    assert resolve_image(name, "arm64", store, registry).layers[0].diff_sha256 == sha256(TWO)
    with pytest.raises(InputError, match="no single image for this architecture") as caught:
        resolve_image(name, "riscv64", store, registry)
    assert "linux/arm64" in caught.value.got
    # Another machine needs the layers only, from the registry its own environment names.
    other = Store(tmp_path / "other")
    assert len(missing_files(lock, other)) == 1
    monkeypatch.delenv("RELSIGN_REGISTRY", raising=False)
    with pytest.raises(InputError, match="no image registry is known"):
        fetch_environment(lock, other)
    monkeypatch.setenv("RELSIGN_REGISTRY", address)
    fetch_environment(lock, other)
    assert missing_files(lock, other) == ()
    blob = images["amd64"].blobs[1]
    assert registry.has_blob("team/small", sha256(blob), len(blob))
    with pytest.raises(VerificationError, match="something else answers"):
        registry.has_blob("team/small", sha256(blob), len(blob) + 1)
    assert not registry.has_blob("team/small", sha256(b"nobody has this"), 1)


def test_the_command_fetches_an_image_from_the_registry_it_is_told(
    store: Store, address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = make_image([ONE, TWO])
    push(address, "team/small", made)
    lock = lock_of(made.digest, store, address, tmp_path)
    folder = tmp_path / "project"
    (folder / "builders/small").mkdir(parents=True)
    (folder / "builders/small/builder.toml").write_bytes(definition(made.digest))
    (folder / "builders/small/builder.lock").write_bytes(lock.to_bytes())
    source = b"a source that was fetched before"
    (folder / "relsign.toml").write_bytes(recipe(source, "https://example.org", signed=False))
    other = Store(tmp_path / "other")
    other.add(sha256(source), lambda sink: sink.write(source) and None)
    words = ["fetch", "--no-image", "--project", str(folder), "--store", str(tmp_path / "other")]
    monkeypatch.delenv("RELSIGN_REGISTRY", raising=False)
    assert execute(words) == InputError.exit_code
    assert len(missing_files(lock, other)) == 2
    # What the command is told goes before what the environment says.
    monkeypatch.setenv("RELSIGN_REGISTRY", "http://127.0.0.1:1/")
    assert execute([*words, "--registry", address]) == 0
    assert missing_files(lock, other) == ()


def sized(**sizes: int) -> Made:
    """Make an image whose manifest states other sizes: of `config`, of the one `layer`."""
    made = make_image([ONE])
    manifest = json.loads(made.manifest)
    parts = {"config": manifest["config"], "layer": manifest["layers"][0]}
    for name, size in sizes.items():
        parts[name]["size"] = size
    return Made(json.dumps(manifest).encode(), made.blobs)


ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


@pytest.mark.parametrize(
    ("made", "kind", "words"),
    [
        (make_image([ONE], architecture="arm64"), InputError, "for another machine"),
        (make_image([ONE], layer_type=ZSTD), InputError, "of a kind that is not read"),
        (make_image([ONE], layer_type=FOREIGN), InputError, "of a kind that is not read"),
        (make_image([ONE], diffs=[TWO]), VerificationError, "another digest"),
        (make_image([ONE], diffs=[ONE, TWO]), InputError, "must name the same layers"),
        (make_image([]), InputError, "must name the same layers"),
        (Made(b'{"schemaVersion":1,"name":"x"}', ()), InputError, "not an image manifest"),
        (Made(b'{"schemaVersion":2,"schemaVersion":2}', ()), InputError, "duplicate|twice"),
        (Made(b"<html>", ()), InputError, "manifest"),
        (sized(config=0), InputError, "odd size of an image's configuration"),
        (sized(config=5 << 20), InputError, "odd size of an image's configuration"),
        (sized(layer=0), InputError, "too large or empty"),
        (sized(layer=5 << 30), InputError, "too large or empty"),
        (sized(layer=4096), VerificationError, "wrong size"),
    ],
)
def test_an_odd_image_is_refused(
    tmp_path: Path, made: Made, kind: type[RelsignError], words: str
) -> None:
    with static(made) as address, pytest.raises(kind, match=words) as caught:
        lock_of(made.digest, Store(tmp_path / "store"), address, tmp_path)
    # What is no JSON of ours to explain has its words from the reader of JSON.
    assert caught.value.hint or len(made.manifest) < 50


def test_other_bytes_than_the_digest_are_refused(tmp_path: Path, store: Store) -> None:
    made, other = make_image([ONE]), make_image([TWO])
    liar = {made.digest: other.manifest}
    with static(made, liar) as address, pytest.raises(VerificationError, match="another manifest"):
        lock_of(made.digest, store, address, tmp_path)
    layer = sha256(made.blobs[1])
    for lie, words in ((b"short", "wrong digest"), (bytes(1 << 20), "too large")):
        with (
            static(made, {layer: lie}) as address,
            pytest.raises(RelsignError, match=words),
        ):
            lock_of(made.digest, store, address, tmp_path)
    assert not store.has(layer)


def test_every_layer_that_does_not_come_is_named(tmp_path: Path, store: Store) -> None:
    made = make_image([ONE, TWO, layer_tar({"etc/three": b"3"})])
    with static(made) as address:
        lock = lock_of(made.digest, store, address, tmp_path)
    lies = {sha256(blob): b"other" for blob in made.blobs[1:3]}
    other = Store(tmp_path / "other")
    with static(made, lies) as address, pytest.raises(VerificationError) as caught:
        fetch_environment(lock, other, registry=address)
    assert all(f"image layer {digest[:12]}: wrong digest" in caught.value.what for digest in lies)
    assert caught.value.hint
    assert missing_files(lock, other) == tuple(f"layer {digest[:12]}" for digest in lies)


def test_a_layer_is_decompressed_once_for_each_use(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[object] = []

    class Counting(gzip.GzipFile):
        def __init__(self, fileobj: BinaryIO, mode: Literal["rb"]) -> None:
            passes.append(fileobj)
            super().__init__(fileobj=fileobj, mode=mode)

    made = make_image([ONE, TWO])
    monkeypatch.setattr(gzip, "GzipFile", Counting)
    with static(made) as address:
        lock = lock_of(made.digest, store, address, tmp_path)
    assert len(passes) == 2
    with image_archive(lock, store):
        assert len(passes) == 4


def test_a_registry_that_hands_everybody_a_token(tmp_path: Path, store: Store) -> None:
    made = make_image([ONE])
    with static(made, token="t0ken") as address:
        lock = lock_of(made.digest, store, address, tmp_path)
        registry = Registry(registry_address(address))
        assert registry.has_blob("team/small", sha256(made.blobs[1]), len(made.blobs[1]))
        assert not registry.has_blob("team/small", sha256(b"no"), 1)
    assert lock.rootfs.sha256 == sha256(ONE)


def test_a_password_goes_to_no_token_server(tmp_path: Path, store: Store) -> None:
    made = make_image([ONE])
    seen: list[str] = []
    with static(made, token="t0ken", seen=seen) as address:
        known = address.replace("//", "//user:password@")
        lock = lock_of(made.digest, store, known, tmp_path)
        registry = Registry(registry_address(known))
        assert registry.has_blob("team/small", sha256(made.blobs[1]), len(made.blobs[1]))
    assert lock.rootfs.sha256 == sha256(ONE)
    # Neither asked for a token with it, nor for a file with both.
    assert set(seen) == {"Bearer t0ken"}


def test_a_registry_that_takes_no_token_of_everybody_says_what_to_do(
    tmp_path: Path, store: Store
) -> None:
    made = make_image([ONE])
    with (
        static(made, token="t0ken", token_answer=b'{"token": "another"}') as address,
        pytest.raises(HostError, match="status 401") as caught,
    ):
        lock_of(made.digest, store, address, tmp_path)
    assert "only for people it knows" in caught.value.hint


def test_a_token_does_not_travel_to_the_host_that_blobs_are_redirected_to(
    tmp_path: Path, store: Store
) -> None:
    made = make_image([ONE])
    seen: list[str] = []
    with static(made, seen=seen) as elsewhere:
        there = elsewhere.replace("127.0.0.1", "localhost")
        with static(made, token="t0ken", blobs=there) as address:
            lock = lock_of(made.digest, store, address, tmp_path)
            registry = Registry(registry_address(address))
            assert registry.has_blob("team/small", sha256(made.blobs[1]), len(made.blobs[1]))
    assert lock.rootfs.sha256 == sha256(ONE)
    assert len(seen) >= 3
    assert set(seen) == {""}


def test_a_registry_that_wants_a_password(tmp_path: Path, store: Store) -> None:
    made = make_image([ONE])
    with static(made, token="basic") as address, pytest.raises(HostError) as caught:
        lock_of(made.digest, store, address, tmp_path)
    assert caught.value.what == "the registry wants credentials"
    assert "USER:PASSWORD" in caught.value.hint


@pytest.mark.parametrize(
    "answer",
    [b"<html>", b"{}", b'{"token":"a b"}', b'{"token":"\xff"}', b'{"x":' + b"[" * 50_000],
    ids=["page", "none", "space", "no UTF-8", "deep"],
)
def test_an_odd_token_is_refused(tmp_path: Path, store: Store, answer: bytes) -> None:
    made = make_image([ONE])
    with (
        static(made, token="t0ken", token_answer=answer) as address,
        pytest.raises(HostError, match="gives no token") as caught,
    ):
        lock_of(made.digest, store, address, tmp_path)
    assert "login page" in caught.value.hint


class _FallsSilent(BaseHTTPRequestHandler):
    """Wants a token, and hangs up on whoever asks what kind."""

    def do_HEAD(self) -> None:
        self.send_response(401)
        self.end_headers()

    def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""

    def do_GET(self) -> None:
        self.close_connection = True


def test_a_registry_that_falls_silent_gives_no_answer() -> None:
    with serving(Server(("127.0.0.1", 0), _FallsSilent)) as address:
        registry = Registry(registry_address(address))
        with pytest.raises(HostError, match="download failed"):
            registry.has_blob("team/small", sha256(ONE), 1)


@pytest.mark.parametrize("bad", ["registry.example", "ftp://h/", "file:///etc"])
def test_a_registry_is_an_address(bad: str) -> None:
    with pytest.raises(InputError):
        registry_address(bad)


@pytest.mark.parametrize(
    ("blob", "kind", "words"),
    [
        (gzip.compress(ONE, mtime=0)[:-9], InputError, "damaged"),
        (b"\x1f\x8b" + bytes(30), InputError, "damaged"),
        (b"\x28\xb5\x2f\xfd" + bytes(30), InputError, "zstd"),
        (TWO, VerificationError, "another digest"),
        (gzip.compress(bytes(70 << 20), 9, mtime=0), InputError, "grows too much"),
    ],
    ids=["cut", "no gzip", "zstd", "another", "bomb"],
)
def test_a_damaged_layer_is_refused(
    tmp_path: Path, blob: bytes, kind: type[RelsignError], words: str
) -> None:
    (tmp_path / "blob").write_bytes(blob)
    with pytest.raises(kind, match=words) as caught:
        read_layer(tmp_path / "blob", sha256(ONE), None)
    assert caught.value.hint


def test_a_layer_is_plain_or_gzip_in_several_parts(tmp_path: Path) -> None:
    for blob in (ONE, gzip.compress(ONE[:700], mtime=0) + gzip.compress(ONE[700:], mtime=0)):
        (tmp_path / "blob").write_bytes(blob)
        assert read_layer(tmp_path / "blob", sha256(ONE), None) == len(ONE)


def test_the_names_in_a_layer_are_read_past_extension_headers_of_any_size() -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind in (("dev/x", tarfile.CHRTYPE), ("usr/bin/python3", tarfile.SYMTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "python3.11"
            tar.addfile(member)
        member = tarfile.TarInfo("usr/bin/python3.11")
        member.pax_headers, member.size = {"comment": "long" * 1000, "mtime": "1.5"}, 600
        tar.addfile(member, io.BytesIO(bytes(600)))
        tar.addfile(tarfile.TarInfo("last"))
    names = ["dev/x", "usr/bin/python3", "usr/bin/python3.11", "last"]
    assert list(plain_names(stream)) == names
    huge = tarfile.TarInfo("huge")
    huge.type, huge.size = tarfile.XHDTYPE, 1 << 40
    assert list(plain_names(io.BytesIO(huge.tobuf() + bytes(1024)))) == []


@pytest.mark.parametrize("damage", [b"junk", bytes([0xFF]) * 12], ids=["checksum", "negative size"])
def test_a_damaged_header_in_a_layer_is_refused(damage: bytes) -> None:
    block = bytearray(tarfile.TarInfo("x").tobuf())
    block[124 : 124 + len(damage)] = damage
    if damage[0] == 0xFF:
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block[:512])
    with pytest.raises(InputError, match="damaged"):
        list(plain_names(io.BytesIO(block)))


def test_the_archive_says_nothing_but_layers(tmp_path: Path, store: Store) -> None:
    made = make_image([ONE, TWO])
    with static(made) as address:
        lock = lock_of(made.digest, store, address, tmp_path)
    with image_archive(lock, store) as path, tarfile.open(path) as archive:
        members = {m.name: archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]
    config = json.loads(members["config.json"])
    assert set(config) == {"architecture", "config", "os", "rootfs"}
    assert config["config"] == {}
    assert (members["000.tar"], members["001.tar"]) == (ONE, TWO)
    wrong = msgspec.structs.replace(lock, rootfs=RootFileSystem(sha256=sha256(ONE), size=1))
    with pytest.raises(VerificationError, match="not the lock's root"), image_archive(wrong, store):
        pass
    with pytest.raises(NotEnoughError), image_archive(lock, Store(tmp_path / "empty")):
        pass


@pytest.mark.engine
@pytest.mark.parametrize("which", ["engine", "podman"])
def test_a_build_in_an_image_of_two_layers(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    which: str,
    rootfs: RootFs,
    address: str,
    cache: Path,
) -> None:
    engine: Engine = request.getfixturevalue(which)
    store = Store(tmp_path / "store")
    marker = layer_tar({"etc/marker": b"from the second layer\n"})
    made = make_image([rootfs.path.read_bytes(), marker])
    push(address, "team/small", made)
    lock = lock_of(made.digest, store, address, tmp_path)
    heard: list[str] = []
    image = ensure_image(
        engine,
        lock.rootfs.sha256,
        lambda: environment_file(lock, store, heard.append),
        image_kind(lock),
    )
    try:
        room = Room(engine, image, cache, tmp_path / "out")
        said = room.say("cat /etc/marker", "echo preload=${LD_PRELOAD-none}")
        again = ensure_image(engine, lock.rootfs.sha256, lambda: pytest.fail("there already"))
    finally:
        engine.tell("DELETE", f"/images/{image}", {"force": "true"})
    assert "from the second layer" in said
    assert "preload=none" in said
    assert (again, heard) == (image, [])
