"""Two engines, one result: the same bytes, the same view, the same refusals, from Podman."""

from __future__ import annotations

import contextlib
import hashlib
import io
import tarfile
from pathlib import Path

import msgspec
import pytest

from relsign.build.engine.connection import Engine, NotThereError, connect, other_engine
from relsign.build.engine.image import ensure_image, image_tag
from relsign.build.profile import load_profile
from relsign.build.store import Store
from relsign.build.target import Bench, Listener, build_target
from relsign.crypto.digest import sha256_hex
from relsign.errors import HostError, InputError
from relsign.formats.canonical import encode_canonical
from relsign.formats.lock import BuilderLock, LockedPackage, RootFileSystem
from relsign.formats.names import Digest
from relsign.system.workspace import Workspace
from tests.build.commanded import HEAD
from tests.build.conftest import RootFs
from tests.build.marked import mark
from tests.build.room import Room, make_target

pytestmark = pytest.mark.engine

VIEW = (
    # As they come, not sorted: the order of variables is part of what a build sees.
    "env; id; umask; pwd; uname -n; nproc; getconf _NPROCESSORS_CONF;"
    "stat -f -c '%T %b' /build /tmp;"
    "cat /proc/self/limits /proc/self/personality /proc/self/oom_score_adj /proc/self/cgroup;"
    "grep -E '^(Groups|Cap|NoNewPrivs|Seccomp:|Umask|Cpus_allowed_list)' /proc/self/status;"
    "cat /proc/sys/kernel/domainname /proc/meminfo /proc/cpuinfo /proc/uptime /proc/version;"
    "cat /proc/stat /proc/cmdline /proc/modules /proc/net/dev /proc/keys /etc/hosts /etc/passwd;"
    "ls -AU /sys/class /sys/block /sys/devices /sys/devices/system/cpu /etc /build /tmp /dev/shm;"
    "ls -ld / /build /tmp /var/tmp /dev/shm | cut -c1-10; true"
)


def test_the_same_view_from_both(room: Room, podman_room: Room) -> None:
    said = []
    for each in (room, podman_room):
        built = each.build(make_target(f"(set +e; {VIEW}) > view 2>&1", artifacts=("view",)))
        assert built.without == ()
        said.append(built.files[0].path.read_text().splitlines())
    assert said[0] == said[1]
    assert [room.engine.kind, podman_room.engine.kind] == ["docker", "podman"]


def test_the_same_fingerprint_from_both(
    engine: Engine, podman: Engine, rootfs: RootFs, tmp_path: Path, cache: Path
) -> None:
    store = Store(tmp_path / "store")
    source = tmp_path / "a.tar"
    with tarfile.open(source, "w") as tar:
        for name in ("z", "a"):
            member = tarfile.TarInfo(f"a-1/{name}")
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
    digest = Digest(sha256_hex(source.read_bytes()))
    store.add(digest, lambda sink: sink.write(source.read_bytes()) and None)
    workspace = make_workspace(tmp_path / "project", digest, rootfs.sha256)
    mark(workspace.lock("b"), store)
    target = workspace.recipe().target[0]
    listener = Listener(*[lambda _: None] * 3)
    ids = []
    for number, each in enumerate((engine, podman)):
        ensure_image(each, rootfs.sha256, lambda: contextlib.nullcontext(rootfs.path))
        profile = load_profile()
        bench = Bench(each, store, cache, 0)
        output = tmp_path / str(number)
        built = build_target(bench, workspace, target, profile, output, listener)
        ids.append(built.fingerprint.to_bytes())
    assert ids[0] == ids[1]
    assert b'"p.tar.gz"' in ids[0]


def make_workspace(folder: Path, source: Digest, rootfs: Digest) -> Workspace:
    builder = folder / "builders" / "b"
    builder.mkdir(parents=True)
    definition = b'name = "b"\nsuite = "bookworm"\npackages = ["make"]\n'
    (builder / "builder.toml").write_bytes(definition)
    package = LockedPackage(
        name="make", version="1", architecture="amd64", sha256=Digest("5" * 64), size=1,
        path="pool/main/make.deb",
    )  # fmt: skip
    lock = BuilderLock(
        builder="b", definition_sha256=sha256_hex(definition), suite="bookworm",
        architecture="amd64", source_date_epoch=1, packages=(package,), wheels=(),
        rootfs=RootFileSystem(sha256=rootfs, size=1),
    )  # fmt: skip
    (builder / "builder.lock").write_bytes(lock.to_bytes())
    (folder / "relsign.toml").write_text(RECIPE.format(sha256=source))
    return Workspace(folder)


RECIPE = f"""{HEAD}
[[target]]
name = "t"
builder = "b"
source_date_epoch = 1700000000
commands = ["mkdir pack; cp a z pack", "env > pack/env; ls -U > pack/list"]

[[target.pack]]
directory = "pack"
name = "p.tar.gz"
"""


# --- images ------------------------------------------------------------------------------------


def no_file() -> contextlib.AbstractContextManager[Path]:
    pytest.fail("the image was there already")


def test_a_file_of_any_name_comes_out(either_room: Room) -> None:
    # Each shifts the others' letters, so that the description of one of them has every digit.
    names = tuple(f"{'x' * n}~~~.deb" for n in range(1, 5))
    target = make_target(f"touch {' '.join(names)}", artifacts=names)
    assert [file.name for file in either_room.build(target).files] == list(names)


def test_an_image_is_imported_once(podman: Engine, rootfs: RootFs, podman_image: str) -> None:
    assert ensure_image(podman, rootfs.sha256, no_file) == podman_image


def test_an_image_of_another_tar_is_refused(podman: Engine, rootfs: RootFs) -> None:
    other = Digest("0" * 64)
    with pytest.raises(HostError, match="another digest"):
        ensure_image(podman, other, lambda: contextlib.nullcontext(rootfs.path))
    podman.tell("DELETE", f"/images/{image_tag(other)}")


@pytest.mark.parametrize("kind", ["engine", "podman"])
def test_an_image_of_layers_is_loaded(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    engine: Engine = request.getfixturevalue(kind)
    layers = []
    for name in ("low", "high"):
        with tarfile.open(tmp_path / f"{name}.tar", "w") as tar:
            member = tarfile.TarInfo(f"{name}-{kind}")
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
        layers.append(hashlib.sha256((tmp_path / f"{name}.tar").read_bytes()).hexdigest())
    chain = Digest(sha256_hex(f"sha256:{layers[0]} sha256:{layers[1]}".encode()))
    archive = make_archive(tmp_path, layers, image_tag(chain))
    image = ensure_image(engine, chain, lambda: contextlib.nullcontext(archive), "archive")
    assert ensure_image(engine, chain, no_file, "archive") == image
    other = Digest("1" * 64)
    with pytest.raises(HostError, match="another digest"):
        ensure_image(engine, other, lambda: contextlib.nullcontext(archive), "archive")
    engine.tell("DELETE", f"/images/{image_tag(chain)}", {"force": "1"})


def make_archive(folder: Path, layers: list[str], tag: str) -> Path:
    config = {
        "architecture": "amd64",
        "config": {},
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}" for layer in layers]},
    }
    manifest = {"Config": "config.json", "Layers": ["low.tar", "high.tar"], "RepoTags": [tag]}
    (folder / "config.json").write_bytes(encode_canonical(config))
    (folder / "manifest.json").write_bytes(encode_canonical([manifest]))
    with tarfile.open(folder / "image.tar", "w") as tar:
        for name in ("config.json", "low.tar", "high.tar", "manifest.json"):
            tar.add(folder / name, name)
    return folder / "image.tar"


# --- the other engine --------------------------------------------------------------------------


def test_the_other_engine_is_the_one_named(engine: Engine, podman: Engine) -> None:
    for one, two in ((engine, podman), (podman, engine)):
        other = other_engine({"RELSIGN_OTHER_ENGINE": two.url}, one)
        assert other is not None
        with other:
            assert (other.kind, other.url) == (two.kind, two.url)


def test_the_other_engine_at_a_usual_socket(engine: Engine, podman: Engine, tmp_path: Path) -> None:
    (tmp_path / "docker.sock").symlink_to(engine.url.removeprefix("unix://"))
    (tmp_path / "podman").mkdir()
    (tmp_path / "podman" / "podman.sock").symlink_to(podman.url.removeprefix("unix://"))
    here = {"XDG_RUNTIME_DIR": str(tmp_path)}
    for one, two in ((engine, podman), (podman, engine)):
        with connect({"DOCKER_HOST": one.url}) as first:
            other = other_engine(here, first)
        assert other is not None
        with other:
            assert other.kind == two.kind


def test_an_engine_of_the_same_kind_is_no_other(podman: Engine) -> None:
    with pytest.raises(InputError, match="same kind") as caught:
        other_engine({"RELSIGN_OTHER_ENGINE": podman.url}, podman)
    assert caught.value.expected == "docker"
    assert caught.value.hint


def test_a_named_engine_that_does_not_answer(podman: Engine) -> None:
    with pytest.raises(HostError, match="no container engine answers"):
        other_engine({"RELSIGN_OTHER_ENGINE": "unix:///nonexistent/s"}, podman)


def test_missing_things_are_missing(podman: Engine) -> None:
    for path in ("/containers/none/json", "/volumes/none", "/images/localhost/none:1/json"):
        with pytest.raises(NotThereError):
            podman.get(path, msgspec.Raw)
