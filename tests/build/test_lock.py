"""Locking: the machine's archive decides once, and says the same thing twice."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from relsign.build.inputs.lock import Asking, resolve_lock
from relsign.build.inputs.mirrors import IndexTarget
from relsign.build.inputs.private_apt import _signed_by, private_apt
from relsign.build.store import Store
from relsign.errors import HostError, InputError
from relsign.formats.lock import BuilderLock, SourcePackage, parse_builder, parse_lock
from tests.build.served import served

TOP = Path(__file__).resolve().parent.parent.parent
SMALL = b"""
name = "small"
suite = "bookworm"
packages = ["python3-minimal"]
python = ["pluggy==1.7.0"]
"""


def builders() -> list[str]:
    return sorted(path.parent.name for path in TOP.glob("builders/*/builder.toml"))


def load(builder: str) -> BuilderLock:
    return parse_lock((TOP / "builders" / builder / "builder.lock").read_bytes())


@pytest.mark.parametrize("builder", builders())
def test_the_repositorys_locks_belong_to_their_definitions(builder: str) -> None:
    data = (TOP / "builders" / builder / "builder.toml").read_bytes()
    definition = parse_builder(data)
    lock = load(builder)
    assert lock.definition_sha256 == hashlib.sha256(data).hexdigest()
    assert (
        (lock.builder, lock.suite) == (definition.name, definition.suite) == (builder, "bookworm")
    )
    names = {package.name for package in lock.packages}
    assert set(definition.packages) <= names
    assert {"libc6", "bash", "coreutils", "dpkg", "gzip", "tar"} <= names
    assert "apt" not in names
    assert [package.name for package in lock.packages] == sorted(names)
    wanted = {requirement.partition("==")[0] for requirement in definition.python}
    assert wanted <= {wheel.name for wheel in lock.wheels}


def target(entry: str) -> IndexTarget:
    return IndexTarget("http://127.0.0.1:1/", "bookworm", "bookworm", "main", entry)


@pytest.mark.parametrize(
    ("name", "text", "line", "expected"),
    [
        (
            "a.list",
            "# no\ndeb [arch=amd64 signed-by=/k/a.gpg] http://h/ bookworm main\n",
            2,
            "/k/a.gpg",
        ),
        ("a.list", "deb [signed-by=/k/a.gpg,/k/b.gpg] http://h/ b main\n", 1, "/k/a.gpg /k/b.gpg"),
        ("a.list", "deb http://h/ bookworm main\n", 1, ""),
        ("a.sources", "Types: deb\n\nTypes: deb\nSigned-By: /k/a.gpg\n", 2, "/k/a.gpg"),
        ("a.sources", "Types: deb\nSigned-By:\n -----BEGIN\n .\n x\n", 1, "\n -----BEGIN\n .\n x"),
        ("a.sources", "Types: deb\n", 1, ""),
    ],
)
def test_the_key_is_the_one_the_machine_names_for_the_suite(
    tmp_path: Path, name: str, text: str, line: int, expected: str
) -> None:
    (tmp_path / name).write_text(text)
    assert _signed_by([target(f"{tmp_path / name}:{line}")]) == expected


def test_a_suite_the_machine_does_not_have_is_an_input_error() -> None:
    definition = parse_builder(SMALL.replace(b"bookworm", b"nosuchsuite"))
    with pytest.raises(InputError) as caught, private_apt(definition, ()):
        pass
    assert caught.value.where == "builder.toml: suite"
    assert "--mirror" in caught.value.hint


def test_an_archive_that_does_not_answer_is_a_host_error() -> None:
    with (
        pytest.raises(HostError, match="apt-get failed") as caught,
        private_apt(parse_builder(SMALL), ("http://127.0.0.1:1/debian",)),
    ):
        pass
    assert "127.0.0.1" in caught.value.got


def test_an_archive_without_a_signature_is_refused(tmp_path: Path) -> None:
    lists = tmp_path / "dists/bookworm"
    lists.mkdir(parents=True)
    (lists / "Release").write_text("Suite: bookworm\nCodename: bookworm\nComponents: main\n")
    with (
        served(tmp_path) as address,
        pytest.raises(HostError, match="apt-get failed") as caught,
        private_apt(parse_builder(SMALL), (address,)),
    ):
        pass
    assert "not signed" in caught.value.got


@pytest.mark.engine
@pytest.mark.slow
def test_the_same_definition_gives_the_same_lock_twice(tmp_path: Path) -> None:
    definition = parse_builder(SMALL)
    store = Store(tmp_path / "store")
    first = resolve_lock(definition, SMALL, store, Asking(tmp_path))
    second = resolve_lock(definition, SMALL, store, Asking(tmp_path))
    assert first.to_bytes() == second.to_bytes()
    assert first.source_date_epoch == load("debian-python").source_date_epoch
    assert {wheel.name for wheel in first.wheels} == {"pluggy"}
    assert all(store.has(package.sha256) for package in first.packages)


@pytest.mark.engine
def test_a_package_nobody_has_is_named() -> None:
    definition = parse_builder(SMALL)
    with private_apt(definition, ()) as apt, pytest.raises(InputError) as caught:
        apt.resolve(["no-such-package-at-all"])
    assert caught.value.where == "builder.toml: packages"
    assert "no-such-package-at-all" in caught.value.got


@pytest.mark.engine
def test_wheels_without_a_python_are_refused(tmp_path: Path) -> None:
    data = SMALL.replace(b"python3-minimal", b"make")
    with pytest.raises(InputError, match="no Python to run them"):
        resolve_lock(parse_builder(data), data, Store(tmp_path / "store"), Asking(tmp_path))


NEEDS = b"""
name = "small"
suite = "bookworm"
packages = ["make"]
build_dependencies_of = [{package = "ed", version = "VERSION"}]
"""


@pytest.mark.engine
def test_what_a_source_package_needs_comes_along() -> None:
    # The one version the archive serves is its own business: it is asked for here.
    with private_apt(parse_builder(NEEDS.replace(b"VERSION", b"0")), ()) as apt:
        with pytest.raises(InputError, match="does not serve this version") as caught:
            apt.resolve((), [SourcePackage(package="ed", version="0")])
        assert caught.value.where == "builder.toml: build_dependencies_of"
        assert caught.value.expected == "ed 0"
        served_version = caught.value.got.partition(",")[0]
        needed = apt.resolve(["make"], [SourcePackage(package="ed", version=served_version)])
        plain = apt.resolve(["make"])
        with pytest.raises(InputError) as nobody:
            apt.resolve((), [SourcePackage(package="no-such-source", version="1")])
    names = {package.name for package in needed}
    assert {"build-essential", "debhelper", "dpkg-dev", "make"} <= names
    assert {package.name for package in plain} < names
    assert "apt" not in names
    assert nobody.value.got == "no such source package"
