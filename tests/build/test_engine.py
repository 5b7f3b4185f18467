"""Finding an engine, believing only what it must, and failing in words."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import socket
import tarfile
import threading
from pathlib import Path

import msgspec
import pytest

from relsign.build.engine.bound import bound_paths
from relsign.build.engine.connection import Engine, NotThereError, candidates, connect
from relsign.build.engine.image import ensure_image, image_tag
from relsign.build.engine.leftovers import (
    OWNER_LABEL,
    list_containers,
    list_volumes,
    remove_container,
    remove_volume,
)
from relsign.build.profile import load_profile
from relsign.errors import HostError, InputError
from relsign.formats.names import Digest
from relsign.system.files import hash_file
from relsign.system.owner import Owner, is_gone, parse_owner, this_process
from tests.build.conftest import RootFs
from tests.build.dying import build_until_death
from tests.build.room import Room

NO_DIGEST = Digest("0" * 64)

# --- without an engine -------------------------------------------------------------------------


def test_a_named_engine_is_the_only_one_tried() -> None:
    assert candidates({"DOCKER_HOST": "tcp://h:1"}) == ("tcp://h:1",)


def test_only_sockets_that_are_there_are_tried(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, contextlib.chdir(tmp_path):
        listener.bind("docker.sock")
        found = candidates({"XDG_RUNTIME_DIR": str(tmp_path)})
    assert f"unix://{tmp_path}/docker.sock" in found
    assert f"unix://{tmp_path}/podman/podman.sock" not in found


def test_a_relative_runtime_folder_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("docker.sock")
        assert candidates({"XDG_RUNTIME_DIR": "."}) == candidates({})


@pytest.mark.parametrize(
    "url", ["unix:///nonexistent/docker.sock", "tcp://127.0.0.1:9", "http://127.0.0.1:9"]
)
def test_no_engine_is_a_host_error_with_a_hint(url: str) -> None:
    with pytest.raises(HostError, match="no container engine answers") as caught:
        connect({"DOCKER_HOST": url})
    assert url in caught.value.got
    assert "tools/engine start" in caught.value.hint


@pytest.mark.parametrize("url", ["nonsense://x", "unix:/", "tcp://"])
def test_a_nonsensical_address_is_one_of_our_errors(url: str) -> None:
    with pytest.raises((HostError, InputError)):
        connect({"DOCKER_HOST": url})


def test_unusable_keys_for_an_engine_are_an_input_error(tmp_path: Path) -> None:
    keys = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(tmp_path)}
    with pytest.raises(InputError, match="unusable TLS setting") as caught:
        connect({"DOCKER_HOST": "tcp://127.0.0.1:9", **keys})
    assert caught.value.where == "DOCKER_CERT_PATH"
    assert caught.value.hint


def answer(listener: socket.socket, reply: bytes, *, times: int) -> None:
    """Answer every request with the same bytes."""
    for _ in range(times):
        with contextlib.suppress(OSError):
            line, _ = listener.accept()
            with line:
                line.recv(65536)
                line.sendall(reply)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"ApiVersion":"1.40"}', "too old"),
        (b"<html>", "no container engine answers"),
        (b'{"ApiVersion":7}', "no container engine answers"),
        (b"[]", "no container engine answers"),
    ],
)
def test_something_else_that_answers(tmp_path: Path, body: bytes, words: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with socket.socket(socket.AF_UNIX) as listener:
        with contextlib.chdir(tmp_path):
            listener.bind("s")
        listener.listen()
        thread = threading.Thread(target=answer, args=(listener, head + body), kwargs={"times": 2})
        thread.start()
        with pytest.raises(HostError, match=words):
            connect({"DOCKER_HOST": f"unix://{tmp_path}/s"})
        thread.join()


def test_a_bound_file_looks_the_same_from_the_first_moment_for_every_build(tmp_path: Path) -> None:
    """Several builds make the files of an empty cache at the same time."""
    seen: set[tuple[float, int, str]] = set()
    start = threading.Barrier(8)
    profile = load_profile()

    def look() -> None:
        start.wait()
        for bound in bound_paths(profile, tmp_path):
            if bound.source.is_file():
                status = bound.source.stat()
                seen.add((status.st_mtime, status.st_mode & 0o777, bound.target))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {(0.0, 0o444, target) for target in profile.files}
    assert not list(tmp_path.rglob("*.tmp"))


def test_an_owner_survives_its_label() -> None:
    me = this_process()
    assert parse_owner(me.to_label()) == me
    assert not is_gone(me)


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        ({"started": "1"}, True),
        ({"pid": "4194305"}, True),
        ({"boot": "another"}, True),
        ({"machine": "another", "started": "1"}, False),
        ({"namespace": "another", "started": "1"}, False),
    ],
)
def test_only_a_certainly_dead_owner_is_gone(change: dict[str, str], gone: bool) -> None:  # noqa: FBT001
    me = this_process()
    fields = {name: getattr(me, name) for name in Owner.__slots__}
    assert is_gone(Owner(**{**fields, **change})) is gone


@pytest.mark.parametrize("label", ["", "a/b", "a/b/c/../e", "a/b/c/d/e", "a/b/c/1/e/f"])
def test_labels_we_did_not_write_name_nobody(label: str) -> None:
    assert parse_owner(label) is None


# --- images ------------------------------------------------------------------------------------


def no_rootfs() -> contextlib.AbstractContextManager[Path]:
    pytest.fail("the image was there already")


@pytest.mark.engine
def test_an_image_is_imported_once(engine: Engine, rootfs: RootFs, image: str) -> None:
    assert ensure_image(engine, rootfs.sha256, no_rootfs) == image
    assert image.startswith("sha256:")


@pytest.mark.engine
def test_an_image_of_another_tar_is_refused(engine: Engine, rootfs: RootFs) -> None:
    with pytest.raises(HostError, match="another digest") as caught:
        ensure_image(engine, NO_DIGEST, lambda: contextlib.nullcontext(rootfs.path))
    assert caught.value.expected == NO_DIGEST
    engine.tell("DELETE", f"/images/{image_tag(NO_DIGEST)}")


@pytest.mark.engine
@pytest.mark.parametrize("setting", ["ENV LD_PRELOAD=/x", "VOLUME /v", 'ENTRYPOINT ["/x"]'])
def test_an_image_with_settings_is_imported_again(
    engine: Engine, image: str, rootfs: RootFs, setting: str
) -> None:
    name = image_tag(rootfs.sha256)
    place = {"fromSrc": "-", "repo": name, "changes": setting}
    with (
        rootfs.path.open("rb") as tar,
        engine.stream("POST", "/images/create", parameters=place, body=tar) as reply,
    ):
        planted = msgspec.json.decode(reply.read(), type=dict[str, str])["status"]
    again = ensure_image(engine, rootfs.sha256, lambda: contextlib.nullcontext(rootfs.path))
    config = engine.get(f"/images/{again}/json", dict[str, msgspec.Raw])["Config"]
    assert setting.split()[1].partition("=")[0].encode() not in bytes(config)
    # Other tests of this session use the first image.
    repository, _, tag = name.rpartition(":")
    engine.tell("POST", f"/images/{image}/tag", {"repo": repository, "tag": tag})
    engine.tell("DELETE", f"/images/{again}")
    with pytest.raises(NotThereError):
        engine.get(f"/images/{planted}/json", msgspec.Raw)


@pytest.mark.engine
@pytest.mark.parametrize("kept_by", ["nobody", "a container", "a name"])
def test_what_else_had_the_tag_goes_unless_somebody_uses_it(
    either_room: Room, tmp_path: Path, kept_by: str
) -> None:
    engine, path, name = either_room.engine, tmp_path / "a.tar", ""
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo(os.urandom(8).hex()))
    digest = hash_file(path).sha256
    repository, _, tag = image_tag(digest).rpartition(":")
    other = tmp_path / "other.tar"
    with tarfile.open(other, "w") as tar:
        tar.addfile(tarfile.TarInfo(os.urandom(8).hex()))
    other_digest = hash_file(other).sha256
    old = ensure_image(engine, other_digest, lambda: contextlib.nullcontext(other))
    engine.tell("POST", f"/images/{old}/tag", {"repo": repository, "tag": tag})
    if kept_by != "a name":
        engine.tell("DELETE", f"/images/{image_tag(other_digest)}")
    if kept_by == "a container":
        wanted = {"Image": old, "Cmd": ["x"]}
        name = f"relsign-test-{digest[:12]}"
        with engine.stream(
            "POST", "/containers/create", parameters={"name": name}, document=wanted
        ) as reply:
            reply.read()
    new = ensure_image(engine, digest, lambda: contextlib.nullcontext(path))
    try:
        assert new != old
        assert is_there(engine, old) is (kept_by != "nobody")
    finally:
        if name:
            engine.tell("DELETE", f"/containers/{name}")
        for image in (new, old):
            with contextlib.suppress(NotThereError):
                engine.tell("DELETE", f"/images/{image}")


def is_there(engine: Engine, image: str) -> bool:
    try:
        engine.get(f"/images/{image}/json", msgspec.Raw)
    except NotThereError:
        return False
    return True


@pytest.mark.engine
def test_a_tar_that_is_none_is_a_host_error(engine: Engine, tmp_path: Path) -> None:
    junk = tmp_path / "junk.tar"
    junk.write_bytes(b"no tar" * 1000)
    with pytest.raises(HostError):
        ensure_image(engine, NO_DIGEST, lambda: contextlib.nullcontext(junk))


@pytest.mark.engine
def test_the_engine_says_what_it_is(engine: Engine) -> None:
    info = engine.describe()
    assert info.url == engine.url
    assert info.version
    assert info.kernel


@pytest.mark.engine
def test_refusals_keep_the_engines_words(engine: Engine) -> None:
    with pytest.raises(NotThereError, match="404"):
        engine.get("/containers/none/json", msgspec.Raw)
    with pytest.raises(HostError, match="unexpected"):
        engine.get("/version", list[str])


# --- an engine that dies -----------------------------------------------------------------------


class Wire:
    """A socket in front of an engine, which can be cut."""

    def __init__(self, path: Path, behind: str) -> None:
        self.behind = behind
        self.lines: list[socket.socket] = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.path = path
        self.threads = [threading.Thread(target=self._accept)]
        self.threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                front, _ = self.listener.accept()
                back = socket.socket(socket.AF_UNIX)
                back.connect(self.behind)
                self.lines += [front, back]
                for pair in ((front, back), (back, front)):
                    self.threads.append(threading.Thread(target=self._carry, args=pair))
                    self.threads[-1].start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        self.path.unlink(missing_ok=True)
        for line in [self.listener, *self.lines]:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        for thread in self.threads:
            thread.join()
        for line in [self.listener, *self.lines]:
            line.close()


@pytest.mark.engine
def test_a_connection_cut_mid_build(room: Room, short_folder: Path) -> None:
    if not room.engine.url.startswith("unix://"):
        pytest.fail("this test needs an engine behind a unix socket")
    wire = Wire(short_folder / "s", room.engine.url.removeprefix("unix://"))
    try:
        with connect({"DOCKER_HOST": f"unix://{wire.path}"}) as engine:
            build_until_death(engine, room.image, room.folder, wire.cut)
    finally:
        wire.close()
    # Nobody could clean up behind a cut wire, and this process, their owner, still runs.
    for container in list_containers(room.engine):
        if is_mine(container.labels):
            remove_container(room.engine, container.identity)
    for volume in list_volumes(room.engine):
        if is_mine(volume.labels):
            remove_volume(room.engine, volume.name)


def is_mine(labels: dict[str, str] | None) -> bool:
    return parse_owner((labels or {}).get(OWNER_LABEL, "")) == this_process()


# --- the same tar, whoever packed it -----------------------------------------------------------


@pytest.mark.engine
def test_the_engine_names_a_layer_by_its_tar(engine: Engine, tmp_path: Path) -> None:
    """The claim `ensure_image` rests on, for a tar with odd padding and a pax header."""
    path = tmp_path / "odd.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        member = tarfile.TarInfo("é" * 60)
        member.size = 3
        tar.addfile(member, io.BytesIO(b"abc"))
    path.write_bytes(path.read_bytes() + bytes(10240))
    digest = Digest(hashlib.sha256(path.read_bytes()).hexdigest())
    assert ensure_image(engine, digest, lambda: contextlib.nullcontext(path))
    engine.tell("DELETE", f"/images/{image_tag(digest)}")
