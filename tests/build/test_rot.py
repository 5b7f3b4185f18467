"""What is vanishing is told while it is still in the store, and nothing is kept to know."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from relsign.build.inputs import asking
from relsign.build.inputs.asking import has_file, is_served
from relsign.build.inputs.lock import Asking
from relsign.build.inputs.rot import Standing, find_rot
from relsign.build.store import Store
from relsign.cli.main import execute
from relsign.errors import HostError, InputError, RelsignError, VerificationError
from relsign.formats.lock import LockedCrate, LockedModule, LockedNpm, LockedWheel
from relsign.formats.names import Digest
from relsign.formats.recipe import Archive, DebianSource, Git, Source, UpstreamSignature
from tests.build.inputs_project import Bundled, change_lock, debian_project, image_project
from tests.build.served import Server, served, serving

AA_PATH = "pool/main/z/aa/aa_1.0_all.deb"
BB_PATH = "pool/main/z/bb/bb_1.0_all.deb"
A = Digest("a" * 64)
XX = Digest(hashlib.sha256(b"xx").hexdigest())


def put(folder: Path, name: str, data: bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def rot(project: Bundled, *mirrors: str, sources: tuple[Source, ...] = ()) -> dict[str, Standing]:
    lock = project.workspace.lock("small")
    ask = Asking(project.folder, mirrors)
    return {each.name: each for each in find_rot([lock], sources, project.store, ask)}


@pytest.fixture
def project(tmp_path: Path) -> Bundled:
    return debian_project(tmp_path)


def test_three_states_of_a_package(tmp_path: Path, project: Bundled) -> None:
    put(tmp_path / "archive", AA_PATH, b"aa")
    with served(tmp_path / "archive") as mirror:
        found = rot(project, mirror)
        assert (found[AA_PATH].state, found[BB_PATH].state) == ("served", "only in this store")
        assert found[BB_PATH].reason == "not there any more"
        project.store.path(found[BB_PATH].sha256).unlink()
        assert rot(project, mirror)[BB_PATH].state == "gone"
        # Of another size it is another file, which withdraws nothing.
        put(tmp_path / "archive", BB_PATH, b"other")
        other = rot(project, mirror)[BB_PATH]
        assert (other.state, "expected 2 bytes, got 5 bytes" in other.reason) == ("no answer", True)
    assert found[AA_PATH].of == "small"


def test_any_mirror_will_do_also_one_on_disk(tmp_path: Path, project: Bundled) -> None:
    put(tmp_path / "one", AA_PATH, b"aa")
    put(tmp_path / "two", BB_PATH, b"bb")
    with served(tmp_path / "one") as mirror:
        found = rot(project, mirror, f"file://{tmp_path}/two")
    assert {each.state for each in found.values()} == {"served"}


def test_when_nobody_answers_it_is_the_network(project: Bundled) -> None:
    with pytest.raises(HostError, match="nobody answers"):
        rot(project, "http://127.0.0.1:1")


NPM = LockedNpm(
    name="n", version="1.0.0", integrity=f"sha512-{'A' * 86}==", sha256=A, size=1,
    places=("node_modules/n",),
)  # fmt: skip
MODULE = LockedModule(path="example.org/m", version="v1.0.0", mod_sha256=A, mod_size=1)
CRATE = LockedCrate(name="cccc", version="1.0.0", sha256=A, size=1)
LANGUAGES = (("npm", NPM), ("go", MODULE), ("crates", CRATE))


@pytest.fixture
def servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that sends npm, Go and Cargo to one address."""

    def send(address: str) -> None:
        cargo = tmp_path / "cargo"
        cargo.mkdir(exist_ok=True)
        (cargo / "config.toml").write_text(
            '[source.crates-io]\nreplace-with = "here"\n'
            f'[source.here]\nregistry = "{address}/index"\n[net]\nretry = 0\n'
        )
        (tmp_path / "npmrc").write_text("fetch-retries=0\n")
        for name, value in {
            "npm_config_registry": address,
            "npm_config_userconfig": str(tmp_path / "npmrc"),
            "GOPROXY": address,
            "GOENV": "off",
            "CARGO_HOME": str(cargo),
        }.items():
            monkeypatch.setenv(name, value)

    return send


@pytest.mark.parametrize(("field", "entry"), LANGUAGES, ids=["npm", "go", "cargo"])
def test_a_server_of_a_language_that_is_not_reached_has_withdrawn_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    servers: Callable[[str], None],
    field: str,
    entry: LockedNpm | LockedModule | LockedCrate,
) -> None:
    project = image_project(tmp_path, (b"one",))
    change_lock(project, **{field: (entry,)})
    servers("http://127.0.0.1:1")
    one = hashlib.sha256(b"one").hexdigest()
    put(tmp_path / "registry", f"v2/team/small/blobs/sha256:{one}", b"one")
    with served(tmp_path / "registry") as address:
        monkeypatch.setenv("RELSIGN_REGISTRY", address)
        assert [each.state for each in rot(project).values()] == ["served", "no answer"]
    monkeypatch.delenv("RELSIGN_REGISTRY")
    with pytest.raises(HostError, match="does not say that anything was withdrawn") as caught:
        rot(project)
    assert "not fetched" in caught.value.got


def test_a_server_of_a_language_that_knows_no_such_file_has_withdrawn_it(
    tmp_path: Path, servers: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RELSIGN_REGISTRY", raising=False)
    project = image_project(tmp_path, (b"one",))
    # Cargo's index is a Git repository, here one without any crate.
    index = tmp_path / "registry/index"
    git = ("git", "-C", index, "-c", "user.name=a", "-c", "user.email=a@b")
    put(index, "config.json", b'{"dl": "http://127.0.0.1:1"}')
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "x")):
        subprocess.run([*git, *words], check=True)
    with served(tmp_path / "registry") as address:
        servers(address)
        config = tmp_path / "cargo/config.toml"
        config.write_text(config.read_text().replace(f"{address}/index", f"file://{index}"))
        change_lock(project, npm=(NPM,), go=(MODULE,), crates=(CRATE,))
        found = rot(project)
    assert {name: each.state for name, each in found.items()} == {
        next(iter(found)): "no answer",
        "npm n@1.0.0": "gone",
        "go example.org/m@v1.0.0/go.mod": "gone",
        "cccc-1.0.0.crate": "gone",
    }


def test_without_a_registry_the_rest_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RELSIGN_REGISTRY", raising=False)
    project = image_project(tmp_path, (b"one",))
    put(tmp_path / "archive", "b.tar", b"xx")
    with served(tmp_path / "archive") as address:
        found = rot(project, sources=(signed(address, XX),))
    layer, archive, _ = found.values()
    assert (layer.state, archive.state) == ("no answer", "served")
    assert layer.reason.startswith("not asked: no image registry is known; name one with")
    # Where there is nothing else to ask for, it is the mistake that it is elsewhere.
    with pytest.raises(InputError, match="no image registry is known"):
        rot(project)


def signed(url: str, digest: Digest) -> Archive:
    signature = UpstreamSignature(
        file="b.tar.asc", sha256=A, key="keys/b.asc", fingerprint="A" * 40
    )
    return Archive(name="b", sha256=digest, url=f"{url}/b.tar", file="b.tar", signature=signature)


def test_sources_are_asked_for_too(tmp_path: Path, project: Bundled) -> None:
    archive = tmp_path / "archive"
    for name in (AA_PATH, BB_PATH, "b.tar", "pool/main/e/ed/ed_1.orig.tar.gz"):
        put(archive, name, b"xx")
    with served(archive) as mirror:
        debian = DebianSource(name="ed", sha256=XX, package="ed", file="ed_1.orig.tar.gz")
        git = Git(name="g", sha256=A, url="file:///nonexistent", commit="1" * 40)
        found = rot(project, mirror, sources=(debian, signed(mirror, XX), git))
    states = {name: each.state for name, each in found.items()}
    assert states == {
        AA_PATH: "served",
        BB_PATH: "served",
        "ed_1.orig.tar.gz": "served",
        "b.tar": "served",
        "b.tar.asc": "gone",
        git.file: "no answer",  # git's words do not say whether anybody was there
    }


def test_who_answers_everything_serves_nothing_and_withdraws_nothing(project: Bundled) -> None:
    """A parked domain and a login page say 200 to any name."""
    debian = DebianSource(name="ed", sha256=A, package="ed", file="ed_1.orig.tar.gz")
    with odd() as (address, _):
        found = rot(project, f"{address}/", sources=(debian, signed(address, A)))
    assert {name: each.state for name, each in found.items()} == dict.fromkeys(
        (AA_PATH, BB_PATH, "ed_1.orig.tar.gz", "b.tar", "b.tar.asc"), "no answer"
    )
    assert "something else answers under this name" in found["b.tar"].reason
    assert found[AA_PATH].reason.endswith("(expected 2 bytes, got 7 bytes)")


def test_a_mirror_on_disk_is_read(tmp_path: Path, project: Bundled) -> None:
    for name in (AA_PATH, BB_PATH):
        put(tmp_path / "one", name, b"aa")
    found = rot(project, f"file://{tmp_path}/one")
    assert [found[name].state for name in (AA_PATH, BB_PATH)] == ["served", "no answer"]


def test_what_the_index_states_no_digest_of_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RELSIGN_REGISTRY", raising=False)
    project = image_project(tmp_path, (b"one",))
    wheels = tuple(
        LockedWheel(name="flit", version=v, file=f"flit-{v}-py3-none-any.whl", sha256=XX, size=2)
        for v in ("1.0", "2.0", "3.0")
    )
    change_lock(project, wheels=wheels)
    links = "".join(f'<a href="{each.file}">{each.file}</a>' for each in wheels)
    put(tmp_path / "index", "flit/index.html", links.encode())
    put(tmp_path / "index", f"flit/{wheels[0].file}", b"xx")
    put(tmp_path / "index", f"flit/{wheels[1].file}", b"yy")
    with served(tmp_path / "index") as address:
        monkeypatch.setenv("PIP_INDEX_URL", address)
        found = rot(project)
    assert [found[each.file].state for each in wheels] == ["served", "no answer", "gone"]


def test_a_wheel_is_looked_up_on_the_index(
    tmp_path: Path, project: Bundled, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheels = tuple(
        LockedWheel(name="flit", version=v, file=f"flit-{v}-py3-none-any.whl", sha256=A, size=1)
        for v in ("1.0", "2.0", "3.0")
    )
    change_lock(project, wheels=wheels)
    put(
        tmp_path / "archive", "flit/index.html",
        f'<a href="flit-1.0-py3-none-any.whl#sha256={A}">flit-1.0-py3-none-any.whl</a>'
        f'<a href="x/flit-2.0-py3-none-any.whl#sha256={"b" * 64}">flit-2.0-py3-none-any.whl</a>'
        .encode(),
    )  # fmt: skip
    for name, data in ((AA_PATH, b"aa"), (BB_PATH, b"bb")):
        put(tmp_path / "archive", name, data)
    with served(tmp_path / "archive") as address:
        monkeypatch.setenv("PIP_INDEX_URL", address)
        found = rot(project, address)
    assert found[wheels[0].file].state == "served"
    assert found[wheels[1].file].state == "gone"  # of that name, with other bytes
    assert found[wheels[2].file].state == "gone"
    assert "no such file" in found[wheels[2].file].reason


def test_a_layer_is_asked_for_at_the_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = image_project(tmp_path, (b"one", b"two"))
    one = hashlib.sha256(b"one").hexdigest()
    put(tmp_path / "registry", f"v2/team/small/blobs/sha256:{one}", b"one")
    with served(tmp_path / "registry") as address:
        monkeypatch.setenv("RELSIGN_REGISTRY", address)
        states = [each.state for each in rot(project).values()]
    assert states == ["served", "only in this store"]


def test_the_command_says_what_vanishes_and_what_to_do(
    tmp_path: Path, project: Bundled, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "archive", AA_PATH, b"aa")
    words = ["lock", "small", "--rot", "--project", str(project.folder)]
    words += ["--store", str(project.store.root)]
    with served(tmp_path / "archive") as mirror:
        assert execute([*words, "--mirror", mirror]) == 1
        captured = capsys.readouterr()
        assert captured.out == (f"only in this store: small: {BB_PATH}  (not there any more)\n")
        assert "relsign inputs export" in captured.err
        assert execute([*words, "--mirror", mirror, "--json"]) == 1
        document = json.loads(capsys.readouterr().out)
        put(tmp_path / "archive", BB_PATH, b"bb")
        assert execute([*words, "--mirror", mirror]) == 0
    assert document["counts"] == {"served": 1, "only in this store": 1}
    assert [row["name"] for row in document["inputs"]] == [AA_PATH, BB_PATH]


# --- the question itself ------------------------------------------------------------------------


class _Odd(BaseHTTPRequestHandler):
    """Answers by path; remembers what it was asked."""

    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        kind = self.path.strip("/")
        status = int(kind) if kind.isdigit() else 200
        if kind == "no-head" and self.command == "HEAD":
            status = 405
        if kind in {"around", "away", "nowhere"}:
            status = 302
        self.send_response(status)
        if kind == "around":
            self.send_header("Location", "/there")
        elif kind == "away":
            self.send_header("Location", "/away")
        elif kind == "nowhere":
            self.send_header("Location", "http://[")
        if kind not in {"silent", "get-tells"} or (kind, self.command) == ("get-tells", "GET"):
            self.send_header("Content-Length", "7")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(b"welcome")

    def log_message(self, format: str, *_arguments: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""


@contextmanager
def odd() -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []
    handler = type("Handler", (_Odd,), {"asked": asked})
    with serving(Server(("127.0.0.1", 0), handler)) as address:
        yield address, asked


@pytest.mark.parametrize(
    ("path", "size", "expected"),
    [
        ("there", 7, True),
        ("there", None, True),
        ("there", 8, VerificationError),
        ("silent", 7, HostError),
        ("silent", None, True),
        ("get-tells", 7, True),
        ("around", 7, True),
        ("no-head", 7, True),
        ("404", None, False),
        ("410", None, False),
        ("403", None, HostError),
        ("418", None, HostError),
        ("away", None, HostError),
        ("nowhere", None, HostError),
    ],
)
def test_the_answer_to_the_question(
    path: str,
    size: int | None,
    expected: bool | type[RelsignError],  # noqa: FBT001 - a table
) -> None:
    with odd() as (address, asked):
        if isinstance(expected, bool):
            assert is_served(f"{address}/{path}", size) is expected
        else:
            with pytest.raises(expected):
                is_served(f"{address}/{path}", size)
    assert asked[0] == f"HEAD /{path}"


WELCOME = Digest(hashlib.sha256(b"welcome").hexdigest())


@pytest.mark.parametrize(
    ("path", "sha256", "expected"),
    [
        ("there", WELCOME, True),
        ("silent", WELCOME, True),
        ("there", A, VerificationError),
        ("404", WELCOME, False),
        ("403", WELCOME, HostError),
    ],
)
def test_a_file_is_known_by_its_bytes(
    path: str,
    sha256: Digest,
    expected: bool | type[RelsignError],  # noqa: FBT001 - a table
) -> None:
    with odd() as (address, _):
        if isinstance(expected, bool):
            assert has_file(f"{address}/{path}", sha256) is expected
        else:
            with pytest.raises(expected):
                has_file(f"{address}/{path}", sha256)


def test_a_server_that_never_ends_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "FILE_SECONDS", 0.1)
    with (
        served(tmp_path) as address,
        pytest.raises(HostError, match="is too slow") as caught,
    ):
        has_file(f"{address}/endless", A)
    assert caught.value.hint


def test_nothing_is_stored_by_asking(tmp_path: Path, project: Bundled) -> None:
    lock = msgspec.structs.replace(project.workspace.lock("small"), wheels=())
    for name, data in ((AA_PATH, b"aa"), (BB_PATH, b"bb")):
        put(tmp_path / "archive", name, data)
    empty = Store(tmp_path / "empty")
    with served(tmp_path / "archive") as mirror:
        found = find_rot([lock], (), empty, Asking(tmp_path, (mirror,)))
    assert [each.state for each in found] == ["served", "served"]
    assert not empty.root.exists()
